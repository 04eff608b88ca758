"""How hard the band plays: a velocity for every note, where the model knows on and off alone.

Takes a score with one named track per member of the band; gives it with velocities between 20 and 120. Each track has a level; the first
beat of a bar is stronger than the third, that one than the other beats, and these than what lies between; every phrase swells to its
middle and falls again; the top note of a chord stands out a little; and no two notes are quite alike. Times and pitches are not touched.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from symusic import Score, Track

from kapelle.score.edit import note_arrays, note_list

LEVELS: Mapping[str, int] = {"drums": 82, "piano": 72, "guitar": 68, "bass": 80, "strings": 60}
"""How loud each track is before anything else."""

FIRST_BEAT, THIRD_BEAT, BEAT, BETWEEN, OFF = 12.0, 7.0, 4.0, 0.0, -6.0
"""What is added on the first, the third and the other beats of a bar, half-way between beats, and elsewhere."""

SWELL = 7.0
TOP = 3.0
SPREAD = 2.5
SOFTEST, LOUDEST = 20, 120


def touched(score: Score, random: np.random.Generator, *, dynamics: float = 1.0, louder: float = 0.0, phrase_bars: int = 4) -> Score:
    """`score` with velocities.

    Args:
        score: In 4/4, one track per member of the band, called by its name.
        random: For the small differences; how many are drawn depends on the notes.
        dynamics: How much velocities vary: 1 as described above, 0 not at all.
        louder: Added to every level.
        phrase_bars: Bars of a phrase.
    """
    out = score.copy()
    for track in out.tracks:
        if not len(track.notes):
            continue
        notes = note_arrays(track)
        level = LEVELS.get(track.name.lower(), 72) + louder
        noise = random.normal(0.0, SPREAD, len(notes["time"]))
        shape = _accents(notes["time"], score.tpq) + _swell(notes["time"], score.tpq, phrase_bars) + noise
        if not track.is_drum:
            shape += TOP * _is_top(notes["time"], notes["pitch"])
        notes["velocity"] = np.clip(np.rint(level + dynamics * shape), SOFTEST, LOUDEST).astype(np.int64)
        track.notes = note_list(notes)
    return out


def mean_velocity(tracks: list[Track]) -> float:
    """The mean velocity of all notes of `tracks`; 72 where there are none."""
    values = [track.notes.numpy()["velocity"] for track in tracks if len(track.notes)]
    return float(np.concatenate(values).mean()) if values else 72.0


def _accents(ticks: NDArray[np.int64], tpq: int) -> NDArray[np.float64]:
    beat, rest = np.divmod(ticks % (4 * tpq), tpq)
    between = np.where(rest * 2 == tpq, BETWEEN, OFF)
    on = np.array([FIRST_BEAT, BEAT, THIRD_BEAT, BEAT])[beat]
    return np.where(rest == 0, on, between)


def _swell(ticks: NDArray[np.int64], tpq: int, phrase_bars: int) -> NDArray[np.float64]:
    phrase = 4 * tpq * phrase_bars
    return np.asarray(SWELL * (np.sin(np.pi * (ticks % phrase) / phrase) - 0.5), np.float64)


def _is_top(ticks: NDArray[np.int64], pitch: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,) true for the highest of several notes of one onset; the notes come by time, then pitch."""
    last = np.append(ticks[1:] != ticks[:-1], True)
    first = np.append(True, ticks[1:] != ticks[:-1])
    out: NDArray[np.bool_] = last & ~first
    return out
