"""A band as cells: which pitch of which track sounds in which step of which bar, and the way back to a score.

Takes a `symusic.Score` in 4/4 and a `Form` (how finely a bar is cut, which pitches there are); gives a `Roll` of truth values
(tracks, bars, steps, pitches) with the names of its tracks, and `Lost`, the count of what the grid could not hold. `to_score` goes the
other way. Tracks are known by name; their order is only the order of an axis. Letters in comments: M tracks, L bars, S steps, P pitches.

The rules:

1. Onsets and ends go to the nearest step, halves up; no note is shorter than a step. The last bar is filled up with silence.
2. Tracks are sorted into families by program (`family_of`); what belongs to none goes to `others`. Several tracks of one family become one.
3. Pitched notes outside the form's range move by octaves into it. Drum notes are onsets, one cell each, on General MIDI's numbers, save
   for those of `DRUM_MAP`; outside the range they are dropped.
4. Where a pitch is struck again while it sounds, the earlier note ends there. Cells hold no onsets, so in a coarse form the earlier note
   loses its last step if it has two, and in a fine one (`Form.detached`) every note loses its last step and one of a single step is
   dropped. Neighbouring cells of a pitch are therefore one note, across bar lines too.
5. Back in a score, a run of cells is a note; in a detached form it gets the lost step back, but never past the last bar.

A roll that obeys these rules comes back from a score cell for cell: any roll of a coarse form whose drums avoid the keys of `DRUM_MAP`,
any of a detached form whose pitched tracks also rest in the very last step. Loudness is not kept, and neither are controls, tempi and
changes of metre: 4/4 is the only metre.

Source: Dong et al. 2018, "MuseGAN", AAAI, and the released data (Lakh Pianoroll Dataset): the five families, the two grids, rule 4 for 96
steps. Differences: families are carried by name, since the released lists disagree about their order; rule 4 for 16 steps is ours, the
tutorial merges repeated notes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from symusic import Score, Tempo, TimeSignature, Track

from kapelle.errors import UnknownName, UsageError
from kapelle.score import units
from kapelle.score.edit import NoteArrays, note_arrays, note_list
from kapelle.score.instruments import DRUMS, instrument_of

Cells = NDArray[np.bool_]

TRACKS = ("drums", "piano", "guitar", "bass", "strings")
"""The band."""

PROGRAMS: Mapping[str, int] = {"drums": DRUMS, "piano": 0, "guitar": 25, "bass": 33, "strings": 48}
"""What plays each track unless told otherwise."""

_FAMILIES = (
    (range(0, 8), "piano"),
    (range(16, 24), "piano"),
    (range(24, 32), "guitar"),
    (range(32, 40), "bass"),
    (range(40, 52), "strings"),
)

DRUM_MAP: Mapping[int, int] = {22: 42, 26: 46}
"""Numbers that electronic kits send beside General MIDI's, and what they stand for: the edges of the closed and the open hi-hat."""

TPQ = 480
MAX_BARS = 4096
VELOCITY = 80
_BAR_TICKS = 4 * TPQ
_HIT_TICKS = TPQ // 4
"""How long a drum note lasts in a score, unless the same drum is hit before."""

_FINE = 48
_MIN_BPM, _MAX_BPM = 4.0, 3000.0


@dataclass(frozen=True)
class Form:
    """How a bar becomes cells.

    Args:
        name: What it is called.
        steps_per_bar: Divides 1920, is divided by 4.
        n_pitches: Rows of the roll.
        lowest_pitch: MIDI number of the first row, a C.
    """

    name: str
    steps_per_bar: int
    n_pitches: int
    lowest_pitch: int

    def __post_init__(self) -> None:
        steps, lowest = self.steps_per_bar, self.lowest_pitch
        if steps < 4 or steps % 4 or _BAR_TICKS % steps:
            raise UsageError(
                "a bar cannot be cut into {steps} steps", steps=steps, hint="16 and 96 are usual: a divisor of 1920, divided by 4"
            )
        if lowest % 12 or lowest < 0 or not 12 <= self.n_pitches <= 128 - lowest:
            raise UsageError(
                "a roll cannot have {pitches} pitches from {lowest} on",
                pitches=self.n_pitches,
                lowest=lowest,
                hint="it begins with a C, holds an octave at least and ends at 127 at most",
            )

    @property
    def detached(self) -> bool:
        """True where a step is so short that every note can end with one of silence."""
        return self.steps_per_bar >= _FINE

    @property
    def top_pitch(self) -> int:
        """MIDI number of the last row."""
        return self.lowest_pitch + self.n_pitches - 1


