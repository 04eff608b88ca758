"""The objective of a classifier of rolls: what it draws, what it shuffles, and that a little training tells what it should."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import rolls  # noqa: E402
from kapelle.bundles import load  # noqa: E402
from kapelle.bundles.export import export  # noqa: E402
from kapelle.classifiers.judge import GenreJudge  # noqa: E402
from kapelle.data import roll_shards  # noqa: E402
from kapelle.data.roll_windows import NOTE, SHAPE, WINDOW  # noqa: E402
from kapelle.errors import UsageError  # noqa: E402
from kapelle.models import genre_judge  # noqa: E402
from kapelle.training import classifying  # noqa: E402
from kapelle.training.classifying import Classifying, disordered, likelihood  # noqa: E402
from kapelle.training.fit import FitOptions, fit  # noqa: E402
from kapelle.training.objectives import Turn  # noqa: E402
from kapelle.training.recipe import ClassifierSection, TrainingSection  # noqa: E402


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rolls.write_shards(tmp_path_factory.mktemp("rolls"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Filters this small are slower on two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def objective(shards: Path, **settings: Any) -> Classifying:
    return Classifying(roll_shards.read(shards), TrainingSection(steps=1, batch_size=32, semitones=3, **settings))


def music(seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    notes = np.zeros(120, NOTE)
    notes["start"] = np.sort(draw.integers(0, WINDOW - 6, 120))
    notes["end"], notes["pitch"] = notes["start"] + draw.integers(1, 6, 120), draw.integers(30, 90, 120)
    return notes


def test_a_batch_is_a_function_of_the_step(shards: Path) -> None:
    made = objective(shards, balance=1.0)
    one, again, other = made.batch(3), made.batch(3), made.batch(4)
    assert one[0].shape == (32, *SHAPE) and all((a == b).all() for a, b in zip(one, again, strict=True))
    assert (one[0] != other[0]).any()


def test_a_batch_holds_training_music_of_all_classes_and_some_disorder(shards: Path) -> None:
    cells, labels, kinds = objective(shards, balance=1.0).batch(0)
    assert set(labels.tolist()) == {0, 1} and 0 < (kinds > 0).sum() < 20
    assert cells.any(axis=(1, 2, 3)).all()
    assert (objective(shards, classifier=ClassifierSection(disorder=0.0)).batch(0)[2] == 0).all()


@pytest.mark.parametrize("kind", [classifying.BARS, classifying.PITCHES, classifying.ONSETS])
def test_disorder_keeps_the_notes_in_the_window(kind: int) -> None:
    notes = music()
    made = disordered(notes, kind, np.random.default_rng(1))
    assert (made["start"] >= 0).all() and (made["end"] <= WINDOW).all() and (made["start"] < made["end"]).all()
    assert sorted(made["pitch"].tolist()) == sorted(notes["pitch"].tolist()) and (made != notes).any()
    if kind == classifying.BARS:
        assert (made["start"] % 48 == notes["start"] % 48).all()
    if kind == classifying.PITCHES:
        assert (made["start"] == notes["start"]).all() and (made["end"] == notes["end"]).all()


def test_music_is_varied_but_its_onsets_stay() -> None:
    notes, draw = music(), np.random.default_rng(2)
    made = classifying.varied(notes, 0.3, 0.5, draw)
    assert 80 < len(made) < 120 and set(made["start"].tolist()) <= set(notes["start"].tolist())
    assert (made["end"] > made["start"]).all() and (made["end"] <= WINDOW).all()
    assert (classifying.varied(notes, 0.0, 0.0, draw) == notes).all()


def test_rare_classes_are_drawn_less_often_and_made_up_for(shards: Path) -> None:
    held = roll_shards.read(shards)
    keep = np.append(held.of("train")[held.pieces["label"][held.of("train")] == 0][:1], np.flatnonzero(held.pieces["label"] == 1))
    few = roll_shards.Rolls(held.path, held.info, held.all_notes, held.all_lines, held.pieces[keep], held.digests)
    made = Classifying(few, TrainingSection(steps=1, balance=0.5))
    n = int((few.pieces["label"][few.of("train")] == 1).sum())
    assert made.shares[1] / made.shares[0] == pytest.approx(n**0.5)
    assert made.offsets[1] - made.offsets[0] == pytest.approx(np.log(n) / 2)


def test_order_is_left_alone_and_so_is_silence() -> None:
    assert (disordered(music(), classifying.IN_ORDER, np.random.default_rng(1)) == music()).all()
    for kind in range(4):
        assert len(disordered(np.zeros(0, NOTE), kind, np.random.default_rng(1))) == 0


def test_the_likelihood_counts_classes_alike() -> None:
    sure = np.log(np.array([[0.9, 0.1]], np.float32))
    scores = [sure, sure, sure, sure]
    assert likelihood(scores, np.array([0, 0, 0, 1]), 1.0) == pytest.approx(-(np.log(0.9) + np.log(0.1)) / 2, rel=1e-5)
    assert likelihood(scores, np.array([0, 0, 0, 1]), 1e6) == pytest.approx(np.log(2), abs=1e-4)


def test_validation_settles_the_statistics_and_sets_the_temperature(shards: Path) -> None:
    made = objective(shards)
    torch.manual_seed(0)
    network = genre_judge.build(genre_judge.Config(2, (4, 4, 4, 4), 8, 4)).eval()
    turn = Turn(network, torch.device("cpu"), 0, 0, 1, lambda loss: None, lambda name: 0.0, lambda: None)
    one, two = made.validate(turn), made.validate(turn)
    assert one == two and not network.training
    assert one["temperature"] == pytest.approx(float(network.temperature))
    assert network.filters[0].norm.momentum == 0.1 and int(network.filters[0].norm.num_batches_tracked) == classifying.SETTLING
    assert float(network.filters[0].norm.running_var.max()) < 0.2  # of rolls, most of whose cells are silent


def test_one_class_is_too_few(tmp_path: Path) -> None:
    held = roll_shards.read(rolls.write_shards(tmp_path))
    pieces = held.pieces[held.pieces["label"] == 0]
    with pytest.raises(UsageError, match="two classes"):
        Classifying(roll_shards.Rolls(held.path, held.info, held.all_notes, held.all_lines, pieces, held.digests), TrainingSection(steps=1))


def test_a_little_training_tells_quick_from_slow_and_ships(shards: Path, tmp_path: Path) -> None:
    told = fit(shards.parent / "recipe.toml", shards, tmp_path / "run")
    assert told["finished"] and told["best"]["balanced_accuracy"] == 1 and told["best"]["temperature"] > 0
    export(tmp_path / "run", tmp_path / "bundle")
    bundle = load.load(tmp_path / "bundle")
    assert bundle.manifest.kind == "classifier" and bundle.manifest.codec is None
    assert bundle.manifest.options["classes"] == ["edm", "jazz"] and bundle.manifest.options["inputs"] == "roll"
    judge = GenreJudge(bundle)
    assert [judge.classify(rolls.piece(kind, 77)).label for kind in ("quick", "slow")] == ["edm", "jazz"]
    assert "temperature" in (tmp_path / "bundle" / "card.md").read_text(encoding="utf-8")


def test_the_same_run_gives_the_same_weights(shards: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        fit(shards.parent / "recipe.toml", shards, tmp_path / name, FitOptions(overrides=("training.steps=3",)))
    assert (tmp_path / "one" / "weights.safetensors").read_bytes() == (tmp_path / "two" / "weights.safetensors").read_bytes()
