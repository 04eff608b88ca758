"""The pictures of the studio in docs/pictures, taken in the Chromium of this machine from a studio that is begun, and filled, for this.

    python benchmarks/studio_pictures.py [--into docs/pictures] [--only NAME ...]

Pieces by several models are composed, one of them is opened and played to the third bar, and each picture of `PICTURES` is taken; so the
pictures show what the program does, and are made again after a change of the page. A complaint of the page ends the script.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from _studio import chromium, server
from playwright.sync_api import Page, sync_playwright

PIECES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("compose", {"model": "chopin", "seed": 4, "tags": ["evening"]}),
    ("compose", {"seed": 7, "options": {"genre": "jazz"}, "favourite": True}),
    ("compose", {"model": "band-hybrid", "seed": 3, "tags": ["loops"]}),
    ("compose", {"seed": 3, "options": {"genre": "classical", "key": "A minor", "tempo": 90}}),
    (
        "compose",
        {"model": "ensemble", "seed": 5, "options": {"genre": "rock", "instruments": "guitar,piano,bass,drums"}, "favourite": True},
    ),
    ("bridge", {"seed": 3, "length": {"amount": 32, "unit": "bars"}, "options": {"form": "AABA"}}),
)
"""Verb and body of what is composed, the newest last; ``favourite`` is marked afterwards."""

ENSEMBLE, BRIDGE = 4, 5


@dataclass(frozen=True)
class Picture:
    """A picture.

    Args:
        piece: Which of `PIECES` is open.
        size: Of the window, in CSS pixels.
        dark: In dark colours.
        language: ``en`` or ``ru``.
        room: Address of the room.
        tab: Which tab is chosen.
        composer: Model whose panel is shown.
    """

    piece: int = ENSEMBLE
    size: tuple[int, int] = (1440, 900)
    dark: bool = False
    language: str = "en"
    room: str = "#/"
    tab: str = "score"
    composer: str = "ensemble"


PICTURES = {
    "studio": Picture(),
    "studio-dark": Picture(piece=BRIDGE, dark=True, composer="bridge", tab="judge"),
    "studio-ru": Picture(language="ru"),
    "studio-phone": Picture(size=(390, 844)),
    "studio-models": Picture(room="#/models"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--into", type=Path, default=Path(__file__).parents[1] / "docs" / "pictures")
    parser.add_argument("--only", nargs="*", choices=list(PICTURES), default=list(PICTURES))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, server(Path(folder), 2, 1) as url, sync_playwright() as playwright:
        ids = [compose(url, verb, body) for verb, body in PIECES]
        browser = chromium(playwright, "--autoplay-policy=no-user-gesture-required")
        for name in options.only:
            path = options.into / f"{name}.png"
            take(browser, url, ids, PICTURES[name], path)
            print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")
        browser.close()
    return 0


def compose(url: str, verb: str, body: dict[str, Any]) -> str:
    """The id of a piece that was composed and, if asked, marked."""
    asked = {name: value for name, value in body.items() if name != "favourite"}
    job = httpx.post(f"{url}/api/{verb}", json=asked).raise_for_status().json()
    while job["state"] in ("queued", "running"):
        time.sleep(0.2)
        job = httpx.get(f"{url}/api/jobs/{job['id']}").json()
    if job["state"] != "done":
        sys.exit(f"{verb} {body}: {job['error']}")
    if body.get("favourite"):
        httpx.patch(f"{url}/api/pieces/{job['pieces'][0]}", json={"favourite": True}).raise_for_status()
    return str(job["pieces"][0])


def take(browser: Any, url: str, ids: list[str], wanted: Picture, path: Path) -> None:
    """Take one picture."""
    width, height = wanted.size
    context = browser.new_context(
        viewport={"width": width, "height": height}, locale={"en": "en-GB", "ru": "ru-RU"}[wanted.language],
        color_scheme="dark" if wanted.dark else "light", device_scale_factor=2 if width < 500 else 1, has_touch=width < 500,
    )  # fmt: skip
    page: Page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{url}/{wanted.room}")
    page.locator("html[data-ready]").wait_for(state="attached")
    if wanted.room == "#/":
        show(page, ids[wanted.piece], wanted)
    page.wait_for_load_state("networkidle")
    time.sleep(1.5)
    page.screenshot(path=path)
    context.close()
    if complaints:
        sys.exit(f"{path.name}: {complaints}")


def show(page: Page, id: str, wanted: Picture) -> None:
    """Open a piece, set the composer to its model, and play to the third bar."""
    page.evaluate("(name) => window.kapelle.composer.choose(name)", wanted.composer)
    page.evaluate("(id) => window.kapelle.session.open(id)", id)
    while not page.evaluate("() => window.kapelle.session.current.music?.duration"):  # the page's policy forbids waiting for a text of code
        time.sleep(0.1)
    page.locator(f"#tab-{wanted.tab}").click()
    page.evaluate("() => { const { player, session } = window.kapelle; player.seek(session.current.music.bars[2] + 0.3); player.play(); }")
    time.sleep(2.0)
    page.evaluate("() => window.kapelle.player.pause()")


if __name__ == "__main__":
    sys.exit(main())
