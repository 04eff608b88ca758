"""Statistics of figures: count, mean, standard deviation, least, quartiles, greatest; of all cells and by the values of each axis.

Takes rows of numbers by name; gives plain tables. A missing figure (NaN) is not counted. Beside the statistics stand what goes with an axis
(`effects`), and what classifiers said (`opinions_of`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kapelle.study import effects as measured
from kapelle.study import opinions
from kapelle.study.plan import Axis

STATISTICS = ("count", "mean", "std", "min", "25%", "50%", "75%", "max")


@dataclass(frozen=True)
class Tables:
    """All tables of a study.

    Args:
        statistics: Figure -> `STATISTICS` of all pieces.
        by_axis: As `by_axis` gives them.
        effects: As `effects` gives them.
        opinions: Classifier -> as `opinions_of` gives them.
    """

    statistics: dict[str, dict[str, float]]
    by_axis: dict[str, dict[str, dict[str, float]]]
    effects: dict[str, dict[str, dict[str, float]]]
    opinions: dict[str, dict[str, Any]]


def of(rows: Sequence[Mapping[str, Any]], axes: Sequence[Axis], names: Sequence[str], classifiers: Sequence[str]) -> Tables:
    """The tables of some rows."""
    said = {name: opinions_of(rows, axes, name) for name in classifiers}
    return Tables(statistics(rows, names), by_axis(rows, axes, names), effects(rows, axes, names), said)


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
        "made": sum(not (row["empty"] or row["failed"]) for row in rows),
        "empty": sum(bool(row["empty"]) for row in rows),
        "failed": sum(bool(row["failed"]) for row in rows),
        "short": sum(bool(row["short"]) for row in rows),
        "degenerate": sum(bool(row["problems"]) for row in rows),
    }


def effects(rows: Sequence[Mapping[str, Any]], axes: Sequence[Axis], names: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
    """Axis -> figure -> share of its variance that goes with the axis, and the chance of as much; axes of one value are left out."""
    made = [row for row in rows if row["measures"]]
    out: dict[str, dict[str, dict[str, float]]] = {}
    for axis in axes:
        if not 1 < len(axis.values) < len(made):  # with a value for each piece, everything goes with it
            continue
        groups = [row["values"][axis.name] for row in made]
        for name in names:
            values = [row["measures"].get(name, math.nan) for row in made]
            found = {"eta_squared": measured.eta_squared(values, groups), "chance": measured.chance(values, groups)}
            out.setdefault(axis.name, {})[name] = found
    return out


def opinions_of(rows: Sequence[Mapping[str, Any]], axes: Sequence[Axis], classifier: str) -> dict[str, Any]:
    """What a classifier said of all pieces, and by the values of every axis: statistics of each class's probability, how often it won."""
    out: dict[str, Any] = {"all": opinion(rows, classifier), "by_axis": {}}
    for axis in axes:
        if len(axis.values) < len(rows):
            mine = {value: [row for row in rows if row["values"][axis.name] == value] for value in axis.values}
            out["by_axis"][axis.name] = {value: opinion(some, classifier) for value, some in mine.items()}
    return out


def opinion(rows: Sequence[Mapping[str, Any]], classifier: str) -> dict[str, Any]:
    """What a classifier said of some pieces.

    Returns:
        ``count``; ``statistics``: class -> `describe` of its probability; ``winners``: class -> pieces; ``spread``: `effects.spread`
        with its interval; ``warned``: pieces that are unlike what the classifier learned from, by its own word.
    """
    table = opinions.probabilities(rows, classifier)
    vectors = np.array(list(table.values()), np.float64).T if table else np.empty((0, 0))
    found = measured.spread(vectors)
    return {
        "count": len(vectors),
        "statistics": {label: describe(values) for label, values in table.items()},
        "winners": opinions.winners(rows, classifier),
        "warned": sum(bool(row["verdicts"].get(classifier, {}).get("warnings")) for row in rows),
        "spread": {"value": found.value, "low": found.low, "high": found.high},
    }
