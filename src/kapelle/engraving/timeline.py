"""The bars of a score as they will be written: where they begin, their metre and key, and ticks turned into written time.

Takes a score in ticks; gives `Bar`s whose positions are whole numbers of `QUARTER`ths of a quarter note. Inside of a bar ticks map
linearly; bar lines that fall on odd ticks are moved to the nearest sixteenth.

A pickup stays one: a first bar that is shorter than the metre after it, or whose first half is silent in all parts, becomes an
incomplete bar without a number. Metres that no reader wants are written in 4/4: one of a single beat that goes on for long (a
metronome's track), bars of more than 12 quarter notes or less than an eighth, values shorter than a thirty-second. Music that stands
beside the beats of its file by one and the same distance throughout, as from a recording that began anywhere, is moved onto them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from symusic import Score

from kapelle.score import units
from kapelle.score.keys import estimate_key

QUARTER = 48
"""Written time units per quarter note: thirty-seconds are 6, triplets of eighths 16, of sixteenths 8."""

SIXTEENTH = QUARTER // 4
_MAX_BAR_QUARTERS = 12
_LONG_SINGLE_BEATS = 4
_BESIDE, _ALIKE = 1.5, 0.75
"""Music is moved onto the beats if it stands at least so many units beside them, and alike to this degree (1: exactly)."""


@dataclass(frozen=True)
class Bar:
    """One written bar.

    Args:
        start: Where it begins, in units from the start of the piece.
        length: In units.
        metre: Numerator and denominator.
        sharps: Of the key signature, flats negative.
        minor: The mode of the key.
        ticks: Where it begins in the score.
        pickup: It is the incomplete bar before the first; its beats are counted from its end.
    """

    start: int
    length: int
    metre: tuple[int, int]
    sharps: int
    minor: bool
    ticks: int
    pickup: bool = False

    @property
    def end(self) -> int:
        """Where the next bar begins, in units."""
        return self.start + self.length

    @property
    def full(self) -> int:
        """How long a complete bar of the metre is, in units."""
        return self.metre[0] * 4 * QUARTER // self.metre[1]

    @property
    def shift(self) -> int:
        """What is added to a position inside of the bar to find its place in the metre."""
        return max(self.full - self.length, 0) if self.pickup else 0

    @property
    def cell(self) -> int:
        """The length of what one division, straight or triplet, holds for: the beat, at most a quarter note, at least a sixteenth."""
        return min(QUARTER, max(4 * QUARTER // self.metre[1], SIXTEENTH))


@dataclass(frozen=True)
class Timeline:
    """All bars of a piece, and the way from ticks to written time; `offset` is how far the music stands behind its beats, in units."""

    bars: tuple[Bar, ...]
    end_ticks: int
    offset: float = 0.0

    def to_units(self, ticks: ArrayLike) -> NDArray[np.float64]:
        """Written time of `ticks`, not rounded, same shape; what lies outside of the bars is moved to their edge."""
        lines = np.array([*(bar.ticks for bar in self.bars), self.end_ticks], dtype=np.float64)
        places = np.array([*(bar.start for bar in self.bars), self.end], dtype=np.float64)
        out: NDArray[np.float64] = np.interp(np.asarray(ticks, dtype=np.float64), lines, places)
        return np.maximum(out - self.offset, 0.0)

    @property
    def end(self) -> int:
        """Where the last bar ends, in units."""
        return self.bars[-1].end


def timeline(score: Score) -> Timeline:
    """The bars that hold the notes of `score`, at least one."""
    tpq = max(score.tpq, 1)
    metres = _readable(units.metre_map(score), tpq, units.end_ticks(score))
    until = _last_tick(score, tpq)
    lines = units.make_bar_starts(metres, tpq, max(until, 1))
    bars: list[Bar] = []
    start = 0
    for i, tick in enumerate(lines[:-1].tolist()):
        at = int(np.searchsorted(metres.ticks, tick, side="right")) - 1
        metre = int(metres.numerators[at]), int(metres.denominators[at])
        full = metre[0] * 4 * QUARTER // metre[1]
        nominal = units.bar_ticks(*metre, tpq)
        length = int(lines[i + 1]) - tick
        written = full if abs(length - nominal) <= 1 else max(round(length * 4 / tpq), 1) * SIXTEENTH
        bars.append(Bar(start, written, metre, 0, False, tick))
        start += written
    bars = _with_pickup(bars, score, tpq)
    found = Timeline(tuple(_with_keys(bars, score)), int(lines[-1]))
    return replace(found, offset=_offset(found, score))


def _offset(found: Timeline, score: Score) -> float:
    """How far, in units, all of the music stands behind the beats of its file; 0 where it stands on them or anywhere."""
    onsets = [found.to_units(track.notes.numpy()["time"]) for track in score.tracks if len(track.notes)]
    if not onsets:
        return 0.0
    places = np.concatenate(onsets)
    mean = complex(np.exp(2j * np.pi * places / SIXTEENTH).mean())
    beside = float(np.angle(mean)) * SIXTEENTH / (2 * np.pi)
    if abs(mean) < _ALIKE or abs(beside) < _BESIDE:
        return 0.0
    # Of the four sixteenths of a beat, the one on which most notes begin is the beat.
    sixteenths = np.rint((places - beside) / SIXTEENTH).astype(np.int64) % 4
    beat = int(np.argmax(np.bincount(sixteenths, minlength=4)))
    out = beside + beat * SIXTEENTH
    out = out - QUARTER if out > QUARTER / 2 else out
    return out if out <= float(places.min()) else out - QUARTER


def _last_tick(score: Score, tpq: int) -> int:
    """Where the music ends on paper: an end that reaches a hair over a bar line does not open another bar."""
    onset = max((int(track.notes.numpy()["time"].max()) for track in score.tracks if len(track.notes)), default=0)
    return max(units.end_ticks(score) - tpq // 8, onset + 1)


def _readable(metres: units.MetreMap, tpq: int, end: int) -> units.MetreMap:
    """`metres` without those that no reader wants."""
    numerators, denominators = metres.numerators.copy(), metres.denominators.copy()
    ends = np.append(metres.ticks[1:], max(end, int(metres.ticks[-1])))
    for i, (numerator, denominator) in enumerate(zip(numerators.tolist(), denominators.tolist(), strict=True)):
        quarters = numerator * 4 / denominator
        beats = (int(ends[i]) - int(metres.ticks[i])) * denominator / (4 * tpq)
        single = numerator == 1 and beats > _LONG_SINGLE_BEATS
        if single or denominator not in (1, 2, 4, 8, 16, 32) or not 0.5 <= quarters <= _MAX_BAR_QUARTERS:
            numerators[i], denominators[i] = units.DEFAULT_METRE
    return units.make_metre_map(metres.ticks, numerators, denominators)


def _with_pickup(bars: list[Bar], score: Score, tpq: int) -> list[Bar]:
    """`bars` with an incomplete first bar, if the piece has one."""
    if len(bars) < 2:
        return bars
    first, second = bars[0], bars[1]
    if first.metre != second.metre and first.length < second.length:
        return [replace(first, metre=second.metre, pickup=True), *bars[1:]]
    onset = min((int(track.notes.numpy()["time"].min()) for track in score.tracks if len(track.notes)), default=0)
    beat = 4 * tpq // first.metre[1]
    silent = (onset + beat // 8) // max(beat, 1) * max(beat, 1)
    cut = silent * first.full // max(units.bar_ticks(*first.metre, tpq), 1)
    if first.length == first.full and 2 * cut >= first.full and cut < first.full and cut % SIXTEENTH == 0:
        pickup = replace(first, length=first.full - cut, ticks=silent, pickup=True)
        return [pickup, *(replace(bar, start=bar.start - cut) for bar in bars[1:])]
    return bars


def _with_keys(bars: list[Bar], score: Score) -> list[Bar]:
    """`bars` with the key signatures of the score, or the one key that its notes suggest if it has none."""
    said = [(int(item.time), int(item.key), bool(item.tonality)) for item in score.key_signatures if -7 <= item.key <= 7]
    if not said or all(not sharps and not minor for _, sharps, minor in said):  # C major is also what writers say that know nothing
        key = estimate_key(score)
        said = [(0, key.sharps, key.mode == "minor")]
    said.sort(key=lambda item: item[0])
    out, at = [], 0
    for i, bar in enumerate(bars):
        following = bars[i + 1].ticks if i + 1 < len(bars) else bar.ticks + 1
        middle = (bar.ticks + following) // 2
        while at + 1 < len(said) and said[at + 1][0] <= middle:
            at += 1
        out.append(replace(bar, sharps=said[at][1], minor=said[at][2]))
    return out
