"""Rows of an evaluation against half A of the reference: every metric's distribution, and the embedding.

Takes what was measured of single pieces; gives figures of sets. Equally many pieces of every row are compared. Metrics and rows are
shared out over processes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kapelle.judging.evaluation import Options, SetFigures
from kapelle.judging.excerpts import FEATURES, Found
from kapelle.metrics import distance
from kapelle.metrics.bootstrap import N_SET_DRAWS, Estimate
from kapelle.metrics.distance import Compared
from kapelle.metrics.neighbours import Neighbours, precision_recall_density_coverage
from kapelle.metrics.piece import METRICS
from kapelle.metrics.two_sample import two_sample

if TYPE_CHECKING:
    from kapelle.workers import Workers

Floats = NDArray[np.float64]
Figures = tuple[SetFigures, Mapping[str, Compared]]
"""Of a set, and of each metric."""


N_DRAWS = N_SET_DRAWS
"""Of each interval."""

MOST_PIECES = 2000
"""Of a row, and of the half: more would cost much and say little."""

MOST = 3.0
"""Deviations that a standardised feature may be away from the mean."""


@dataclass(frozen=True)
class _Pair:
    """Two sets to compare: a metric of each, or vectors of each if `metric` is empty."""

    metric: str
    made: Floats
    reference: Floats
    k: int
    seed: int
    n_draws: int


@dataclass(frozen=True)
class _Vectors:
    """What the embedding says of two sets."""

    neighbours: Neighbours
    frechet: Estimate
    two_sample: Estimate


def against(
    first: Sequence[Found],
    rows: Sequence[Sequence[Found]],
    options: Options,
    embedding: str,
    workers: Workers,
    progress: Callable[[int, int], None],
) -> list[Figures]:
    """Each row against half A.

    Args:
        first: Pieces of half A.
        rows: Pieces of each row, in an order that their bytes decide; the first ones are compared.
        options: Seed and neighbours.
        embedding: Whose vectors the pieces have.
        workers: Who computes.
        progress: Called with (comparisons done, comparisons in all).
    """
    first = first[:MOST_PIECES]
    n = min((len(row) for row in [*rows, first] if row), default=0)  # a row without pieces has no figures, and takes none from the others
    some = [row[:n] for row in rows]
    yardstick, *placed = _placed([_vectors(first), *(_vectors(row) for row in some)], embedding)
    pairs = [_Pair(metric, _values(row, metric), _values(first, metric), 0, options.seed, N_DRAWS) for row in some for metric in METRICS]
    jobs = [*pairs, *(_Pair("", vectors, yardstick, options.neighbours, options.seed, N_DRAWS) for vectors in placed)]
    found = list(workers.map(_compare, jobs, progress))
    distributions = [one for one in found if isinstance(one, Compared)]
    out: list[Figures] = []
    for place, vectors in enumerate(one for one in found if isinstance(one, _Vectors)):
        metrics = dict(zip(METRICS, distributions[place * len(METRICS) :], strict=False))
        overlap = _mean([one.overlap.value for one in metrics.values()])
        kld = _mean([one.kld.value for one in metrics.values()])
        out.append(
            (SetFigures(len(some[place]), len(first), overlap, kld, vectors.neighbours, vectors.frechet, vectors.two_sample), metrics)
        )
    return out


def _compare(pair: _Pair) -> Compared | _Vectors:
    if pair.metric:
        return distance.compared(pair.made, pair.reference, pair.seed, pair.n_draws)
    frechet = distance.frechet_estimate(pair.made, pair.reference, pair.seed, pair.n_draws)
    value, low, high = (float(f"{value:.9g}") for value in (frechet.value, frechet.low, frechet.high))  # the last digits depend on threads
    return _Vectors(
        precision_recall_density_coverage(pair.reference, pair.made, pair.k, pair.seed),
        Estimate(value, low, high, frechet.reason),
        two_sample(pair.made, pair.reference, pair.seed),
    )


def _values(row: Sequence[Found], metric: str) -> Floats:
    return np.array([found.values[metric] for found in row], np.float64)


def _vectors(row: Sequence[Found]) -> Floats:
    return np.array([found.vector for found in row], np.float64) if row else np.zeros((0, 0))


def _placed(sets: Sequence[Floats], embedding: str) -> list[Floats]:
    """Vectors that can be compared. Features are standardised by half A, the first of the sets, and cut off at `MOST` deviations, or one
    odd piece would outweigh all others; a feature that does not vary there, or has no value, says nothing. The judge's vectors are taken
    as they are.
    """
    width = max((vectors.shape[1] for vectors in sets), default=0)
    full = [vectors if len(vectors) else np.zeros((0, width)) for vectors in sets]
    if embedding != FEATURES or not len(full[0]):
        return full
    known = np.isfinite(full[0])
    counts = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, full[0], 0.0).sum(axis=0) / counts
    spread = np.sqrt((np.where(known, full[0] - mean, 0.0) ** 2).sum(axis=0) / counts)
    varies = spread > 1e-9 * np.maximum(np.abs(mean), 1.0)
    out = []
    for vectors in full:
        standard = (vectors[:, varies] - mean[varies]) / spread[varies]
        out.append(np.clip(np.where(np.isnan(standard), 0.0, standard), -MOST, MOST))
    return out


def _mean(values: Sequence[float]) -> float:
    held = [value for value in values if not np.isnan(value)]
    return float(np.mean(held)) if held else float("nan")
