"""Candidates side by side, what the judge says of them, and the tabs of figures, in a real browser."""

from kapelle.judging.choosing import Choice
from kapelle.judging.panel import Reason
from kapelle.judging.rank import Part, Ranked, Ranking, Weights
from kapelle.web import judged
from pages import IDLE, open_studio, until

CARD = "#candidates .candidate"
SHORT = {"model": "genre-small", "length": {"amount": 2, "unit": "bars"}}


def compose(page, **body):
    """Compose as the page does, and wait."""
    page.evaluate("(body) => { kapelle.session.compose('compose', body); }", {**SHORT, **body})
    until(page, f"{IDLE} && kapelle.session.current.record !== null", 90)


def test_the_pieces_of_a_job_stand_side_by_side_and_one_is_kept(page, studio):
    open_studio(page)
    compose(page, count=3, seed=20, title="<b>Three</b>")
    page.click("#tab-candidates")
    until(page, f"document.querySelectorAll('{CARD}').length === 3")
    assert page.locator(f"{CARD} .title").all_inner_texts() == ["<b>Three</b> 1", "<b>Three</b> 2", "<b>Three</b> 3"]
    assert page.locator(f"{CARD} b").count() == 0
    until(page, f"[...document.querySelectorAll('{CARD} .original')].filter((one) => one.textContent).length >= 1", 60)
    until(page, f"Number(document.querySelector('{CARD} canvas').dataset.drawn) > 0")
    page.evaluate("kapelle.player.pause()")
    second = page.locator(CARD).nth(1)
    second.locator(".play").click()
    until(page, f"kapelle.player.playing && kapelle.session.current.record.id === '{second.get_attribute('data-piece')}'", 20)
    second.locator(".play").click()
    until(page, "!kapelle.player.playing")
    second.locator("button:has-text('Keep only this')").click()
    until(page, f"document.querySelectorAll('{CARD}.gone').length === 2")
    ids = [card.get_attribute("data-piece") for card in page.locator(CARD).all()]
    assert [bool(studio.get(f"/api/pieces/{id}").json()["deleted"]) for id in ids] == [True, False, True]
    page.click(".toast button:has-text('Undo')")
    until(page, f"document.querySelectorAll('{CARD}.gone').length === 0")
    assert [studio.get(f"/api/pieces/{id}").json()["deleted"] for id in ids] == [None, None, None]
    page.locator(CARD).nth(0).locator(".star").click()
    until(page, "!document.querySelector('#candidates .candidates-head button').disabled")
    page.click("#candidates .candidates-head button")
    until(page, f"document.querySelectorAll('{CARD}.gone').length === 2")
    page.keyboard.press("Control+z")
    until(page, f"document.querySelectorAll('{CARD}.gone').length === 0")


def test_the_best_of_many_come_with_reasons_which_outlive_a_reload(page, studio):
    open_studio(page)
    compose(page, best=2, of=4, seed=40)
    page.click("#tab-candidates")
    until(page, f"document.querySelectorAll('{CARD}').length === 2")
    assert "best 2 of 4" in page.locator(".candidates-head").inner_text()
    assert page.locator(f"{CARD} .place").all_inner_texts() == ["1.", "2."]
    page.locator(f"{CARD} summary").first.click()
    parts = page.locator(f"{CARD} .judged").first.locator("li")
    assert parts.count() >= 2
    assert all(words.strip() for words in parts.locator(".about").all_inner_texts())
    page.reload()
    until(page, f"document.querySelectorAll('{CARD}').length === 2")
    page.select_option("#tools select", "ru")
    page.click("#tab-candidates")
    page.locator(f"{CARD} summary").first.click()
    until(page, f"/[а-я]{{4}}/.test(document.querySelector('{CARD} .judged .about').textContent)")


def test_pieces_of_the_library_are_ranked_and_measured_against_others(page, studio):
    for seed in (60, 61, 62):
        studio.compose(**SHORT, seed=seed)
    open_studio(page)
    until(page, "document.querySelectorAll('#library [role=row]').length >= 3")
    for number in range(3):
        page.locator("#library [role=row]").nth(number).click(modifiers=["Control"])
    page.click(".selection [data-act=rank]")
    until(page, f"document.querySelectorAll('{CARD}').length === 3", 60)
    assert page.locator(f"{CARD} .place").all_inner_texts() == ["1.", "2.", "3."]
    page.click(".selection .icon-button:not([data-act])")
    page.click(".menu [role=menuitem]:has-text('Take 3 as reference')")
    page.locator("#library [role=row]").first.click(modifiers=["Control"])
    page.click(".selection .icon-button:not([data-act])")
    page.click(".menu [role=menuitem]:has-text('Measure 1 against 3')")
    until(page, "[...document.querySelectorAll('.toast')].some((one) => one.textContent.includes('report is ready'))", 90)
    with page.context.expect_page() as opened:
        page.click(".toast button:has-text('Open the report')")
    opened.value.wait_for_load_state()
    assert opened.value.locator("h1").inner_text() == "Evaluation"
    assert opened.value.evaluate("self.origin") == "null"


def test_the_judge_tells_what_is_heard_in_a_piece(page, studio):
    record = studio.compose(**SHORT, seed=70)
    open_studio(page)
    page.evaluate("(id) => kapelle.session.open(id)", record["id"])
    page.click("#tab-judge")
    until(page, "document.querySelectorAll('#judge section').length >= 4 && !document.querySelector('#judge [aria-busy]')", 60)
    analysis = studio.get(f"/api/pieces/{record['id']}/analysis").json()
    assert page.locator("#judge .chord").count() == len(analysis["chords"])
    assert page.locator("#judge .chart rect").count() == len(analysis["density"]["by_bar"])
    assert page.locator("#judge .shares[aria-label='Pitch classes'] dt").count() == 12
    assert page.locator("#judge .verdict").inner_text()
    genre = studio.get(f"/api/pieces/{record['id']}/classification").json()
    assert page.locator("#judge .shares[aria-label=Probabilities]").first.locator("dt").first.inner_text() == genre["label"]
    for name in ("chart", "shares"):
        assert all(one.get_attribute("aria-label") for one in page.locator(f"#judge .{name}").all())


def test_reasons_are_told_in_both_languages():
    reason = Reason("most probably {genre}: {share:.0%}", {"genre": "jazz", "share": 0.5})
    row = Ranked("7", 0, 1, True, 0.5, 0.5, (Part("genre", 0.5, 1.0, reason),), ("too few notes",))
    table = judged.ranking_table(Ranking((row,), Choice(), Weights(), {"human": Reason("nothing was asked")}))
    (told,) = table["candidates"]
    assert told["parts"]["genre"]["said"] == {"en": "most probably jazz: 50%", "ru": "вероятнее всего jazz: 50%"}
    assert told["degenerate_said"][0]["en"] == "too few notes"
    assert table["absent_said"]["human"]["ru"] == "ничего не просили"
