"""What goes with what: shares and spreads on numbers whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kapelle.study import effects, tables
from kapelle.study.plan import Axis


def test_eta_squared_is_the_share_between_groups() -> None:
    # means 2 and 6 around 4: between 4 * 4 = 16, within 1 + 1 + 1 + 1 = 4
    assert effects.eta_squared([1, 3, 5, 7], ["a", "a", "b", "b"]) == pytest.approx(16 / 20)
    assert effects.eta_squared([1, 1, 5, 5], ["a", "a", "b", "b"]) == pytest.approx(1)
    assert effects.eta_squared([1, 5, 1, 5], ["a", "a", "b", "b"]) == pytest.approx(0)
    assert effects.eta_squared([1, 3, math.nan, 5, 7], ["a", "a", "b", "b", "b"]) == pytest.approx(16 / 20)


def test_where_nothing_varies_or_there_is_one_group_there_is_no_share() -> None:
    for values, groups in (([2, 2, 2, 2], "aabb"), ([1, 2, 3], "aaa"), ([], ""), ([1, math.nan], "ab")):
        assert math.isnan(effects.eta_squared(values, list(groups)))
        assert math.isnan(effects.chance(values, list(groups)))


def test_a_strong_effect_has_a_small_chance_and_noise_has_none() -> None:
    draw = np.random.default_rng(1)
    groups = ["a"] * 20 + ["b"] * 20
    noise = draw.normal(size=40)
    assert effects.chance(list(noise + np.repeat([0, 3], 20)), groups) == pytest.approx(1 / (1 + effects.N_PERMUTATIONS))
    chances = [effects.chance(list(draw.normal(size=40)), groups, seed) for seed in range(60)]
    assert 0.35 < np.mean(chances) < 0.65


def test_the_spread_is_the_mean_standard_deviation_of_the_classes() -> None:
    vectors = np.array([[0.1, 0.9], [0.3, 0.7], [0.5, 0.5]])
    found = effects.spread(vectors)
    assert found.value == pytest.approx(0.2)
    assert 0 <= found.low < found.value
    assert math.isnan(effects.spread(vectors[:1]).value)


def test_the_interval_of_a_spread_holds_the_truth_as_often_as_it_says() -> None:
    draw = np.random.default_rng(2)
    hits = 0
    for seed in range(100):
        found = effects.spread(draw.normal(0, 1, (60, 4)), seed)
        hits += found.low <= 1 <= found.high
    assert hits >= 88


def test_a_ratio_of_spreads_is_of_both_sets() -> None:
    draw = np.random.default_rng(3)
    wide, narrow = draw.normal(0, 2, (200, 5)), draw.normal(0, 1, (200, 5))
    found = effects.ratio_of_spreads(wide, narrow)
    assert found.low < 2 < found.high and found.low > 1.7
    assert math.isnan(effects.ratio_of_spreads(wide[:1], narrow).value)
    assert math.isnan(effects.ratio_of_spreads(wide, np.zeros((5, 5))).value)


def test_the_mean_distance_leaves_copies_of_a_piece_out() -> None:
    square = np.array([[0, 0], [3, 4], [0, 0.0]])
    found = effects.mean_distance(square)
    assert found.value == pytest.approx((5 + 0 + 5) / 3)
    assert math.isnan(effects.mean_distance(square[:1]).value)


def row(model: str, seed: str, notes: float, jazz: float) -> dict:
    said = {"genre": {"bundle": "x", "probabilities": {"jazz": jazz, "pop": 1 - jazz}, "warnings": ["odd"] if jazz > 0.8 else []}}
    return {"values": {"model": model, "seed": seed}, "measures": {"notes": notes}, "verdicts": said, "empty": "", "failed": "",
            "short": False, "problems": []}  # fmt: skip


def test_tables_of_opinions_count_by_the_values_of_an_axis() -> None:
    axes = (Axis("model", ("a", "b"), paged=True), Axis("seed", ("1", "2")))
    rows = [row("a", "1", 10, 0.9), row("a", "2", 20, 0.7), row("b", "1", 100, 0.2), row("b", "2", 110, 0.4)]
    found = tables.of(rows, axes, ("notes",), ("genre",))
    said = found.opinions["genre"]
    assert said["all"]["winners"] == {"jazz": 2, "pop": 2}
    assert said["all"]["warned"] == 1
    assert said["all"]["statistics"]["jazz"]["mean"] == pytest.approx(0.55)
    assert said["by_axis"]["model"]["a"]["statistics"]["jazz"]["max"] == 0.9
    assert said["by_axis"]["model"]["b"]["winners"] == {"jazz": 0, "pop": 2}
    assert found.effects["model"]["notes"]["eta_squared"] > 0.9
    assert found.by_axis["model"]["b"]["notes"] == 105
