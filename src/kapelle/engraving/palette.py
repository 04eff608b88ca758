"""The colours of pictures, light and dark. Data only.

Track colours are told apart by people with the common colour deficiencies as far as eight can be: they differ in lightness as
well as in hue, beginning with blue and orange.
"""

from __future__ import annotations

from dataclasses import dataclass

from kapelle.errors import UnknownName


@dataclass(frozen=True)
class Palette:
    """One theme, as CSS colours."""

    ground: str
    panel: str  # behind the white keys
    shade: str  # behind the black keys
    beat: str
    bar: str
    octave: str
    text: str
    muted: str
    key_white: str
    key_black: str
    drums: str
    tracks: tuple[str, ...]
    marks: tuple[str, ...]


LIGHT = Palette(
    ground="#ffffff",
    panel="#fafbfd",
    shade="#f0f2f7",
    beat="#e9ecf2",
    bar="#c9cfdc",
    octave="#dce1ea",
    text="#1b2130",
    muted="#69728a",
    key_white="#ffffff",
    key_black="#2a3040",
    drums="#525b70",
    tracks=("#2f6bd8", "#e4761b", "#1f9a6c", "#c8377a", "#7a4fd0", "#0f9fb8", "#a97b00", "#d2443c", "#4b7f1f", "#8a5a44"),
    marks=("#f2b84b", "#6fa8ff", "#66c28d", "#e48ab5", "#a993e6", "#62c4d4"),
)
DARK = Palette(
    ground="#12151b",
    panel="#1a1e26",
    shade="#151920",
    beat="#222732",
    bar="#3b4353",
    octave="#2b3140",
    text="#e9ecf3",
    muted="#8d97ac",
    key_white="#dfe3ec",
    key_black="#0d0f14",
    drums="#a7b0c2",
    tracks=("#6ea6ff", "#ffa350", "#4fd39b", "#ff7fb2", "#b393ff", "#4fd0e3", "#efcd55", "#ff7d70", "#a4d867", "#d3a58c"),
    marks=("#f2b84b", "#6fa8ff", "#66c28d", "#e48ab5", "#a993e6", "#62c4d4"),
)
PALETTES = {"light": LIGHT, "dark": DARK}


def palette(name: str) -> Palette:
    """The palette called `name`, ``light`` or ``dark``."""
    if name not in PALETTES:
        raise UnknownName("theme", name, PALETTES)
    return PALETTES[name]
