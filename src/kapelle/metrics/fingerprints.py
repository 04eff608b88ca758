"""The lines of a piece, and fingerprints of their stretches that stay the same when the piece is moved or played at another speed.

Takes a `symusic.Score` in ticks; gives its lines, one 64-bit number for every stretch of `GRAM` consecutive notes of a line, and which of
these numbers are enough to find any common stretch of `GUARANTEED` notes.

A line is one note at a time: of notes that begin together the highest (for the bass: the lowest); a note under one that is held through
most of it is passed over (for the bass: a note over one). Drums have no line. A score has the line on top of every pitched track, the one
on top of all of them, and the bass of all of them.

A fingerprint is of the intervals between the notes and of the ratio of each time between two onsets to the one before. Ratios are
rounded to half octaves: the limits between two roundings are the square roots of 1.5 times powers of 2, and no ratio of whole numbers
lies on one; powers of 2, and 3 or a third of them, stay 8 % away, 5:4 comes within 2 %. Transposition and a constant factor in time
change nothing, as long as rounding to ticks moves no ratio over a limit. Durations, velocities and instruments do not count.

Winnowing keeps, of every `WINDOW` neighbouring fingerprints of a line, the smallest, the last of equal ones. So any stretch of `GUARANTEED`
notes of one line that is also in another has a fingerprint that was kept there.

It holds no index, and it does not say what a copy is. Source: Schleimer, Wilkerson and Aiken 2003, "Winnowing: local algorithms
for document fingerprinting"; Uitdenbogerd and Zobel 1998 for the top line. Known difference: held notes hide lower ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from symusic import Score

GRAM = 10
"""Notes of a fingerprint."""

WINDOW = 3
"""Neighbouring fingerprints of which one is kept."""

GUARANTEED = GRAM + WINDOW - 1
"""Notes of a common stretch that is always found."""

MELODY, BASS = "melody", "bass"

_FAR = 7
"""Half octaves of a ratio, up or down, that count as the same: pauses of any length."""

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_ODD = np.uint64(0x9E3779B97F4A7C15)
_FINALISER = ((np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB)))
"""Shifts and factors of the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""


@dataclass(frozen=True)
class Notes:
    """All pitched notes of a score, by track, then onset, then pitch.

    Args:
        start: (N,) onsets in ticks, or in steps where a grid was asked for.
        duration: (N,) in the same unit, at least 1.
        pitch: (N,) MIDI numbers.
        track: (N,) index of the track in the score.
        place: (N,) index of the note in its track.
    """

    start: Ints
    duration: Ints
    pitch: Ints
    track: Ints
    place: Ints


@dataclass(frozen=True)
class Line:
    """One note at a time.

    Args:
        kind: `MELODY` for a line on top, `BASS` for one below.
        places: (L,) its notes, as places in the `Notes` that it was taken from, by onset.
        start: (L,) their onsets, rising strictly.
        pitch: (L,) their pitches.
    """

    kind: str
    places: Ints
    start: Ints
    pitch: Ints


