"""A score as features look at it: pitched notes on a grid of twelfths of a quarter, bars that follow one another without long silence.

Takes a `symusic.Score`; gives a `Grid`, and excerpts of one. All pitched tracks are one; equal notes are one, and a pitch that is struck
again ends where it is struck. Runs of bars in which nothing begins are shortened to one bar, and go at both ends: a part cut out of an
arrangement is silent while others play, which says nothing about its music. Loudness, tempo, names, controls, pedal and the file's
resolution are not in it; which instruments play is kept as shares of the notes.

Twelve steps hold sixteenths and triplets, and are the grid of what Kapelle's models compose: a performance that was not played to a
metronome, and a file that was quantised, are heard alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kapelle.errors import UnreadableInput
from kapelle.score import units

if TYPE_CHECKING:
    from symusic import Score

Ints = NDArray[np.int64]

STEPS = 12
"""Steps of a quarter note."""

MAX_STEPS = 2**18
"""What lies beyond is left out: 5,461 bars of 4/4, three hours at 120 bpm."""

GROUPS = (
    ("piano", range(8)), ("organ", range(16, 24)), ("guitar", range(24, 32)), ("bass", range(32, 40)), ("strings", range(40, 56)),
    ("winds", range(56, 80)), ("synth", range(80, 104)),
)  # fmt: skip
"""Groups of General MIDI programs, from 0."""


@dataclass(frozen=True)
class Grid:
    """Notes in order of onset, then pitch; bars from 0.

    Args:
        start: (N,) onsets in steps from the first bar line.
        end: (N,) where they end, later than `start`.
        pitch: (N,) MIDI numbers.
        lines: (bars + 1,) bar lines in steps, the first 0.
        groups: Share of the pitched notes that each of `GROUPS` plays.
        drums: Share of drum hits among all notes, 0 to 1.
    """

    start: Ints
    end: Ints
    pitch: Ints
    lines: Ints
    groups: tuple[float, ...]
    drums: float

    @property
    def n_bars(self) -> int:
        """How many bars."""
        return len(self.lines) - 1

    @cached_property
    def bar(self) -> Ints:
        """(N,) the bar in which each note begins."""
        out: Ints = np.searchsorted(self.lines, self.start, side="right") - 1
        return out

    def cut(self, first: int, n: int) -> Grid:
        """Bars `first` to `first` + `n` - 1 as a grid of their own; notes that reach beyond end there."""
        first, last = min(first, self.n_bars), min(first + n, self.n_bars)
        low, high = int(self.lines[first]), int(self.lines[last])
        here = (self.start >= low) & (self.start < high)
        return Grid(
            self.start[here] - low, np.minimum(self.end[here], high) - low, self.pitch[here], self.lines[first : last + 1] - low,
            self.groups, self.drums,
        )  # fmt: skip

    def excerpts(self, bars: int, most: int) -> list[Grid]:
        """Up to `most` excerpts of `bars` bars, evenly over the piece, the first from its beginning, without overlap where that suffices.

        What is left after the last whole excerpt is one too if it has at least half as many bars, or if there is no other.
        """
        firsts = list(range(0, max(self.n_bars - bars // 2, 1), bars))
        if len(firsts) > most:
            firsts = [firsts[i] for i in np.linspace(0, len(firsts) - 1, most).round().astype(int).tolist()]
        return [self.cut(first, bars) for first in firsts]


def grid(score: Score) -> Grid:
    """`score` on the grid; what rings on after the last bar line ends there.

    Raises:
        UnreadableInput: It has no pitched note.
    """
    tracks = [(track.program, track.notes.numpy()) for track in score.tracks if not track.is_drum and len(track.notes)]
    hits = sum(len(track.notes) for track in score.tracks if track.is_drum)
    if not tracks:
        raise UnreadableInput("the piece has no pitched notes", hint="features are of pitched notes; drums alone have no genre here")
    tpq = max(score.tpq, 1)
    time = np.maximum(np.concatenate([notes["time"] for _, notes in tracks]).astype(np.int64), 0)
    length = np.concatenate([notes["duration"] for _, notes in tracks]).astype(np.int64)
    pitch = np.concatenate([notes["pitch"] for _, notes in tracks]).astype(np.int64)
    start, lines = _placed(time, units.bar_starts(score, int(time.max()) + 1), tpq)
    lasts = np.maximum(_rounded(length * STEPS, tpq), 1)
    start, end, pitch = _without_doubles(start, start + lasts, pitch)
    sizes = np.array([len(notes["time"]) for _, notes in tracks], np.float64)
    programs = np.array([program for program, _ in tracks])
    shares = tuple(float(sizes[np.isin(programs, members)].sum() / sizes.sum()) for _, members in GROUPS)
    whole = Grid(start, end, pitch, lines, shares, hits / (hits + float(sizes.sum())))
    return whole.cut(0, max(int(np.searchsorted(lines, MAX_STEPS, side="right")) - 1, 1))


def _placed(time: Ints, ticks: Ints, tpq: int) -> tuple[Ints, Ints]:
    """Onsets and bar lines in steps, long silences left out.

    Args:
        time: (N,) onsets in ticks.
        ticks: (bars + 1,) bar lines in ticks, the last beyond every onset.
        tpq: Ticks of a quarter note.
    """
    bar = np.searchsorted(ticks, time, side="right") - 1
    length = np.maximum(_rounded(np.diff(ticks) * STEPS, tpq), 1)
    inside = _rounded((time - ticks[bar]) * STEPS, tpq)
    late = inside >= length[bar]  # rounded up to the next bar line
    bar, inside = bar + late, np.where(late, 0, inside)
    length = np.append(length, length[-1])
    filled = np.zeros(len(length), np.bool_)
    filled[bar] = True
    keep = filled | np.append(False, filled[:-1])  # of empty bars, those after a filled one
    last = int(np.flatnonzero(filled)[-1])
    keep[last + 1 :] = False
    firsts = np.cumsum(length * keep) - length * keep
    lines = np.append(firsts[keep], firsts[last] + length[last])
    return firsts[bar] + inside, lines.astype(np.int64)


def _rounded(numerator: Ints, denominator: int) -> Ints:
    """The quotient, to the nearest whole number, halves up."""
    out: Ints = (2 * numerator + denominator) // (2 * denominator)
    return out


def _without_doubles(start: Ints, end: Ints, pitch: Ints) -> tuple[Ints, Ints, Ints]:
    """In order of onset and pitch; of equal notes the longest, each ending where its pitch is struck again."""
    order = np.lexsort((-end, start, pitch))
    start, end, pitch = start[order], end[order], pitch[order]
    first = np.append(True, (start[1:] != start[:-1]) | (pitch[1:] != pitch[:-1]))
    start, end, pitch = start[first], end[first], pitch[first]
    again = np.append(np.where(pitch[1:] == pitch[:-1], start[1:], np.iinfo(np.int64).max), np.iinfo(np.int64).max)
    end = np.minimum(end, again)
    order = np.lexsort((pitch, start))
    return start[order], end[order], pitch[order]
