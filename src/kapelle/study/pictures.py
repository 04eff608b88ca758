"""Small pictures of the pieces of a study, one each and all of them in one, drawn fast: `engraving.mosaic` on a grid of sixteenths.

Takes pieces or their MIDI files; gives PNG bytes. A track of its own strip: melody and accompaniment, or the members of a band.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kapelle.engraving.mosaic import mosaic, to_png
from kapelle.score import units
from kapelle.score.edit import note_arrays
from kapelle.score.melody import STEPS_PER_BAR, on_grid
from kapelle.score.read import read

if TYPE_CHECKING:
    from symusic import Score, Track

    from kapelle.study.plan import Plan

FEWEST_PITCHES = 24
ROW = 2
"""Pixels that a pitch is high."""

MOST_BARS = 64
MOST_TRACKS = 5
MOST_COLUMNS = 6


def of_score(score: Score) -> bytes:
    """The first 64 bars of a piece as PNG."""
    return to_png(mosaic(*_cells([score]), columns=1).repeat(ROW, axis=0))


def mosaic_of(paths: Sequence[Path], plan: Plan) -> bytes:
    """All pieces in one picture, a row for each value but the last axis; empty if there is none."""
    if not paths:
        return b""
    columns = min(len(plan.axes[-1].values), MOST_COLUMNS)
    return to_png(mosaic(*_cells([read(path) for path in paths]), columns=columns).repeat(ROW, axis=0))


def _cells(scores: Sequence[Score]) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """(N, M, L, S, P) of pieces, those that are shorter filled up with silence, and names of the M strips."""
    n_bars = min(max(max(units.n_bars(score) for score in scores), 1), MOST_BARS)
    named = [[track for track in score.tracks if len(track.notes)][:MOST_TRACKS] for score in scores]
    longest = max(named, key=len)
    names = tuple("drums" if track.is_drum else f"{place} {track.name}" for place, track in enumerate(longest)) or ("silence",)
    lowest, n_pitches = _range([track for tracks in named for track in tracks])
    out = np.zeros((len(scores), len(names), n_bars * STEPS_PER_BAR, n_pitches), np.bool_)
    for piece, score, tracks in zip(out, scores, named, strict=True):
        for strip, track in zip(piece, tracks, strict=False):
            notes = on_grid(note_arrays(track), max(score.tpq, 1))
            rows = notes["pitch"] - lowest
            for start, length, row in zip(notes["time"].tolist(), notes["duration"].tolist(), rows.tolist(), strict=True):
                strip[start : start + (1 if track.is_drum else length), row] = True
    return out.reshape(len(scores), len(names), n_bars, STEPS_PER_BAR, n_pitches), names


def _range(tracks: Sequence[Track]) -> tuple[int, int]:
    """The lowest pitch of some tracks, and how many there are up to the highest, a little more on both sides."""
    found = [track.notes.numpy()["pitch"] for track in tracks]
    low, high = (int(min(one.min() for one in found)), int(max(one.max() for one in found))) if found else (60, 60)
    missing = max(FEWEST_PITCHES - (high - low + 3), 0)
    return low - 1 - missing // 2, high - low + 3 + missing
