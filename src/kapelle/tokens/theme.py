"""The codec of music with a theme: a Score as bars, positions and notes of two tracks, with its theme regions marked.

Takes a Score in 4/4 with the tracks MELODY and PIANO, and the bars that are theme; gives ids and labels. Takes ids; gives a Score and
the regions. One bar reads ``[Theme_Start] Bar (Position [Tempo] (On Duration Velocity)*)* [Theme_End]``. Positions are sixteenths; at
one position the melody stands before the piano, and pitches of a track descend. A label is 0 outside the theme; from Theme_Start on
it counts 1, 2, 3, ...; Theme_End has 0.

The mode ``released`` has the 1,033 ids of the published code and data, ``paper`` its two-track part: 716 ids. What is not on the grid
or not in the vocabulary is moved to the nearest that is, and counted.

It does not look for themes, does not choose the melody, moves nothing to another key (`ThemeSpec.normalise_key` is a note for those
who do), and does not judge whether a sequence is sensible: that is the grammar.

Source: Shih et al. 2022, "Theme Transformer"; github.com/atosystem/ThemeTransformer (MIT).
Known differences: padding and Bar are called ``PAD_None`` and ``Bar_None``; nothing is trimmed, nothing is lost on the last bar line,
starts go to the nearest sixteenth and not to the one before, one tempo is written and not each change, unless `encode` is asked for
``legacy``; regions are whole bars, where the published code writes the last onset of a theme as its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import symusic
from numpy.typing import ArrayLike, NDArray

from kapelle.config import setting
from kapelle.errors import UsageError
from kapelle.score import edit, units
from kapelle.tokens.vocabulary import Vocabulary

Ids = NDArray[np.int64]
Regions = Sequence[tuple[int, int]]
"""Stretches of bars that are theme: the first bar, from 0, and the one after the last."""

MELODY, PIANO = "MELODY", "PIANO"
TRACKS = {"paper": (MELODY, PIANO), "released": (MELODY, "BRIDGE", PIANO)}
THEME_TRACK = "Theme info track"
"""The track in which published files mark their themes; not music."""

STEPS = 16  # in a bar
STEPS_PER_BEAT = 4
MAX_DURATION = 64  # steps
MAX_VELOCITY = 126
TEMPI = range(17, 195, 3)

LOST = ("tracks", "pitches", "doubled", "trimmed", "beyond", "moved", "resized", "softened", "tempos", "tempos_rounded")
"""What `Encoded.lost` counts. Left out are notes of other tracks, of pitch 0, that stand twice, that were trimmed, that begin beyond the
last bar, and tempo changes; changed are starts, durations, velocities and the values of tempi."""


@dataclass(frozen=True)
class ThemeSpec:
    """The [tokenizer] section of a recipe of codec ``theme``."""

    mode: str = setting("paper", help="two tracks, 716 ids; or the 1,033 ids of the published code", choices=("paper", "released"))
    normalise_key: bool = setting(False, help="every piece is moved to C major or A minor before it is encoded")


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


@dataclass(frozen=True)
class Decoded:
    """Ids as a piece.

    Args:
        score: With the tracks MELODY and PIANO, in 4/4.
        regions: The bars that are theme.
        dropped: Ids that began or belonged to something that never became whole, and notes of tracks that cannot be written.
        n_bars: Bars opened, empty ones included.
    """

    score: symusic.Score
    regions: tuple[tuple[int, int], ...]
    dropped: int
    n_bars: int


@lru_cache(maxsize=2)
def vocabulary(mode: str) -> Vocabulary:
    """The vocabulary of a mode, ``paper`` or ``released``; id 0 is padding.

    Raises:
        UsageError: There is no such mode.
    """
    if mode not in TRACKS:
        raise UsageError("there is no theme vocabulary {mode}", mode=mode, hint="choose paper or released")
    tracks = TRACKS[mode]
    return Vocabulary((
        "PAD_None",
        *(f"Note-On-{track}_{pitch}" for track in tracks for pitch in range(1, 128)),
        *(f"Note-Duration-{track}_{steps}" for track in tracks for steps in range(1, MAX_DURATION + 1)),
        *(f"Note-Velocity-{track}_{velocity}" for track in tracks for velocity in range(1, MAX_VELOCITY + 1)),
        *(f"Tempo_{bpm}" for bpm in TEMPI),
        *(f"Position_{step}" for step in range(STEPS)),
        "Bar_None", "Phrase_Start", "Phrase_End", "Theme_Start", "Theme_End",
    ))  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """Where the kinds of ids of a vocabulary stand.

    Args:
        tempo: The id of the slowest tempo.
        position: The id of Position 0.
        bar, theme_start, theme_end: Their ids.
        on, duration, velocity: Track -> what is added to a pitch, a number of steps, a velocity to get its id.
    """

    tempo: int
    position: int
    bar: int
    theme_start: int
    theme_end: int
    on: dict[str, int]
    duration: dict[str, int]
    velocity: dict[str, int]


def layout(words: Vocabulary) -> Layout:
    """Where the kinds of ids stand in a vocabulary of this codec."""
    tracks = [kind.removeprefix("Note-On-") for kind in words.kinds if kind.startswith("Note-On-")]
    first = {kind: {track: words[f"Note-{kind}-{track}_1"] - 1 for track in tracks} for kind in ("On", "Duration", "Velocity")}
    return Layout(
        words[f"Tempo_{TEMPI[0]}"],
        words["Position_0"],
        words["Bar_None"],
        words["Theme_Start"],
        words["Theme_End"],
        first["On"],
        first["Duration"],
        first["Velocity"],
    )


@lru_cache(maxsize=2)
def _layout(mode: str) -> Layout:
    return layout(vocabulary(mode))


def tempo_id(bpm: float, words: Vocabulary) -> int:
    """The id of the tempo nearest to `bpm` quarter notes a minute; of two equally near ones the slower."""
    return words[f"Tempo_{TEMPI[int(np.abs(np.array(TEMPI) - bpm).argmin())]}"]


def labels_of(ids: ArrayLike, words: Vocabulary, before: int = 0) -> Ids:
    """(T,) the labels of ids.

    Args:
        ids: (T,).
        words: ``vocabulary(mode)``.
        before: The label of the id before the first one; 0: it was outside the theme.
    """
    tokens = np.asarray(ids, np.int64)
    place = np.arange(len(tokens))
    never = -(2**40)
    started = np.maximum.accumulate(np.where(tokens == words["Theme_Start"], place, -before if before else 2 * never))
    ended = np.maximum.accumulate(np.where(tokens == words["Theme_End"], place, never))
    out: Ids = np.where(started > ended, place - started + 1, 0)
    return out


# --- encoding ---------------------------------------------------------------------------------------------------------------------


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
    where, lost = _layout(spec.mode), dict.fromkeys(LOST, 0)
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
    where = _layout(spec.mode)
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


# --- decoding ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ThemeNote:
    """A note in steps from the first bar line."""

    track: str
    start: int
    duration: int
    pitch: int
    velocity: int


@dataclass
class Decoder:
    """Notes from ids, one id at a time. It never raises on an id in range; what never becomes whole is counted in `dropped`."""

    spec: ThemeSpec
    dropped: int = 0
    n_bars: int = 0
    tempi: list[tuple[int, int]] = field(default_factory=list)  # step, bpm
    _regions: list[tuple[int, int]] = field(default_factory=list)
    _theme: int = -1  # the bar in which the open region begins
    _step: int = -1  # of the Position in force
    _open: list[int] = field(default_factory=list)  # what there is of a note: pitch, duration
    _track: str = ""

    def __post_init__(self) -> None:
        words = vocabulary(self.spec.mode)
        self._parts = [(words.kinds[kind], words.value(i)) for i, kind in enumerate(words.kind_of.tolist())]

    @property
    def regions(self) -> tuple[tuple[int, int], ...]:
        """The regions so far; one that is open reaches to the end of the last bar."""
        rest = [(self._theme, self.n_bars)] if 0 <= self._theme < self.n_bars else []
        return (*self._regions, *rest)

    def feed(self, token: int) -> ThemeNote | None:
        """The note that this id completes, if it completes one."""
        kind, value = self._parts[token]
        if kind.startswith("Note-"):
            return self._note(*kind.removeprefix("Note-").split("-"), int(value))
        if kind == "PAD":
            return None
        self._give_up()
        if kind == "Bar":
            self.n_bars, self._step = self.n_bars + 1, -1
        elif kind == "Position" and self.n_bars:
            self._step = (self.n_bars - 1) * STEPS + int(value)
        elif kind == "Tempo" and (self._step >= 0 or not self.n_bars):
            self.tempi.append((max(self._step, 0), int(value)))
        elif kind == "Theme" and value == "Start" and self._theme < 0:
            self._theme = self.n_bars
        elif kind == "Theme" and value == "End" and 0 <= self._theme < self.n_bars:
            self._regions.append((self._theme, self.n_bars))
            self._theme = -1
        else:
            self.dropped += 1
        return None

    def _give_up(self) -> None:
        self.dropped += bool(self._open)
        self._open = []

    def _note(self, kind: str, track: str, value: int) -> ThemeNote | None:
        part = ("On", "Duration", "Velocity").index(kind)
        if part == 0:
            self._give_up()
            if self._step < 0:
                self.dropped += 1
                return None
            self._open, self._track = [value], track
            return None
        if len(self._open) != part or track != self._track:
            self.dropped += not self._open
            self._give_up()
            return None
        self._open.append(value)
        if part == 1:
            return None
        (pitch, duration, velocity), self._open = self._open, []
        if track not in (MELODY, PIANO):
            self.dropped += 1
            return None
        return ThemeNote(track, self._step, duration, pitch, velocity)


def decode(ids: Iterable[int], spec: ThemeSpec, *, ticks_per_quarter: int = 480) -> Decoded:
    """The piece that ids tell of. Never raises on ids in range.

    Args:
        ids: From `encode` or from a model; a Tempo before the first Bar is the tempo of the beginning.
        spec: The vocabulary.
        ticks_per_quarter: Resolution; a multiple of 4.
    """
    decoder = Decoder(spec)
    notes = [note for token in ids if (note := decoder.feed(int(token)))]
    decoder._give_up()
    return Decoded(to_score(notes, decoder.tempi, ticks_per_quarter), decoder.regions, decoder.dropped, decoder.n_bars)


def to_score(notes: Iterable[ThemeNote], tempi: Iterable[tuple[int, float]] = (), ticks_per_quarter: int = 480) -> symusic.Score:
    """A Score in 4/4 with the tracks MELODY and PIANO, both also where they are empty.

    Args:
        notes: In any order.
        tempi: Step and quarter notes a minute.
        ticks_per_quarter: Resolution; a multiple of 4.
    """
    score, ticks = symusic.Score(ticks_per_quarter), ticks_per_quarter // STEPS_PER_BEAT
    score.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    for step, bpm in tempi:
        score.tempos.append(symusic.Tempo(step * ticks, qpm=bpm))
    tracks = {name: symusic.Track(name=name, program=0, is_drum=False) for name in (MELODY, PIANO)}
    for note in sorted(notes, key=lambda note: (note.start, note.pitch)):
        tracks[note.track].notes.append(symusic.Note(note.start * ticks, note.duration * ticks, note.pitch, note.velocity))
    score.tracks.extend(tracks.values())
    return score
