"""The benchmark of choosing: which candidates stand against each other, how a difference is told, and the section on the page."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

pytest.importorskip("onnx")

import _page_ranking  # noqa: E402
import _ranking_measured as kept  # noqa: E402
import ranking  # noqa: E402

from kapelle.judging.reference import NOTHING  # noqa: E402


def candidates(n=1280):
    """Candidates of every genre, the later the more human."""
    rows = 4 * n
    genre = np.repeat(kept.GENRES, n)
    number = np.tile(np.arange(100_000, 100_000 + n), 4)
    draw = np.random.default_rng(0)
    return kept.Set(
        np.array([f"{one}-{seed}" for one, seed in zip(genre, number, strict=True)]), genre, number,
        draw.normal(size=(rows, 3)).astype(np.float32), draw.normal(size=(rows, 4)), np.full((rows, 4), 0.25), (number % 32) / 40.0,
        np.full(rows, 9.0), number % 32 != 31, np.full((rows, 8), 0.125), draw.normal(size=(rows, 5)).astype(np.float32),
    )  # fmt: skip


def test_groups_are_neighbouring_seeds_and_the_halves_share_none():
    pool = candidates()
    tuning, test = (ranking._groups(pool, "jazz", tuning=one) for one in (True, False))
    assert [len(groups) for groups in (tuning, test)] == [20, 20]
    assert all(len(group) == 32 for group in (*tuning, *test))
    assert pool.number[test[0]].tolist() == list(range(100_640, 100_672))
    assert not set(np.concatenate(tuning)) & set(np.concatenate(test))


def test_the_best_is_taken_by_the_ways_of_the_product_and_no_degenerate_one():
    pool = candidates()
    group = ranking._groups(pool, "pop", tuning=False)[0]
    assert pool.number[ranking.chosen(pool, group, ranking.Method("human", by="human"), NOTHING)] == 100_670
    own = ranking.Method("own", values=lambda pool, group: pool.human[group])
    assert pool.number[ranking.chosen(pool, group, own, NOTHING)] == 100_670


def test_neighbours_are_those_of_the_metric(monkeypatch):
    from kapelle.metrics.neighbours import precision_recall_density_coverage

    pool = candidates(40)
    real = ranking.Real.of(pool)
    made = pool.points[::7].astype(np.float64)
    theirs = precision_recall_density_coverage(real.points, made)
    for name, value in ranking._neighbours(made, real).items():
        assert value == pytest.approx(getattr(theirs, name).value)


def test_what_was_measured_is_kept_until_its_judge_changes(tmp_path):
    rows = {"a.mid": [1.0, 2.0], "b.mid": [], "c.mid": [3.0, float("nan")]}
    kept.write(rows, tmp_path / "rows.npz", "v1")
    back = kept._kept(tmp_path / "rows.npz", "v1")
    assert back["a.mid"] == [1.0, 2.0]
    assert back["b.mid"] == []
    assert np.isnan(back["c.mid"][1])
    assert kept._kept(tmp_path / "rows.npz", "v2") == {}


@pytest.mark.parametrize(
    ("name", "low", "high", "mark"),
    [("overlap", 0.01, 0.05, "**"), ("overlap", -0.05, -0.01, "*"), ("overlap", -0.01, 0.05, ""), ("frechet", -2.0, -1.0, "**")],
)
def test_a_difference_is_bold_where_its_interval_excludes_0_for_the_better(name, low, high, mark):
    told = _page_ranking._told({"chosen": 0.8, "difference": (low + high) / 2, "low": low, "high": high}, name)
    assert told.startswith(mark + "0.80")
    assert told.endswith(")" + mark)


def test_the_default_weights_are_those_that_the_rule_takes():
    from kapelle.judging.rank import Weights

    path = BENCHMARKS / "results" / "ranking.json"
    if not path.is_file():
        pytest.skip("no results of benchmarks/ranking.py")
    found = json.loads(path.read_text(encoding="utf-8"))
    taken = ranking.taken(found["tuned"])
    assert {name: Weights().as_dict()[name] for name in ("genre", "likelihood", "typical", "human", "novelty")} == {
        name: taken["weights"][name] for name in ("genre", "likelihood", "typical", "human", "novelty")
    }
    assert found["weights"] == Weights().as_dict()
    assert "Choosing the best of many" in _page_ranking._ranking(found)
