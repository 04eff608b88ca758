"""A bundle of trees that tells dense music from sparse music, grown by hand: three trees on one feature, so that no CatBoost is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from symusic import Note, Score, Track

from kapelle.bundles.export import write_bundle
from kapelle.bundles.manifest import Manifest
from kapelle.classifiers.midi_features import NAMES
from kapelle.models import trees

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ("dense", "sparse", "other")


def build(folder: Path, *, through_tokens: bool = False, name: str = "genre-midi") -> Path:
    """The bundle in `folder`: three notes a quarter and more are dense."""
    place = NAMES.index("notes_per_quarter")
    leaves = np.array([[0, 0.7, 0], [0.7, 0, 0]] * 3, np.float32).reshape(3, 2, 3)
    weights = {
        "features": np.full((3, 1), place),
        "thresholds": np.full((3, 1), 3.0, np.float32),
        "leaves": leaves,
        "bias": np.zeros(3, np.float32),
    }
    shape = trees.Config(features=len(NAMES), classes=3, depth=1)
    graph = trees.graphs(shape, weights)["predict"].SerializeToString(deterministic=True)
    options = {
        "classes": list(CLASSES), "features": list(NAMES), "inputs": "midi_features", "low": [-1000.0] * len(NAMES),
        "high": [1000.0] * len(NAMES),
        "excerpts": {"bars": 4, "most": 3, "min_bars": 2, "min_notes": 10, "through_tokens": through_tokens},
    }  # fmt: skip
    draft = Manifest(name, "trees", "classifier", {}, {}, "none", options=options)
    write_bundle(folder, draft, {"predict": graph}, {"card.md": b"# probe\n"})
    return folder


def piece(per_quarter: int, bars: int = 8, tpq: int = 480) -> Score:
    """A piece of so many notes a quarter."""
    score = Score(tpq)
    track = Track("t", 0)
    for i in range(bars * 4 * per_quarter):
        track.notes.append(Note(i * tpq // per_quarter, tpq // per_quarter, 60 + i * 5 % 12, 80))
    score.tracks.append(track)
    return score
