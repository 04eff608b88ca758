"""Folders of MIDI to feature tables, from the recipe to the rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from symusic import Score

import genre_trees
from kapelle import api
from kapelle.data import feature_tables
from kapelle.data.feature_collect import FeatureRules, FeatureSpec
from kapelle.data.labelled import LabelledSection, LabelledSource
from kapelle.data.prepare import prepare
from kapelle.data.recipe import FeaturePreparation, preparation
from kapelle.data.split import half
from kapelle.errors import Missing, UsageError
from kapelle.score.write import write

RECIPES = Path(__file__).parents[2] / "recipes"

RECIPE = """
name = "tiny"
family = "trees"
codec = "features"
objective = "trees"
[data]
validation = 0.2
test = 0.2
held_out = ["held"]
half = {half}
sources = [
  {{ folder = "fast", genre = "dense", licence = "ours" }},
  {{ folder = "slow", genre = "slow", label = "sparse", licence = "ours" }},
]
[tokenizer]
classes = ["dense", "sparse"]
[preprocessing]
bars = 4
most = 2
min_bars = 4
min_notes = 8
[training]
steps = 5
"""


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten artists of two pieces each; one is held out by name, one file is no MIDI, one too short, one double."""
    folder = tmp_path_factory.mktemp("music")
    for i in range(10):
        kind, artist = ("fast", "slow")[i % 2], "Ms Held" if i == 9 else f"artist{i}"
        for n in range(2):
            score = genre_trees.piece((4, 1)[i % 2], bars=9)
            for k, note in enumerate(score.tracks[0].notes):
                note.pitch += (k * (i + 2) + n * 13) % (i + 3)
            path = folder / kind / artist / f"{n}.mid"
            path.parent.mkdir(parents=True, exist_ok=True)
            write(score, path)
    (folder / "fast" / "artist0" / "text.mid").write_text("no music")
    write(genre_trees.piece(4, bars=1), folder / "fast" / "artist0" / "short.mid")
    (folder / "slow" / "artist1" / "double.mid").write_bytes((folder / "slow" / "artist1" / "0.mid").read_bytes())
    return folder


def recipe(folder: Path, half: int = -1) -> Path:
    path = folder / "tiny.toml"
    path.write_text(RECIPE.format(half=half))
    return path


def test_rows_labels_and_parts(music: Path, tmp_path: Path) -> None:
    report = api.prepare(music, recipe(tmp_path), tmp_path / "t", processes=1)
    table = feature_tables.read(tmp_path / "t")
    assert table.classes == ("dense", "sparse") and len(table) == 40 and report["kept"] == 20
    assert report["dropped"] == {"not readable as MIDI": 1, "the same as another piece": 1, "too few bars": 1}
    dense = table.rows[:, table.names.index("notes_per_quarter")] > 2
    assert np.array_equal(dense, table.table["label"] == 0)
    parts = {int(group): {*table.table["part"][table.table["group"] == group].tolist()} for group in np.unique(table.table["group"])}
    assert len(parts) == 10 and all(len(found) == 1 for found in parts.values())  # no artist is in two parts
    assert {0, 1, 2} == set().union(*parts.values())
    assert report["excerpts"] == {"bars": 4, "most": 2, "min_bars": 4, "min_notes": 8, "through_tokens": False}
    assert [source["kept"] for source in report["sources"]] == [10, 10]


def test_the_named_artist_is_the_test(music: Path, tmp_path: Path) -> None:
    api.prepare(music, recipe(tmp_path), tmp_path / "t", processes=1)
    fates = {row["file"]: row.get("part", row.get("dropped")) for row in json.loads((tmp_path / "t" / "files.json").read_text())}
    assert fates["slow/Ms Held/0.mid"] == fates["slow/Ms Held/1.mid"] == "test"
    assert fates["fast/artist0/text.mid"] == "not readable as MIDI"


def test_a_half_of_the_training_artists_is_left_to_another(music: Path, tmp_path: Path) -> None:
    for number in (0, 1):
        api.prepare(music, recipe(tmp_path, number), tmp_path / str(number), processes=1)
    found = [json.loads((tmp_path / name / "files.json").read_text()) for name in "01"]
    for one, other in zip(*found, strict=True):
        parts = {one.get("part"), other.get("part")}
        artist = Path(one["file"]).parent.name
        assert parts in ({"train", None}, {"validation"}, {"test"}, {None})
        if parts == {"train", None}:
            assert (one.get("part") == "train") == (half(artist) == 0)
    assert "another classifier" in next(row["dropped"] for row in found[0] if "another" in row.get("dropped", ""))


def test_the_number_of_processes_changes_nothing(music: Path, tmp_path: Path) -> None:
    one = api.prepare(music, recipe(tmp_path), tmp_path / "a", processes=1)
    two = api.prepare(music, recipe(tmp_path), tmp_path / "b", processes=2)
    assert one["fingerprint"] == two["fingerprint"]


def test_a_source_of_no_class_is_named(tmp_path: Path) -> None:
    sections = FeaturePreparation(LabelledSection((LabelledSource("f", "polka"),)), FeatureSpec(("a",)), FeatureRules())
    with pytest.raises(UsageError, match="polka"):
        prepare(tmp_path, sections, tmp_path / "t", measure=Broken())


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    with pytest.raises(Missing, match="no MIDI files"):
        api.prepare(tmp_path / "music", recipe(tmp_path), tmp_path / "t")


@dataclass(frozen=True)
class Broken:
    """A measure with a fault."""

    names: tuple[str, ...] = ("x",)

    def settings(self) -> list[Any]:
        return []

    def rows(self, score: Score, digest: str) -> NDArray[np.float32]:
        raise IndexError(digest)


def test_a_fault_is_counted_and_ends_nothing(music: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be measured"):
        prepare(music, preparation(recipe(tmp_path)), tmp_path / "t", measure=Broken())


@pytest.mark.parametrize("name", ["genre-midi", "human-or-generated"])
def test_the_recipes_that_ship_are_read(name: str) -> None:
    made = preparation(RECIPES / f"{name}.toml")
    assert isinstance(made, FeaturePreparation)
    assert {source.of for source in made.data.sources} == {*made.tokenizer.classes}
    assert "mozart" in made.data.held_out


def test_genre_midi_and_the_judge_learn_from_different_artists_and_are_tested_on_the_same() -> None:
    import tomllib

    ours, judge = (tomllib.loads((RECIPES / f"{name}.toml").read_text())["data"] for name in ("genre-midi", "genre-judge"))
    assert {ours["half"], judge["half"]} == {0, 1}
    assert ours["held_out"] == judge["held_out"] and (ours["test"], ours["validation"]) == (judge["test"], judge["validation"])
    assert [(row["folder"], row["genre"]) for row in ours["sources"]] == [(row["folder"], row["genre"]) for row in judge["sources"]]
