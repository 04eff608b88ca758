from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tunes  # noqa: E402
from kapelle import models  # noqa: E402
from kapelle.data import shards as shard_files  # noqa: E402
from kapelle.data.prepare import preparation, prepare  # noqa: E402
from kapelle.errors import UsageError  # noqa: E402
from kapelle.models import chord_lstm  # noqa: E402
from kapelle.training import score, trackers, windows  # noqa: E402
from kapelle.training.fit import FitOptions, fit  # noqa: E402
from kapelle.training.recipe import TrainingSection  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = """
name = "tiny-faithful"
family = "chord_lstm"
codec = "chords"
objective = "next_item"

[data]
validation = 0.2
test = 0.2

[[data.sources]]
folder = "."
genre = "any"
group = "file"

[tokenizer]
real_pitches = false
attributes = false
velocities = 0
min_count = 2
rare = "drop"

[preprocessing]
window = 8
min_notes = 10

[model]
input = "scalar"
hidden = [16, 8]
dense = 8
dropout = 0.0

[training]
steps = 40
batch_size = 16
learning_rate = 1e-2
warmup_steps = 0
final_rate = 1.0
clip_norm = 0.0
precision = "32-true"
validate_every = 20
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("faithful")
    (place / "recipe.toml").write_text(RECIPE)
    midi = tunes.write_folder(place / "midi", n_artists=3)
    prepare(midi, preparation(place / "recipe.toml"), place / "shards")
    return place


@pytest.fixture
def objective(folder: Path) -> windows.NextItem:
    settings = TrainingSection(steps=1, batch_size=16, seed=3)
    return windows.NextItem(shard_files.read(folder / "shards"), settings, chord_lstm.logits)


def test_every_window_of_the_training_part_is_drawn_once_an_epoch(objective: windows.NextItem) -> None:
    held = objective.shards
    rows = held.pieces[held.pieces["part"] == 0]
    assert len(objective.targets) == int((rows["stop"] - rows["start"] - 8).sum())  # stride 1, none before the first whole window
    epoch = np.concatenate([objective.batch(step) for step in range(objective.steps_per_epoch)])
    assert len(set(epoch.tolist())) == len(epoch) > len(objective.targets) - 16
    again = np.concatenate([objective.batch(objective.steps_per_epoch + step) for step in range(objective.steps_per_epoch)])
    assert epoch.tolist() != again.tolist()
    assert objective.batch(5).tolist() == objective.batch(5).tolist()


def test_a_window_never_crosses_two_pieces(objective: windows.NextItem) -> None:
    starts = objective.shards.pieces["start"].astype(int)
    for place in objective.targets.tolist():
        assert starts[starts <= place].max() <= place - 8


def test_only_the_next_item_is_foretold(objective: windows.NextItem) -> None:
    seen: list[Any] = []

    def logits(network: Any, ids: torch.Tensor) -> torch.Tensor:
        seen.append(ids)
        return torch.zeros(*ids.shape, objective.shards.vocabulary_size)

    places = objective.targets[:4]
    scores, wanted = windows.last_scores(objective.shards, places, 8, logits, None, torch.device("cpu"))
    assert scores.shape == (4, objective.shards.vocabulary_size) and seen[0].shape == (4, 8)
    assert wanted.tolist() == objective.shards.tokens[places].tolist()
    assert seen[0][0].tolist() == objective.shards.tokens[places[0] - 8 : places[0]].tolist()


def test_a_run_learns_and_draws_loss_and_accuracy_of_both_sides(folder: Path) -> None:
    torch.set_num_threads(1)
    options = FitOptions(accelerator="cpu", trackers=("jsonl",))
    figures = fit(folder / "recipe.toml", folder / "shards", folder / "run", options)
    lines = trackers.read_log(folder / "run" / "log.jsonl")
    last = lines[-1]
    assert {"loss", "accuracy", "validation_loss", "validation_accuracy"} <= set(last)
    assert last["loss"] < lines[0]["loss"]
    assert 0 < figures["best"]["bits_per_token"] < 8
    assert (folder / "run" / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_pieces_shorter_than_a_window_are_refused_by_its_name(folder: Path, tmp_path: Path) -> None:
    prepare(folder / "midi", preparation(folder / "recipe.toml", ["preprocessing.window=5000"]), tmp_path)
    with pytest.raises(UsageError, match="no piece for training has more than 5000 ids"):
        windows.NextItem(shard_files.read(tmp_path), TrainingSection(steps=1), chord_lstm.logits)


def test_windows_dealt_singly_have_one_target_each(folder: Path, tmp_path: Path) -> None:
    prepare(folder / "midi", preparation(folder / "recipe.toml", ["preprocessing.split=windows"]), tmp_path)
    held = shard_files.read(tmp_path)
    for part in (score.TRAIN, score.TEST):
        assert len(windows.targets(held, part, 8)) == int((held.pieces["part"] == part).sum()) > 0


def test_an_id_that_stands_for_a_chord_counts_as_its_notes(folder: Path) -> None:
    held = shard_files.read(folder / "shards")
    low, high = held.info["note_ids"]
    counts = score.notes_per_id(held)
    assert counts[low:high].tolist() == held.info["notes_per_id"] and counts.sum() == counts[low:high].sum()
    info = {key: value for key, value in held.info.items() if key != "notes_per_id"}
    plain = shard_files.Shards(**{**{name: getattr(held, name) for name in held.__dataclass_fields__}, "info": info})
    assert score.notes_per_id(plain)[low:high].tolist() == [1] * (high - low)


def test_the_recipes_family_is_in_the_table() -> None:
    assert models.family("chord_lstm") is chord_lstm
