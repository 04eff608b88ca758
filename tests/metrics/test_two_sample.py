"""The two-sample test: half where sets are equal, one where they are apart, the regression as scikit-learn's."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kapelle.metrics.two_sample import logistic, two_sample

DRAW = np.random.default_rng(5)


def test_equal_distributions_cannot_be_told_apart() -> None:
    found = two_sample(DRAW.normal(size=(300, 6)), DRAW.normal(size=(300, 6)))
    assert found.low < 0.5 < found.high


def test_separate_sets_are_always_told_apart() -> None:
    found = two_sample(DRAW.normal(size=(40, 3)), DRAW.normal(50, 1, size=(40, 3)))
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_known_overlap_gives_the_known_accuracy() -> None:
    found = two_sample(DRAW.normal(0, 1, 3000), DRAW.normal(1, 1, 3000))
    assert found.value == pytest.approx(0.6915, abs=0.015)  # the normal distribution up to half a deviation


def test_sizes_do_not_move_chance() -> None:
    assert two_sample(DRAW.normal(size=(400, 3)), DRAW.normal(size=(40, 3))).value == pytest.approx(0.5, abs=0.12)


def test_the_same_seed_gives_the_same_and_units_do_not_matter() -> None:
    a, b = DRAW.normal(size=(60, 4)), DRAW.normal(0.5, 1, size=(50, 4))
    found = two_sample(a, b, seed=2)
    assert found == two_sample(a, b, seed=2)
    scale = np.array([1e-6, 1.0, 1e3, 1e9])
    assert two_sample(a * scale, b * scale, seed=2).value == found.value


def test_what_does_not_vary_says_nothing() -> None:
    same = np.full((20, 2), 3.0)
    assert two_sample(same, same).value == 0.5
    a, b = DRAW.normal(size=(60, 2)), DRAW.normal(0.5, 1, size=(50, 2))
    pad = lambda x: np.column_stack([x, np.full(len(x), 7.0)])  # noqa: E731
    assert two_sample(pad(a), pad(b)).value == two_sample(a, b).value


def test_too_few_are_told() -> None:
    found = two_sample(DRAW.normal(size=(4, 2)), DRAW.normal(size=(30, 2)))
    assert math.isnan(found.value)
    assert found.reason == "fewer than 5 pieces"


def test_more_dimensions_than_pieces_are_no_trouble() -> None:
    assert 0 <= two_sample(DRAW.normal(size=(10, 200)), DRAW.normal(size=(10, 200))).value <= 1


def test_the_regression_is_scikit_learns() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    x, y = DRAW.normal(size=(120, 5)), DRAW.random(120) < 0.3
    x[y] += 0.8
    wanted = linear.LogisticRegression(C=1.0, class_weight="balanced", tol=1e-10, max_iter=1000).fit(x, y)
    np.testing.assert_allclose(logistic(x, y), [wanted.intercept_[0], *wanted.coef_[0]], atol=1e-4)
