"""The shell of the studio in a real browser: following a job through whatever happens, bringing files, keys, settings, rooms."""

import re

import pytest

from kapelle.score import write
from pages import IDLE, READY, open_studio, until
from pieces import score, track

LONG = 200  # bars: enough to do something meanwhile
NOTES = "kapelle.session.current.music.nNotes"
RUNNING = "kapelle.session.job && kapelle.session.job.state === 'running'"
DROP = """([name, bytes]) => {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(bytes)], name));
  for (const kind of ["dragenter", "dragover", "drop"])
    document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: files, bubbles: true, cancelable: true }));
}"""


def tune():
    return write.to_bytes(score(track(*((at * 240, 240, 60 + (at * 7) % 12, 80) for at in range(64)))))


def begin_long(page, bars=LONG):
    page.fill("[data-option=length] input[type=number]", str(bars))
    page.click("#compose-button")
    until(page, f"{RUNNING} && {NOTES} > 10", 60)


def forgive(page, *patterns):
    """Take out complaints that a test has asked for."""
    page.complaints[:] = [line for line in page.complaints if not any(re.search(pattern, line) for pattern in patterns)]


def test_a_job_is_cancelled_by_the_same_button(page, studio):
    open_studio(page)
    begin_long(page)
    assert page.inner_text("#compose-word") == "Cancel"
    assert page.locator("#piece-actions .phone-only").is_hidden()
    job = page.evaluate("kapelle.session.job.id")
    page.click("#compose-button")
    until(page, IDLE)
    assert studio.wait(job)["state"] == "cancelled"
    assert page.inner_text("#compose-word") == "Compose"
    assert "Cancelled." in page.inner_text("#toasts")


def test_one_who_waits_sees_how_many_are_before(page, studio):
    first = studio.post("/api/compose", {"length": {"amount": LONG, "unit": "bars"}}).json()["id"]
    second = studio.post("/api/compose", {"length": {"amount": LONG, "unit": "bars"}}).json()["id"]
    open_studio(page)
    page.click("#compose-button")
    until(page, "document.getElementById('compose-status').textContent.startsWith('In the queue')")
    page.click("#compose-button")
    until(page, IDLE)
    for job in (second, first):
        studio.delete(f"/api/jobs/{job}")
        studio.wait(job)


def test_a_piece_that_is_done_while_another_is_open_is_told_of(page, studio):
    piece = studio.compose(length={"amount": 2, "unit": "bars"})["id"]
    open_studio(page)
    begin_long(page, 24)
    page.evaluate("(id) => kapelle.session.open(id)", piece)
    until(page, IDLE, 60)
    page.click(".toast .button:has-text('Open')")
    until(page, f"kapelle.session.current.record && kapelle.session.current.record.id !== '{piece}'")


def test_a_reload_in_mid_job_goes_on_with_it(page, studio):
    open_studio(page)
    begin_long(page)
    job = page.evaluate("kapelle.session.job.id")
    page.reload()
    until(page, READY)
    until(page, f"{NOTES} > 10")
    assert page.evaluate("kapelle.session.job.id") == job
    page.click("#compose-button")
    until(page, IDLE)


def test_a_reload_after_the_end_opens_the_piece_again(page, studio):
    open_studio(page)
    page.fill("[data-option=length] input[type=number]", "2")
    page.click("#compose-button")
    until(page, f"{IDLE} && kapelle.session.current.record", 60)
    piece, notes = page.evaluate(f"[kapelle.session.current.record.id, {NOTES}]")
    page.reload()
    until(page, READY)
    until(page, "kapelle.session.current.record")
    assert page.evaluate(f"[kapelle.session.current.record.id, {NOTES}]") == [piece, notes]
    page.keyboard.press("f")
    until(page, "kapelle.session.current.record.favourite")
    page.keyboard.press("Delete")
    until(page, "!kapelle.session.current.record")
    page.keyboard.press("Control+z")
    until(page, f"kapelle.session.current.record && kapelle.session.current.record.id === '{piece}'")
    page.keyboard.press("v")
    until(page, "kapelle.session.busy")
    until(page, f"{IDLE} && kapelle.session.current.record && kapelle.session.current.record.id !== '{piece}'", 60)
    assert page.evaluate("kapelle.session.current.record.parent") == piece


def test_two_tabs_follow_each_its_own_and_share_the_library(page, studio):
    open_studio(page)
    other = page.context.new_page()
    open_studio(other)
    begin_long(page)
    assert other.evaluate("kapelle.session.job") is None
    other.evaluate("""async () => {
      const { on } = await import("/static/js/bus.js");
      on("library-changed", ({ elsewhere }) => (window.changed = Boolean(elsewhere)));
    }""")
    page.click("#compose-button")
    until(page, IDLE)
    until(other, "window.changed")
    other.close()


def test_a_server_that_is_killed_and_started_again_loses_nothing(page, studio):
    open_studio(page)
    begin_long(page, 60)
    job = page.evaluate("kapelle.session.job.id")
    studio.kill()
    until(page, "!document.getElementById('notice').hidden", 20)
    assert page.inner_text("#notice") != ""
    studio.restart()
    until(page, "document.getElementById('notice').hidden", 40)
    until(page, f"{IDLE} && kapelle.session.current.record", 120)
    assert studio.get(f"/api/jobs/{job}").json()["pieces"] == [page.evaluate("kapelle.session.current.record.id")]
    assert page.evaluate(f"{NOTES} === kapelle.session.current.record.n_notes")
    forgive(page, "ERR_CONNECTION", "ERR_INCOMPLETE", "ERR_EMPTY", "Failed to load", "503")


