"""A tiny feature table of three classes that can be told apart, with missing values, and a recipe for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kapelle.data import feature_tables
from kapelle.data.feature_tables import ROW

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ("high", "low", "gone")
RECIPE = """
name = "tiny-trees"
family = "trees"
codec = "features"
objective = "trees"
licence = "none: numbers from a seed"

[data]
sources = []
[tokenizer]
[preprocessing]

[model]
depth = 3

[training]
steps = 60
learning_rate = 0.2
balance = 1.0
patience = 10
log_every = 5
"""


def write(folder: Path, n: int = 360, seed: int = 0) -> Path:
    """The table in `folder`: the first feature tells high from low, the third class lacks the second one."""
    draw = np.random.default_rng(seed)
    rows = draw.normal(0, 1, (n, 4)).astype(np.float32)
    what = np.zeros(n, ROW)
    what["label"] = draw.choice(3, n, p=[0.6, 0.2, 0.2])
    what["part"] = draw.choice(3, n, p=[0.6, 0.2, 0.2])
    what["piece"] = np.arange(n) // 2
    what["part"] = what["part"][what["piece"] * 2]
    what["label"] = what["label"][what["piece"] * 2]
    rows[:, 0] += np.array([2, -2, 0], np.float32)[what["label"]]
    rows[what["label"] == 2, 1] = np.nan
    rows[draw.random(n) < 0.1, 3] = np.nan
    info = {
        "classes": list(CLASSES), "features": ["first", "second", "third", "fourth"], "inputs": "midi_features",
        "sources": [{"name": "a seed", "licence": "none"}],
    }  # fmt: skip
    feature_tables.write(folder, info, rows, what)
    return folder


def recipe(folder: Path) -> Path:
    """The recipe as a file in `folder`."""
    path = folder / "tiny.toml"
    path.write_text(RECIPE)
    return path
