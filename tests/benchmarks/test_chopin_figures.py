"""The benchmark of the Chopin LSTM charges every model for the same ids, and counts a chord as its notes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import tunes
from kapelle.data import shards as shard_files
from kapelle.data.prepare import preparation, prepare

pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import chopin

RECIPE = """
name = "tiny"
codec = "chords"
[data]
validation = 0.25
test = 0.25
[[data.sources]]
folder = "jazz"
genre = "jazz"
group = "file"
[tokenizer]
min_count = 2
max_beats = 4
[preprocessing]
transpositions = 1
min_notes = 20
"""


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> shard_files.Shards:
    place = tmp_path_factory.mktemp("chords")
    (place / "tiny.toml").write_text(RECIPE)
    prepare(tunes.write_folder(place / "midi", n_artists=4), preparation(place / "tiny.toml"), place / "work" / "chopin" / "shards")
    return shard_files.read(place / "work" / "chopin" / "shards")


def test_a_model_without_opinion_costs_the_logarithm_of_the_vocabulary(held: shard_files.Shards) -> None:
    bits = np.log2(held.vocabulary_size)
    test = chopin.places(held, chopin.TEST)
    costs = chopin.measure(held, lambda ids: (np.full(len(ids) - 1, bits), np.zeros(len(ids) - 1, bool)), test)
    music = sum(int(held.pieces["stop"][i] - held.pieces["start"][i]) + 1 for i in test)  # EOS too
    assert sum(costs.ids) == music and sum(costs.bits) == pytest.approx(bits * music)
    assert sum(costs.notes) == sum(int(held.pieces["n_notes"][i]) for i in test)
    assert costs.figures(costs)["below_ngram"]["value"] == pytest.approx(0)


def test_copies_are_for_training_alone(held: shard_files.Shards) -> None:
    train = chopin.places(held, chopin.TRAIN)
    assert len(train) == 3 * len(chopin.places(held, chopin.TRAIN, copies=False))
    assert all(place < held.info["kept"] for place in chopin.places(held, chopin.TEST))
    assert 0 < chopin.peer_of(held, chopin.places(held, chopin.TEST)).figures()["bits_per_note"]["value"] < 40


def test_a_part_that_was_not_run_is_absent(held: shard_files.Shards, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "chopin.json"
    arguments = [str(tmp_path), str(held.path.parents[1]), "--measure-only", "--parts", "composers", "faithful", "--json", str(out)]
    assert chopin.main(arguments) == 0
    assert not out.exists() and capsys.readouterr().out.strip() == ""
