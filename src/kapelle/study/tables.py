"""Statistics of figures: count, mean, standard deviation, least, quartiles, greatest; of all cells and by the values of each axis.

Takes rows of numbers by name; gives plain tables. A missing figure (NaN) is not counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kapelle.study.plan import Axis

STATISTICS = ("count", "mean", "std", "min", "25%", "50%", "75%", "max")


def describe(values: Iterable[float]) -> dict[str, float]:
    """The `STATISTICS` of some numbers: the sample's standard deviation (of n - 1), quartiles interpolated; NaN where there are too few."""
    found = np.array([value for value in values if not math.isnan(value)], np.float64)
    out = dict.fromkeys(STATISTICS, math.nan) | {"count": float(len(found))}
    if len(found):
        low, middle, high = np.percentile(found, (25, 50, 75))
        out |= {"mean": found.mean(), "min": found.min(), "25%": low, "50%": middle, "75%": high, "max": found.max()}
    if len(found) > 1:
        out["std"] = found.std(ddof=1)
    return {name: float(value) for name, value in out.items()}


def statistics(rows: Sequence[Mapping[str, Any]], names: Iterable[str]) -> dict[str, dict[str, float]]:
    """Figure -> its statistics over the rows that have it."""
    return {name: describe(row["measures"][name] for row in rows if name in row["measures"]) for name in names}


def by_axis(rows: Sequence[Mapping[str, Any]], axes: Sequence[Axis], names: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
    """Axis -> value -> the mean of every figure, how many cells there are, and how many were empty, short or degenerate."""
    out: dict[str, dict[str, dict[str, float]]] = {}
    for axis in axes:
        for value in axis.values:
            mine = [row for row in rows if row["values"][axis.name] == value]
            means = {name: one["mean"] for name, one in statistics(mine, names).items()}
            out.setdefault(axis.name, {})[value] = {name: float(count) for name, count in counts(mine).items()} | means
    return out


def counts(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many cells there are, and of which kinds: a piece may be both short and degenerate."""
    return {
        "cells": len(rows),
        "made": sum(not row["empty"] for row in rows),
        "empty": sum(bool(row["empty"]) for row in rows),
        "short": sum(bool(row["short"]) for row in rows),
        "degenerate": sum(bool(row["problems"]) for row in rows),
    }
