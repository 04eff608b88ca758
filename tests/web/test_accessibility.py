"""The studio for everyone: names, roles, order, contrast, focus and room, measured on the page as it is drawn."""

from pathlib import Path

import pytest

from kapelle.score import write
from pages import AT_REST, open_studio, until
from pieces import score, track
from studios import watch

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
TOAST = """async () => {
  const { toast } = await import("/static/js/toast.js");
  toast("It is told.", { kind: "error", hint: "So it is.", undo: () => {} });
}"""
AUDIT = Path(__file__).with_name("audit.js").read_text("utf-8")


def ask(page, name, *values):
    """What a function of audit.js says of the page as it is."""
    page.evaluate(AUDIT)
    return page.evaluate(f"(values) => audit.{name}(...values)", list(values))


@pytest.fixture(scope="module")
def piece(studio):
    """A piece of two tracks and eight bars, kept in the library."""
    tune = track(*((at * 240, 240, 60 + (at * 7) % 12, 80) for at in range(64)), name="Tune")
    bass = track(*((at * 960, 900, 36 + at % 5, 70) for at in range(16)), program=32, name="Bass")
    upload = studio.upload(write.to_bytes(score(tune, bass)), "tune.mid")
    return studio.post("/api/pieces", {"upload": upload["id"], "title": "A tune"}).json()["id"]


def states(page, piece):
    """The page in each of its states, by name."""
    yield "empty"
    page.evaluate("(id) => kapelle.session.open(id)", piece)
    until(page, "kapelle.session.current.record")
    for tab in ("score", "candidates", "judge", "details"):
        page.click(f"#tab-{tab}")
        until(page, AT_REST)
        yield tab
    page.click(".more > summary")
    page.click("[data-verb=develop]")
    yield "develop"
    page.click("[data-verb=compose]")
    page.click(".model-button")
    page.locator(".models-dialog summary").click()
    yield "models"
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('dialog')")
    page.evaluate("""async () => (await import("/static/js/keyboard.js")).showKeys()""")
    yield "keys"
    page.keyboard.press("Escape")
    page.evaluate(TOAST)
    until(page, AT_REST)
    yield "toast"
    for room, shown in (
        ("#/models", "#room .model-grid"),
        ("#/models/genre-small", "#room .model-page"),
        ("#/studies", "#room :is(.study, .copyable)"),
    ):
        page.evaluate("(hash) => { location.hash = hash; }", room)
        until(page, f"document.querySelector('{shown}') && {AT_REST}")
        yield room
    page.evaluate("location.hash = '#/'")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_order_and_contrast_in_every_state(browser, studio, piece, scheme):
    context = browser.new_context(base_url=studio.url, locale="en-US", viewport={"width": 1440, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    complaints = watch(page)
    open_studio(page)
    found = {}
    for name in states(page, piece):
        found[name] = ask(page, "nameless") + ask(page, "broken") + ask(page, "pale") + ask(page, "cut")
        outline = ask(page, "outline")
        assert (outline["h1"], outline["main"], outline["header"]) == (1, 1, 1), (name, outline)
        assert outline["nav"] >= 1 and outline["live"] >= 2 and outline["lang"] == "en", (name, outline)
        assert (outline["skips"], outline["empty"]) == ([], 0), (name, outline)
    assert {name: faults for name, faults in found.items() if faults} == {}
    assert complaints == []
    context.close()


def test_tab_reaches_everything_visibly_and_comes_out_again(page, piece):
    open_studio(page)
    page.evaluate("(id) => kapelle.session.open(id)", piece)
    until(page, "kapelle.session.current.record")
    page.evaluate("""async () => (await import("/static/js/bus.js")).emit("show-tab", { tab: "details" })""")
    unmarked, seen = [], []
    for _ in range(250):
        page.keyboard.press("Tab")
        focused = ask(page, "focused")
        if focused is None:
            break
        seen.append(focused["name"])
        unmarked += [] if focused["marked"] else [focused["name"]]
    else:
        pytest.fail(f"the focus never leaves the page: {seen[-6:]}")
    assert "skip" in seen[0]
    assert unmarked == []
    assert ask(page, "missed") == []


def test_a_dialog_keeps_the_focus_and_gives_it_back(page):
    open_studio(page)
    page.focus(".model-button")
    page.keyboard.press("Enter")
    for _ in range(30):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || Boolean(document.activeElement.closest('dialog'))")
    page.keyboard.press("Escape")
    until(page, "document.activeElement.classList.contains('model-button')")


@pytest.mark.parametrize("language", ["en-US", "ru-RU"])
def test_a_phone_has_room_for_fingers_and_words(browser, studio, piece, language):
    context = browser.new_context(base_url=studio.url, locale=language, **PHONE)
    page = context.new_page()
    complaints = watch(page)
    open_studio(page)
    found = {}
    for name in states(page, piece):
        found[name] = ask(page, "small", 40) + ask(page, "cut")
    for width in (360, 320):
        page.set_viewport_size({"width": width, "height": 640})
        until(page, AT_REST)
        found[width] = ask(page, "cut")
    assert {name: faults for name, faults in found.items() if faults} == {}
    assert complaints == []
    context.close()


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1280, 700), (1024, 768), (720, 450), (640, 400)])
def test_nothing_is_cut_in_any_window_even_in_russian(browser, studio, piece, width, height):
    """640 by 400 is a window of 1280 by 800 whose text is at 200 %."""
    context = browser.new_context(base_url=studio.url, locale="ru-RU", viewport={"width": width, "height": height})
    page = context.new_page()
    open_studio(page)
    page.evaluate("(id) => kapelle.session.open(id)", piece)
    until(page, "kapelle.session.current.record")
    page.click("#tab-details")
    assert ask(page, "cut") == []
    button = page.evaluate("(({ top, bottom }) => [top, bottom])(document.getElementById('compose-button').getBoundingClientRect())")
    if width >= 768:
        assert button[0] >= 0 and button[1] <= height, "the one big button is in sight"
    context.close()


def test_it_holds_still_for_who_wants_that_and_keeps_its_marks_in_forced_colours(browser, studio):
    context = browser.new_context(base_url=studio.url, locale="en-US", reduced_motion="reduce", forced_colors="active")
    page = context.new_page()
    open_studio(page)
    moving = "[...document.querySelectorAll('*')].filter((one) => parseFloat(getComputedStyle(one).transitionDuration) > 0.02).length"
    assert page.evaluate(moving) == 0
    chosen = "getComputedStyle(document.querySelector('[data-verb=compose]')).outlineStyle"
    assert page.evaluate(chosen) == "solid"
    context.close()


def test_the_page_holds_no_inline_style_or_script(studio):
    markup = studio.get("/").text
    assert " style=" not in markup and "<style" not in markup
    assert all("src=" in part.split(">")[0] for part in markup.split("<script")[1:])
