"""Chord tokens of REMI: which onsets of one instrument form a chord whose shape has a name.

Takes the sorted notes of one instrument, gives times and shapes. A chord is 3 to 5 notes whose onsets lie within one grid step
and whose ends lie within half a beat, in root position; inversions and chords over several instruments are not found. That is
miditok's rule with its names, for the ids are its ids; `kapelle.metrics` knows more of harmony.

Source: Fradet et al. 2021, miditok 3.1 (MIT).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

SHAPES: dict[str, tuple[int, ...]] = {
    "min": (0, 3, 7),
    "maj": (0, 4, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "7dom": (0, 4, 7, 10),
    "7min": (0, 3, 7, 10),
    "7maj": (0, 4, 7, 11),
    "7halfdim": (0, 3, 6, 10),
    "7dim": (0, 3, 6, 9),
    "7aug": (0, 4, 8, 11),
    "9maj": (0, 4, 7, 10, 14),
    "9min": (0, 4, 7, 10, 13),
}
"""Names as in the vocabulary, in the order of their ids -> semitones above the root. The ninth chords are both dominant ones."""

_PLACES = {shape: place for place, shape in enumerate(SHAPES.values())}
_HEARD_AT_ONCE = 10  # no more notes are looked at for one chord


def found(start: Ints, end: Ints, pitch: Ints, beat_ticks: Ints, steps_per_beat: int) -> tuple[Ints, Ints]:
    """When chords begin, and the places of their shapes in `SHAPES`.

    Args:
        start: (N,) onsets in ticks; notes are sorted by onset, then pitch.
        end: (N,) ends in ticks.
        pitch: (N,) MIDI pitches.
        beat_ticks: (N,) ticks of a beat at every note.
        steps_per_beat: Onsets no further apart than one such step sound together.
    """
    times, shapes = [], []
    i, passed = 0, -1
    while i < len(start):
        if start[i] == passed:
            i += 1
            continue
        half = beat_ticks[i] // 2
        near = slice(i, i + _HEARD_AT_ONCE)
        n = int((start[near] <= start[i] + beat_ticks[i] / steps_per_beat).sum())
        if (np.abs(end[i : i + n] - end[i]) > half).any():
            i += n
            continue
        if end[i] - start[i] <= half:  # a short note: only exact onsets sound together with it
            n = int((start[i : i + n] == start[i]).sum())
        place = _PLACES.get(tuple((pitch[i : i + n] - pitch[i]).tolist()))
        if place is not None:
            times.append(int(start[i]))
            shapes.append(place)
        passed = start[i + n - 1]
        i += n
    return np.array(times, np.int64), np.array(shapes, np.int64)
