"""Distances of sets: equal to scipy's where they mean the same, right where MGEval's code is not, told where there is nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapelle.errors import UsageError
from kapelle.metrics import distance

DRAW = np.random.default_rng(7)
ONE = DRAW.normal(0.0, 1.0, 200)
OTHER = DRAW.normal(0.5, 1.3, 160)


def scipy_densities(a, b, low=-10.0, high=11.0, n=20_001):
    stats = pytest.importorskip("scipy.stats")
    at = np.linspace(low, high, n)
    return at, stats.gaussian_kde(a)(at), stats.gaussian_kde(b)(at)


def as_published(a, b):
    """MGEval's KLD and overlap in its own terms, over scipy."""
    stats, integrate = pytest.importorskip("scipy.stats"), pytest.importorskip("scipy.integrate")
    first, second = stats.gaussian_kde(a), stats.gaussian_kde(b)
    grids = [np.linspace(values.min(), values.max(), 1000) for values in (a, b)]
    ends = min(a.min(), b.min()), max(a.max(), b.max())
    area = integrate.quad(lambda x: min(first(x)[0], second(x)[0]), *ends, limit=500)[0]
    return stats.entropy(first(grids[0]), second(grids[1])), area


# --- densities ------------------------------------------------------------------------------------------------------------


def test_the_density_is_scipys() -> None:
    at, p, _ = scipy_densities(ONE, OTHER)
    np.testing.assert_allclose(distance.density(ONE, at), p, atol=1e-12)


def test_the_density_of_many_is_scipys_within_a_thousandth_of_its_peak() -> None:
    many = DRAW.normal(size=20_000)
    at, p, _ = scipy_densities(many, ONE, -5.0, 5.0, 501)
    np.testing.assert_allclose(distance.density(many, at), p, atol=1e-3 * p.max())


def test_overlap_and_kld_are_those_of_scipys_densities_on_one_grid() -> None:
    stats = pytest.importorskip("scipy.stats")
    at, p, q = scipy_densities(ONE, OTHER)
    assert distance.overlap(ONE, OTHER) == pytest.approx(np.minimum(p, q).sum() * (at[1] - at[0]), abs=1e-4)
    assert distance.kld(ONE, OTHER) == pytest.approx(stats.entropy(p, q), abs=1e-3)


def test_a_set_and_itself() -> None:
    assert distance.overlap(ONE, ONE) == pytest.approx(1.0, abs=1e-12)
    assert distance.kld(ONE, ONE) == 0.0


def test_neither_knows_the_unit() -> None:
    assert distance.overlap(100 * ONE, 100 * OTHER) == pytest.approx(distance.overlap(ONE, OTHER), abs=1e-9)
    assert distance.kld(100 * ONE, 100 * OTHER) == pytest.approx(distance.kld(ONE, OTHER), abs=1e-9)


@given(st.floats(-50, 50), st.floats(0.1, 10))
def test_both_stay_in_their_range(shift: float, scale: float) -> None:
    assert 0 <= distance.overlap(ONE, scale * ONE + shift) <= 1
    assert 0 <= distance.kld(ONE, scale * ONE + shift) < 40


def test_an_odd_value_far_away_moves_little() -> None:
    assert distance.overlap(ONE, np.append(ONE, 1e5)) > 0.0
    assert math.isfinite(distance.kld(np.append(ONE, 1e5), ONE))


# --- the faults of the published code -------------------------------------------------------------------------------------


def test_the_compatible_numbers_are_the_published_ones() -> None:
    kld, area = as_published(ONE, OTHER)
    assert distance.kld(ONE, OTHER, legacy=True) == pytest.approx(kld, abs=1e-9)
    assert distance.overlap(ONE, OTHER, legacy=True) == pytest.approx(area, abs=1e-4)


@pytest.mark.parametrize("moved", [ONE + 100, ONE * 10, ONE * 10 - 100], ids=["shifted by 100", "times 10", "both"])
def test_the_published_kld_does_not_see_what_ours_sees(moved: np.ndarray) -> None:
    assert distance.kld(ONE, moved, legacy=True) == pytest.approx(0.0, abs=1e-12)
    assert distance.kld(ONE, moved) > 1.0


def test_the_published_overlap_of_a_set_with_itself_is_not_one() -> None:
    found = [
        distance.overlap(values, values, legacy=True) for values in (DRAW.uniform(size=20), DRAW.normal(size=20), DRAW.uniform(size=100))
    ]
    assert all(0.80 < value < 0.97 for value in found)


def test_distances_within_a_set_are_cut_short_in_the_published_code_too() -> None:
    found = distance.compared(ONE, ONE)
    assert found.legacy_overlap == pytest.approx(0.973, abs=1e-3)
    assert found.intra_overlap.value > 0.99  # a piece has no distance from itself within a set, and has one between two


# --- distances of pieces --------------------------------------------------------------------------------------------------


def test_distances_within_and_between() -> None:
    assert distance.intra([1, 2, 4]).tolist() == [[1, 3], [1, 2], [3, 2]]
    assert distance.inter([1, 2], [4, 8]).tolist() == [[3, 7], [2, 6]]
    assert distance.inter([[0, 0]], [[3, 4]]).tolist() == [[5]]
    assert distance.intra([5]).shape == (1, 0)


