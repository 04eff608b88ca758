"""What goes with what: how much of a figure's spread goes with an axis, and how widely a set of opinions is spread.

Takes plain numbers and groups; gives shares, chances and `Estimate`s. Draws come from a seed, so the same rows give the same figures. With
many figures at once, one in twenty has a chance below 0.05 though nothing goes with anything: a chance is a hint, not a finding.

Source: eta squared is the share of the sum of squares between groups (Fisher); its chance is that of a permutation test. The pieces are
drawn anew for intervals (Efron 1979).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from kapelle.metrics.bootstrap import LEVEL, Estimate, nothing, times

N_PERMUTATIONS = 999
Floats = NDArray[np.float64]


def eta_squared(values: Sequence[float], groups: Sequence[Hashable]) -> float:
    """Share of the variance of some numbers that lies between groups, 0 to 1; NaN where nothing varies or there is one group.

    Args:
        values: (P,) numbers; NaN is left out.
        groups: (P,) the group of each.
    """
    numbers, members = _indexed(values, groups)
    return float(_between(numbers, members)) if len(numbers) else float("nan")


def chance(values: Sequence[float], groups: Sequence[Hashable], seed: int = 0) -> float:
    """How often groups drawn at random hold at least as much of the variance: the p of a permutation test, NaN where `eta_squared` is.

    Args:
        values: (P,) numbers; NaN is left out.
        groups: (P,) the group of each.
        seed: Of the permutations.
    """
    numbers, members = _indexed(values, groups)
    found = _between(numbers, members) if len(numbers) else np.float64("nan")
    if np.isnan(found):
        return float("nan")
    random = np.random.Generator(np.random.Philox(seed))
    orders = random.permuted(np.tile(np.arange(len(numbers)), (N_PERMUTATIONS, 1)), axis=1)  # (K, P)
    counts = np.bincount(members)
    belongs = np.equal.outer(members, np.flatnonzero(counts)).astype(np.float64)  # (P, G)
    centred = numbers - numbers.mean()
    sums = centred[orders] @ belongs  # (K, G)
    drawn = (sums**2 / counts[counts > 0]).sum(axis=1) / (centred**2).sum()
    return float((1 + (drawn >= found - 1e-12).sum()) / (1 + N_PERMUTATIONS))


def _indexed(values: Sequence[float], groups: Sequence[Hashable]) -> tuple[Floats, NDArray[np.int64]]:
    """The numbers that are some, and their groups as numbers."""
    places: dict[Hashable, int] = {}
    pairs = [(value, places.setdefault(group, len(places))) for value, group in zip(values, groups, strict=True) if not np.isnan(value)]
    if len(pairs) < 3 or len({group for _, group in pairs}) < 2:
        return np.empty(0), np.empty(0, np.int64)
    return np.array([value for value, _ in pairs]), np.array([group for _, group in pairs], np.int64)


def _between(numbers: Floats, members: NDArray[np.int64]) -> np.float64:
    centred = numbers - numbers.mean()
    whole = (centred**2).sum()
    if whole <= 1e-18 * max(float((numbers**2).sum()), 1e-300):
        return np.float64("nan")
    counts = np.bincount(members)
    sums = np.bincount(members, centred)
    held = counts > 0
    return np.float64((sums[held] ** 2 / counts[held]).sum() / whole)


def spread(vectors: Floats, seed: int = 0) -> Estimate:
    """The standard deviation of each class's probability (of n - 1), averaged over the classes: the thesis' figure of diversity.

    Args:
        vectors: (P, C) a row of probabilities for each piece.
        seed: Of the draws.

    Returns:
        NaN for fewer than two pieces.
    """
    rows = np.asarray(vectors, np.float64)
    if len(rows) < 2:
        return nothing("a spread needs two pieces")
    low, high = np.quantile(_drawn(rows, seed), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(_deviation(rows), float(low), float(high))


def mean_distance(vectors: Floats, seed: int = 0) -> Estimate:
    """The mean Euclidean distance of two different pieces, 0 or more.

    Args:
        vectors: (P, D) a row of numbers for each piece, on one scale.
        seed: Of the draws.

    Returns:
        NaN for fewer than two pieces.
    """
    rows = np.asarray(vectors, np.float64)
    if len(rows) < 2:
        return nothing("a spread needs two pieces")
    squares = (rows**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * rows @ rows.T, 0.0))
    np.fill_diagonal(distances, 0.0)
    taken = times(len(rows), seed)
    pairs = taken.sum(axis=1) ** 2 - (taken**2).sum(axis=1)  # a piece and its own copy are no two pieces
    drawn = np.einsum("np,pq,nq->n", taken, distances, taken, optimize=True)[pairs > 0] / pairs[pairs > 0]
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    n = len(rows)
    return Estimate(float(distances.sum() / (n * (n - 1))), float(low), float(high))


def ratio_of_spreads(ours: Floats, theirs: Floats, seed: int = 0) -> Estimate:
    """`spread` of one set over that of another: above 1 where ours is the more diverse, with the interval of drawing both anew.

    Args:
        ours: (P, C) probabilities.
        theirs: (Q, C) of the same classes.
        seed: Of the draws.
    """
    first, second = (np.asarray(one, np.float64) for one in (ours, theirs))
    if min(len(first), len(second)) < 2:
        return nothing("a spread needs two pieces")
    below = _deviation(second)
    if not below:
        return nothing("nothing varies in the other set")
    drawn = [_drawn(one, seed + place) for place, one in enumerate((first, second))]
    ratios = drawn[0] / np.where(drawn[1] > 0, drawn[1], np.nan)
    low, high = np.nanquantile(ratios, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    below = _deviation(second)
    return Estimate(float(_deviation(first) / below) if below else np.nan, float(low), float(high))


def _deviation(rows: Floats) -> float:
    return float(rows.std(axis=0, ddof=1).mean())


def _drawn(rows: Floats, seed: int) -> Floats:
    """(draws,) the deviation of sets of as many pieces, drawn with replacement."""
    n = len(rows)
    centred = rows - rows.mean(axis=0)
    taken = times(n, seed)
    means = taken @ centred / n
    variances = np.maximum(taken @ centred**2 / n - means**2, 0.0) * n / (n - 1)
    drawn: Floats = np.sqrt(variances).mean(axis=1)
    return drawn
