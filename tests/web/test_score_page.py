"""The score in a real browser: pages that come when they are near, the bar that plays, a click that seeks."""

from __future__ import annotations

import pytest

import pages
from kapelle.score.write import to_bytes
from pieces import score, track

HOSTILE = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><script>window.broken = 1</script>
<g class="measure" data-bar="0" onclick="window.broken = 2"><rect width="9" height="9" style="fill: red" onload="window.broken = 3"/></g>
<a href="javascript:window.broken = 4"><text>x</text></a><foreignObject><img src="x" onerror="window.broken = 5"/></foreignObject></svg>"""


def long() -> bytes:
    """240 bars of quarter notes in a slow four-four."""
    return to_bytes(score(track(*((beat * 480, 470, 60 + beat % 13, 80) for beat in range(960)), name="Walk"), bpm=60))


class Desk(pages.Desk):
    """A page on which the score is shown."""

    def open(self, id: str) -> Desk:
        self.page.evaluate("(id) => kapelle.session.open(id)", id)
        self.page.wait_for_selector("#score .score-sheet .measure", timeout=20_000)
        return self

    def now(self) -> list[int]:
        return self.get("[...document.querySelectorAll('#score .measure.now')].map((bar) => Number(bar.dataset.bar))")


@pytest.fixture(scope="module")
def piece(studio) -> str:
    """The id of a long piece in the library."""
    return studio.post("/api/pieces", {"upload": studio.upload(long())["id"], "title": "A <b>long</b> walk"}).json()["id"]


@pytest.fixture(scope="module")
def room(browser, studio):
    with pages.desk_of(Desk, browser, studio) as desk:
        yield desk


@pytest.fixture
def desk(room):
    room.page.complaints.clear()
    room.get("void kapelle.session.close()")
    yield room
    assert not room.page.complaints


def test_pages_show_glyphs_and_words_and_come_when_they_are_near(desk, piece) -> None:
    desk.open(piece)
    sheets = desk.get("document.querySelectorAll('.score-sheet').length")
    assert sheets > 3
    assert desk.get("document.querySelectorAll('.score-sheet svg').length") < sheets
    text = desk.get("[...document.querySelectorAll('.score-sheet text')].map((one) => one.textContent)")
    assert "A <b>long</b> walk" in text
    glyph = desk.get("(({ width, height }) => [width, height])(document.querySelector('.score-sheet use').getBoundingClientRect())")
    assert min(glyph) > 1
    first = desk.page.locator(".score-sheet").first
    assert first.get_attribute("role") == "img"
    assert first.get_attribute("aria-label").startswith(f"Page 1 of {sheets}, bars 1 to ")
    desk.get("void document.querySelector('.score-sheet:last-of-type').scrollIntoView()")
    desk.until("document.querySelector('.score-sheet:last-of-type svg')")
    assert desk.get("document.querySelectorAll('.score-sheet svg').length") < sheets, "those passed by quickly are left out"


def test_a_click_on_a_bar_seeks_to_it_and_marks_it(desk, piece) -> None:
    desk.open(piece)
    desk.page.locator("#score .measure[data-bar='2'] > rect").click(force=True)
    assert desk.get("kapelle.player.position()") == 8
    assert desk.now() == [2]
    desk.get("kapelle.player.seek(5)")
    assert desk.now() == [1]


def test_the_bar_that_plays_is_marked_and_brought_into_sight(desk, piece) -> None:
    desk.open(piece)
    desk.get("kapelle.player.seek(4 * 95 + 3.5)")
    desk.get("kapelle.player.play()")
    desk.until("document.querySelector('#score .measure.now')?.dataset.bar === '96'")
    seen = """(() => {
      const bar = document.querySelector('#score .measure.now > rect').getBoundingClientRect();
      const room = document.getElementById('score').getBoundingClientRect();
      return bar.top >= room.top && bar.top < room.bottom - 40;
    })()"""
    desk.until(seen)
    desk.get("kapelle.player.pause()")


def test_paper_and_ink_follow_the_theme(desk, piece) -> None:
    desk.open(piece)
    look = "['color', 'backgroundColor'].map((name) => getComputedStyle(document.querySelector('.score-sheet'))[name])"
    light = desk.get(look)
    desk.get("void (document.documentElement.dataset.theme = 'dark')")
    dark = desk.get(look)
    line = desk.get("getComputedStyle(document.querySelector('.score-sheet path')).stroke")
    desk.get("void (document.documentElement.dataset.theme = 'light')")
    assert light == ["rgb(20, 23, 29)", "rgb(255, 255, 255)"]
    assert dark == ["rgb(230, 233, 239)", "rgb(26, 30, 37)"]
    assert line == dark[0], "its lines too"


def test_what_is_no_drawing_never_enters_the_page(desk, piece) -> None:
    desk.page.route("**/score/*.svg", lambda route: route.fulfill(content_type="image/svg+xml", body=HOSTILE))
    desk.open(piece)
    desk.page.locator("#score .measure").first.click(force=True)
    desk.page.unroute("**/score/*.svg")
    assert desk.get("window.broken") is None
    assert desk.get("document.querySelector('.score-sheet svg').querySelectorAll('script, a, foreignObject, img').length") == 0
    kept = "[...document.querySelectorAll('.score-sheet svg *')].flatMap((one) => [...one.attributes].map(({ name }) => name))"
    assert set(desk.get(kept)) == {"class", "data-bar", "width", "height"}
    assert all("Content Security Policy" in one for one in desk.page.complaints), "the page's policy would have stopped it as well"
    desk.page.complaints.clear()


def test_print_fetches_all_pages_first(desk, piece) -> None:
    desk.open(piece)
    desk.get("void (window.print = () => (window.printed = document.querySelectorAll('.score-sheet svg').length))")
    desk.page.get_by_role("button", name="Print").click()
    desk.until("window.printed")
    assert desk.get("window.printed === document.querySelectorAll('.score-sheet').length")
    desk.get("void window.dispatchEvent(new Event('beforeprint'))")
    desk.page.emulate_media(media="print")
    assert not desk.page.locator("#composer").is_visible()
    assert desk.page.locator(".score-sheet").last.is_visible()
    desk.page.emulate_media(media="screen")
    desk.get("void window.dispatchEvent(new Event('afterprint'))")
    assert desk.page.locator("#composer").is_visible()


def test_while_a_piece_is_composed_its_score_is_promised_and_then_comes(desk) -> None:
    words = desk.page.locator("#score")
    assert words.inner_text().strip() == "The score of the piece you open appears here."
    asked = "kapelle.session.compose('compose', {model: 'genre-small', seed: 1, length: {amount: 2, unit: 'bars'}}).then(() => 1)"
    desk.get(asked)
    assert words.inner_text().strip() == "The score comes when the piece is done."
    desk.until("document.querySelectorAll('#score .measure').length >= 2", 60)
    assert desk.get("kapelle.session.current.music.bars.length - 1") == desk.get("kapelle.score.about.starts.length - 1")
    desk.get("kapelle.player.pause()")


def test_a_score_that_cannot_be_made_says_why_and_can_be_tried_again(desk, piece) -> None:
    error = {"error": {"kind": "UsageError", "message": "50 staves do not fit a page", "hint": "leave tracks out", "code": 2}}
    desk.page.route("**/score", lambda route: route.fulfill(status=422, json=error))
    desk.page.evaluate("(id) => kapelle.session.open(id)", piece)
    words = desk.page.locator("#score .score-empty")
    words.get_by_text("50 staves do not fit a page").wait_for()
    desk.page.unroute("**/score")
    words.get_by_role("button", name="Try again").click()
    desk.page.wait_for_selector("#score .score-sheet .measure")
    desk.page.complaints[:] = [one for one in desk.page.complaints if "422" not in one]
