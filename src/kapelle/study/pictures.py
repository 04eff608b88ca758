"""Small pictures of the pieces of a study, one each and all of them in one, drawn fast: `engraving.mosaic` on a grid of sixteenths.

Takes pieces or their MIDI files; gives PNG bytes. A track of its own strip: melody and accompaniment, or the members of a band.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
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

FEWEST_PITCHES = 18
HEIGHT = 320
"""Pixels that a piece is about high, whatever its range."""

ROWS = (2, 6)
"""Pixels that a pitch is high, at least and at most."""

STEP = 2
"""Pixels that a sixteenth is wide."""

MOST_BARS = 64
MOST_TRACKS = 5
MOST_COLUMNS = 6


def of_score(score: Score) -> bytes:
    """The first 64 bars of a piece as PNG."""
    return _png([score], columns=1)


def mosaic_of(paths: Sequence[Path], plan: Plan) -> bytes:
    """All pieces in one picture, a row for each value but the last axis; empty if there is none."""
    if not paths:
        return b""
    columns = min(len(plan.axes[-1].values), MOST_COLUMNS)
    return _png([read(path) for path in paths], columns)


def _png(scores: Sequence[Score], columns: int) -> bytes:
    cells, names = _cells(scores)
    row = min(max(HEIGHT // (cells.shape[1] * cells.shape[-1]), ROWS[0]), ROWS[1])
    return to_png(mosaic(cells, names, columns=columns).repeat(row, axis=0).repeat(STEP, axis=1))


def _cells(scores: Sequence[Score]) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """(N, M, L, S, P) of pieces, those that are shorter filled up with silence, and names of the M strips."""
    n_bars = min(max(max(units.n_bars(score) for score in scores), 1), MOST_BARS)
    named = [[track for track in score.tracks if len(track.notes)][:MOST_TRACKS] for score in scores]
    longest = max(named, key=len)
    names = tuple("drums" if track.is_drum else f"{place} {track.name}" for place, track in enumerate(longest)) or ("silence",)
    rows = [_Rows(strip) for strip in zip_longest(*named)] or [_Rows(())]
    n_pitches = max(FEWEST_PITCHES, *(strip.n for strip in rows)) + 2
    out = np.zeros((len(scores), len(names), n_bars * STEPS_PER_BAR, n_pitches), np.bool_)
    for piece, score, tracks in zip(out, scores, named, strict=True):
        for strip, track, place in zip(piece, tracks, rows, strict=False):
            notes = on_grid(note_arrays(track), max(score.tpq, 1))
            where = place.of(notes["pitch"]) + (n_pitches - place.n) // 2
            for start, length, row in zip(notes["time"].tolist(), notes["duration"].tolist(), where.tolist(), strict=True):
                strip[start : start + (1 if track.is_drum else length), row] = True
    return out.reshape(len(scores), len(names), n_bars, STEPS_PER_BAR, n_pitches), names


class _Rows:
    """Which row a pitch has in a strip: counted from the lowest of its tracks; drums have a row for each of theirs."""

    def __init__(self, tracks: Sequence[Track | None]) -> None:
        there = [track for track in tracks if track is not None]
        found = np.unique(np.concatenate([track.notes.numpy()["pitch"] for track in there])) if there else np.array([60])
        drums = any(track.is_drum for track in there)
        self.pitches = found if drums else np.arange(found[0], found[-1] + 1)

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.pitches)

    def of(self, pitches: NDArray[np.int32]) -> NDArray[np.intp]:
        """The row of each pitch."""
        return np.searchsorted(self.pitches, pitches)
