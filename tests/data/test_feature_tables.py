from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kapelle.data import feature_tables
from kapelle.data.feature_tables import ROW
from kapelle.errors import Missing, ShardError

INFO: dict[str, Any] = {
    "classes": ["a", "b"],
    "features": ["x", "y", "z"],
    "inputs": "midi_features",
    "sources": [{"name": "s", "licence": "l"}],
}


def table(n: int = 12) -> tuple[NDArray[np.float32], NDArray[Any]]:
    rows = np.arange(3 * n, dtype=np.float32).reshape(n, 3)
    what = np.zeros(n, ROW)
    what["label"], what["part"], what["piece"] = np.arange(n) % 2, np.arange(n) % 3, np.arange(n) // 2
    return rows, what


def test_what_is_written_is_read(tmp_path: Path) -> None:
    rows, what = table()
    rows[3, 1] = np.nan
    info = feature_tables.write(tmp_path / "t", INFO, rows, what)
    made = feature_tables.read(tmp_path / "t")
    assert np.array_equal(made.rows, rows, equal_nan=True) and np.array_equal(made.table, what)
    assert (made.classes, made.names, len(made)) == (("a", "b"), ("x", "y", "z"), 12)
    assert made.places("validation").tolist() == [1, 4, 7, 10]
    assert info["sizes"] == {"features": 3, "classes": 2} and made.info == info


def test_quantiles_are_of_the_training_rows_alone_and_pass_over_what_is_missing(tmp_path: Path) -> None:
    rows, what = table()
    rows[what["part"] != 0] = 1e9
    rows[0, 0], rows[:, 2] = np.nan, np.nan
    info = feature_tables.write(tmp_path, INFO, rows, what)
    assert 9 <= info["low"][0] < 10 and 26 < info["high"][0] <= 27
    assert (info["low"][2], info["high"][2]) == (0.0, 0.0)


def test_pieces_are_counted_once(tmp_path: Path) -> None:
    rows, what = table()
    what["label"], what["part"] = what["piece"] % 2, 0
    assert feature_tables.write(tmp_path, INFO, rows, what)["pieces"]["a"] == {"train": 3, "validation": 0, "test": 0}


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(Missing):
        feature_tables.read(tmp_path / "none")


def test_shards_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "shards.json").write_text('{"codec": "fragments"}')
    with pytest.raises(ShardError, match="no features"):
        feature_tables.read(tmp_path)


@pytest.mark.parametrize("wrong", [{"classes": ["a"]}, {"features": ["x", "y"]}, {"features": ["x", "y", "y"]}])
def test_rows_that_do_not_fit_are_not_written(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ShardError, match="belong together"):
        feature_tables.write(tmp_path / "t", {**INFO, **wrong}, *table())
    assert not (tmp_path / "t").exists()


def test_a_damaged_folder(tmp_path: Path) -> None:
    feature_tables.write(tmp_path, INFO, *table())
    np.save(tmp_path / "rows.npy", np.zeros((5, 3), np.float32))
    with pytest.raises(ShardError, match="damaged"):
        feature_tables.read(tmp_path)
    (tmp_path / "shards.json").write_text(json.dumps({"codec": "features"}))
    with pytest.raises(ShardError, match="damaged"):
        feature_tables.read(tmp_path)
