"""The melody of a piece: its notes on the grid of sixteenths, and any piece in 4/4 as a melody and the rest.

Takes a `symusic.Score` in ticks; gives arrays of `MELODY_NOTE`, or a score of the two tracks `MELODY` and `PIANO`. The grid has 16 steps
to a bar of four quarters; onsets and ends go to the nearest step, halves up. Which track carries the melody is found by `melody_track`.

A melody is one note at a time. Of notes that begin together the highest counts; a note under a higher one that is held is passed over,
and a note that still sounds where the next begins ends there (`line`).

It does not transpose, does not change the tempo, and moves no bar line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from symusic import Score, TimeSignature, Track

from kapelle.errors import CannotObey, UsageError
from kapelle.score import edit, units
from kapelle.score.edit import NoteArrays, note_arrays, note_list
from kapelle.score.melody_track import find_melody
from kapelle.score.thinning import thinned

__all__ = ["MELODY", "MELODY_NOTE", "PIANO", "check_metre", "find_melody", "line", "melody_notes", "on_grid", "two_tracks"]

MELODY_NOTE = np.dtype([("start", "<i4"), ("duration", "<i4"), ("pitch", "<i4"), ("velocity", "<i4")])
"""A note: start in sixteenths from bar 0, duration in sixteenths (at least 1), MIDI pitch, velocity 1 to 127."""

MELODY, PIANO = "MELODY", "PIANO"
"""Names of the two tracks."""

STEPS_PER_QUARTER = 4
STEPS_PER_BAR = 16
TPQ = 480
"""Ticks a quarter of what is made here: 120 a step."""

_STEP = TPQ // STEPS_PER_QUARTER


@dataclass(frozen=True)
class Line:
    """A melody, and which of the notes it was taken from it is.

    Args:
        notes: MELODY_NOTE, by start, one at a time.
        kept: (N,) true where a note of the source is in the melody.
    """

    notes: NDArray[np.void]
    kept: NDArray[np.bool_]


def melody_notes(music: Score | Track, *, tpq: int = TPQ) -> NDArray[np.void]:
    """The melody as MELODY_NOTE, by start, one note at a time; empty where there are no notes.

    Args:
        music: A score: its track MELODY, or else the one that `find_melody` says. Or a track.
        tpq: Ticks a quarter of a track; a score knows its own.

    Raises:
        UsageError: The score is in another metre than 4/4, or changes it.
        CannotObey: No track of the score is clearly its melody.
    """
    if isinstance(music, Track):
        return line(on_grid(note_arrays(music), tpq)).notes
    check_metre(music)
    named = [track for track in music.tracks if track.name == MELODY and not track.is_drum]
    track = named[0] if named else music.tracks[_melody_index(music)]
    return line(on_grid(note_arrays(track), max(music.tpq, 1))).notes


def two_tracks(score: Score, *, thin: bool = True, melody: int | None = None) -> Score:
    """`score` as the tracks MELODY and PIANO on the grid, at 480 ticks a quarter, in 4/4 from tick 0.

    MELODY is the line of the track that carries the melody and keeps its instrument. PIANO has every other pitched note once; notes that
    double the melody and drums are left out. It may be empty. Tempi, keys and markers stay where they are.

    Args:
        score: Any score in 4/4 (or 2/2, which has the same bars).
        thin: Bring bars of the accompaniment that are too full within the limits of `thinning`.
        melody: Index of the track that carries the melody; the one that `find_melody` says if left out.

    Raises:
        UsageError: There are no pitched notes, there is only one, or the metre is another or changes.
        CannotObey: No track is clearly the melody.
    """
    check_metre(score)
    n_pitched = sum(len(track.notes) for track in score.tracks if not track.is_drum)
    if n_pitched < 2:
        raise _too_few(score, n_pitched)
    which, tpq = _melody_index(score) if melody is None else melody, max(score.tpq, 1)
    source = on_grid(note_arrays(score.tracks[which]), tpq)
    found = line(source)
    others = [on_grid(note_arrays(track), tpq) for i, track in enumerate(score.tracks) if i != which and not track.is_drum]
    rest = _joined([{name: column[~found.kept] for name, column in source.items()}, *others])
    rest = edit.without_overlaps(_not_doubled(rest, found.notes))
    return assembled(score, found.notes, thinned(rest) if thin else rest, int(score.tracks[which].program))


def assembled(score: Score, melody: NDArray[np.void], rest: NoteArrays, program: int = 0) -> Score:
    """A score of the tracks MELODY and PIANO with the tempi, keys and markers of `score`.

    Args:
        score: Whose tempi ...
        melody: MELODY_NOTE.
        rest: Columns in steps.
        program: Of the melody.
    """
    out = edit.resample(score, TPQ)
    out.tracks, out.time_signatures = [], [TimeSignature(0, 4, 4)]
    columns = {"time": melody["start"], "duration": melody["duration"], "pitch": melody["pitch"], "velocity": melody["velocity"]}
    for name, number, notes in ((MELODY, program, columns), (PIANO, 0, rest)):
        track = Track(name, number, False)
        track.notes = note_list({**notes, "time": notes["time"] * _STEP, "duration": notes["duration"] * _STEP})
        out.tracks.append(track)
    return out


def on_grid(notes: NoteArrays, tpq: int) -> NoteArrays:
    """The columns of `note_arrays` with time and duration in steps; no note is shorter than one."""
    start, end = (
        (2 * STEPS_PER_QUARTER * np.maximum(ticks, 0) + tpq) // (2 * tpq) for ticks in (notes["time"], notes["time"] + notes["duration"])
    )
    return {**notes, "time": start, "duration": np.maximum(end - start, 1)}


def line(notes: NoteArrays) -> Line:
    """The one line on top of `notes`, columns in steps, by time.

    Of notes with one onset the highest is taken, the longest of equal ones. A lower note that begins while one is held is passed over if
    that one lasts for half of it or more, and by more than a quarter of its own length: less is legato. Any other note ends the one before.
    """
    order = np.lexsort((-notes["duration"], -notes["pitch"], notes["time"]))
    times = notes["time"][order]
    order = order[np.append(True, times[1:] != times[:-1])[: len(order)]]
    kept = np.zeros(len(notes["time"]), np.bool_)
    taken: list[list[int]] = []
    for i in order.tolist():
        start, length, pitch, velocity = (int(notes[name][i]) for name in ("time", "duration", "pitch", "velocity"))
        if taken and (over := taken[-1][0] + taken[-1][1] - start) > 0:
            held = 2 * min(over, length) >= length and 4 * over > taken[-1][1]
            if pitch < taken[-1][2] and held:
                continue
            taken[-1][1] = start - taken[-1][0]
        taken.append([start, length, pitch, velocity])
        kept[i] = True
    return Line(np.array([tuple(note) for note in taken], MELODY_NOTE), kept)


def check_metre(score: Score) -> None:
    """Nothing, if every bar up to the last note is four quarters long.

    Raises:
        UsageError: One is not.
    """
    lines, bar = units.bar_starts(score), 4 * max(score.tpq, 1)
    wrong = np.flatnonzero(np.diff(lines) != bar)
    if not len(wrong):
        return
    first, here = units.metre_at(score), units.metre_at(score, int(lines[wrong[0]]))
    metres = units.metre_map(score)
    if wrong[0] == 0 and not ((metres.ticks > 0) & (metres.ticks < units.end_ticks(score))).any():
        raise UsageError("a theme is in 4/4, and this piece is in {metre}", metre=_metre(first), hint="take a piece in 4/4")
    raise UsageError(
        "a theme is in 4/4, and this piece changes its metre: bar {bar} is in {metre}",
        bar=int(wrong[0]) + 1, metre=_metre(here), hint="cut out a part that is in 4/4 throughout",
    )  # fmt: skip


def _metre(metre: tuple[int, int]) -> str:
    return f"{metre[0]}/{metre[1]}"


def _melody_index(score: Score) -> int:
    found = find_melody(score)
    if found is None:
        n_pitched = sum(len(track.notes) for track in score.tracks if not track.is_drum)
        if n_pitched < 2:
            raise _too_few(score, n_pitched)
        raise CannotObey("none of the tracks is clearly the melody", hint="put the melody on a track of its own, and name it MELODY")
    return found


def _too_few(score: Score, n_pitched: int) -> UsageError:
    if n_pitched == 1:
        return UsageError("there is a single note, and that is no melody", hint="a theme has two notes or more")
    if any(len(track.notes) for track in score.tracks):
        return UsageError("there are only drums, and they have no melody", hint="take a piece with pitched notes")
    return UsageError("there are no notes", hint="`kapelle info` tells what is in the file")


def _joined(parts: list[NoteArrays]) -> NoteArrays:
    return {name: np.concatenate([part[name] for part in parts]) for name in ("time", "duration", "pitch", "velocity")}


def _not_doubled(notes: NoteArrays, melody: NDArray[np.void]) -> NoteArrays:
    """`notes` without those that begin with a note of the melody on its pitch."""
    new = ~np.isin(notes["time"] * 128 + notes["pitch"], melody["start"].astype(np.int64) * 128 + melody["pitch"])
    return {name: column[new] for name, column in notes.items()}