NO_MIDI = [
    ("song.mp3", b"ID3....", "recording"),
    ("sheet.musicxml", b"<?xml", "sheet music"),
    ("picture.mid", b"\x89PNG", "not a MIDI file"),
    ("empty.mid", b"", "empty"),
    ("<img src=x onerror=alert(1)>.txt", b"hello", "not a MIDI file"),
]


def test_a_file_that_is_no_midi_is_told_in_words(page):
    open_studio(page)
    for name, data, words in NO_MIDI:
        page.evaluate(DROP, [name, list(data)])
        until(page, "document.querySelector('.toast')")
        assert words in page.inner_text(".toast")
        assert name in page.inner_text(".toast")
        assert page.locator("#drop").is_hidden()
        page.click(".toast .icon-button")


def test_a_file_that_is_too_large_is_never_sent(page):
    open_studio(page)
    sent = []
    page.on("request", lambda request: sent.append(request.url) if "/api/uploads" in request.url else None)
    page.evaluate(DROP.replace("new Uint8Array(bytes)", "new Uint8Array(bytes[0])"), ["huge.mid", [100_000_000]])
    until(page, "document.querySelector('.toast')")
    assert "100 MB" in page.inner_text(".toast")
    assert sent == []


def test_a_midi_file_is_dropped_and_continued(page):
    open_studio(page)
    page.evaluate(DROP, ["<b>tune</b>.mid", list(tune())])
    until(page, "document.querySelector('.upload-dialog')")
    assert page.inner_text(".upload-dialog h2") == "<b>tune</b>.mid"
    page.click(".upload-dialog .choice:has-text('Continue')")
    assert page.locator("[data-verb=extend]").get_attribute("aria-pressed") == "true"
    page.fill("[data-option=length] input[type=number]", "2")
    for _ in range(2):  # the upload goes with its job: the second time the page sends the file again
        page.click("#compose-button")
        until(page, "kapelle.session.busy")
        until(page, f"{IDLE} && kapelle.session.current.record", 60)
        assert page.evaluate("kapelle.session.current.record.verb") == "extend"


def test_a_midi_file_is_dropped_and_kept(page, studio):
    open_studio(page)
    page.evaluate(DROP, ["my tune.mid", list(tune())])
    page.click(".upload-dialog .choice:has-text('Keep')")
    until(page, "kapelle.session.current.record")
    assert page.inner_text("#stage-title") == "my tune"
    assert page.evaluate(NOTES) == 64


def test_keys_act_but_never_while_typing(page):
    open_studio(page)
    page.click("#seed")
    page.keyboard.type("c ?1")
    assert page.evaluate("kapelle.session.busy") is False
    assert page.locator("dialog").count() == 0
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    assert page.locator("dialog[open]").count() == 1
    page.keyboard.press("c")
    assert page.evaluate("kapelle.session.busy") is False
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('dialog')")


def test_the_transport_plays_seeks_and_follows(page, studio):
    piece = studio.compose(length={"amount": 2, "unit": "bars"})
    open_studio(page)
    page.evaluate("(id) => kapelle.session.open(id)", piece["id"])
    until(page, f"{NOTES} > 0")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Space")
    until(page, "kapelle.player.position() > 0.3")
    assert page.locator("#transport .play").get_attribute("aria-label") == "Pause"
    page.keyboard.press("Space")
    assert page.evaluate("kapelle.player.playing") is False
    page.keyboard.press("ArrowRight")
    assert page.evaluate("kapelle.player.position()") == pytest.approx(page.evaluate("kapelle.session.current.music.bars[1]"), abs=0.1)
    page.keyboard.press("Home")
    assert page.evaluate("kapelle.player.position()") == 0
    page.locator("#transport .position").fill("500")
    assert page.evaluate("kapelle.player.position() / kapelle.session.current.music.duration") == pytest.approx(0.5, abs=0.02)
    page.locator("#transport .sound input").fill("50")
    assert page.evaluate("kapelle.player.volume") == pytest.approx(0.25)


def test_language_and_colours_are_kept(page):
    open_studio(page)
    page.select_option("#language", "ru")
    until(page, "document.getElementById('compose-word').textContent === 'Сочинить'")
    page.click("#theme")
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    until(page, READY)
    assert page.evaluate("[document.documentElement.dataset.theme, document.documentElement.lang]") == ["dark", "ru"]
    assert page.evaluate("[...document.querySelectorAll('[data-t]')].filter((one) => one.textContent === one.dataset.t)") == []


def test_rooms_are_addresses(page):
    open_studio(page)
    page.click("#rooms a[data-room=models]")
    until(page, "document.getElementById('studio').hidden")
    assert page.locator("#room").is_visible()
    assert page.locator("#rooms a[data-room=models]").get_attribute("aria-current") == "page"
    page.go_back()
    until(page, "!document.getElementById('studio').hidden")
    page.goto("/#/models/theme")
    page.click("#room .button.primary")
    until(page, "!document.getElementById('studio').hidden")
    assert page.locator("[data-verb=develop]").get_attribute("aria-pressed") == "true"
    assert page.inner_text(".model-button .model-name") == "Theme"
