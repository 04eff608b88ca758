"""Krippendorff's alpha is that of its author's example; degenerate tables give no number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kapelle.errors import UnknownName, UsageError
from kapelle.study.agreement import alpha

N = math.nan
EXAMPLE = [  # Krippendorff 2011, section D: four observers, twelve units, some values missing
    [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
    [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
]


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_the_published_example_has_its_published_values(level: str, published: float) -> None:
    assert alpha(EXAMPLE, level) == pytest.approx(published, abs=5e-4)


def test_two_observers_and_two_values_without_gaps() -> None:
    # Krippendorff 2011, section A: ten units, binary, alpha 0.095
    first, second = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    for level in ("nominal", "ordinal", "interval"):
        assert alpha([first, second], level) == pytest.approx(0.095, abs=5e-4)


def test_nothing_can_be_said_where_nothing_can_be_paired_or_nothing_varies() -> None:
    assert math.isnan(alpha([[1, 2, 3]]))
    assert math.isnan(alpha([[1, N], [N, 2]]))
    assert math.isnan(alpha([[3, 3], [3, 3]]))
    assert math.isnan(alpha(np.empty((0, 0))))
    assert alpha([[1, 5], [1, 5]]) == 1
    assert alpha([[1, 5], [5, 1]]) < 0


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(UsageError, match="a table of listeners"):
        alpha([1, 2])
    with pytest.raises(UnknownName, match="level of measurement"):
        alpha([[1], [2]], "ratio")


@given(arrays(np.int64, (3, 6), elements=st.integers(1, 5)))
def test_it_is_at_most_one_and_knows_no_order_of_listeners_or_pieces(table) -> None:
    found = alpha(table)
    assert math.isnan(found) or found <= 1
    assert alpha(table[::-1, ::-1]) == pytest.approx(found, nan_ok=True)
