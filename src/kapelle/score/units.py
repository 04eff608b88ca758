"""Ticks, beats, bars and seconds of a score: the only place where one is turned into another.

Takes a `symusic.Score` in ticks; gives numbers and numpy arrays. A tick is 1 / `score.tpq` of a quarter note; positions are
counted from the start of the piece, bars from 0. A score without a metre is in 4/4, one without a tempo runs at 120 bpm (the
defaults of the Standard MIDI File 1.0). A change of metre begins a new bar, also when the running bar is not full; saying the
same metre again changes nothing. Where a bar is not a whole number of ticks long, bar lines are rounded to the nearest tick.

Everything is arithmetic on arrays: no function loops over ticks, bars or notes. It does not quantise, and it keeps no state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from symusic import Score

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

DEFAULT_MSPQ = 500_000
"""Microseconds per quarter note where a file says nothing: 120 bpm."""

DEFAULT_METRE = (4, 4)


@dataclass(frozen=True)
class MetreMap:
    """The metres of a piece: from `ticks[i]` on, bars of `numerators[i]` notes of the value 1 / `denominators[i]`.

    The arrays have one length, at least 1; `ticks` rises strictly and begins with 0; no two neighbours are the same metre.
    """

    ticks: IntArray
    numerators: IntArray
    denominators: IntArray


@dataclass(frozen=True)
class TempoMap:
    """The tempi of a piece: from `ticks[i]`, which is `seconds[i]`, on, a quarter note lasts `mspq[i]` microseconds."""

    ticks: IntArray
    mspq: IntArray
    seconds: FloatArray
    tpq: int

    def to_seconds(self, ticks: ArrayLike) -> FloatArray:
        """Seconds at `ticks` (any shape, may be fractional)."""
        at = np.asarray(ticks, dtype=np.float64)
        i = np.maximum(np.searchsorted(self.ticks, at, side="right") - 1, 0)
        out: FloatArray = self.seconds[i] + (at - self.ticks[i]) * (self.mspq[i] / (1e6 * self.tpq))
        return out

    def to_ticks(self, seconds: ArrayLike) -> FloatArray:
        """Ticks (not rounded) at `seconds` (any shape)."""
        at = np.asarray(seconds, dtype=np.float64)
        i = np.maximum(np.searchsorted(self.seconds, at, side="right") - 1, 0)
        out: FloatArray = self.ticks[i] + (at - self.seconds[i]) / (self.mspq[i] / (1e6 * self.tpq))
        return out


def make_tempo_map(ticks: ArrayLike, mspq: ArrayLike, tpq: int) -> TempoMap:
    """The tempo map of tempo events in any order: at one tick the last one counts, repetitions are merged.

    Args:
        ticks: Where each tempo begins, shape (n,).
        mspq: Microseconds per quarter note, shape (n,), each at least 1.
        tpq: Ticks per quarter note, at least 1.
    """
    at, values = _in_force(np.asarray(ticks, dtype=np.int64), np.asarray(mspq, dtype=np.int64)[:, None], (DEFAULT_MSPQ,))
    speeds = values[:, 0]
    seconds = np.concatenate(([0.0], np.cumsum(np.diff(at) * (speeds[:-1] / (1e6 * tpq)))))
    return TempoMap(at, speeds, seconds, tpq)


def make_metre_map(ticks: ArrayLike, numerators: ArrayLike, denominators: ArrayLike) -> MetreMap:
    """The metre map of metre events in any order: at one tick the last one counts, repetitions are merged."""
    both = np.stack([np.asarray(numerators, dtype=np.int64), np.asarray(denominators, dtype=np.int64)], axis=-1)
    at, values = _in_force(np.asarray(ticks, dtype=np.int64), both.reshape(-1, 2), DEFAULT_METRE)
    return MetreMap(at, values[:, 0], values[:, 1])


def _in_force(ticks: IntArray, values: IntArray, default: tuple[int, ...]) -> tuple[IntArray, IntArray]:
    """Events (n,) with values (n, k), sorted, one per tick, without repetitions, with the default where none is given at 0."""
    order = np.argsort(ticks, kind="stable")
    ticks = np.concatenate(([0], np.maximum(ticks[order], 0)))
    values = np.concatenate((np.asarray([default], dtype=np.int64), values[order]))
    last = np.append(ticks[1:] != ticks[:-1], True)
    ticks, values = ticks[last], values[last]
    new = np.append(True, (values[1:] != values[:-1]).any(axis=1))
    return ticks[new], values[new]


def tempo_map(score: Score) -> TempoMap:
    """The tempo map of `score`."""
    events = score.tempos.numpy()
    return make_tempo_map(events["time"], np.maximum(events["mspq"], 1), max(score.tpq, 1))


def metre_map(score: Score) -> MetreMap:
    """The metre map of `score`; events with a numerator or denominator below 1 are passed over."""
    events = score.time_signatures.numpy()
    numerators, denominators = np.asarray(events["numerator"], np.int64), np.asarray(events["denominator"], np.int64)
    good = (numerators > 0) & (denominators > 0)
    return make_metre_map(np.asarray(events["time"])[good], numerators[good], denominators[good])


def count_bars(metres: MetreMap, tpq: int, until_ticks: int) -> int:
    """How many bars, the last one perhaps begun only, lie before `until_ticks`; 0 where that is 0 or less.

    It allocates nothing of that size.
    """
    return int(_bars_per_metre(metres, tpq, until_ticks).sum())


def _bars_per_metre(metres: MetreMap, tpq: int, until_ticks: int) -> IntArray:
    ends = np.append(metres.ticks[1:], max(until_ticks, 0))
    spans = np.clip(np.minimum(ends, until_ticks) - metres.ticks, 0, None)
    whole = metres.numerators * 4 * tpq
    bars: IntArray = -(-spans * metres.denominators // whole)
    return bars


def make_bar_starts(metres: MetreMap, tpq: int, until_ticks: int) -> IntArray:
    """The bar lines from 0 to the first at or after `until_ticks`, shape (bars + 1,)."""
    bars = _bars_per_metre(metres, tpq, until_ticks)
    segment = np.repeat(np.arange(len(bars)), bars)
    if not len(segment):
        return np.zeros(1, dtype=np.int64)
    index = np.arange(len(segment)) - np.repeat(np.cumsum(bars) - bars, bars)
    whole, denominators = metres.numerators * 4 * tpq, metres.denominators
    starts = metres.ticks[segment] + (index * whole[segment] + denominators[segment] // 2) // denominators[segment]
    last = int(segment[-1])
    end = int(metres.ticks[last] + (int(bars[last]) * whole[last] + denominators[last] // 2) // denominators[last])
    if last + 1 < len(metres.ticks):  # until_ticks falls into a bar that the next metre cuts short
        end = min(end, int(metres.ticks[last + 1]))
    return np.append(starts, end)


def bar_starts(score: Score, until_ticks: int | None = None) -> IntArray:
    """The bar lines of `score` in ticks, from 0 to the first at or after `until_ticks`, shape (bars + 1,).

    Args:
        score: A score in ticks.
        until_ticks: Where to stop; the end of the last note if left out. At 0 or below the result is [0].
    """
    return make_bar_starts(metre_map(score), max(score.tpq, 1), end_ticks(score) if until_ticks is None else until_ticks)


def end_ticks(score: Score) -> int:
    """Where the last note ends, in ticks; 0 for a score without notes."""
    end = 0
    for track in score.tracks:
        if len(track.notes):
            notes = track.notes.numpy()
            end = max(end, int((notes["time"].astype(np.int64) + notes["duration"]).max()))
    return end


def n_bars(score: Score) -> int:
    """How many bars hold the notes of `score`; 0 without notes."""
    return count_bars(metre_map(score), max(score.tpq, 1), end_ticks(score))


def final_bar_line(score: Score) -> int:
    """The first bar line at or after the end of the last note, in ticks; 0 without notes."""
    return int(bar_starts(score)[-1])


def ticks_to_bars(score: Score, ticks: ArrayLike) -> FloatArray:
    """Where `ticks` lie in bars: 2.5 is the middle of the third bar. Same shape as `ticks`, which must not be negative."""
    at = np.asarray(ticks, dtype=np.int64)
    lines = bar_starts(score, int(at.max(initial=0)) + 1)
    bar = np.searchsorted(lines, at, side="right") - 1
    return np.asarray(bar + (at - lines[bar]) / np.maximum(lines[bar + 1] - lines[bar], 1), dtype=np.float64)


def bars_to_ticks(score: Score, bar: int) -> int:
    """The tick at which bar `bar` (from 0) begins, also beyond the last note."""
    metres, tpq = metre_map(score), max(score.tpq, 1)
    before = np.cumsum(_bars_per_metre(metres, tpq, int(metres.ticks[-1])))
    i = int(np.searchsorted(before[:-1], bar, side="right")) if len(before) > 1 else 0
    inside = bar - (int(before[i - 1]) if i else 0)
    whole, denominator = int(metres.numerators[i]) * 4 * tpq, int(metres.denominators[i])
    tick: int = int(metres.ticks[i]) + (inside * whole + denominator // 2) // denominator
    return tick


def beat_starts(score: Score, until_ticks: int | None = None) -> IntArray:
    """The beats of `score` in ticks, from 0 to the first at or after `until_ticks`: one per denominator of the metre.

    A beat of 6/8 is an eighth here, as a metre is written, not the dotted quarter that is felt.
    """
    metres = metre_map(score)
    beats = MetreMap(metres.ticks, np.ones_like(metres.numerators), metres.denominators)
    return make_bar_starts(beats, max(score.tpq, 1), end_ticks(score) if until_ticks is None else until_ticks)


def ticks_to_beats(score: Score, ticks: ArrayLike) -> FloatArray:
    """`ticks` in quarter notes, same shape."""
    out: FloatArray = np.asarray(ticks, dtype=np.float64) / max(score.tpq, 1)
    return out


def beats_to_ticks(score: Score, beats: ArrayLike) -> IntArray:
    """`beats` (quarter notes) in ticks, rounded, same shape."""
    return np.asarray(np.rint(np.asarray(beats, dtype=np.float64) * score.tpq), dtype=np.int64)


def ticks_to_seconds(score: Score, ticks: ArrayLike) -> FloatArray:
    """`ticks` in seconds under the tempi of `score`, same shape."""
    return tempo_map(score).to_seconds(ticks)


def seconds_to_ticks(score: Score, seconds: ArrayLike) -> IntArray:
    """`seconds` in ticks under the tempi of `score`, rounded, same shape."""
    return np.asarray(np.rint(tempo_map(score).to_ticks(seconds)), dtype=np.int64)


def duration_s(score: Score) -> float:
    """Seconds from the start of the piece to the end of its last note; 0.0 without notes."""
    return float(tempo_map(score).to_seconds(end_ticks(score)))


def metre_at(score: Score, ticks: int = 0) -> tuple[int, int]:
    """Numerator and denominator of the metre in force at `ticks`."""
    metres = metre_map(score)
    i = _index_at(metres.ticks, ticks)
    return int(metres.numerators[i]), int(metres.denominators[i])


def bpm_at(score: Score, ticks: int = 0) -> float:
    """Quarter notes per minute at `ticks`."""
    tempi = tempo_map(score)
    return 60e6 / float(tempi.mspq[_index_at(tempi.ticks, ticks)])


def bar_length_ticks(score: Score, ticks: int = 0) -> int:
    """The length of a full bar of the metre in force at `ticks`, in ticks, at least 1."""
    numerator, denominator = metre_at(score, ticks)
    return bar_ticks(numerator, denominator, score.tpq)


def bar_ticks(numerator: int, denominator: int, tpq: int) -> int:
    """The length of a bar of `numerator`/`denominator` at `tpq` ticks per quarter note, at least 1."""
    return max(1, (numerator * 4 * tpq + denominator // 2) // denominator)


def bpm_to_mspq(bpm: float) -> int:
    """Microseconds per quarter note of `bpm` quarter notes per minute."""
    return round(60e6 / bpm)


def _index_at(ticks: NDArray[Any], at: int) -> int:
    return max(0, int(np.searchsorted(ticks, at, side="right")) - 1)