def test_compared_over_the_grid_is_compared_pair_by_pair() -> None:
    found = distance.compared(ONE, OTHER, n_draws=10)
    within, between = distance.intra(OTHER).ravel(), distance.inter(ONE, OTHER).ravel()
    assert found.overlap.value == distance.overlap(ONE, OTHER)
    assert found.kld.value == distance.kld(ONE, OTHER)
    assert found.intra_overlap.value == pytest.approx(distance.overlap(within, between), abs=2e-3)
    assert found.intra_kld.value == pytest.approx(distance.kld(within, between), abs=5e-3)
    assert found.legacy_kld == distance.kld(within, between, legacy=True)


def test_intervals_hold_the_value_and_repeat() -> None:
    found = distance.compared(ONE, OTHER, seed=3, n_draws=50)
    for one in (found.overlap, found.kld, found.intra_overlap, found.intra_kld):
        assert one.low < one.value < one.high
    assert found == distance.compared(ONE, OTHER, seed=3, n_draws=50)
    assert found != distance.compared(ONE, OTHER, seed=4, n_draws=50)


def test_intervals_of_more_pieces_are_narrower() -> None:
    few, many = (distance.compared(DRAW.normal(size=n), DRAW.normal(0.3, 1, size=n)).overlap for n in (40, 1000))
    assert many.high - many.low < 0.5 * (few.high - few.low)


# --- nothing to measure ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "why"),
    [([], "fewer than two values"), ([1.0], "fewer than two values"), ([np.nan, 2.0, np.nan], "fewer than two values"),
     ([3.0, 3.0, 3.0], "all values are equal"), ([1.0, np.inf, 2.0], "a value is infinite")],
)  # fmt: skip
def test_what_cannot_be_compared_is_told(values: list[float], why: str) -> None:
    for a, b in ((values, ONE), (ONE, values)):
        assert distance.trouble(a, b) == why
        assert math.isnan(distance.overlap(a, b))
        assert math.isnan(distance.kld(a, b))
        assert math.isnan(distance.kld(a, b, legacy=True))
        assert distance.compared(a, b).overlap.reason == why


def test_nan_is_left_out() -> None:
    assert distance.overlap(np.append(ONE, np.nan), OTHER) == distance.overlap(ONE, OTHER)


def test_two_values_are_enough() -> None:
    assert 0 <= distance.compared([1.0, 2.0], [1.5, 3.0]).overlap.value <= 1


def test_equal_distances_are_told() -> None:
    assert distance.compared([1.0, 2.0], [1.0, 2.0]).intra_overlap.reason == "all distances are equal"


def test_a_table_is_no_set_of_numbers() -> None:
    with pytest.raises(UsageError, match="one per piece"):
        distance.overlap(np.zeros((3, 2)), ONE)


# --- Fréchet --------------------------------------------------------------------------------------------------------------


def by_sqrtm(a, b):
    linalg = pytest.importorskip("scipy.linalg")
    first, second = np.cov(a.T), np.cov(b.T)
    root = linalg.sqrtm(first @ second)
    return ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum() + np.trace(first + second - 2 * np.real(root))


def test_frechet_is_that_of_the_square_root_of_matrices() -> None:
    a, b = DRAW.normal(size=(200, 12)), DRAW.normal(0.3, 1.5, size=(150, 12)) @ DRAW.normal(size=(12, 12))
    assert distance.frechet(a, b) == pytest.approx(by_sqrtm(a, b), rel=1e-9)


def test_frechet_of_numbers_is_known() -> None:
    a, b = np.array([-1.0, 0.0, 1.0]), np.array([3.0, 5.0, 7.0])
    assert distance.frechet(a, b) == pytest.approx(25.0 + (2.0 - 1.0) ** 2)


def test_frechet_of_singular_covariances() -> None:
    a, b = DRAW.normal(size=(6, 40)), DRAW.normal(0.2, 1, size=(9, 40))
    first, second = np.cov(a.T), np.cov(b.T)
    sizes, axes = np.linalg.eigh(first)
    root = axes * np.sqrt(np.where(sizes > 1e-9, sizes, 0)) @ axes.T
    inner = np.linalg.eigvalsh(root @ second @ root)
    shared = np.sqrt(inner[inner > 1e-9]).sum()
    wanted = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum() + np.trace(first + second) - 2 * shared
    assert distance.frechet(a, b) == pytest.approx(wanted, rel=1e-9)
    flat = np.column_stack([DRAW.normal(size=30), np.zeros(30)])
    assert distance.frechet(flat, flat + np.array([0.0, 2.0])) == pytest.approx(4.0)


def test_frechet_of_a_set_and_itself_is_zero() -> None:
    a = DRAW.normal(size=(50, 8))
    assert distance.frechet(a, a) == pytest.approx(0.0, abs=1e-9)
    assert distance.frechet(np.ones((5, 3)), np.ones((4, 3))) == 0.0


def test_frechet_has_an_interval_and_says_when_it_has_none() -> None:
    a, b = DRAW.normal(size=(80, 4)), DRAW.normal(0.5, 1, size=(80, 4))
    found = distance.frechet_estimate(a, b, n_draws=50)
    assert found.low < found.value == distance.frechet(a, b) < found.high
    assert distance.frechet_estimate(a[:1], b).reason == "fewer than two values"
    assert math.isnan(distance.frechet(a, b[:1]))
    with pytest.raises(UsageError, match="4 and of 3 numbers"):
        distance.frechet(a, b[:, :3])
