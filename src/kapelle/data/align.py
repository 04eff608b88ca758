"""A score put on the bars of another copy of the same music.

Some collections come twice: once with their tracks apart but off the beat, once on the right bars but merged into one track (POP909 and
its corrected edition). Takes both, gives the tracks of the one on the bars of the other. The two must play the same notes, a constant time
apart; it stretches nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from kapelle.score import edit

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from symusic import Score

NEAR = 1 / 32
"""Of a quarter: notes nearer than this are the same."""

ENOUGH = 0.9
"""Share of the notes that must be found again."""

N_PROBES = 200
"""Notes that the shift is found by."""


def onto(score: Score, grid: Score, *, reach: float = math.inf) -> Score | None:
    """The tracks of `score` with the metres, tempi and bar lines of `grid`; None if the two do not play the same notes.

    Args:
        score: Whose tracks are kept.
        grid: Whose bars are right.
        reach: Quarters that the two may be apart. A piece that says its beginning again is else laid on the wrong one now and then.
    """
    out = edit.resample(score, grid.ticks_per_quarter)
    ours, theirs = _notes(out), _notes(grid)
    if not len(ours) or not len(theirs):
        return None
    near = max(1, round(NEAR * grid.ticks_per_quarter))
    shift = _shift(ours[:N_PROBES], theirs, near, reach * grid.ticks_per_quarter)
    keys = {(int(pitch), (int(time) + step) // near) for time, pitch in theirs for step in (-near // 2, 0, near // 2)}
    found = sum((int(pitch), (int(time) + shift) // near) in keys for time, pitch in ours)
    if found < ENOUGH * len(ours):
        return None
    out = out.shift_time(shift) if shift >= 0 else _earlier(out, -shift)
    out.time_signatures, out.tempos, out.key_signatures = grid.time_signatures, grid.tempos, grid.key_signatures
    return out


def _notes(score: Score) -> NDArray[np.int64]:
    """(N, 2) time and pitch of all notes, by time."""
    rows = [(note.time, note.pitch) for track in score.tracks for note in track.notes]
    return np.array(sorted(rows), np.int64).reshape(-1, 2)


def _shift(ours: NDArray[np.int64], theirs: NDArray[np.int64], near: int, reach: float) -> int:
    """Ticks from our notes to theirs, up to `reach`: the difference that most pairs of one pitch have."""
    differences = np.concatenate([theirs[theirs[:, 1] == pitch, 0] - time for time, pitch in ours] or [np.zeros(0, np.int64)])
    differences = differences[np.abs(differences) <= reach]
    if not len(differences):
        return 0
    values, counts = np.unique(np.round(differences / near), return_counts=True)
    best = values[counts.argmax()] * near
    return round(float(np.median(differences[np.abs(differences - best) <= near])))


def _earlier(score: Score, ticks: int) -> Score:
    """The score so many ticks earlier; notes that began before that are left out."""
    out = score.copy()
    for track in out.tracks:
        kept = [note for note in track.notes if note.time >= ticks]
        for note in kept:
            note.time -= ticks
        track.notes = type(track.notes)(kept)
    return out
