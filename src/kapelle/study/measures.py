"""Figures of a piece in a study: what its table of statistics is made of.

Takes the `cell.Music` of a cell; gives numbers by name, NaN where there is nothing to measure. What each is, and where it is from, stands
in `MEASURES`; none says whether a piece is good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from kapelle.metrics import theme as theme_metrics
from kapelle.score import units
from kapelle.score.edit import note_arrays
from kapelle.score.melody import STEPS_PER_BAR, on_grid

if TYPE_CHECKING:
    from symusic import Score

    from kapelle.study.cell import Music

MEASURES: Mapping[str, str] = {
    "seconds": "duration up to the final bar line",
    "notes": "notes of all tracks",
    "notes per bar": "their mean over the bars",
    "pitch classes": "different ones in a bar, mean over bars in which notes begin",
    "pitch-class consistency": "how alike two bars are in pitch classes, 0 to 1, mean over all pairs",
    "grooving consistency": "how alike two bars are in onsets, 0 to 1, mean over all pairs",
    "returns": "regions marked as theme",
    "repeated bars": "share of bars whose accompaniment is that of the first or the second bar, note for note",
}


def of_music(music: Music) -> dict[str, float]:
    """The figures of `MEASURES`."""
    score, n_bars = music.score, max(music.n_bars, 1)
    n_notes = sum(len(track.notes) for track in score.tracks)
    bars = _contents(score, n_bars)
    return {
        "seconds": round(float(units.tempo_map(score).to_seconds(music.end_ticks)), 2),
        "notes": float(n_notes),
        "notes per bar": n_notes / n_bars,
        "pitch classes": float(np.mean([len({pitch % 12 for _, pitch in bar}) for bar in bars if bar])) if any(bars) else nan,
        "pitch-class consistency": theme_metrics.pitch_class_consistency(score),
        "grooving consistency": theme_metrics.grooving_consistency(score),
        "returns": music.n_returns,
        "repeated bars": repeated_bars(score, n_bars),
    }


def repeated_bars(score: Score, n_bars: int, opening: int = 2) -> float:
    """Share of the bars after the opening whose accompaniment is, onset for onset and pitch for pitch, that of a bar of the opening.

    The accompaniment is every pitched track but the first. Bars in which none of it begins do not count; NaN if there are none.
    """
    bars = _contents(score, n_bars, first_track=1)
    models = [bar for bar in bars[:opening] if bar]
    later = [bar for bar in bars[opening:] if bar]
    if not models or not later:
        return nan
    return sum(bar in models for bar in later) / len(later)


def _contents(score: Score, n_bars: int, first_track: int = 0) -> list[Counter[tuple[int, int]]]:
    """Step and pitch of the notes that begin in each bar of four quarters, drums left out."""
    out: list[Counter[tuple[int, int]]] = [Counter() for _ in range(n_bars)]
    pitched = [track for track in score.tracks if not track.is_drum]
    for track in pitched[first_track:]:
        notes = on_grid(note_arrays(track), max(score.tpq, 1))
        for start, pitch in zip(notes["time"].tolist(), notes["pitch"].tolist(), strict=True):
            if start < n_bars * STEPS_PER_BAR:
                out[start // STEPS_PER_BAR][start % STEPS_PER_BAR, pitch] += 1
    return out
