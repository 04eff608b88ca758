"""Which clef a staff has: the one that needs the fewest ledger lines, changed only where that pays.

Takes the heights of the notes (`Name.line`) bar by bar and the program; gives a clef per bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Clef:
    """A clef as MusicXML says it, and the height of the lowest line of the staff."""

    sign: str
    line: int
    octave: int
    lowest: int


TREBLE = Clef("G", 2, 0, 30)
BASS = Clef("F", 4, 0, 18)
TREBLE_LOW = Clef("G", 2, -1, 23)
TREBLE_HIGH = Clef("G", 2, 1, 37)
BASS_LOW = Clef("F", 4, -1, 11)
PERCUSSION = Clef("percussion", 2, 0, 30)

_GUITARS, _BASSES = range(24, 32), (*range(32, 40), 43, 58, 87)
_HIGH = (8, 9, 10, 13, 14, 72, 74, 78, 112)
_LOW_READERS = (42, 57, 67, 70)
"""Cello, trombone, baritone saxophone, bassoon: the bass clef unless they climb."""

_UNUSUAL = 0.8
"""What an octave clef costs per note, where the instrument does not usually have it."""

_CHANGE = 14.0
"""Ledger lines that a change of clef must save."""


def ledger_lines(height: int, clef: Clef) -> int:
    """How many ledger lines a note needs."""
    return max((clef.lowest - height) // 2, (height - clef.lowest - 8) // 2, 0)


def clefs(bars: Sequence[Sequence[int]], program: int, *, may_change: bool, wanted: Clef | None = None) -> list[Clef]:
    """The clef of each bar.

    Args:
        bars: The heights of the notes of each bar.
        program: Of General MIDI.
        may_change: Treble and bass clef may follow each other.
        wanted: The clef that the staff has where the notes do not object.
    """
    heights = [height for bar in bars for height in bar]
    chosen = min(_candidates(program), key=lambda item: _mean_lines(heights, item[0]) + item[1])[0] if wanted is None else wanted
    if not may_change or not heights:
        return [chosen] * len(bars)
    either = (chosen, BASS if chosen.sign == "G" else TREBLE)
    costs = [0.0, _CHANGE]
    ways: list[tuple[int, int]] = []
    for bar in bars:
        here = [sum(_pain(height, clef) for height in bar) for clef in either]
        # A bar of rests is no place to change; the clef of the staff is a little cheaper than the other.
        change = _CHANGE
        way = tuple(i if costs[i] <= costs[1 - i] + change else 1 - i for i in (0, 1))
        costs = [min(costs[i], costs[1 - i] + change) + here[i] + 0.3 * i for i in (0, 1)]
        ways.append((way[0], way[1]))
    at = 0 if costs[0] <= costs[1] else 1
    out = []
    for way in reversed(ways):
        out.append(either[at])
        at = way[at]
    return out[::-1]


def _pain(height: int, clef: Clef) -> float:
    """One or two ledger lines are read as well as none."""
    return max(ledger_lines(height, clef) - 1, 0) * 1.0


def _mean_lines(heights: Sequence[int], clef: Clef) -> float:
    return sum(ledger_lines(height, clef) for height in heights) / max(len(heights), 1)


def _candidates(program: int) -> list[tuple[Clef, float]]:
    if program in _GUITARS:
        return [(TREBLE_LOW, 0.0), (TREBLE, 2.0)]
    if program in _BASSES:
        return [(BASS_LOW, 0.0), (BASS, 0.4), (TREBLE_LOW, 1.5), (TREBLE, 1.0)]
    if program in _HIGH:
        return [(TREBLE_HIGH, 0.0), (TREBLE, 0.2)]
    low = 0.0 if program in _LOW_READERS else 0.1
    return [(TREBLE, 0.0), (BASS, low), (TREBLE_LOW, _UNUSUAL), (BASS_LOW, _UNUSUAL), (TREBLE_HIGH, 1.5)]
