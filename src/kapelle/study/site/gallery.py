"""The page of a folder of pieces: whatever MIDI files lie there, with the sounds and pictures that lie beside them, the newest first.

Takes a folder; gives HTML. A file that is no MIDI is told as such, and takes nothing else with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from kapelle.errors import KapelleError
from kapelle.pages.markup import page as framed
from kapelle.pages.markup import text
from kapelle.score.info import info
from kapelle.score.read import read
from kapelle.study.site.pieces import SOUNDS

TITLE = "Pieces"
PICTURES = ("png", "svg")


def page(folder: Path) -> str:
    """The page."""
    return framed(TITLE, _body(folder))


def _body(folder: Path) -> Iterator[str]:
    paths = sorted(folder.glob("*.mid"), key=lambda path: (-path.stat().st_mtime, path.name))
    yield f'<header><h1>{TITLE}</h1></header><main><div class="cards">'
    yield from map(_card, paths)
    yield "</div>"
    if not paths:
        yield "<p>No pieces yet: <code>make generate</code> composes some.</p>"
    yield "</main>"


def _card(path: Path) -> str:
    """A piece."""
    try:
        found = info(read(path))
        facts = f"{found.n_bars} bars, {found.duration_s:.0f} s, {found.key}, {found.tempos_bpm[0]:g} bpm, {found.metres[0]}"
    except KapelleError as error:
        facts = str(error)
    parts = [f'<h2><a href="{quote(path.name)}" download>{text(path.name)}</a></h2><p class="muted">{text(facts)}</p>']
    picture = _beside(path, PICTURES)
    if picture:
        parts.append(f'<img class="roll" src="{quote(picture)}" alt="{text(f"piano roll of {path.stem}")}" loading="lazy">')
    sound = _beside(path, SOUNDS)
    if sound:
        parts.append(f'<audio controls preload="none" src="{quote(sound)}" aria-label="{text(f"sound of {path.stem}")}"></audio>')
    return f'<section class="card">{"".join(parts)}</section>'


def _beside(path: Path, suffixes: tuple[str, ...]) -> str:
    """The name of the first file with one of some suffixes; empty if there is none."""
    names = (f"{path.stem}.{suffix}" for suffix in suffixes)
    return next((name for name in names if (path.parent / name).is_file()), "")
