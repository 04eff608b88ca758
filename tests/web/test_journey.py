"""One musician's evening in one page of a real browser: from the first press of the button to a file that a DAW opens.

What is proved elsewhere in the same way is not done again here: every format read back (test_downloads), the drag out and its DownloadURL
(test_library_page), reload, two tabs and the server that is killed in mid-job (test_shell, test_survival), seams and the master's level
(test_player), the picture of notes (test_roll_page), candidates and the judge (test_candidates), files that are no music (test_shell,
test_attacks), both languages word by word (test_languages), roles, names and contrast (test_accessibility).
"""

import os
import shlex
import subprocess
import sys

import pytest
from test_shell import DROP

from kapelle.score import read, write
from pages import IDLE, open_studio, until
from pieces import score, track

LOUD = """() => {
  const heard = new Float32Array(kapelle.player.analyser.fftSize);
  kapelle.player.analyser.getFloatTimeDomainData(heard);
  return heard.some((value) => Math.abs(value) > 0.001);
}"""
OPEN = "kapelle.session.current.record"
NOTES = "kapelle.session.current.music.nNotes"
MODELS = ("ensemble", "band-hybrid", "chopin", "bridge")  # one of each kind; the default one begins the journey


def choose(page, model):
    page.click(".model-button")
    page.click(f"dialog .model-card[data-model={model}]")


def length(page, bars):
    page.fill("[data-option=length] input[type=number]", str(bars))


def done(page, seconds=60):
    """Wait until the piece that was asked for is open; its record."""
    until(page, f"{IDLE} && {OPEN}", seconds)
    return page.evaluate(OPEN)


def compose(page):
    """Press the button; the record. Notes were seen before the piece was done."""
    page.evaluate("kapelle.session.close()")
    page.click("#compose-button")
    until(page, f"kapelle.session.current.job && {NOTES} > 0 || {OPEN}", 60)
    return done(page)


def test_a_musician_composes_hears_shapes_keeps_and_takes_away(page, studio, tmp_path):
    open_studio(page)
    first = _hear_what_is_composed(page)
    _play_with_it(page)
    _keep_and_vary(page, studio, first)
    _take_it_to_the_shell(page, studio, tmp_path)
    _every_kind_of_model(page)
    _bring_a_tune(page)
    page.select_option("#language", "ru")
    until(page, "document.getElementById('compose-word').textContent === 'Развить'")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def _hear_what_is_composed(page):
    assert "null" not in page.inner_text("#library")
    length(page, 24)
    page.click("#compose-button")
    until(page, f"{NOTES} > 0 && kapelle.session.busy", 60)  # seen before it is done
    until(page, f"({LOUD})()", 30)  # and heard
    page.keyboard.press("Space")  # the button has the focus still: it is the music that stops, not the composing
    until(page, "!kapelle.player.playing")
    page.keyboard.press("Space")
    until(page, "kapelle.player.playing")
    return done(page)


def _play_with_it(page):
    page.keyboard.press("ArrowRight")
    page.locator("#transport .position").fill("500")
    assert page.evaluate("kapelle.player.position() / kapelle.session.current.music.duration") == pytest.approx(0.5, abs=0.05)
    page.keyboard.press("Home")
    until(page, f"kapelle.player.playing && ({LOUD})()", 20)
    for button in page.locator("#tracks [aria-pressed]:text-is('M')").all():
        button.click()
    until(page, f"!({LOUD})()", 10)
    for button in page.locator("#tracks [aria-pressed]:text-is('M')").all():
        button.click()
    page.click("#transport .loop")
    assert page.get_attribute("#transport .loop", "aria-pressed") == "true"
    page.click("#transport .loop")
    until(page, f"({LOUD})()", 10)
    page.select_option("#language", "ru")  # in the middle of the music
    page.select_option("#language", "en")  # sooner than the other has come
    until(page, "document.documentElement.lang === 'en'")
    assert page.evaluate("kapelle.player.playing")
    page.keyboard.press("Space")


def _keep_and_vary(page, studio, first):
    page.keyboard.press("F2")
    page.keyboard.type("Evening <b>🎹</b>")
    page.keyboard.press("Enter")
    until(page, f"{OPEN}.title === 'Evening <b>🎹</b>'")
    assert page.inner_text("#stage-title") == "Evening <b>🎹</b>"
    pieces = studio.get("/api/pieces").json()["total"]
    page.click("#piece-actions [aria-label='Make again']")
    until(page, "kapelle.session.busy")
    assert done(page)["id"] == first["id"]  # the same bytes: no other piece
    assert studio.get("/api/pieces").json()["total"] == pieces
    page.keyboard.press("v")
    until(page, "kapelle.session.busy")
    varied = done(page)
    assert (varied["parent"], varied["request"]["options"]) == (first["id"], first["request"]["options"])
    assert varied["seed"] != first["seed"]
    page.keyboard.press("Delete")
    until(page, f"!{OPEN}")
    page.keyboard.press("Control+z")
    until(page, f"{OPEN} && {OPEN}.id === '{varied['id']}'")


def _take_it_to_the_shell(page, studio, folder):
    """The line in the details makes the same bytes; the button beside the title saves them."""
    page.click("#tab-details")
    line = page.locator("#details .copyable code").first.inner_text()
    words = shlex.split(line)
    assert words[0] == "kapelle"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    subprocess.run([sys.executable, "-m", *words], cwd=folder, env=env, check=True, capture_output=True, timeout=60)
    (made,) = folder.glob("*.mid")
    with page.expect_download() as saved:
        page.click("#piece-actions .drag-handle")
    assert saved.value.suggested_filename == made.name
    assert made.read_bytes() == saved.value.path().read_bytes()
    assert read.read(made).tracks
    with page.expect_download() as saved:  # signs that no font of the score has
        page.click("#download")
        page.click(".menu [role=menuitem]:has-text('PDF')")
    assert saved.value.path().read_bytes().startswith(b"%PDF-")


def _every_kind_of_model(page):
    for model in MODELS:
        choose(page, model)
        length(page, 2)
        record = compose(page)
        assert record["model"] == model
        assert page.evaluate(NOTES) == record["n_notes"] > 0
    until(page, f"({LOUD})()", 20)
    page.keyboard.press("Space")


def _bring_a_tune(page):
    """The same file to each of the verbs that take one, whatever model the panel showed before."""
    notes = [(at * 480, 480, pitch, 80) for at, pitch in enumerate((60, 62, 64, 65, 67, 65, 64, 62) * 4)]
    tune = list(write.to_bytes(score(track(*notes))))
    for word, verb in (("Accompany", "accompany"), ("Continue", "extend"), ("Develop", "develop")):
        page.evaluate(DROP, ["tune.mid", tune])
        page.click(f".upload-dialog .choice:has-text('{word}')")
        assert page.get_attribute(f"[data-verb={verb}]", "aria-pressed") == "true"
        if page.locator("[data-option=length]").count():
            length(page, 8 if verb == "develop" else 2)
        assert compose(page)["verb"] == verb
    assert any(mark["kind"] == "theme" for mark in page.evaluate("kapelle.session.current.music.marks"))
    page.keyboard.press("Space")
