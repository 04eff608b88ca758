"""How eps is chosen: songs that people have marked stay out, clusters are compared as the definition says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("sklearn")
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import theme_eps  # noqa: E402

import melodies  # noqa: E402
from kapelle.data import fragment_shards, themes  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def by_rhythm(found: Sequence[themes.Fragment]) -> NDArray[np.float32]:
    """Onsets alone: what a shift on the scale cannot change."""
    rows = np.zeros((len(found), 33), np.float32)
    for row, one in enumerate(found):
        rows[row, one.notes["start"]] = 1
        rows[row, 32] = 0.1
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_marked_songs_stay_out(tmp_path: Path) -> None:
    held = fragment_shards.read(melodies.write_shards(tmp_path, n_songs=6))
    names = [("001", "train"), ("002", "train"), ("003", "train"), ("065", "validation"), ("100", "validation"), ("449", "validation")]
    rows = [{"file": f"pop909/{name}.mid", "part": part} for name, part in names]
    (tmp_path / "files.json").write_text(json.dumps([*rows[:2], {"file": "x.mid", "dropped": "modulates"}, *rows[2:]]))
    songs = theme_eps.unmarked(held, tmp_path)
    assert [int(held.table["song"][places[0]]) for places in songs] == [4]


def test_clusterings_that_say_nothing_are_worth_nothing() -> None:
    def agree(one: list[int], other: list[int]) -> float:
        return theme_eps._agreement(theme_eps._alone(np.array(one)), theme_eps._alone(np.array(other)))

    assert agree([0, 0, 1, 1], [1, 1, 0, 0]) == 1
    assert agree([0, 0, 0, 0], [0, 0, 0, 0]) == 0 and agree([-1, -1, -1], [-1, -1, -1]) == 0
    assert agree([0, 0, -1, -1], [0, 0, -1, -1]) == 1 and agree([0, 0, -1, -1], [-1, -1, 0, 0]) < 0.1


def test_a_choice_is_the_largest_near_the_best(tmp_path: Path) -> None:
    held = fragment_shards.read(melodies.write_shards(tmp_path, n_songs=5))
    found = theme_eps.measured(held, held.by_song("validation"), by_rhythm, 2)
    near = [row["eps"] for row in found["curve"] if row["index"] >= found["best"] - 0.01]
    assert found["eps"] == max(near) and found["best"] == max(row["index"] for row in found["curve"])
    assert found["songs"] == 3 and set(found["hop_kappa"]) == {"1", "2"} and set(found["fewest_notes"]) == {"4", "6", "8"}
    assert found["curve"][0]["largest"] <= found["curve"][-1]["largest"]
    json.dumps(found)
