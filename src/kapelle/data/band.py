"""A band made of an arrangement for fewer: the rules by which the tracks of a song become guitar, piano, bass and strings.

Takes a score in the wanted key, and its copy with a track of chords; gives a score with one track for each part, of the programs of
`roll.PROGRAMS`. Drums come from elsewhere (`data.grooves`). Nothing is drawn by chance, and no note is invented: each is one of the
arrangement or of its chords, at a time at which one of these begins.

Chords tell where bars begin, too. In the corrected POP909 a third of the songs have bar lines a beat or two off, since what comes before
the first downbeat is written as if it were a whole bar. A song is therefore moved so that the beat on which chords most often begin, each
weighed by its length up to a bar, is the first one (`on_downbeats`). Where a song slips by half a bar later on, its chords say so for
every phrase (`chord_beats`).

The rule ``lead-piano-chords``, for POP909: three tracks (the sung melody, a second voice, the piano) and a copy whose last track holds
the chords, the lowest note of each its bass.

1. Guitar: the melody as it is. Piano: the piano as it is.
2. Strings: the second voice in every bar in which it sounds; in the other bars the chords, sustained, in close position between
   `PAD_LOW` and `PAD_HIGH`, each voiced so that it moves least from the one before.
3. Bass: the rhythm of the lowest voice of the piano. That voice is every note below `LEFT_HAND` that begins with nothing lower beginning
   with it or in the beat before it; or, where the chord changes and no such note begins, the change itself. It plays the pitch of that
   note if that is of the chord, else the bass of the chord, by octaves brought into `BASS_LOW` to `BASS_HIGH`, and holds it until it
   strikes again, the chord ends, or two beats after the piano let go.
4. Where no chord is written the strings rest, and the bass doubles the piano.

Source of the tracks' meaning: Wang et al. 2020, "POP909: a pop-song dataset for music arrangement generation", ISMIR. The rule is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from symusic import Score, Track

from kapelle.score import edit, units
from kapelle.score.edit import note_arrays, note_list
from kapelle.score.roll import PROGRAMS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kapelle.score.edit import NoteArrays

Notes = list[tuple[int, int, int, int]]
"""Time and duration in ticks, pitch, velocity."""

LEFT_HAND = 55
BASS_LOW, BASS_HIGH = 28, 47
PAD_LOW, PAD_HIGH = 55, 76
PAD_CENTRE = 65
PAD_VELOCITY = 70
LEAD, SECOND, PIANO = range(3)


@dataclass(frozen=True)
class Chord:
    """One chord: from `start` to `end`, in ticks; its pitches, ascending."""

    start: int
    end: int
    pitches: tuple[int, ...]

    @property
    def classes(self) -> frozenset[int]:
        """Its pitch classes."""
        return frozenset(pitch % 12 for pitch in self.pitches)


def lead_piano_chords(score: Score, grid: Score) -> Score | None:
    """The band of a song of three tracks and a copy with chords; None if tracks or chords are missing."""
    if len(score.tracks) != 3 or len(grid.tracks) < 2 or not all(len(score.tracks[i].notes) for i in (LEAD, PIANO)):
        return None
    chords = chords_of(note_arrays(grid.tracks[-1]))
    if not chords:
        return None
    lead, second, piano = (note_arrays(track) for track in score.tracks)
    parts = {
        "piano": _rows(piano),
        "guitar": _rows(lead),
        "bass": bass(piano, chords, max(score.tpq, 1)),
        "strings": _rows(second) + _outside(pad(chords), _bars_of(second, units.bar_starts(score))),
    }
    out = score.copy()
    out.tracks = type(score.tracks)([_track(name, notes) for name, notes in parts.items()])
    return out


def chord_beats(grid: Score, n_bars: int) -> NDArray[np.float64]:
    """(L, 4) how many beats of chords, up to four of each, begin on each beat of each bar of 4/4.

    Args:
        grid: A score whose last track holds chords.
        n_bars: Bars to look at.
    """
    tpq = max(grid.tpq, 1)
    chords = chords_of(note_arrays(grid.tracks[-1])) if len(grid.tracks) > 1 else []
    beats = np.array([round(chord.start / tpq) for chord in chords], np.int64)
    lengths = np.array([min((chord.end - chord.start) / tpq, 4.0) for chord in chords], np.float64)
    inside = beats < 4 * n_bars
    found: NDArray[np.float64] = np.bincount(beats[inside], lengths[inside], minlength=4 * n_bars).reshape(-1, 4).astype(np.float64)
    return found


def on_downbeats(score: Score, grid: Score) -> tuple[Score, Score]:
    """Both moved to a later time by 0 to 3 beats, so that the beat on which most chords begin is the first of its bar.

    Args:
        score: A song in 4/4.
        grid: The same with chords in its last track.
    """
    n_bars = units.end_ticks(grid) // (4 * max(grid.tpq, 1)) + 2
    beat = int(chord_beats(grid, n_bars).sum(0).argmax())
    late = (4 - beat) % 4
    return edit.shift(score, late * max(score.tpq, 1)), edit.shift(grid, late * max(grid.tpq, 1))


RULES: Mapping[str, Callable[[Score, Score], Score | None]] = {"lead-piano-chords": lead_piano_chords}
"""Names that recipes give, and what they do."""


def chords_of(notes: NoteArrays) -> list[Chord]:
    """The chords of a track: notes that begin together. A chord ends where the next one begins, at the latest."""
    times = np.unique(notes["time"])
    out: list[Chord] = []
    for start, following in zip(times.tolist(), [*times[1:].tolist(), None], strict=True):
        here = notes["time"] == start
        end = start + int(notes["duration"][here].max())
        out.append(Chord(start, end if following is None else min(end, following), tuple(sorted(set(notes["pitch"][here].tolist())))))
    return out


def voiced(chord: Chord, before: tuple[int, ...]) -> tuple[int, ...]:
    """The pitches of a chord in close position, nearest to those of the chord before; near the middle of the range if there is none."""
    classes = sorted(chord.classes)
    rows = [tuple(sorted((pitch - low) % 12 + low for pitch in classes)) for low in range(PAD_LOW, PAD_HIGH - 10)]

    def moved(row: tuple[int, ...]) -> tuple[float, tuple[int, ...]]:
        centre = abs(sum(row) / len(row) - PAD_CENTRE)
        steps = sum(min(abs(pitch - other) for other in before) for pitch in row) if before else 0
        return steps + centre / 4, row

    return min(rows, key=moved)


def pad(chords: list[Chord]) -> Notes:
    """The chords, sustained; chords of the same pitches that follow one another are one."""
    held: list[tuple[int, int, tuple[int, ...]]] = []
    row: tuple[int, ...] = ()
    for chord in chords:
        row = voiced(chord, row)
        if held and held[-1][1] == chord.start and held[-1][2] == row:
            held[-1] = (held[-1][0], chord.end, row)
        else:
            held.append((chord.start, chord.end, row))
    return [(start, end - start, pitch, PAD_VELOCITY) for start, end, pitches in held for pitch in pitches]


def bass(piano: NoteArrays, chords: list[Chord], tpq: int) -> Notes:
    """The bass line that the lowest voice of the piano and the chords tell.

    Args:
        piano: The piano's notes.
        chords: In order.
        tpq: Ticks in a beat.
    """
    struck = _struck(piano, chords, tpq)
    out: Notes = []
    for (time, end, pitch, velocity), following in pairwise([*struck, (1 << 60, 0, 0, 0)]):
        chord = _at(chords, time + tpq // 8)  # players come a little early, chords do not
        if chord is not None and pitch % 12 not in chord.classes:
            pitch = chord.pitches[0]
        stop = min(end + 2 * tpq, following[0], chord.end if chord is not None else end)
        out.append((time, max(stop - time, 1), _folded(pitch), velocity))
    return out


def _struck(piano: NoteArrays, chords: list[Chord], tpq: int) -> Notes:
    """When the bass strikes: time, end of what the piano plays, pitch and velocity; a chord's change has the pitch of its bass."""
    time, pitch = piano["time"], piano["pitch"]
    out: Notes = []
    for i in np.flatnonzero(pitch < LEFT_HAND):
        first, last = np.searchsorted(time, [time[i] - tpq + 1, time[i] + tpq // 8])
        if pitch[i] <= pitch[first:last].min() and (not out or time[i] > out[-1][0] + tpq // 8):
            out.append((int(time[i]), int(time[i] + piano["duration"][i]), int(pitch[i]), int(piano["velocity"][i])))
    begun = np.array([row[0] for row in out], np.int64)
    for chord in chords:
        near = np.abs(begun - chord.start) <= tpq // 2
        if not near.any() and _plays(piano, chord):
            out.append((chord.start, chord.end, chord.pitches[0], PAD_VELOCITY))
    return sorted(out)


def _plays(piano: NoteArrays, chord: Chord) -> bool:
    """Whether the piano sounds while the chord lasts: where it rests, so does the bass."""
    return bool(((piano["time"] < chord.end) & (piano["time"] + piano["duration"] > chord.start)).any())


def _at(chords: list[Chord], time: int) -> Chord | None:
    return next((chord for chord in chords if chord.start <= time < chord.end), None)


def _folded(pitch: int) -> int:
    while pitch > BASS_HIGH:
        pitch -= 12
    while pitch < BASS_LOW:
        pitch += 12
    return pitch


def _bars_of(notes: NoteArrays, lines: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n, 2) beginning and end of the bars in which any of the notes sounds."""
    if not len(notes["time"]) or len(lines) < 2:
        return np.zeros((0, 2), np.int64)
    first = np.clip(np.searchsorted(lines, notes["time"], side="right") - 1, 0, len(lines) - 2)
    last = np.clip(np.searchsorted(lines, notes["time"] + notes["duration"], side="left") - 1, first, len(lines) - 2)
    bars = np.unique(np.concatenate([np.arange(a, b + 1) for a, b in zip(first, last, strict=True)]))
    return np.stack([lines[bars], lines[bars + 1]], axis=1)


def _outside(notes: Notes, taken: NDArray[np.int64]) -> Notes:
    """The parts of the notes that lie outside the stretches `taken`, (n, 2), ascending."""
    out: Notes = []
    for time, duration, pitch, velocity in notes:
        at, stop = time, time + duration
        for begin, end in taken[(taken[:, 1] > time) & (taken[:, 0] < stop)].tolist():
            if begin > at:
                out.append((at, begin - at, pitch, velocity))
            at = max(at, end)
        if stop > at:
            out.append((at, stop - at, pitch, velocity))
    return out


def _rows(notes: NoteArrays) -> Notes:
    return list(zip(*(notes[name].tolist() for name in ("time", "duration", "pitch", "velocity")), strict=True))


def _track(name: str, notes: Notes) -> Track:
    table = np.array(sorted(notes), np.int64).reshape(-1, 4)
    out = Track(name.capitalize(), PROGRAMS[name])
    out.notes = note_list(dict(zip(("time", "duration", "pitch", "velocity"), table.T, strict=True)))
    return out