FORMS: Mapping[str, Form] = {"tutorial": Form("tutorial", 16, 72, 24), "paper": Form("paper", 96, 84, 24)}
"""The two forms of the source: sixteenths from C1 to B6, and 24 steps a quarter from C1 to B7."""


@dataclass(frozen=True)
class Roll:
    """A piece as cells.

    Args:
        cells: (M, L, S, P), true where a pitch sounds.
        tracks: Names of the M tracks, each once.
        form: What a step and a row are.
    """

    cells: Cells
    tracks: tuple[str, ...]
    form: Form

    def __post_init__(self) -> None:
        shape, form = self.cells.shape, self.form
        wanted = (len(self.tracks), "bars", form.steps_per_bar, form.n_pitches)
        right = len(shape) == 4 and (shape[0], shape[2], shape[3]) == (wanted[0], wanted[2], wanted[3])
        if not right or self.cells.dtype != np.bool_:
            raise UsageError("a roll is bool {wanted}, not {kind} {shape}", wanted=wanted, kind=self.cells.dtype, shape=shape)
        if len(set(self.tracks)) < len(self.tracks):
            raise UsageError("a track is named twice: {names}", names=", ".join(self.tracks))

    @property
    def n_bars(self) -> int:
        """Its length in bars."""
        return int(self.cells.shape[1])

    def track(self, name: str) -> Cells:
        """The cells of a track, (L, S, P); a view.

        Raises:
            UnknownName: It has no such track.
        """
        if name not in self.tracks:
            raise UnknownName("track", name, self.tracks)
        out: Cells = self.cells[self.tracks.index(name)]
        return out


@dataclass(frozen=True)
class Lost:
    """What a roll does not hold as it was: counts of notes. They can be added up over pieces.

    Args:
        notes: All notes of the score.
        octaves: Moved by octaves into the range.
        drums: Dropped: no such drum in the range.
        others: Of no family; moved to the track that takes them, or dropped if none does.
        short: Dropped: a single step in a detached form.
        merged: Became one with another: begun together, or struck again with no step left between.
        late: Dropped: begun after the last bar asked for.
    """

    notes: int = 0
    octaves: int = 0
    drums: int = 0
    others: int = 0
    short: int = 0
    merged: int = 0
    late: int = 0

    def __add__(self, other: Lost) -> Lost:
        return Lost(*(getattr(self, item.name) + getattr(other, item.name) for item in fields(Lost)))


def family_of(program: int) -> str | None:
    """The track of `TRACKS` to which a program 0 to 127, or -1 for drums, belongs; None if to none."""
    if program == DRUMS:
        return "drums"
    return next((name for programs, name in _FAMILIES if program in programs), None)


