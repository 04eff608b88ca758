"""Precision, recall, density and coverage: known layouts, and the definitions written out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kapelle.errors import UsageError
from kapelle.metrics.neighbours import precision_recall_density_coverage as measure

DRAW = np.random.default_rng(11)


def by_definition(real, made, k):
    """Loops over points, as the papers write it."""

    def reach(points):
        return [sorted(math.dist(p, q) for j, q in enumerate(points) if j != i)[k - 1] for i, p in enumerate(points)]

    real_reach, made_reach = reach(real), reach(made)
    precision = np.mean([any(math.dist(m, r) <= a for r, a in zip(real, real_reach, strict=True)) for m in made])
    recall = np.mean([any(math.dist(m, r) <= a for m, a in zip(made, made_reach, strict=True)) for r in real])
    density = np.mean([sum(math.dist(m, r) <= a for r, a in zip(real, real_reach, strict=True)) for m in made]) / k
    coverage = np.mean([any(math.dist(m, r) <= a for m in made) for r, a in zip(real, real_reach, strict=True)])
    return precision, recall, density, coverage


def values(found):
    return found.precision.value, found.recall.value, found.density.value, found.coverage.value


def test_they_are_what_the_papers_define() -> None:
    real, made = DRAW.normal(size=(40, 3)), DRAW.normal(0.7, 0.8, size=(30, 3))
    assert values(measure(real, made, k=3)) == pytest.approx(by_definition(real.tolist(), made.tolist(), 3))


def test_a_set_and_itself() -> None:
    points = DRAW.normal(size=(50, 4))
    precision, recall, density, coverage = values(measure(points, points))
    assert (precision, recall, coverage) == (1.0, 1.0, 1.0)
    assert density > 1  # each point lies in its own ball too


def test_sets_far_apart_share_nothing() -> None:
    points = DRAW.normal(size=(50, 4))
    assert values(measure(points, points + 100)) == (0.0, 0.0, 0.0, 0.0)


def test_a_narrow_set_is_precise_and_recalls_little() -> None:
    real, made = DRAW.normal(size=(200, 2)), DRAW.normal(0, 0.05, size=(200, 2))
    found = measure(real, made)
    assert found.precision.value == 1.0
    assert found.recall.value < 0.1
    assert found.coverage.value < 0.2


def test_one_odd_real_piece_spoils_precision_and_hardly_density() -> None:
    real = np.concatenate([DRAW.normal(0, 0.1, size=(60, 2)), [[50.0, 50.0]]])
    found = measure(real, DRAW.normal(10, 1, size=(60, 2)))
    assert found.precision.value == 1.0
    assert found.density.value == pytest.approx(1 / 5)


def test_intervals_hold_the_value_and_repeat() -> None:
    real, made = DRAW.normal(size=(60, 3)), DRAW.normal(0.5, 1, size=(60, 3))
    found = measure(real, made)
    for one in (found.precision, found.recall, found.density, found.coverage):
        assert one.low <= one.value <= one.high
    assert found.coverage.low < found.coverage.high
    assert found == measure(real, made)


def test_equal_points_are_no_trouble() -> None:
    assert values(measure(np.ones((8, 2)), np.ones((8, 2)))) == (1.0, 1.0, 8 / 5, 1.0)


def test_too_few_pieces_are_told() -> None:
    found = measure(DRAW.normal(size=(5, 2)), DRAW.normal(size=(20, 2)))
    assert math.isnan(found.precision.value)
    assert found.coverage.reason == "fewer than 6 pieces"
    assert measure(np.zeros((0, 2)), DRAW.normal(size=(20, 2))).recall.reason


def test_vectors_with_nan_are_left_out() -> None:
    real, made = DRAW.normal(size=(40, 2)), DRAW.normal(size=(30, 2))
    assert measure(np.vstack([real, [[np.nan, 0.0]]]), made) == measure(real, made)


def test_a_neighbour_is_needed() -> None:
    with pytest.raises(UsageError, match="1 or more"):
        measure(np.ones((8, 2)), np.ones((8, 2)), k=0)
