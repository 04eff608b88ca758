"""Where the percussion of General MIDI stands on a staff, and with which head.

Source of the numbers: General MIDI System Level 1, MIDI Manufacturers Association, 1991. Places follow the custom of drum-set
notation (N. Weinberg, Guide to Standardized Drumset Notation, Percussive Arts Society 1998): feet below, hands above, cymbals with
crosses.
"""

from __future__ import annotations

from dataclasses import dataclass

from kapelle.engraving.spelling import STEPS


@dataclass(frozen=True)
class Stroke:
    """How a percussion note is written: its place as if on a treble staff, its head, and whether a foot plays it."""

    step: str
    octave: int
    head: str = ""
    foot: bool = False

    @property
    def line(self) -> int:
        """Its height, as `Name.line`."""
        return self.octave * 7 + STEPS[self.step]


_KICK, _PEDAL = Stroke("F", 4, "", True), Stroke("D", 4, "x", True)
_SNARE, _RIM = Stroke("C", 5), Stroke("C", 5, "x")
_HAT, _OPEN = Stroke("G", 5, "x"), Stroke("G", 5, "circle-x")
_RIDE, _BELL, _CRASH, _CHINA = Stroke("F", 5, "x"), Stroke("F", 5, "diamond"), Stroke("A", 5, "x"), Stroke("B", 5, "x")
_FLOOR, _LOW, _MIDDLE, _HIGH = Stroke("G", 4), Stroke("A", 4), Stroke("D", 5), Stroke("E", 5)
_HAND_LOW, _HAND_HIGH, _SMALL = Stroke("B", 4, "triangle"), Stroke("D", 5, "triangle"), Stroke("E", 5, "triangle")

STROKES = {
    35: _KICK, 36: _KICK, 37: _RIM, 38: _SNARE, 39: _RIM, 40: _SNARE, 41: _FLOOR, 42: _HAT, 43: _FLOOR, 44: _PEDAL, 45: _LOW,
    46: _OPEN, 47: _LOW, 48: _MIDDLE, 49: _CRASH, 50: _HIGH, 51: _RIDE, 52: _CHINA, 53: _BELL, 54: _SMALL, 55: _CHINA, 56: _SMALL,
    57: _CRASH, 58: _SMALL, 59: _RIDE, 60: _HAND_HIGH, 61: _HAND_LOW, 62: _HAND_HIGH, 63: _HAND_HIGH, 64: _HAND_LOW,
    65: _HAND_HIGH, 66: _HAND_LOW, 67: _SMALL, 68: _SMALL, 69: _SMALL, 70: _SMALL,
}  # fmt: skip

OTHER = Stroke("E", 5, "x")
"""For what has no place of its own: shakers, whistles, triangles, and numbers beyond."""


def stroke_of(pitch: int) -> Stroke:
    """How the percussion with a MIDI number is written."""
    return STROKES.get(pitch, OTHER)
