"""Notes as far as they can be heard in a sound, and the features of written music measured on them.

Takes the piano roll of `kapelle.audio.pitches`, the curve of onsets and the tempo; gives a `Grid` of notes on a beat that is guessed, and
the numbers of `midi_features` of it. It is no transcription that one would want to play: octaves are mistaken, repeated notes run together,
drums become clusters, bars are taken to have four quarters. But a classifier that learns from notes so heard is used on notes so heard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kapelle.audio.pitches import HOP_PITCHES, LOWEST
from kapelle.audio.spectra import HOP, RATE_HZ
from kapelle.classifiers import midi_features
from kapelle.classifiers.note_grid import GROUPS, STEPS, Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kapelle.audio.spectra import Array

FLOOR, SHARE = 0.1, 0.1
"""A pitch sounds if it has these shares of the strongest in the sound and in its frame."""
STRUCK = 1.6
"""A pitch that sounds is struck again where it is so many times as strong as two frames before."""
SHORTEST = 2
"""Frames of a note."""
SLOWEST_BPM = 66.0
"""Tempi are taken to lie in the octave above this one, since a beat and its half are easily mistaken for one another."""
BEATS = 4
CANDIDATES = 24  # places in a beat that are tried for its beginning

NAMES: tuple[str, ...] = tuple(f"heard_{name}" for name in midi_features.NAMES)


def measure(roll: Array, onsets: Array, bpm: float) -> NDArray[np.float32]:
    """The features of the notes that are heard, in the order of `NAMES`; NaN throughout if there are none, or no tempo."""
    notes = heard(roll)
    if not len(notes) or bpm <= 0.0:
        return np.full(len(NAMES), np.nan, np.float32)
    return midi_features.measure(grid(notes, onsets, bpm))


def heard(roll: Array) -> NDArray[np.int64]:
    """Rows of start and end in frames of the roll and MIDI pitch, in order of start, shape (N, 3)."""
    strong = (roll > FLOOR) & (roll > SHARE * roll.max(axis=1, keepdims=True))
    before = np.zeros_like(roll)
    before[2:] = roll[:-2]
    was = np.zeros_like(strong)
    was[1:] = strong[:-1]
    begins = strong & (~was | (roll > STRUCK * before))
    begins[1:] &= ~(begins[:-1] & was[1:])  # a rise over two frames is one stroke
    # One long line, pitch after pitch, each followed by an empty frame: a note ends at the next begin or where it stops being strong.
    n_frames = len(roll) + 1
    line, starts = (np.pad(table, ((0, 1), (0, 0))).T.ravel() for table in (strong, begins))
    first = np.flatnonzero(starts)
    stops = np.flatnonzero(~line)
    end = stops[np.searchsorted(stops, first)] if len(first) else first
    end = np.minimum(end, np.append(first[1:], len(line)))
    pitch, start = first // n_frames, first % n_frames
    rows = np.stack([start, start + end - first, pitch + LOWEST], axis=1)
    rows = rows[rows[:, 1] - rows[:, 0] >= SHORTEST]
    out: NDArray[np.int64] = rows[np.lexsort((rows[:, 2], rows[:, 0]))].astype(np.int64)
    return out


def grid(notes: NDArray[np.int64], onsets: Array, bpm: float) -> Grid:
    """The notes on twelfths of the beat, in bars of four beats that begin where most begins.

    Args:
        notes: As `heard` gives them, at least one.
        onsets: Curve of onsets, one number every 512 samples.
        bpm: The tempo, more than 0.
    """
    while bpm < SLOWEST_BPM:
        bpm *= 2
    while bpm >= 2 * SLOWEST_BPM:
        bpm /= 2
    beat_s = 60.0 / bpm
    offset_s = _beginning(onsets, beat_s)
    seconds = notes[:, :2] * (HOP_PITCHES / RATE_HZ)
    steps = np.rint((seconds - offset_s) / beat_s * STEPS).astype(np.int64)
    bar = STEPS * BEATS
    weight = np.bincount((steps[:, 0] // STEPS) % BEATS, weights=(steps[:, 0] % STEPS == 0) * (60.0 / notes[:, 2]), minlength=BEATS)
    steps -= int(np.argmax(weight)) * STEPS
    steps -= min(int(steps[0, 0]) // bar, 0) * bar
    start, end = steps[:, 0], np.maximum(steps[:, 1], steps[:, 0] + 1)
    rows = np.unique(np.stack([start, notes[:, 2], end], axis=1), axis=0)
    start, pitch, end = rows.T
    lines = np.arange(0, int(end.max()) + bar, bar)
    return Grid(start, end, pitch, lines, (0.0,) * len(GROUPS), 0.0)


def _beginning(onsets: Array, beat_s: float) -> float:
    """Where in the first beat most onsets are, in seconds, if every beat begins there."""
    frames = beat_s * RATE_HZ / HOP
    n_beats = max(int(len(onsets) / frames) - 1, 1)
    offsets = np.arange(CANDIDATES) * frames / CANDIDATES
    at = np.rint(offsets[:, None] + np.arange(n_beats) * frames).astype(np.int64)
    return float(offsets[np.argmax(onsets[np.minimum(at, len(onsets) - 1)].sum(axis=1))] * HOP / RATE_HZ)
