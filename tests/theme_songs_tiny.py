"""Theme shards made of numbers, and a recipe that learns them in seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kapelle.data import theme_shards

if TYPE_CHECKING:
    from pathlib import Path

LENGTH, VOCABULARY = 16, 24
FIRST_PITCH, END_PITCH, BAR, THEME, END = 1, 20, 20, 21, 22
RECIPE = f"""
name = "tiny-theme"
family = "theme"
codec = "theme"
objective = "theme"

[model]
n_positions = {LENGTH}
d_model = 16
n_head = 2
d_ff = 32
n_encoder = 1
n_decoder = 2
exclusive = [0, 1]
dropout = 0.0

[training]
steps = 60
batch_size = 8
learning_rate = 1e-2
warmup_steps = 0
weight_decay = 0.0
final_rate = 1.0
precision = "32-true"
validate_every = 30
excerpts = 0.5
semitones = 127
"""


def songs(path: Path, n_songs: int = 24, part: int | None = None) -> Path:
    """Songs of two kinds of bars: noise, and a theme of three pitches that is another one in every song."""
    draw = np.random.default_rng(0)
    info = {"mode": "paper", "vocabulary": VOCABULARY, "pad": 0, "context_len": LENGTH, "pitch_ids": [[FIRST_PITCH, END_PITCH]],
            "note_ids": [[FIRST_PITCH, END_PITCH]], "normalised_key": False, "theme_start": THEME, "theme_end": END, "bar": BAR,
            "sources": [{"folder": "songs"}]}  # fmt: skip
    ids: list[int] = []
    labels: list[int] = []
    rows, windows = [], []
    for number in range(n_songs):
        start = len(ids)
        theme = [THEME, BAR, *draw.integers(4, 17, 3).tolist(), END]
        for _ in range(6):
            ids += [*theme, BAR, int(draw.integers(4, 17))]
            labels += [1, 2, 3, 4, 5, 0, 0, 0]
        own = number % 3 if part is None else part
        rows.append((start, len(ids), start, start + len(theme), 24, 12, own, 0, -3, 3))
        windows += [(number, start + a, start + b) for a, b in [(0, LENGTH + 1), (LENGTH, 2 * LENGTH + 1), (2 * LENGTH, 48)]]
    arrays = {"ids": np.array(ids, np.uint16), "labels": np.array(labels, np.uint16), "songs": np.array(rows, theme_shards.SONG),
              "windows": np.array(windows, theme_shards.WINDOW)}  # fmt: skip
    theme_shards.write(path, info, arrays)
    return path
