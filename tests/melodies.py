"""Small fragment shards: songs of two phrases that come back, each song with its own rhythm and its own contour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.data import fragment_shards, themes
from kapelle.data.fragment_shards import FRAGMENT, NOTE

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

N_BARS = 12


def song(seed: int) -> NDArray[Any]:
    """Twelve bars: A B A C A B, each of two bars, in C major."""
    draw = np.random.default_rng(seed)
    scale = np.array([pitch for pitch in range(55, 80) if pitch % 12 in themes.MAJOR])
    phrases = []
    for _ in range(3):
        starts = np.sort(draw.choice(32, int(draw.integers(5, 12)), replace=False))
        phrases.append((starts, np.diff(starts, append=32), scale[draw.integers(0, len(scale), len(starts))]))
    rows = [
        (32 * place + int(start), int(length), int(pitch), 80)
        for place, which in enumerate((0, 1, 0, 2, 0, 1))
        for start, length, pitch in zip(*phrases[which], strict=True)
    ]
    return np.array(rows, NOTE)


def write_shards(path: Path, n_songs: int) -> Path:
    """Shards of so many songs, the last three for validation, and the folder they are in."""
    notes, rows, at = [], [], 0
    for number in range(n_songs):
        made = song(number)
        for one in themes.fragments(made, N_BARS):
            first = at + int(np.searchsorted(made["start"], 16 * one.bar))
            part = 1 if 0 < n_songs - 3 <= number else 0
            rows.append((first, first + len(one.notes), number, one.bar, part, 0, 0))
        notes.append(made)
        at += len(made)
    arrays = {"notes": np.concatenate(notes), "fragments": np.array([row for row in rows if row[1] > row[0]], FRAGMENT)}
    fragment_shards.write(path, {"sources": [{"folder": "melodies", "licence": "CC0"}], "sizes": themes.SIZES}, arrays)
    return path
