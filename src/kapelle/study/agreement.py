"""How far people agree: Krippendorff's alpha, for any number of listeners, any of whom may have left something out.

Takes a table of ratings, NaN where there is none; gives one number: 1 for perfect agreement, 0 for what chance would give, below 0 for
less. Ratings that stand alone (one listener heard the piece) tell nothing of agreement and are left out.

Source: Krippendorff 2011, "Computing Krippendorff's alpha-reliability"; its worked example is in the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kapelle.errors import UnknownName, UsageError

Floats = NDArray[np.float64]


def alpha(ratings: ArrayLike, level: str = "ordinal") -> float:
    """Krippendorff's alpha, at most 1.

    Args:
        ratings: (R, U) of R listeners and U pieces; NaN where a listener did not rate.
        level: What a rating is: ``nominal`` (a name), ``ordinal`` (a rank) or ``interval`` (steps of equal size).

    Returns:
        NaN where fewer than two ratings can be paired, or all of those that can are equal: then nothing varies, and agreement cannot
        be told from a habit.

    Raises:
        UsageError: The table is not (R, U).
        UnknownName: There is no such level.
    """
    table = np.asarray(ratings, np.float64)
    if table.ndim != 2:
        raise UsageError("ratings are a table of listeners and pieces, not of shape {shape}", shape=table.shape)
    if level not in _LEVELS:
        raise UnknownName("level of measurement", level, _LEVELS)
    paired = table[:, (~np.isnan(table)).sum(axis=0) > 1]
    values = np.unique(paired[~np.isnan(paired)])
    if len(values) < 2:
        return float("nan")
    together = coincidences(paired, values)
    counts = together.sum(axis=1)
    distances = _LEVELS[level](values, counts)
    observed = (together * distances).sum()
    expected = (np.outer(counts, counts) * distances).sum() / (counts.sum() - 1)
    return float(1 - observed / expected)


def coincidences(table: Floats, values: Floats) -> Floats:
    """(V, V) how often two values stand together in a piece, each piece weighing as many as it has ratings.

    Args:
        table: (R, U) ratings, at least two in each column.
        values: (V,) all that occur, in order.
    """
    out = np.zeros((len(values), len(values)))
    for column in table.T:
        held = column[~np.isnan(column)]
        counts = (held[:, None] == values).sum(axis=0).astype(np.float64)
        out += (np.outer(counts, counts) - np.diag(counts)) / (len(held) - 1)
    return out


def _nominal(values: Floats, counts: Floats) -> Floats:
    del counts
    out: Floats = (values[:, None] != values).astype(np.float64)
    return out


def _ordinal(values: Floats, counts: Floats) -> Floats:
    """How many ratings lie between two ranks, half of their own included."""
    del values
    middle = np.cumsum(counts) - counts / 2
    out: Floats = (middle[:, None] - middle) ** 2
    return out


def _interval(values: Floats, counts: Floats) -> Floats:
    del counts
    out: Floats = (values[:, None] - values) ** 2
    return out


_LEVELS: Mapping[str, Callable[[Floats, Floats], Floats]] = {"nominal": _nominal, "ordinal": _ordinal, "interval": _interval}
