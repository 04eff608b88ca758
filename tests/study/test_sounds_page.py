"""The page of a gallery of sounds: what it shows of what is there, what is missing and what failed; in a browser, from the disk."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from kapelle.audio import files
from kapelle.audio.waveform import Waveform
from kapelle.study.site.sounds import Board, Clip, page
from kapelle.text_audio.catalogue import find

EVIL = "<script>alert(1)</script>\"'& 100% #1?"
PROMPTS = ("Lo-fi funk", EVIL, "not yet")
MODELS = (find("musicgen-small"), find("stable-audio-open"), find("lumina-music"))


def board(folder: Path) -> Board:
    """Two models made two prompts, one failed, and one prompt is still to come."""
    clips = {}
    for model in MODELS[:2]:
        for prompt in PROMPTS[:2]:
            path = folder / model.name / f"{PROMPTS.index(prompt)} 100% #1?.wav"
            copy = path.with_stem(f"{path.stem}-wiener")
            for one in (path, copy):
                files.write(one, Waveform(np.sin(np.arange(24_000) / 20).astype(np.float32) / 4, 16_000))
            here, beside = (one.relative_to(folder).as_posix() for one in (path, copy))
            clips[prompt, model.name] = (Clip(here, 7, 1.5, {"wiener": beside}), Clip(here, 8, 1.5))
    return Board(PROMPTS, MODELS, clips, {"lumina-music": f"no {EVIL}"}, "1.5 s each")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a folder") / "site"
    made = page(board(folder))
    (folder / "index.html").write_text(made, encoding="utf-8")
    return folder


def test_every_sound_has_a_player_and_a_link_that_lead_to_it(site):
    text = (site / "index.html").read_text(encoding="utf-8")
    players = re.findall(r'<audio [^>]*src="([^"]*)"', text)
    assert len(players) == 12  # of two models: two prompts, two seeds and one cleaned copy each
    for link in players + re.findall(r'<a href="([^"]*)" download', text):
        assert (site / unquote(link)).is_file()
    assert text.count("1.5 s, seed 8") == 4
    assert text.count("cleaned: wiener") == 4


def test_what_is_missing_and_what_failed_is_said(site):
    text = (site / "index.html").read_text(encoding="utf-8")
    assert text.count("not made yet") == 2
    assert text.count(">not made<") == 3
    assert "8 sounds are here" in text


def test_every_model_has_its_licence(site):
    text = (site / "index.html").read_text(encoding="utf-8")
    for model in MODELS:
        assert text.count(f'<a href="{model.licence.url}">{model.licence.name}</a>') >= 2
        assert model.licence.terms in text


def test_names_are_text_and_nothing_else(site):
    text = (site / "index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_a_browser_plays_it_from_the_disk_and_asks_for_nothing_else(site, scheme, width):
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no Chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        seen = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}).new_page()
        asked, wrong = [], []
        seen.on("request", lambda request: asked.append(request.url))
        seen.on("console", lambda message: wrong.append(message.text))
        seen.on("pageerror", lambda error: wrong.append(str(error)))
        seen.goto((site / "index.html").resolve().as_uri())
        sources = seen.locator("audio").evaluate_all("all => all.map(one => one.src)")
        assert len(sources) == 12
        for source in set(sources):
            assert seen.evaluate(
                "source => new Promise(done => { const one = new Audio(source); one.oncanplay = () => done(one.duration == 1.5);"
                "one.onerror = () => done(false); })", source,
            )  # fmt: skip
        assert not wrong
        assert all(url.startswith("file://") for url in asked)
        assert seen.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert seen.locator("audio:not([aria-label])").count() == 0
        dark = seen.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        assert dark == (scheme == "dark")
        browser.close()
