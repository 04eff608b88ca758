"""Forests: the graph, numpy and CatBoost agree; missing values go where they were grown to go; nothing can be scaled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kapelle import models
from kapelle.bundles.load import Bundle
from kapelle.bundles.manifest import Manifest
from kapelle.bundles.onnx_file import check_graph
from kapelle.bundles.session import Classifier
from kapelle.bundles.weights import constants
from kapelle.errors import UsageError
from kapelle.models import trees

onnx = pytest.importorskip("onnx")

CONFIG = trees.Config(features=5, classes=3, depth=3)
Weights = dict[str, NDArray[np.generic]]


def forest(n_trees: int = 20, seed: int = 0) -> Weights:
    draw = np.random.default_rng(seed)
    return {
        "features": draw.integers(0, CONFIG.features, (n_trees, CONFIG.depth)),
        "thresholds": draw.normal(0, 1, (n_trees, CONFIG.depth)).astype(np.float32),
        "leaves": draw.normal(0, 0.2, (n_trees, 2**CONFIG.depth, CONFIG.classes)).astype(np.float16).astype(np.float32),
        "bias": draw.normal(0, 0.5, CONFIG.classes).astype(np.float32),
    }


def session(config: trees.Config, weights: Weights) -> Classifier:
    graph = trees.graphs(config, weights)["predict"]
    onnx.checker.check_model(graph)
    data = graph.SerializeToString()
    check_graph(data, "predict.onnx")
    manifest = Manifest("probe", "trees", "classifier", {"predict": "predict.onnx"}, {}, "")
    return Classifier(Bundle(Path("probe"), manifest, "", {"predict.onnx": data}))


def rows(n: int, seed: int = 1) -> NDArray[np.float32]:
    draw = np.random.default_rng(seed)
    made = draw.normal(0, 1, (n, CONFIG.features)).astype(np.float32)
    made[draw.random(made.shape) < 0.1] = np.nan
    return made


def test_a_tree_by_hand() -> None:
    weights = {
        "features": np.array([[0, 1]]),
        "thresholds": np.array([[0.5, 10.0]], np.float32),
        "leaves": np.array([[[0, 0], [1, 0], [2, 0], [3, 0]]], np.float32),
        "bias": np.array([0, 0.25], np.float32),
    }
    made = trees.evaluate(trees.Config(2, 2, 2), weights, np.array([[0.5, 10.0], [0.6, 10.0], [0.5, 11.0], [0.6, 11.0]]))
    logit = np.array([0, 1, 2, 3]) - 0.25
    assert np.allclose(made[:, 0], 1 / (1 + np.exp(-logit)))
    assert np.allclose(made.sum(1), 1)


def test_the_graph_gives_what_numpy_gives() -> None:
    made = session(CONFIG, forest()).predict(rows(200))
    assert made.shape == (200, 3)
    assert np.abs(made - trees.evaluate(CONFIG, forest(), rows(200))).max() < 1e-6


def test_one_row_and_no_row() -> None:
    run = session(CONFIG, forest())
    assert run.predict(rows(1)).shape == (1, 3)
    assert run.predict(rows(0)).shape == (0, 3)


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    run, given = session(CONFIG, forest()), rows(30)
    assert np.array_equal(run.predict(given)[7], run.predict(given[7:8])[0])


def test_missing_is_less_than_everything() -> None:
    run, gone = session(CONFIG, forest()), np.full((1, 5), np.nan)
    lowest = np.full((1, 5), -1e30)
    assert np.array_equal(run.predict(gone), run.predict(lowest))
    assert np.array_equal(trees.evaluate(CONFIG, forest(), gone), trees.evaluate(CONFIG, forest(), lowest))


def test_a_threshold_may_part_missing_from_the_lowest() -> None:
    weights = forest(1)
    weights["features"], weights["thresholds"] = np.zeros((1, 3), np.int64), np.full((1, 3), -trees.NEVER, np.float32)
    given = np.zeros((2, 5), np.float32)
    given[0, 0], given[1, 0] = np.nan, -1e38
    made = session(CONFIG, weights).predict(given)
    assert not np.allclose(made[0], made[1])


def test_infinite_features_give_probabilities() -> None:
    given = np.array([[np.inf, -np.inf, np.nan, 0, 0]], np.float32)
    made = session(CONFIG, forest()).predict(given)
    assert np.isfinite(made).all()
    assert np.abs(made - trees.evaluate(CONFIG, forest(), given)).max() < 1e-6


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(UsageError):
        session(CONFIG, forest()).predict(np.zeros((1, 4), np.float32))
    with pytest.raises(UsageError):
        trees.evaluate(CONFIG, forest(), np.zeros((1, 4)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("features", np.full((20, 3), 5)),
        ("features", np.full((20, 3), -1)),
        ("thresholds", np.full((20, 3), np.nan)),
        ("leaves", np.zeros((20, 8, 2))),
        ("bias", np.zeros(2)),
    ],
)
def test_arrays_that_are_no_forest_are_refused(name: str, value: NDArray[np.generic]) -> None:
    with pytest.raises(ValueError, match=name.removesuffix("s")):
        trees.graphs(CONFIG, {**forest(), name: value})


def test_a_forest_without_trees_is_refused() -> None:
    empty = {name: array[:0] if name != "bias" else array for name, array in forest().items()}
    with pytest.raises(ValueError, match="0 trees"):
        trees.check(CONFIG, empty)


def test_the_arrays_come_back_from_the_graph() -> None:
    held = constants(trees.graphs(CONFIG, forest())["predict"].SerializeToString())
    back = trees.weights(CONFIG, {"predict": held})
    for name in trees.ARRAYS:
        assert np.array_equal(back[name], forest()[name]), name


def test_leaves_take_two_bytes_each() -> None:
    data = trees.graphs(CONFIG, forest(1000))["predict"].SerializeToString()
    assert len(data) < 1000 * (8 * 3 * 2 + 3 * 8 + 3 * 4 + 8) + 4000


def test_it_is_a_row_of_the_table() -> None:
    assert models.family("trees").KIND == "classifier"
    with pytest.raises(UsageError, match="no network"):
        models.family("trees").build(CONFIG)