def from_score(score: Score, form: Form, *, others: str = "strings", bars: int | None = None) -> tuple[Roll, Lost]:
    """`score` as a roll of the five `TRACKS`, and what was lost.

    Args:
        score: A score in ticks, in 4/4 up to its last note.
        form: How fine.
        others: The pitched track that takes instruments of no family; empty to leave them out.
        bars: Length of the roll, 0 to 4096: cut or filled up with silence. The bars that sound if left out, none for an empty score.

    Raises:
        UsageError: The score is in another metre, or longer than 4096 bars.
        UnknownName: There is no pitched track `others`.
    """
    if others and others not in TRACKS[1:]:
        raise UnknownName("track", others, TRACKS[1:])
    _check_metre(score)
    grouped, strangers = _grouped(score, others)
    lost = Lost(notes=sum(len(track.notes) for track in score.tracks), others=strangers)
    placed: list[_Columns] = []
    for name in TRACKS:
        columns = _quantised(grouped[name], max(score.tpq, 1), form.steps_per_bar)
        made, missing = _drum_cells(columns, form) if name == "drums" else _pitched_cells(columns, form)
        placed.append(made)
        lost += missing
    last = max((int(columns.end.max(initial=0)) for columns in placed), default=0)
    n_bars = -(-last // form.steps_per_bar) if bars is None else bars
    if not 0 <= n_bars <= MAX_BARS:
        raise UsageError("a roll has 0 to {limit} bars, not {bars}", limit=MAX_BARS, bars=n_bars, hint="cut the piece into parts")
    n_steps = n_bars * form.steps_per_bar
    cells = np.zeros((len(TRACKS), n_steps, form.n_pitches), np.bool_)
    for row, columns in zip(cells, placed, strict=True):
        lost += Lost(late=int((columns.start >= n_steps).sum()))
        _fill(row, columns)
    return Roll(cells.reshape(len(TRACKS), n_bars, form.steps_per_bar, form.n_pitches), TRACKS, form), lost


@dataclass(frozen=True)
class _Columns:
    """Notes on the grid: first step, the step after the last, MIDI number; int64 of one length."""

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    pitch: NDArray[np.int64]

    def where(self, kept: NDArray[Any]) -> _Columns:
        return _Columns(self.start[kept], self.end[kept], self.pitch[kept])


def _check_metre(score: Score) -> None:
    metres, end = units.metre_map(score), units.end_ticks(score)
    used = metres.ticks < end
    wrong = used & ((metres.numerators != 4) | (metres.denominators != 4))
    if wrong.any():
        i = int(np.argmax(wrong))
        metre = f"{int(metres.numerators[i])}/{int(metres.denominators[i])}"
        raise UsageError("a band's roll is in 4/4, and this piece is in {metre}", metre=metre, hint="take a piece, or its part, in 4/4")


def _grouped(score: Score, others: str) -> tuple[dict[str, list[NoteArrays]], int]:
    """The notes of the tracks of each family, and how many are of none."""
    out: dict[str, list[NoteArrays]] = {name: [] for name in TRACKS}
    strangers = 0
    for track in score.tracks:
        if not len(track.notes):
            continue
        name = family_of(DRUMS if track.is_drum else track.program)
        if name is None:
            strangers += len(track.notes)
            name = others
        if name:
            out[name].append(note_arrays(track))
    return out, strangers


def _quantised(parts: Sequence[NoteArrays], tpq: int, steps_per_bar: int) -> _Columns:
    """The notes of several tracks on the grid."""
    time, duration, pitch = (
        np.concatenate([np.zeros(0, np.int64), *(part[name] for part in parts)]) for name in ("time", "duration", "pitch")
    )
    bar = 4 * tpq
    start, end = ((2 * np.maximum(ticks, 0) * steps_per_bar + bar) // (2 * bar) for ticks in (time, time + duration))
    return _Columns(start, np.maximum(end, start + 1), pitch)


def _drum_cells(notes: _Columns, form: Form) -> tuple[_Columns, Lost]:
    """The onsets of drums, each once, by time; and what was dropped or fell together."""
    known = np.arange(128)
    for sent, meant in DRUM_MAP.items():
        known[sent] = meant
    pitch = known[notes.pitch]
    inside = (pitch >= form.lowest_pitch) & (pitch <= form.top_pitch)
    row = pitch[inside] - form.lowest_pitch
    hits = np.unique(notes.start[inside] * form.n_pitches + row)
    start = hits // form.n_pitches
    return _Columns(start, start + 1, hits % form.n_pitches), Lost(drums=int((~inside).sum()), merged=int(inside.sum()) - len(hits))


def _pitched_cells(notes: _Columns, form: Form) -> tuple[_Columns, Lost]:
    """Notes as runs of cells that do not touch in one row, and what was moved, dropped or fell together."""
    low, top = form.lowest_pitch, form.top_pitch
    pitch = np.where(notes.pitch < low, low + (notes.pitch - low) % 12, notes.pitch)
    pitch = np.where(pitch > top, top - 11 + (pitch - top + 11) % 12, pitch)
    octaves = int((pitch != notes.pitch).sum())
    order = np.lexsort((-notes.end, notes.start, pitch))
    runs = _Columns(notes.start[order], notes.end[order], pitch[order] - low)
    first = np.append(True, (np.diff(runs.start) != 0) | (np.diff(runs.pitch) != 0))[: len(order)]
    runs, merged = runs.where(first), int((~first).sum())
    following = np.where(np.diff(runs.pitch, append=-1) == 0, np.append(runs.start[1:], 0)[: len(runs.start)], np.iinfo(np.int64).max)
    end = np.minimum(runs.end, following)
    long = end - runs.start >= 2
    if form.detached:
        return _Columns(runs.start, end - 1, runs.pitch).where(long), Lost(octaves=octaves, merged=merged, short=int((~long).sum()))
    struck = end == following
    merged += int((struck & ~long).sum())
    return _Columns(runs.start, end - (struck & long), runs.pitch), Lost(octaves=octaves, merged=merged)


def _fill(cells: Cells, runs: _Columns) -> None:
    """Set the runs in `cells` (steps, P); what lies beyond the last step is left out."""
    n_steps, n_pitches = cells.shape
    runs = runs.where(runs.start < n_steps)
    lengths = np.minimum(runs.end, n_steps) - runs.start
    inside = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    cells.reshape(-1)[np.repeat(runs.start * n_pitches + runs.pitch, lengths) + inside * n_pitches] = True


def to_score(
    roll: Roll,
    *,
    bpm: float = 100.0,
    programs: Mapping[str, int] = PROGRAMS,
    velocities: ArrayLike = VELOCITY,
    keep_empty: bool = True,
) -> Score:
    """`roll` as a score in 4/4 at 480 ticks a quarter note, one track per name in the order of the roll.

    Args:
        roll: Any roll.
        bpm: Quarter notes per minute, 4 to 3000.
        programs: Track -> program 0 to 127, or -1; `PROGRAMS` for those left out, the piano for names unknown to it. The track "drums" is
            the drums whatever is said.
        velocities: One number, or an array that can be broadcast to (M, L, S, P) and is read where a note begins; 1 to 127, others are
            brought in range.
        keep_empty: Give a track without notes too.

    Raises:
        UsageError: `bpm` is out of range, or there is no such program.
    """
    if not _MIN_BPM <= bpm <= _MAX_BPM:
        raise UsageError("a tempo is {low} to {high} bpm, not {bpm}", low=_MIN_BPM, high=_MAX_BPM, bpm=bpm)
    out = Score(TPQ)
    out.tempos.append(Tempo(0, mspq=units.bpm_to_mspq(bpm)))
    out.time_signatures.append(TimeSignature(0, 4, 4))
    loudness = np.broadcast_to(np.asarray(velocities), roll.cells.shape)
    for name, cells, loud in zip(roll.tracks, roll.cells, loudness, strict=True):
        program = DRUMS if name == "drums" else instrument_of(programs.get(name, PROGRAMS.get(name, 0))).program
        if keep_empty or cells.any():
            track = Track(name.capitalize(), max(program, 0), program == DRUMS)
            track.notes = note_list(_notes(cells, loud, roll.form, drums=program == DRUMS))
            out.tracks.append(track)
    return out


def _notes(cells: Cells, loudness: NDArray[Any], form: Form, *, drums: bool) -> NoteArrays:
    """The notes of cells (L, S, P), by time, then pitch."""
    step = _BAR_TICKS // form.steps_per_bar
    rows = np.ascontiguousarray(cells.reshape(-1, form.n_pitches).T)  # (P, L * S)
    n_steps = rows.shape[1]
    edges = np.zeros((form.n_pitches, n_steps + 1), np.bool_)
    if drums:
        pitch, start = np.nonzero(rows)
        following = np.where(np.diff(pitch, append=-1) == 0, np.append(start[1:], 0)[: len(start)], n_steps)
        end_ticks = np.minimum(start * step + _HIT_TICKS, following * step)
    else:
        edges[:, 1:-1] = rows[:, 1:] != rows[:, :-1]
        edges[:, 0], edges[:, -1] = rows[:, :1].any(axis=1), rows[:, -1:].any(axis=1)
        pitch, turns = np.nonzero(edges)
        pitch, start, end = pitch[::2], turns[::2], turns[1::2]
        end_ticks = np.minimum(end + form.detached, n_steps) * step
    time = start.astype(np.int64) * step
    velocity = np.clip(loudness.reshape(-1, form.n_pitches)[start, pitch], 1, 127)
    order = np.lexsort((pitch, time))
    columns = {"time": time, "duration": end_ticks - time, "pitch": pitch + form.lowest_pitch, "velocity": velocity}
    return {name: column.astype(np.int64)[order] for name, column in columns.items()}
