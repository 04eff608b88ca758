"""Figures over pieces: known values, known widths, nothing to measure."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kapelle.errors import UsageError
from kapelle.metrics import bootstrap


def test_ratio_is_sum_over_sum() -> None:
    assert bootstrap.ratio([10, 20], [1, 4]).value == 6.0


def test_share_is_a_mean() -> None:
    assert bootstrap.share([True, False, False, True]).value == 0.5


def test_saving_is_how_far_below() -> None:
    assert bootstrap.saving([80, 90], [100, 100]).value == pytest.approx(0.15)


def test_identical_pieces_leave_no_doubt() -> None:
    found = bootstrap.ratio([3, 3, 3], [2, 2, 2])
    assert (found.value, found.low, found.high) == (1.5, 1.5, 1.5)


def test_one_piece_leaves_no_doubt_either() -> None:
    assert bootstrap.share([True]) == bootstrap.Estimate(1.0, 1.0, 1.0)


def test_the_interval_of_a_share_is_that_of_the_binomial() -> None:
    found = bootstrap.share(np.arange(400) % 2 == 0)
    half = 1.96 * math.sqrt(0.25 / 400)
    assert found.low == pytest.approx(0.5 - half, abs=0.006)
    assert found.high == pytest.approx(0.5 + half, abs=0.006)


def test_a_saving_is_paired() -> None:
    sizes = np.random.default_rng(0).uniform(1, 100, 50)
    found = bootstrap.saving(0.8 * sizes, sizes)
    assert (found.low, found.high) == (pytest.approx(0.2), pytest.approx(0.2))


def test_low_stands_below_high_for_a_saving() -> None:
    rng = np.random.default_rng(0)
    found = bootstrap.saving(rng.uniform(1, 2, 30), rng.uniform(2, 3, 30))
    assert found.low < found.value < found.high


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(0).random(20)
    assert bootstrap.share(values > 0.3, seed=1) == bootstrap.share(values > 0.3, seed=1)


@pytest.mark.parametrize("below", [[], [0, 0]])
def test_nothing_to_measure_is_not_a_number(below: list[int]) -> None:
    found = bootstrap.ratio(below, below)
    assert math.isnan(found.value) and math.isnan(found.low) and math.isnan(found.high)


def test_pieces_of_two_kinds_are_refused() -> None:
    with pytest.raises(UsageError):
        bootstrap.ratio([1, 2], [1, 2, 3])


def test_a_mean_leaves_out_what_is_nan() -> None:
    assert bootstrap.mean([1.0, np.nan, 3.0]).value == 2.0
    found = bootstrap.mean([np.nan, np.nan])
    assert math.isnan(found.value)
    assert found.reason == "no piece has a value"


def test_an_interval_is_put_around_the_value() -> None:
    found = bootstrap.around(0.5, np.linspace(0.6, 1.0, 1001), 0.0, 1.0)
    assert (found.low, found.high) == (pytest.approx(0.31), pytest.approx(0.69))
    assert bootstrap.around(0.1, np.linspace(0.0, 1.0, 1001), 0.0, 1.0).low == 0.0
    assert math.isnan(bootstrap.around(math.nan, [1.0, 2.0]).low)
