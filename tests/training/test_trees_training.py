"""Forests are grown: CatBoost's probabilities are ours, runs repeat, figures and cards tell the test part."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import feature_tables_tiny as tiny

pytest.importorskip("torch")
catboost = pytest.importorskip("catboost")

from kapelle import api  # noqa: E402
from kapelle.bundles import load  # noqa: E402
from kapelle.bundles.session import Classifier  # noqa: E402
from kapelle.data import feature_tables  # noqa: E402
from kapelle.errors import Interrupted, Missing, UsageError  # noqa: E402
from kapelle.models import trees as forest  # noqa: E402
from kapelle.training import trees  # noqa: E402
from kapelle.training.fit import FitOptions, Progress  # noqa: E402


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trees")
    tiny.write(folder / "shards")
    api.train(tiny.recipe(folder), folder / "shards", folder / "run", FitOptions(trackers=()))
    api.export(folder / "run", folder / "bundle")
    return folder


def figures(place: Path) -> dict[str, Any]:
    table: dict[str, Any] = json.loads((place / "run" / "figures.json").read_text())
    return table


@pytest.mark.parametrize("nan", [False, True])
def test_probabilities_are_those_of_catboost(nan: bool) -> None:
    draw = np.random.default_rng(0)
    rows = draw.normal(0, 1, (800, 6)).astype(np.float32)
    labels = (rows[:, 0] > 0).astype(int) + (rows[:, 1] * rows[:, 2] > 0.3)
    if nan:
        rows[draw.random(rows.shape) < 0.2] = np.nan
    model = catboost.CatBoostClassifier(loss_function="MultiClass", iterations=150, depth=5, thread_count=1, verbose=False,
                                        allow_writing_files=False, random_seed=1)  # fmt: skip
    model.fit(rows[:600], labels[:600])
    shape = forest.Config(6, 3, 6)  # one level deeper than the trees: those are filled up
    weights = trees.arrays_of(trees._as_json(model), shape)
    ours, theirs = trees.probabilities(shape, weights, rows[600:]), model.predict_proba(rows[600:])
    assert np.abs(ours - theirs).max() < 1e-3
    assert np.array_equal(ours.argmax(1), theirs.argmax(1))


def test_a_run_becomes_a_bundle_that_says_what_the_trees_say(place: Path) -> None:
    table, bundle = feature_tables.read(place / "shards"), load.load(place / "bundle")
    session = Classifier(bundle)
    from safetensors.numpy import load_file

    weights = dict(load_file(place / "run" / "weights.safetensors"))
    ours = trees.probabilities(forest.Config(4, 3, 3), weights, np.array(table.rows))
    assert np.abs(session.predict(np.array(table.rows)) - ours).max() < 1e-5
    options = bundle.manifest.options
    assert options["classes"] == list(tiny.CLASSES) and options["inputs"] == "midi_features"
    assert options["features"] == ["first", "second", "third", "fourth"]
    assert len(options["low"]) == len(options["high"]) == 4
    assert (bundle.manifest.kind, bundle.manifest.codec, options["precision"]) == ("classifier", None, "fp16")


def test_figures_tell_the_test_part(place: Path) -> None:
    told = figures(place)
    assert told["finished"] and 0 < told["step"] <= 60
    assert told["test"]["excerpts"]["accuracy"] > 0.9 > told["test"]["excerpts"]["baseline"]
    assert told["test"]["pieces"]["n"] * 2 == told["test"]["excerpts"]["n"]
    assert set(told["tables"]["excerpts"]["confusion"]) == set(tiny.CLASSES)
    assert next(iter(told["tables"]["importance"])) in ("first", "second")


def test_the_card_has_the_confusion_matrix_as_a_table(place: Path) -> None:
    card = (place / "bundle" / "card.md").read_text()
    assert "| is \\ taken for | high | low | gone | found |" in card
    assert "| confidence | rows | mean confidence | share right |" in card
    assert "| a seed | none |" in card and "16-bit floats" in card and "tables." not in card


def test_the_same_recipe_gives_the_same_trees(place: Path, tmp_path: Path) -> None:
    trees.fit(tiny.recipe(tmp_path), place / "shards", tmp_path / "run", FitOptions(trackers=()))
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == (place / "run" / "weights.safetensors").read_bytes()


def test_a_run_that_is_done_is_not_done_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees._Growing, "go", None)
    assert trees.fit(tiny.recipe(place), place / "shards", place / "run") == figures(place)


def test_progress_is_told_with_the_time_left(place: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    trees.fit(tiny.recipe(tmp_path), place / "shards", tmp_path / "run", FitOptions(trackers=(), progress=told.append))
    assert [one.step for one in told[:3]] == [1, 2, 3] and told[0].steps == 60
    assert set(told[0].figures) == {"loss", "validation_loss"} and told[0].seconds_left >= 0
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == len(told) // 5


def test_interrupted_it_says_that_it_begins_anew(place: Path, tmp_path: Path) -> None:
    import os
    import signal

    def stop(at: Progress) -> None:
        if at.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="half grown"):
        trees.fit(tiny.recipe(tmp_path), place / "shards", tmp_path / "run", FitOptions(trackers=(), progress=stop))
    assert not (tmp_path / "run" / "weights.safetensors").exists()
    trees.fit(tiny.recipe(tmp_path), place / "shards", tmp_path / "run", FitOptions(trackers=()))
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == (place / "run" / "weights.safetensors").read_bytes()


def test_without_catboost_the_extra_is_named(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "catboost", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Missing) as told:
        trees.fit(tiny.recipe(tmp_path), place / "shards", tmp_path / "run")
    assert "classify" in told.value.hint


def test_trees_begin_from_nothing(place: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="begin from nothing"):
        trees.fit(tiny.recipe(tmp_path), place / "shards", tmp_path / "run", FitOptions(trackers=(), start_from=place / "run"))


def test_a_classifier_is_not_fitted_in_one_go(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not made in one go"):
        api.fit(tiny.recipe(tmp_path), tmp_path, tmp_path / "out")


def test_a_class_without_training_rows_is_named(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "shards")
    held = feature_tables.read(folder)
    table = np.array(held.table)
    table["part"][table["label"] == 1] = 2
    feature_tables.write(tmp_path / "other", held.info, np.array(held.rows), table)
    with pytest.raises(UsageError, match="low"):
        trees.fit(tiny.recipe(tmp_path), tmp_path / "other", tmp_path / "run")


def test_rows_of_a_piece_weigh_as_one_and_classes_alike() -> None:
    made = trees.row_weights(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 2]), 1.0)
    assert np.allclose(made, np.array([0.25, 0.25, 0.5, 1.0]) * 2)
    assert np.allclose(trees.row_weights(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 2]), 0.0) * 0.75, [0.5, 0.5, 1, 1])


def test_without_patience_all_trees_are_grown_though_a_part_is_held_out(place: Path, tmp_path: Path) -> None:
    settings = FitOptions(trackers=(), overrides=["training.patience=0", "training.learning_rate=0.9"])
    assert trees.fit(tiny.recipe(tmp_path), place / "shards", tmp_path / "run", settings)["step"] == 60
