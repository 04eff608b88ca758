"""The piano roll and the list of tracks in a real browser, by what stands on the canvas and what hands and keys do."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

import kapelle.web
import pages
from kapelle.score.instruments import DRUM_KIT, FAMILIES, INSTRUMENTS
from kapelle.score.marks import mark_bars, with_marks
from kapelle.score.write import to_bytes
from pieces import score, track
from studios import watch

BAR_S = 2.0  # at 120 bpm
HOSTILE = "<img src=x onerror=alert(1)>"

FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done))))"
PIXEL = """([layer, x, y]) => {
  const dpr = window.devicePixelRatio;
  return [...kapelle.roll[layer].getContext("2d").getImageData(Math.round(x * dpr), Math.round(y * dpr), 1, 1).data];
}"""
PLACE = """([seconds, pitch]) => {
  const { left, top } = kapelle.roll.canvas.getBoundingClientRect();
  return [kapelle.roll.x(seconds), kapelle.roll.y(pitch), left, top];
}"""


def tune() -> bytes:
    """24 bars: a melody, a bass and drums; a theme in the bars 1 to 4 and 9 to 12, between them a section."""
    melody = track(*((bar * 1920, 1900, 72, 100) for bar in range(24)), program=73, name="Flute")
    bass = track(*((bar * 1920 + beat * 480, 440, 40, 90) for bar in range(24) for beat in range(4)), program=33, name=HOSTILE)
    drums = track(*((bar * 1920, 60, 36, 110) for bar in range(24)), drums=True)
    made = score(melody, bass, drums)
    return to_bytes(with_marks(made, [mark_bars(made, 0, 4, "theme"), mark_bars(made, 4, 8, "B"), mark_bars(made, 8, 12, "theme")]))


def crowd() -> bytes:
    """20,000 notes of five instruments, over 200 bars."""
    made = [
        track(*((step * 96, 90, 40 + 9 * i + (step * 7) % 11, 40 + step % 80) for step in range(4000)), program=program)
        for i, program in enumerate((0, 25, 33, 48, 73))
    ]
    return to_bytes(score(*made))


@pytest.fixture(scope="module")
def pieces(studio) -> dict[str, str]:
    """The ids of pieces in the library."""
    out = {}
    for name, data in (("tune", tune()), ("crowd", crowd())):
        answer = studio.post("/api/pieces", {"upload": studio.upload(data)["id"], "title": name})
        out[name] = answer.json()["id"]
    return out


class Desk(pages.Desk):
    """A page with the roll on it."""

    def open(self, id: str) -> Desk:
        self.page.evaluate("(id) => kapelle.session.open(id)", id)
        return self.drawn()

    def drawn(self) -> Desk:
        self.page.evaluate(FRAMES)
        return self

    def at(self, seconds: float, pitch: int) -> tuple[float, float]:
        """Where that is on the canvas."""
        x, y, _, _ = self.page.evaluate(PLACE, [seconds, pitch])
        return x, y

    def on_page(self, seconds: float, pitch: int) -> tuple[float, float]:
        x, y, left, top = self.page.evaluate(PLACE, [seconds, pitch])
        return left + x, top + y

    def pixel(self, seconds: float, pitch: int, layer: str = "still") -> list[int]:
        return self.page.evaluate(PIXEL, [layer, *self.at(seconds, pitch)])


@pytest.fixture(scope="module")
def room(browser, studio):
    """One page for all tests of this file: opening it takes longer than most of them."""
    with pages.desk_of(Desk, browser, studio) as desk:
        yield desk


@pytest.fixture
def desk(room):
    """The page with nothing open, in English and light."""
    room.page.mouse.move(2, 2)
    room.get("void kapelle.session.close()")
    room.drawn()
    yield room
    room.get("kapelle.player.pause()")
    assert not room.page.complaints


def far(one: list[int], other: list[int]) -> int:
    return sum(abs(a - b) for a, b in zip(one[:3], other[:3], strict=True))


def test_an_empty_roll_invites_and_draws_notes_where_they_arrive(desk) -> None:
    empty = desk.page.locator(".roll-empty")
    assert desk.get("kapelle.roll.element.classList.contains('is-empty')")
    assert "Compose" in empty.inner_text() or desk.page.locator("#welcome").inner_text()
    desk.get("kapelle.session.current.music.addNotes([[0, 1, 60, 100, 0, 0]])")
    desk.drawn()
    before = desk.pixel(2.5, 64)
    assert far(desk.pixel(0.5, 60), desk.pixel(0.5, 62)) > 100, "the first note is there"
    desk.get("kapelle.session.current.music.addNotes([[2, 1, 64, 100, 40, 1], [2, 0.1, 36, 100, -1, 1]])")
    desk.drawn()
    assert far(before, desk.pixel(2.5, 64)) > 100
    assert far(desk.pixel(0.5, 60), desk.pixel(2.5, 64)) > 60, "another instrument, another colour"
    assert not empty.is_visible()
    assert desk.pixel(2.5, 64, "canvas")[3] > 0, "it shines when it comes"
    until = time.monotonic() + 10
    while desk.pixel(2.5, 64, "canvas")[3]:
        assert time.monotonic() < until, "for a moment"
        desk.drawn()
    assert desk.page.locator("#tracks .track").count() == 3
    desk.get("kapelle.session.current.music.reset()")
    assert far(before, desk.drawn().pixel(2.5, 64)) < 60, "a given up attempt is gone"


def test_notes_do_not_shine_for_those_who_want_no_motion(browser, studio) -> None:
    context = browser.new_context(base_url=studio.url, reduced_motion="reduce")
    desk = Desk(context.new_page())
    desk.get("kapelle.session.current.music.addNotes([[0, 4, 60, 100, 0, 0]])")
    assert desk.drawn().pixel(3, 60, "canvas")[3] == 0
    context.close()


def test_a_click_seeks_to_the_second_under_it(desk, pieces) -> None:
    desk.open(pieces["tune"])
    for seconds in (1.0, 7.25, 11.9):
        desk.page.mouse.click(*desk.on_page(seconds, 60))
        desk.drawn()
        assert desk.get("kapelle.player.position()") == pytest.approx(seconds, abs=1 / desk.get("kapelle.roll.view.pps"))
        desk.page.mouse.move(5, 5)
    x, _ = desk.at(desk.get("kapelle.roll.position"), 60)
    assert desk.page.evaluate(PIXEL, ["canvas", x, 100])[3] > 120, "the playhead is there"


def test_wheel_and_control_zoom_around_the_pointer(desk, pieces) -> None:
    desk.open(pieces["tune"])
    desk.get("kapelle.roll.pan(300, 0)")
    x, y = desk.on_page(desk.get("kapelle.roll.view.left + kapelle.roll.view.span * 0.7"), 60)
    under = f"kapelle.roll.view.time({x} - kapelle.roll.canvas.getBoundingClientRect().left)"
    before, pps = desk.get(under), desk.get("kapelle.roll.view.pps")
    desk.page.mouse.move(x, y)
    desk.page.keyboard.down("Control")
    desk.page.mouse.wheel(0, -100)
    desk.drawn()
    assert desk.get("kapelle.roll.view.pps") > pps * 1.2
    assert desk.get(under) == pytest.approx(before, abs=1 / pps)
    row, pitch = (
        desk.get("kapelle.roll.view.row"),
        desk.get(f"kapelle.roll.view.pitch({y} - kapelle.roll.canvas.getBoundingClientRect().top)"),
    )
    desk.page.keyboard.down("Shift")
    desk.page.mouse.wheel(0, -300)
    desk.page.keyboard.up("Shift")
    desk.page.keyboard.up("Control")
    desk.drawn()
    assert desk.get("kapelle.roll.view.row") > row * 1.2
    assert abs(desk.get(f"kapelle.roll.view.pitch({y} - kapelle.roll.canvas.getBoundingClientRect().top)") - pitch) <= 1


def test_mute_and_solo_make_tracks_pale_and_a_volume_of_nothing_too(desk, pieces) -> None:
    desk.open(pieces["tune"])
    loud = desk.pixel(1, 72)
    ground = desk.pixel(1, 70)
    rows = desk.page.locator("#tracks .track")
    assert [rows.nth(i).locator(".track-count").inner_text() for i in range(3)] == ["24", "96", "24"]
    mute = rows.nth(0).get_by_role("button", name="Mute Flute")
    mute.click()
    assert mute.get_attribute("aria-pressed") == "true"
    assert far(desk.drawn().pixel(1, 72), ground) < far(loud, ground) / 2
    mute.focus()
    desk.page.keyboard.press("m")
    assert far(desk.drawn().pixel(1, 72), loud) < 6, "M takes it back"
    desk.page.keyboard.press("s")
    assert mute.get_attribute("aria-pressed") == "false"
    assert desk.get("[...kapelle.roll.silent]") == ["t1", "t2"], "all others are silent"
    desk.page.keyboard.press("s")
    volume = rows.nth(0).locator("input[type=range]")
    volume.fill("0")
    assert desk.get("kapelle.player.trackVolume('t0')") == 0
    assert desk.get("[...kapelle.roll.silent]") == ["t0"]


def test_regions_are_shaded_each_kind_in_its_colour(desk, pieces) -> None:
    desk.open(pieces["tune"])

    def lane(seconds: float) -> list[int]:
        return desk.page.evaluate(PIXEL, ["still", desk.at(seconds, 60)[0], 34])

    desk.get("kapelle.roll.fit()")
    desk.drawn()
    theme, section, again, none = lane(6.9), lane(14.9), lane(22.9), lane(30)
    assert theme == again
    assert min(far(theme, section), far(theme, none), far(section, none)) > 60
    assert far(desk.pixel(2.7, 67), desk.pixel(30.7, 67)) > 8, "the notes' ground too"
    x, _ = desk.on_page(21, 60)
    desk.page.mouse.dblclick(x, desk.on_page(21, 60)[1] - desk.at(21, 60)[1] + 34)
    assert desk.get("kapelle.roll.loop") == [16, 24], "twice on a region repeats it"


def test_the_picture_follows_the_playhead_until_it_is_moved_by_hand(desk, pieces) -> None:
    desk.open(pieces["tune"])
    follow = desk.page.get_by_role("button", name="Follow again")
    desk.get("kapelle.player.seek(30)")
    desk.until("Math.abs(kapelle.roll.x(30) / kapelle.roll.view.width - 0.38) < 0.1")
    desk.get("kapelle.player.seek(12)")
    desk.get("kapelle.player.play()")
    desk.until("kapelle.roll.position > 13 && kapelle.roll.view.left > 5")
    x = desk.get("kapelle.roll.x(kapelle.roll.position) / kapelle.roll.view.width")
    assert 0.25 < x < 0.6
    assert not follow.is_visible()
    desk.page.mouse.move(*desk.on_page(desk.get("kapelle.roll.position + 2"), 60))
    desk.page.mouse.wheel(400, 0)
    follow.wait_for(state="visible")
    left = desk.get("kapelle.roll.view.left")
    desk.page.wait_for_timeout(300)
    assert desk.get("kapelle.roll.view.left") == left
    follow.click()
    desk.until("Math.abs(kapelle.roll.x(kapelle.roll.position) / kapelle.roll.view.width - 0.38) < 0.1")


def test_a_drag_moves_and_a_drag_with_shift_sets_the_loop_on_bar_lines(desk, pieces) -> None:
    desk.open(pieces["tune"])
    mouse = desk.page.mouse
    x, y = desk.on_page(10, 60)
    mouse.move(x, y)
    mouse.down()
    mouse.move(x - 120, y, steps=4)
    mouse.up()
    assert desk.get("kapelle.roll.view.left * kapelle.roll.view.pps") == pytest.approx(120, abs=6)
    assert desk.get("kapelle.player.position()") == 0, "a drag does not seek"
    desk.page.keyboard.down("Shift")
    (x, y), (to, _) = desk.on_page(8.04, 60), desk.on_page(11.97, 60)
    mouse.move(x, y)
    mouse.down()
    mouse.move(to, y, steps=4)
    mouse.up()
    desk.page.keyboard.up("Shift")
    assert desk.get("kapelle.roll.loop") == [4 * BAR_S, 6 * BAR_S]
    assert desk.get("kapelle.player.clockwork.loop") == {"start": 8, "end": 12}
    loop = desk.page.locator("#transport .loop")
    assert loop.get_attribute("aria-pressed") == "true"
    desk.drawn()
    assert desk.page.evaluate(PIXEL, ["canvas", desk.at(10, 60)[0], 5])[3] > 60
    loop.click()
    assert desk.get("kapelle.roll.loop") is None


def test_everything_can_be_done_with_keys(desk, pieces) -> None:
    desk.open(pieces["tune"])
    press = desk.page.keyboard.press
    desk.page.locator(".roll-moving").focus()
    pps, row = desk.get("kapelle.roll.view.pps"), desk.get("kapelle.roll.view.row")
    press("+")
    assert desk.get("kapelle.roll.view.pps") > pps
    press("-")
    assert desk.get("kapelle.roll.view.pps") == pytest.approx(pps)
    press("Shift+ArrowUp")
    assert desk.get("kapelle.roll.view.row") > row
    press("PageDown")
    assert desk.get("kapelle.roll.view.left") > 5
    press("0")
    assert desk.get("kapelle.roll.view.span") > 48
    press("ArrowRight")
    assert desk.get("kapelle.player.position()") == BAR_S, "the page's own keys still act"
    press("[")
    press("ArrowRight")
    press("]")
    assert desk.get("kapelle.roll.loop") == [2, 4]
    press("Escape")
    assert desk.get("kapelle.roll.loop") is None


def test_the_roll_is_told_in_words_and_names_stay_text(desk, pieces) -> None:
    desk.open(pieces["tune"])
    picture = desk.page.locator(".roll-moving")
    assert picture.get_attribute("role") == "img"
    assert picture.get_attribute("aria-label").startswith(
        "Piano roll: 3 tracks, 24 bars, 144 notes, 0:47. Regions: Theme 0:00, B 0:08, Theme 0:16."
    )
    table = desk.page.locator(".roll table")
    rows = table.locator("tbody tr")
    assert rows.nth(0).inner_text().split("\t") == ["Flute", "24 notes", "C5 – C5", "1 to 24"]
    assert rows.nth(1).locator("th").inner_text() == f"{HOSTILE} (Fingered electric bass)"
    assert desk.page.locator("#tracks img, .roll img").count() == 0
    assert desk.page.locator("#tracks").get_by_role("group", name=f"{HOSTILE} (Fingered electric bass)").is_visible()
    desk.page.evaluate("() => import('/static/js/i18n.js').then((i18n) => i18n.setLanguage('ru'))")
    desk.until("document.querySelector('.roll-moving').getAttribute('aria-label').startsWith('Нотная лента')")
    assert rows.nth(0).inner_text().split("\t") == ["Флейта", "24 ноты", "C5 – C5", "с 1 по 24"]
    desk.page.evaluate("() => import('/static/js/i18n.js').then((i18n) => i18n.setLanguage('en'))")


def test_the_theme_switches_at_once(desk, pieces) -> None:
    desk.open(pieces["tune"])

    def look():
        return (
            desk.drawn().pixel(1, 70),
            desk.pixel(1, 72),
            desk.get("getComputedStyle(kapelle.roll.element).getPropertyValue('--roll-panel')"),
        )

    light = look()
    desk.get("void (document.documentElement.dataset.theme = 'dark')")
    dark = look()
    assert light[2] != dark[2]
    assert sum(light[0][:3]) > 600 > 200 > sum(dark[0][:3])
    assert far(light[1], dark[1]) > 60
    assert far(dark[0], dark[1]) > 150
    desk.get("void (document.documentElement.dataset.theme = 'light')")


def test_of_twenty_thousand_notes_those_in_sight_are_drawn(desk, pieces) -> None:
    desk.open(pieces["crowd"])
    assert desk.get("kapelle.roll.music.nNotes") == 20_000
    assert 500 < desk.get("kapelle.roll.painter.drawn") < 2000
    times = desk.page.evaluate("""async () => {
      const times = [];
      for (let i = 0; i < 40; i += 1) {
        kapelle.roll.pan(4, 0);
        await new Promise(requestAnimationFrame);
        times.push(kapelle.roll.stats.stillMs);
      }
      return times.sort((a, b) => a - b);
    }""")
    assert times[20] < 16, "a frame of sixty in a second"
    desk.get("kapelle.roll.fit()")
    assert desk.drawn().get("kapelle.roll.painter.drawn") > 19_000


def test_the_strip_shows_where_one_is_and_takes_one_there(desk, pieces) -> None:
    desk.open(pieces["tune"])
    box = desk.page.locator(".roll-map").bounding_box()
    desk.page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2)
    left, span = desk.get("[kapelle.roll.view.left, kapelle.roll.view.span]")
    assert left + span / 2 == pytest.approx(36, abs=0.5)


def test_two_fingers_zoom_and_one_moves(browser, studio, pieces) -> None:
    context = browser.new_context(base_url=studio.url, has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844})
    page = context.new_page()
    complaints = watch(page)
    desk = Desk(page).open(pieces["tune"])
    assert desk.get("document.documentElement.scrollWidth") <= 390
    page.locator("#roll").scroll_into_view_if_needed()
    x, y = desk.on_page(6, 60)
    touch = context.new_cdp_session(page)

    def fingers(kind: str, *points: tuple[float, float]) -> None:
        touch.send(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": a, "y": b, "id": i} for i, (a, b) in enumerate(points)]}
        )

    pps = desk.get("kapelle.roll.view.pps")
    fingers("touchStart", (x - 20, y), (x + 20, y))
    for step in range(1, 5):
        fingers("touchMove", (x - 20 - 10 * step, y), (x + 20 + 10 * step, y))
    fingers("touchEnd")
    assert desk.get("kapelle.roll.view.pps") > pps * 1.8
    left = desk.drawn().get("kapelle.roll.view.left")
    fingers("touchStart", (x, y))
    for step in range(1, 5):
        fingers("touchMove", (x - 20 * step, y))
    fingers("touchEnd")
    assert desk.get("kapelle.roll.view.left") > left
    assert not complaints
    context.close()


def test_every_instrument_stands_three_to_one_off_its_ground_and_differs_from_its_neighbours(desk) -> None:
    table = desk.page.evaluate("""async () => {
      const { colorOf } = await import("/static/js/colors.js");
      const all = (shown) => [0, 1, 2, 3].map((variant) =>
        Array.from({ length: 17 }, (_, i) => colorOf(i === 16 ? -1 : 8 * i, { variant, shown })));
      return { light: all("light"), dark: all("dark") };
    }""")
    for shown, ground in (("light", "#ffffff"), ("dark", "#171b21")):
        assert min(contrast(one, ground) for row in table[shown] for one in row) >= 3
        assert len(set(table[shown][0])) == 17, "no two families share a colour"
        assert len({row[0] for row in table[shown]}) == 4, "nor do four pianos"


def contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it, 1 to 21."""

    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        r, g, b = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_music_keeps_notes_in_order_and_bars_that_were_told_together(desk) -> None:
    found = desk.page.evaluate("""async () => {
      const { Music } = await import("/static/js/music.js");
      const music = new Music();
      music.addNotes([[2, 1, 60, 80, 0, 1], [0, 4, 62, 80, 0, 0]]);
      music.addNotes([[1, 0.5, 64, 80, 0, 0], [1, 0.1, 36, 80, -1, 0]]);
      music.addBar({ bar: 1, n_bars: 4, end_s: 4 });
      const [piano] = music.tracks;
      return [piano.notes.map((note) => note.start), piano.reach, piano.sounding(1.2).map((note) => note.pitch), piano.firstAt(3.5),
        music.tracks.map((track) => track.id), music.bars, music.nBars, music.barAt(3.99), music.barAt(9), music.whole, music.duration];
    }""")
    assert found == [[0, 1, 2], [4, 4, 4], [62, 64], 0, ["p0", "p-1"], [0, 2, 4], 4, 1, 1, 8, 4]


def test_the_names_of_instruments_are_those_of_the_package() -> None:
    told = json.loads((Path(kapelle.web.__file__).parent / "static" / "instruments.json").read_text(encoding="utf-8"))
    assert told["en"] == {"families": [*FAMILIES, DRUM_KIT.family], "names": [one.name for one in INSTRUMENTS]}
    families = [INSTRUMENTS[8 * i].family_ru for i in range(16)]
    assert told["ru"] == {"families": [*families, DRUM_KIT.family_ru], "names": [one.name_ru for one in INSTRUMENTS]}
