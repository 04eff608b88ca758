"""Foreign feature tables: columns, classes, the well-known split, and errors."""

from pathlib import Path

import numpy as np
import pytest

from kapelle import api
from kapelle.data import feature_tables
from kapelle.data.table_collect import split
from kapelle.errors import Missing, UnreadableInput

RECIPE = """
name = "small"
family = "trees"
codec = "table"
objective = "trees"
[data]
leave_out = ["filename", "length"]
test = 0.25
seed = 42
sources = [{ folder = "tables", file = "a.csv", licence = "ours" }]
[tokenizer]
classes = ["blues", "rock"]
inputs = "audio_features"
[preprocessing]
[training]
steps = 5
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "small.toml").write_text(RECIPE)
    (tmp_path / "tables").mkdir()
    rows = [f"{label}.{n}.au,661794,{n / 8},{-n},{label}" for n in range(10) for label in ("blues", "rock")]
    (tmp_path / "tables" / "a.csv").write_text("\n".join(["filename,length,rms_mean,tempo,label", *rows]) + "\n")
    return tmp_path / "small.toml"


def test_a_table_is_taken_as_it_is_without_what_is_left_out(recipe, tmp_path):
    told = api.prepare(tmp_path, recipe, tmp_path / "out")
    table = feature_tables.read(tmp_path / "out")
    assert table.names == ("rms_mean", "tempo")
    assert table.classes == ("blues", "rock")
    assert table.info["inputs"] == "audio_features"
    np.testing.assert_array_equal(table.rows[4], [0.25, -2.0])
    assert table.table["label"].tolist() == [0, 1] * 10
    assert (len(table.places("train")), len(table.places("validation")), len(table.places("test"))) == (15, 0, 5)
    assert told["sources"][0]["licence"] == "ours"


def test_rows_that_are_the_same_are_counted_where_they_stand_on_both_sides(recipe, tmp_path):
    api.prepare(tmp_path, recipe, tmp_path / "out")
    table = feature_tables.read(tmp_path / "out")
    groups, parts = table.table["group"], table.table["part"]
    assert table.info["twins"] == np.isin(groups[parts == 2], groups[parts == 0]).sum() > 0


def test_the_split_is_that_of_scikit_learn():
    selection = pytest.importorskip("sklearn.model_selection")
    for n_rows, test, seed in ((1000, 0.3, 42), (7, 0.3, 1), (10, 0.25, 0)):
        train, held = selection.train_test_split(np.arange(n_rows), test_size=test, random_state=seed)
        parts = split(n_rows, test, seed)
        assert (np.flatnonzero(parts == 2) == np.sort(held)).all()
        assert (np.flatnonzero(parts == 0) == np.sort(train)).all()


@pytest.mark.parametrize(
    ("old", "new"), [("blues", "polka"), ("-3", "three"), ("tempo,label", "tempo,genre"), ("rms_mean", "rms\0mean"), ("-9,rock", "rock")]
)
def test_a_table_that_is_none_says_so(recipe, tmp_path, old, new):
    path = tmp_path / "tables" / "a.csv"
    path.write_text(path.read_text().replace(old, new))
    try:
        api.prepare(tmp_path, recipe, tmp_path / "out")
    except UnreadableInput as error:
        assert "a.csv" in str(error)
    else:
        assert new == "rms\0mean"  # an odd name of a column is a name all the same


def test_a_table_that_is_not_there_is_missing(recipe, tmp_path):
    (tmp_path / "tables" / "a.csv").unlink()
    with pytest.raises(Missing, match=r"a\.csv"):
        api.prepare(tmp_path, recipe, tmp_path / "out")
