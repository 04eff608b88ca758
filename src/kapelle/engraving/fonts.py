"""The fonts that pictures and pages are lettered with: those that matplotlib carries, so that none is shipped and none is looked for."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from kapelle.errors import Missing

FIRST_FOREIGN = 0x2E80
"""From this character on (East Asian scripts, emoji) these fonts have no glyphs, and the system's are looked at too."""


def font_files(names: Sequence[str]) -> list[Path]:
    """The fonts of these file names.

    Raises:
        Missing: matplotlib is not installed.
    """
    spec = importlib.util.find_spec("matplotlib")  # found, not imported: that would cost a quarter of a second
    for folder in (spec.submodule_search_locations or []) if spec else []:
        paths = [Path(folder, "mpl-data", "fonts", "ttf", name) for name in names]
        if all(path.is_file() for path in paths):
            return paths
    raise Missing("the fonts of matplotlib are not installed", hint="pip install matplotlib, or write .svg")


def needs_foreign(svg: str) -> bool:
    """Whether a picture holds characters that these fonts lack."""
    return any(ord(character) >= FIRST_FOREIGN for character in svg)
