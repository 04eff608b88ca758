"""The benchmark of the trees that hear MIDI: what it counts, and its section on the page."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import _page_classifiers  # noqa: E402
import genre_midi  # noqa: E402

from kapelle.data import feature_tables  # noqa: E402
from kapelle.data.feature_tables import ROW  # noqa: E402


def test_the_area_is_the_chance_that_a_hit_is_greater() -> None:
    assert genre_midi.area(np.array([1.0, 2, 3, 4]), np.array([False, False, True, True])) == 1
    assert genre_midi.area(np.array([1.0, 2, 3, 4]), np.array([True, False, True, False])) == 0.25
    assert genre_midi.area(np.array([5.0, 5, 5]), np.array([True, False, False])) == 0.5


def test_the_area_is_that_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(0)
    values, hits = draw.integers(0, 20, 300), draw.random(300) < 0.3
    assert genre_midi.area(values, hits) == pytest.approx(metrics.roc_auc_score(hits, values))


def test_pieces_are_means_of_excerpts_and_intervals_are_over_artists() -> None:
    found = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.4, 0.6]])
    what = np.zeros(4, ROW)
    what["piece"], what["label"], what["group"] = [0, 0, 1, 2], [0, 0, 1, 0], [0, 0, 1, 1]
    made = genre_midi.figures(found, what, ("a", "b"))
    assert made["artists"] == 2 and made["pieces"]["n"] == 3 and made["excerpts"]["n"] == 4
    assert made["pieces"]["accuracy"] == pytest.approx(2 / 3) == made["pieces"]["interval"]["value"]
    assert made["pieces"]["interval"]["low"] == 0.5 and made["pieces"]["interval"]["high"] == 1


def test_the_feature_that_tells_best_comes_first(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    what = np.zeros(200, ROW)
    what["label"], what["source"], what["piece"] = np.arange(200) % 2, 1, np.arange(200)
    rows = draw.normal(0, 1, (200, 3)).astype(np.float32)
    rows[:, 2] -= 3 * what["label"]
    sources = [{"folder": name, "name": name, "licence": "ours"} for name in ("pop909_cl", "others")]
    info = {"classes": ["human", "generated"], "features": ["x", "y", "z"], "inputs": "midi_features", "sources": sources}
    feature_tables.write(tmp_path, info, rows, what)
    made = genre_midi.single(feature_tables.read(tmp_path))
    assert made[0]["feature"] == "z" and made[0]["area"] < 0.1 and made[0]["generated"] < made[0]["human"]


def test_the_page_has_every_table() -> None:
    import json

    text = _page_classifiers.trees(json.loads((BENCHMARKS / "results" / "genre_midi.json").read_text()))
    for words in ("four genres, mixed collections", "human-or-generated", "rank-edm", "top_repeated", "| classical |"):
        assert words in text
