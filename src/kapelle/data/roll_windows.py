"""Notes as a network that hears pieces sees them: windows of 16 bars of four quarters, cells of a twelfth of a quarter by pitch.

Takes the notes of a piece in steps (`NOTE`) and its bar lines; gives windows and their cells (planes, pitches, steps). Two planes:
where a note begins, and where one sounds. Who plays, how loud and how fast are not in it. It knows nothing of files and scores
(`roll_reading` does), and nothing of networks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

NOTE = np.dtype([("start", "<i4"), ("end", "<i4"), ("pitch", "u1")])
"""Start and end in steps from the piece's first bar line, end later than start; pitch as MIDI numbers it."""

STEPS_PER_QUARTER = 12
"""Sixteenths and triplets."""

WINDOW = 64 * STEPS_PER_QUARTER
"""Steps of a window."""

LOWEST, N_PITCHES = 21, 88
"""The keys of a piano; what lies outside is moved by octaves."""

PLANES = ("onset", "held")
SHAPE = (len(PLANES), N_PITCHES, WINDOW)
SHORTEST_REST = WINDOW // 4
"""What is left of a piece after its last whole window is a window of its own if it has so many steps."""

Notes = NDArray[Any]
"""An array of `NOTE`, by start."""

Lines = NDArray[np.int32]
"""Bar lines in steps, ascending, the first 0; the last is the end of the last bar."""


def starts(lines: Lines, most: int) -> list[int]:
    """Where windows begin: on bar lines, one after the other, the first at 0.

    Args:
        lines: Of the piece.
        most: So many at most, taken evenly.
    """
    found, end = [0], int(lines[-1]) if len(lines) else 0
    while True:
        place = int(np.searchsorted(lines, found[-1] + WINDOW))
        if place >= len(lines) or end - int(lines[place]) < SHORTEST_REST:
            break
        found.append(int(lines[place]))
    keep = np.linspace(0, len(found) - 1, most).round().astype(int) if len(found) > most else range(len(found))
    return [found[i] for i in keep]


def cut(notes: Notes, start: int, length: int = WINDOW) -> Notes:
    """The notes that begin in a window, counted from its start and cut at its end; a copy.

    Args:
        notes: Of the piece.
        start: Of the window, in steps.
        length: Steps.
    """
    first, last = np.searchsorted(notes["start"], (start, start + length))
    inside = np.array(notes[first:last])
    inside["start"] -= start
    inside["end"] = np.minimum(inside["end"] - start, length)
    return inside


def cells(notes: Notes, shift: int = 0) -> NDArray[np.bool_]:
    """(planes, pitches, steps) the cells of a window.

    Args:
        notes: Of the window, as `cut` gives them.
        shift: Semitones by which they are moved.
    """
    out = np.zeros(SHAPE, np.bool_)
    rows = folded(notes["pitch"].astype(np.int64) + shift)
    edges = np.zeros((N_PITCHES, WINDOW + 1), np.int16)
    np.add.at(edges, (rows, notes["start"]), 1)
    np.add.at(edges, (rows, notes["end"]), -1)
    out[0, rows, notes["start"]] = True
    out[1] = edges.cumsum(axis=1)[:, :-1] > 0
    return out


def folded(pitch: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of pitches, those outside the range moved into it by octaves."""
    row = pitch - LOWEST
    row = np.where(row < 0, row % 12, row)
    return np.where(row >= N_PITCHES, N_PITCHES - 12 + (row - (N_PITCHES - 12)) % 12, row)