def notes_of(score: Score, steps_per_quarter: int = 0) -> Notes:
    """The pitched notes of a score.

    Args:
        score: Any score.
        steps_per_quarter: Put them on a grid, halves up; 0 leaves them where they are.
    """
    columns: list[list[Ints]] = [[], [], [], [], []]
    for number, track in enumerate(score.tracks):
        if track.is_drum or not len(track.notes):
            continue
        table = track.notes.numpy()
        start, end = table["time"].astype(np.int64), (table["time"] + table["duration"]).astype(np.int64)
        if steps_per_quarter:
            tpq = max(score.tpq, 1)
            start, end = ((2 * steps_per_quarter * ticks + tpq) // (2 * tpq) for ticks in (start, end))
        pitch = table["pitch"].astype(np.int64)
        order = np.lexsort((pitch, start))
        length = np.maximum(end - start, 1)
        for column, values in zip(columns, (start, length, pitch, np.full(len(start), number, np.int64)), strict=False):
            column.append(values[order])
        columns[4].append(order.astype(np.int64))
    return Notes(*(np.concatenate(column) if column else np.zeros(0, np.int64) for column in columns))


def lines(notes: Notes) -> list[Line]:
    """The lines of some notes: on top of every track and, if there are several, on top of all; last the bass of all."""
    everything = np.arange(len(notes.start))
    tracks = np.unique(notes.track)
    parts = [everything] if len(tracks) <= 1 else [np.flatnonzero(notes.track == track) for track in tracks.tolist()] + [everything]
    return [*(_line(notes, part, MELODY) for part in parts), _line(notes, everything, BASS)]


def _line(notes: Notes, places: Ints, kind: str) -> Line:
    """The line on top of some of the notes, or their bass."""
    height = notes.pitch[places] * (1 if kind == MELODY else -1)
    order = np.lexsort((notes.duration[places], height, notes.start[places]))
    start = notes.start[places][order]
    order = order[np.append(start[1:] != start[:-1], True)[: len(order)]]
    table = np.stack([notes.start[places], notes.duration[places], height], axis=1)[order]
    kept, end, last = [], -1, 0
    for place, (onset, duration, pitch) in zip(order.tolist(), table.tolist(), strict=True):
        if end > onset and pitch < last and 5 * (end - onset) >= 3 * duration:  # three fifths: few ratios of lengths fall there
            continue
        kept.append(place)
        end, last = onset + duration, pitch
    chosen = places[np.array(kept, np.int64)]
    return Line(kind, chosen, notes.start[chosen], notes.pitch[chosen])


def fingerprints(line: Line) -> Hashes:
    """(L - GRAM + 1,) the fingerprint of every `GRAM` consecutive notes of a line; empty for a shorter line."""
    if len(line.start) < GRAM:
        return np.zeros(0, np.uint64)
    gaps = np.diff(line.start).astype(np.float64)
    return _hashed(_windows(np.diff(line.pitch), GRAM - 1), _windows(_halves(gaps[1:], gaps[:-1]), GRAM - 2))


def rounded_fingerprints(line: Line) -> tuple[Hashes, Ints]:
    """Fingerprints that a line would have if one or two of its ratios had been rounded to ticks the other way, and their places in it.

    What `fingerprints` gives is not among them. For lines whose onsets were rounded to ticks, as those of music that was retimed: an onset
    may be half a tick off, so a time between two a whole one.
    """
    if len(line.start) < GRAM:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    gaps = np.diff(line.start).astype(np.float64)
    less, more = np.maximum(gaps - 1, 0.5), gaps + 1
    told = _halves(gaps[1:], gaps[:-1])
    low, high = _halves(less[1:], more[:-1]), _halves(more[1:], less[:-1])
    steps, ratios = _windows(np.diff(line.pitch), GRAM - 1), _windows(told, GRAM - 2)
    others = _windows(np.where(low != told, low, high), GRAM - 2)
    hashes, places = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for turned in (*combinations(range(GRAM - 2), 1), *combinations(range(GRAM - 2), 2)):
        columns = np.array(turned)
        rows = np.flatnonzero((others[:, columns] != ratios[:, columns]).all(axis=1))
        if len(rows):
            changed = ratios[rows].copy()
            changed[:, columns] = others[np.ix_(rows, columns)]
            hashes.append(_hashed(steps[rows], changed))
            places.append(rows.astype(np.int64))
    return np.concatenate(hashes), np.concatenate(places)


def _windows(values: Ints, width: int) -> Ints:
    return np.lib.stride_tricks.sliding_window_view(values, width)


def _hashed(steps: Ints, ratios: Ints) -> Hashes:
    """(Q,) one number for each row of intervals (Q, GRAM - 1) and ratios (Q, GRAM - 2)."""
    out = np.zeros(len(steps), np.uint64)
    for place in range(GRAM - 1):
        out = _mixed(out * _ODD + (steps[:, place] + 256).astype(np.uint64))
        if place < GRAM - 2:
            out = _mixed(out * _ODD + (ratios[:, place] + 1024).astype(np.uint64))
    return out


def _halves(times: Floats, before: Floats) -> Ints:
    """Ratios of times in half octaves, rounded where no ratio of whole numbers lies."""
    halves = np.floor(np.log2(times**2 / (1.5 * before**2))).astype(np.int64) + 1
    return np.clip(halves, -_FAR, _FAR)


def _mixed(values: Hashes) -> Hashes:
    for shift, factor in _FINALISER:
        values = (values ^ (values >> shift)) * factor
    return values ^ (values >> np.uint64(31))


def winnowed(hashes: Hashes) -> Ints:
    """Places of the fingerprints of a line that are kept, ascending: of every `WINDOW` neighbours the smallest, the last of equal ones.

    A line with fewer fingerprints keeps one, one without any none.
    """
    if len(hashes) == 0:
        return np.zeros(0, np.int64)
    views = np.lib.stride_tricks.sliding_window_view(hashes, min(WINDOW, len(hashes)))
    width = views.shape[1]
    return np.unique(np.arange(len(views)) + width - 1 - views[:, ::-1].argmin(axis=1))
