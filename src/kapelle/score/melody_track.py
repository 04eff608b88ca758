"""Which track of a piece carries its melody.

Takes any `symusic.Score`; gives the index of a track, or None where none is clear. Names come first: a track called melody, vocals, voice
or lead is believed, unless that is only what its instrument is called. Without such a name, or among several, tracks are compared by six
figures of how they are written, and the best is taken if it is good enough and far enough ahead of all that do not merely double it. Of
two tracks none of which is good enough, as of two hands, it is the one on top if that goes by small steps. A piece with one pitched track
has its melody on top, if what is on top is a clear line.

It knows nothing of style: a bass solo, or a melody in an inner voice, is not found. Weights and limits were chosen on the songs of POP909
with odd numbers, names left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from symusic import Score, Track

from kapelle.score.edit import note_arrays

MAX_BARS = 512
"""So much of a piece is looked at, in bars of four quarters."""

GOOD = 0.65
"""The least that the melody must score, 0 to 1."""

AHEAD = 0.01
"""And so much more than the next."""

_BAR = 16
_NAMED = re.compile(r"melod|vocal|\bvox\b|\bvoice|\bvoc\b|\blead|\bsing|solist|мелоди|вокал|голос|соло", re.IGNORECASE)
_INSTRUMENT = re.compile(
    r"\blead\s*\d|\b(square|saw\w*|calliope|chiff\w*|charang|fifths?|bass|synth)\W+(lead|voice)|\bvoice oohs|\bsolo vox", re.IGNORECASE
)
_BESIDE = re.compile(r"harmon|doubl|back|\bbg|choir|chorus|coro|second|counter|\bpad|\b2\b|#\s*[2-9]|втор|хор|бэк", re.IGNORECASE)
_BASSES, _EFFECTS = range(32, 40), range(112, 128)
_FOURTH = 5
_WEIGHTS = {"alone": 0.36, "span": 0.18, "steps": 0.18, "top": 0.14, "present": 0.14}
_DOUBLED = 0.8


@dataclass(frozen=True)
class Figures:
    """How a track is written, each 0 to 1.

    Args:
        alone: How much of its sounding time one note of it sounds: 1 for all, 0 for half or less.
        span: 1 where its pitches, the outermost 5 % left out, lie within a tenth, 0 where they need an octave more.
        steps: How many of its intervals, over half a bar or less, are a fourth or smaller: 1 for nine tenths, 0 for half.
        top: Share of its sounding time in which no other track is higher.
        present: Share of the sounding bars in which it plays; 1 from 60 % on.
        register: How well its middle pitch suits a voice or a lead; basses and effects have little of it by their program.
    """

    alone: float
    span: float
    steps: float
    top: float
    present: float
    register: float

    @property
    def total(self) -> float:
        """All in one, 0 to 1."""
        parts = sum(weight * float(getattr(self, name)) for name, weight in _WEIGHTS.items())
        return (0.5 + 0.5 * self.register) * parts


def find_melody(score: Score) -> int | None:
    """The index of the track that carries the melody; None where no track is clear."""
    candidates = [i for i, track in enumerate(score.tracks) if not track.is_drum and len(track.notes)]
    if not candidates:
        return None
    if len(candidates) == 1:
        return candidates[0] if _clear_on_top(score.tracks[candidates[0]], max(score.tpq, 1)) else None
    first = _named([score.tracks[i].name for i in candidates])
    if len(first) == 1:
        return candidates[first[0]]
    found = figures(score)
    order = sorted(found, key=lambda i: (-found[i].total, i))
    if first:
        return next((i for i in order if candidates.index(i) in first), candidates[first[0]])
    if not order:
        return None
    if found[order[0]].total < GOOD:
        return _upper_hand(found)
    rivals = [i for i in order[1:] if found[i].total > found[order[0]].total - AHEAD]
    return order[0] if all(_doubles(score.tracks[order[0]], score.tracks[i], max(score.tpq, 1)) for i in rivals) else None


def _upper_hand(found: Mapping[int, Figures]) -> int | None:
    """Of two tracks, as of two hands, the one that is on top throughout, if its highest notes go by small steps."""
    above = [i for i, one in found.items() if one.top >= 0.9 and one.steps >= 0.5 and one.register >= 0.5]
    return above[0] if len(found) == 2 and len(above) == 1 else None


def _named(names: list[str]) -> list[int]:
    """Places of the names that say so: without those of second voices, if there are others. Names of instruments say nothing."""
    found = [place for place, name in enumerate(names) if _NAMED.search(name) and not _INSTRUMENT.search(name)]
    return [place for place in found if not _BESIDE.search(names[place])] or found


def _doubles(track: Track, other: Track, tpq: int) -> bool:
    """Whether most notes of `track` begin together with one of `other` of the same pitch class."""
    mine, theirs = (
        {(int(time), int(pitch) % 12) for time, pitch in zip((8 * notes["time"] + tpq) // (2 * tpq), notes["pitch"], strict=True)}
        for notes in (note_arrays(track), note_arrays(other))
    )
    return len(mine & theirs) >= _DOUBLED * len(mine)


def figures(score: Score) -> dict[int, Figures]:
    """Index of every pitched track with notes -> its figures."""
    tracks = {i: _Cells.of(track, max(score.tpq, 1)) for i, track in enumerate(score.tracks) if not track.is_drum and len(track.notes)}
    tracks = {i: cells for i, cells in tracks.items() if len(cells.onsets)}
    skyline = np.zeros(max((cells.end for cells in tracks.values()), default=0), np.int16)
    for cells in tracks.values():
        np.maximum(skyline[: cells.end], cells.top, out=skyline[: cells.end])
    n_bars = len(np.unique(np.flatnonzero(skyline) // _BAR))
    return {i: _figures(cells, skyline[: cells.end], n_bars, int(score.tracks[i].program)) for i, cells in tracks.items()}


def _figures(cells: _Cells, skyline: NDArray[np.int16], n_bars: int, program: int) -> Figures:
    sounds = cells.count > 0
    intervals = np.abs(np.diff(cells.line))[np.diff(cells.onsets) <= _BAR // 2]
    low, middle, high = np.percentile(cells.line, (5, 50, 95))
    return Figures(
        alone=max(0.0, 2 * float((cells.count[sounds] == 1).mean()) - 1),
        span=_within(float(high - low), 0, 16, 12),
        steps=min(max(float((intervals <= _FOURTH).mean()) - 0.5, 0.0) / 0.4, 1.0) if len(intervals) else 0.0,
        top=float((cells.top[sounds] >= skyline[sounds]).mean()),
        present=min(len(np.unique(cells.onsets // _BAR)) / max(n_bars, 1) / 0.6, 1.0),
        register=_within(float(middle), 57, 82, 12) * (0.3 if program in _BASSES or program in _EFFECTS else 1.0),
    )


def _within(value: float, low: float, high: float, slope: float) -> float:
    """1 from `low` to `high`, falling to 0 at `slope` beyond."""
    return max(0.0, 1.0 - max(low - value, value - high, 0.0) / slope)


@dataclass(frozen=True)
class _Cells:
    """A track on the grid: its onsets and the highest note of each; how many notes sound in each step, and the highest (0: none)."""

    onsets: NDArray[np.int64]
    line: NDArray[np.int64]
    count: NDArray[np.int64]
    top: NDArray[np.int16]

    @property
    def end(self) -> int:
        return len(self.top)

    @classmethod
    def of(cls, track: Track, tpq: int) -> _Cells:
        """The cells of a track with `tpq` ticks to a quarter, up to the longest piece there is."""
        notes, limit = note_arrays(track), MAX_BARS * _BAR
        start = (8 * np.maximum(notes["time"], 0) + tpq) // (2 * tpq)
        end = np.minimum(np.maximum((8 * (notes["time"] + notes["duration"]) + tpq) // (2 * tpq), start + 1), limit)
        inside = start < limit
        start, end, pitch = start[inside], end[inside], notes["pitch"][inside]
        length = int(end.max(initial=0))
        count, top = np.zeros(length + 1, np.int64), np.zeros(length, np.int16)
        np.add.at(count, start, 1)
        np.add.at(count, end, -1)
        for first, last, height in zip(start.tolist(), end.tolist(), pitch.tolist(), strict=True):
            np.maximum(top[first:last], height, out=top[first:last])
        onsets, where = np.unique(start, return_inverse=True)
        line = np.zeros(len(onsets), np.int64)
        np.maximum.at(line, where, pitch)
        return cls(onsets, line, np.cumsum(count)[:-1], top)


def _clear_on_top(track: Track, tpq: int) -> bool:
    """Whether the highest notes of a track, by onset, are a line of their own: one track that is melody and accompaniment in one.

    They are if the track is all but monophonic; or if the line goes by small steps (half of them a fourth or less), and lies above what
    begins under it by a fifth or more on the whole, or moves while that does not.
    """
    notes = note_arrays(track)
    start = (8 * np.maximum(notes["time"], 0) + tpq) // (2 * tpq)
    onsets, where = np.unique(start, return_inverse=True)
    top = np.zeros(len(onsets), np.int64)
    np.maximum.at(top, where, notes["pitch"])
    under = notes["pitch"] < top[where]
    if under.mean() <= 0.15:
        return True
    pitches = top[top >= 55]
    steps = np.abs(np.diff(pitches))
    if len(pitches) < 0.5 * len(top) or not len(steps) or np.median(steps) > 5:
        return False
    return float(np.median(pitches) - np.median(notes["pitch"][under])) >= 7
