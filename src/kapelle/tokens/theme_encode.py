"""A Score of melody and piano as ids: what goes where, and what is lost on the way.

Takes a Score and its theme regions, gives ids in the order that `kapelle.tokens.theme` describes. Every id gets the slot of the bar in
which it stands and a place within it, and all are sorted at once: no loop over notes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import symusic
from numpy.typing import ArrayLike, NDArray

from kapelle.errors import UsageError
from kapelle.score import edit, units
from kapelle.tokens.theme_words import (
    MAX_DURATION,
    MAX_VELOCITY,
    MELODY,
    PIANO,
    STEPS,
    STEPS_PER_BEAT,
    TEMPI,
    THEME_TRACK,
    TRACKS,
    Ids,
    Layout,
    Regions,
    ThemeSpec,
    labels_of,
    layout_of,
    vocabulary,
)

LOST = ("tracks", "pitches", "doubled", "trimmed", "beyond", "moved", "resized", "softened", "tempos", "tempos_rounded")
"""What `Encoded.lost` counts. Left out are notes of other tracks, of pitch 0, that stand twice, that were trimmed, that begin beyond the
last bar, and tempo changes; changed are starts, durations, velocities and the values of tempi."""


@dataclass(frozen=True)
class Encoded:
    """A piece as ids.

    Args:
        ids: (T,).
        labels: (T,) 0 outside the theme, 1, 2, 3, ... from each Theme_Start on.
        bars: (L,) where each bar begins: the place of its Bar, or of the Theme_Start before it.
        lost: What was left out or changed: one count for each name in `LOST`.
    """

    ids: Ids
    labels: Ids
    bars: Ids
    lost: dict[str, int]


@dataclass
class _Notes:
    """Notes of both tracks as columns of one length, before they have ids."""

    start: Ids  # in ticks
    end: Ids
    pitch: Ids
    velocity: Ids
    track: Ids  # place in TRACKS[mode]

    def keep(self, wanted: NDArray[np.bool_]) -> int:
        """Leave out the notes that are not wanted; how many they were."""
        for name, column in vars(self).items():
            setattr(self, name, column[wanted])
        return int((~wanted).sum())


def encode(
    score: symusic.Score,
    spec: ThemeSpec,
    regions: Regions = (),
    *,
    n_bars: int | None = None,
    tempo: str = "first",
    legacy: bool = False,
) -> Encoded:
    """The ids of a piece.

    Args:
        score: In 4/4, with the tracks MELODY and PIANO; others are left out and counted.
        spec: The vocabulary.
        regions: The bars that are theme; they may touch, not overlap.
        n_bars: Bars to write; left out: up to the last that has an onset or belongs to a region.
        tempo: ``first``: one Tempo, in force at the first onset, after the first Position; ``all``: every tempo of the score at its
            place, none that is not stated; ``none``.
        legacy: As the published code: notes before the first of the melody and beyond the end of its last are left out, starts and
            ends go to the sixteenth before them, what begins on the bar line after the last bar is lost, tempo is ``all`` with one at the
            first note of the melody; notes may stand twice.

    Raises:
        UsageError: The piece is not in 4/4, or lacks the tracks; regions overlap or lie outside the piece.
    """
    _refuse_other_metres(score)
    where, lost = layout_of(spec.mode), dict.fromkeys(LOST, 0)
    notes = _gather(score, TRACKS[spec.mode], lost)
    tempi = [(event.time, float(event.qpm)) for event in score.tempos]
    tempi.sort(key=lambda event: event[0])
    if legacy:
        tempi = _trim(notes, tempi, lost)
    tpq = max(score.tpq, 1)
    steps, durations = _quantise(notes, tpq, lost, floor=legacy)
    tempo_steps = [_step(time, tpq, floor=legacy) for time, _ in tempi]
    if not legacy:
        steps, durations = _without_doubles(notes, steps, durations, lost)
    if not legacy and tempo != "all":
        stated = tempo == "first" and len(steps) > 0
        lost["tempos"] += max(0, len(tempi) - stated)
        tempi = [(0, units.bpm_at(score, int(notes.start.min())))] if stated else []
        tempo_steps = [int(steps.min())] if stated else []
    n_bars = _count_bars(steps, tempo_steps, regions, n_bars, legacy=legacy)
    _check_regions(regions, n_bars)
    table = _Table(where)
    inside = steps < n_bars * STEPS
    lost["beyond"] += notes.keep(inside)
    table.structure(n_bars, regions)
    table.tempi(tempi, tempo_steps, n_bars, lost)
    table.notes(notes, steps[inside], durations[inside], TRACKS[spec.mode], lost)
    ids = table.sorted()
    bars = np.flatnonzero(ids == where.bar)
    bars -= np.where(bars > 0, ids[np.maximum(bars - 1, 0)] == where.theme_start, False)
    return Encoded(ids, labels_of(ids, vocabulary(spec.mode)), bars, lost)


def theme_ids(score: symusic.Score, spec: ThemeSpec, *, n_bars: int | None = None, legacy: bool = False) -> Ids:
    """What the encoder of the network hears: Theme_Start, the music without Tempo, Theme_End.

    Args:
        score: The theme alone, from its first bar line on.
        spec: The vocabulary.
        n_bars: Bars of the theme; left out: up to the last that has an onset. Notes beyond are left out.
        legacy: As in `encode`.

    Raises:
        UsageError: The theme is not in 4/4, or lacks the tracks.
    """
    where = layout_of(spec.mode)
    ids = encode(score, spec, n_bars=n_bars, tempo="none", legacy=legacy).ids
    ids = ids[(ids < where.tempo) | (ids >= where.tempo + len(TEMPI))]
    return np.concatenate(([where.theme_start], ids, [where.theme_end]))


def _refuse_other_metres(score: symusic.Score) -> None:
    metres = units.metre_map(score)
    for above, below in zip(metres.numerators.tolist(), metres.denominators.tolist(), strict=True):
        if (above, below) != (4, 4):
            raise UsageError("themes are written in 4/4, this piece has {metre}", metre=f"{above}/{below}", hint="choose a piece in 4/4")


def _gather(score: symusic.Score, names: Sequence[str], lost: dict[str, int]) -> _Notes:
    """The notes of MELODY and PIANO; what other tracks hold is counted."""
    columns: list[list[Ids]] = [[] for _ in range(5)]
    found = set()
    for track in score.tracks:
        name = track.name.strip().upper()
        if name in (MELODY, PIANO) and not track.is_drum:
            found.add(name)
            part = edit.note_arrays(track)
            place = np.full(len(part["time"]), names.index(name), np.int64)
            for column, values in zip(
                columns, (part["time"], part["time"] + part["duration"], part["pitch"], part["velocity"], place), strict=True
            ):
                column.append(values)
        elif track.name.strip().lower() != THEME_TRACK.lower():
            lost["tracks"] += len(track.notes)
    if not found:
        hint = "name the tracks MELODY and PIANO"
        raise UsageError("there is no track MELODY and no track PIANO in this piece", hint=hint)
    notes = _Notes(*(np.concatenate(column) for column in columns))
    lost["pitches"] += notes.keep(notes.pitch > 0)
    return notes


def _trim(notes: _Notes, tempi: list[tuple[int, float]], lost: dict[str, int]) -> list[tuple[int, float]]:
    """Leave out what stands outside the melody, as the published code; the tempi that are left, one of them at its first note."""
    melody = notes.track == 0
    if not melody.any():
        return tempi
    first, last = int(notes.start[melody].min()), int(notes.end[melody].max())
    lost["trimmed"] += notes.keep((notes.start >= first) & (notes.start <= last))
    inside = [(time, bpm) for time, bpm in tempi if time <= last]
    lost["tempos"] += len(tempi) - len(inside)
    before = [bpm for time, bpm in inside if time < first]
    if before and all(time != first for time, _ in inside):
        inside.insert(len(before), (first, before[-1]))
    return inside


def _step(ticks: int, tpq: int, *, floor: bool) -> int:
    return int((2 * STEPS_PER_BEAT * ticks + (0 if floor else tpq)) // (2 * tpq))


def _quantise(notes: _Notes, tpq: int, lost: dict[str, int], *, floor: bool) -> tuple[Ids, Ids]:
    """Start and duration of every note in steps."""
    add = 0 if floor else tpq
    start = (2 * STEPS_PER_BEAT * notes.start + add) // (2 * tpq)
    end = (2 * STEPS_PER_BEAT * notes.end + add) // (2 * tpq)
    duration = np.clip(end - start, 1, MAX_DURATION)
    lost["moved"] += int((start * tpq != notes.start * STEPS_PER_BEAT).sum())
    lost["resized"] += int((duration * tpq != (notes.end - notes.start) * STEPS_PER_BEAT).sum())
    return start, duration


def _without_doubles(notes: _Notes, steps: Ids, durations: Ids, lost: dict[str, int]) -> tuple[Ids, Ids]:
    """Of notes of one track, start and pitch the longest is kept."""
    order = np.lexsort((-durations, notes.pitch, steps, notes.track))
    columns = [column[order] for column in (notes.track, steps, notes.pitch)]
    again = np.zeros(len(order), bool)
    again[1:] = np.logical_and.reduce([column[1:] == column[:-1] for column in columns])
    wanted = np.ones(len(order), bool)
    wanted[order[again]] = False
    lost["doubled"] += notes.keep(wanted)
    return steps[wanted], durations[wanted]


def _count_bars(steps: Ids, tempo_steps: Sequence[int], regions: Regions, n_bars: int | None, *, legacy: bool) -> int:
    if n_bars is not None:
        return n_bars
    last = max([int(steps.max(initial=-1)), *tempo_steps])
    music = -(-last // STEPS) if legacy else last // STEPS + 1
    return max([music, 0, *(end for _, end in regions)])


def _check_regions(regions: Regions, n_bars: int) -> None:
    reached = 0
    for start, end in sorted(regions):
        if start < reached or end <= start or end > n_bars:
            raise UsageError("a theme from bar {start} to {end} overlaps another or lies outside the {n_bars} bars of the piece",
                             start=start + 1, end=end, n_bars=n_bars, hint="give regions of whole bars, one after the other")  # fmt: skip
        reached = end


class _Table:
    """Ids with the keys that put them into order: the slot of the bar, then the place among what stands in that slot."""

    SLOTS = STEPS + 3  # Theme_Start, Bar, sixteen positions, Theme_End

    def __init__(self, where: Layout) -> None:
        self.where = where
        self.ids: list[Ids] = []
        self.slots: list[Ids] = []
        self.places: list[Ids] = []

    def add(self, ids: ArrayLike, slots: ArrayLike, places: ArrayLike) -> None:
        ids = np.asarray(ids, np.int64)
        self.ids.append(ids)
        self.slots.append(np.broadcast_to(np.asarray(slots, np.int64), ids.shape))
        self.places.append(np.broadcast_to(np.asarray(places, np.int64), ids.shape))

    def sorted(self) -> Ids:
        """(T,) all ids in order."""
        order = np.lexsort((np.concatenate(self.places), np.concatenate(self.slots)))
        return np.concatenate(self.ids)[order]

    def structure(self, n_bars: int, regions: Regions) -> None:
        self.add(np.full(n_bars, self.where.bar), np.arange(n_bars) * self.SLOTS + 1, 0)
        for start, end in regions:
            self.add([self.where.theme_start], start * self.SLOTS, 0)
            self.add([self.where.theme_end], end * self.SLOTS - 1, 0)

    def slot(self, steps: Ids) -> Ids:
        return steps // STEPS * self.SLOTS + 2 + steps % STEPS

    def tempi(self, tempi: Sequence[tuple[int, float]], steps: Sequence[int], n_bars: int, lost: dict[str, int]) -> None:
        at = np.array(steps, np.int64)
        bpm = np.array([bpm for _, bpm in tempi], np.float64)
        inside = at < n_bars * STEPS
        lost["tempos"] += int((~inside).sum())
        at, bpm = at[inside], bpm[inside]
        nearest = np.abs(np.array(TEMPI)[None, :] - bpm[:, None]).argmin(axis=1)
        lost["tempos_rounded"] += int((np.abs(np.array(TEMPI)[nearest] - bpm) > 1e-3).sum())
        self.add(self.where.tempo + nearest, self.slot(at), np.arange(len(at)) - len(at))  # before the notes
        self._tempo_steps = at

    def notes(self, notes: _Notes, steps: Ids, durations: Ids, names: Sequence[str], lost: dict[str, int]) -> None:
        lost["softened"] += int((notes.velocity > MAX_VELOCITY).sum())
        order = np.lexsort((-notes.pitch, notes.track, steps))
        track = notes.track[order]
        at = self.slot(steps[order])
        values = (notes.pitch, durations, np.clip(notes.velocity, 1, MAX_VELOCITY))
        for i, (value, base) in enumerate(zip(values, (self.where.on, self.where.duration, self.where.velocity), strict=True)):
            first = np.array([base[name] for name in names])
            self.add(value[order] + first[track], at, 3 * np.arange(len(order)) + i)
        used = np.unique(np.concatenate((steps, self._tempo_steps)))
        self.add(self.where.position + used % STEPS, self.slot(used), -(2**40))
