"""Figures over many pieces with their 95 % intervals, by drawing pieces anew.

Takes one number per piece; gives an `Estimate`. The piece is what is drawn, with replacement, because notes and blocks of one piece
resemble each other: drawing those would give intervals that are far too narrow. Percentile intervals; the draws come from a seed, so the
same pieces give the same interval. Two models are compared within each draw (`saving`), not by whether their intervals overlap.

A distance of two sets is another matter. Drawn sets hold pieces twice, so their distances lie above the distance itself: `around` keeps
the spread of the draws and puts it around the value.

It tells how far the figure may move with other pieces of the same kind. It tells nothing of other seeds of a training run.

Source: Efron 1979, "Bootstrap methods: another look at the jackknife".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kapelle.errors import UsageError

N_DRAWS = 2000
N_SET_DRAWS = 200
"""Of two sets at once, where each draw is a distance to compute."""

LEVEL = 0.95

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; all three NaN where there is nothing to measure, and then `reason` says why if it can."""

    value: float
    low: float
    high: float
    reason: str = ""


def nothing(reason: str) -> Estimate:
    """No figure, and why there is none."""
    return Estimate(np.nan, np.nan, np.nan, reason)


def times(n: int, seed: int = 0, n_draws: int = N_DRAWS) -> Floats:
    """(draws, P) how often each of `n` pieces, at least 1, is drawn; each row adds up to `n`."""
    draw = np.random.Generator(np.random.Philox(seed))
    return draw.multinomial(n, np.full(n, 1 / n), size=n_draws).astype(np.float64)


def mean(values: ArrayLike, seed: int = 0) -> Estimate:
    """The mean over pieces; NaN, a piece with nothing to measure, is left out.

    Args:
        values: (P,) of each piece.
        seed: Of the draws.
    """
    given = np.asarray(values, np.float64)
    held = given[~np.isnan(given)]
    if not len(held):
        return nothing("no piece has a value")
    return ratio(held, np.ones_like(held), seed)


def around(value: float, drawn: ArrayLike, least: float = -np.inf, most: float = np.inf) -> Estimate:
    """A distance with the spread of its draws, put around it.

    Args:
        value: Of the pieces themselves, `least` to `most`.
        drawn: (draws,) of drawn pieces; they may lie above or below `value` as a whole.
        least: The interval ends here at the latest.
        most: Likewise.
    """
    found = np.asarray(drawn, np.float64)
    if np.isnan(value) or not len(found):
        return Estimate(value, np.nan, np.nan)
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) - found.mean() + value
    return Estimate(value, float(np.clip(low, least, value)), float(np.clip(high, value, most)))


def ratio(above: ArrayLike, below: ArrayLike, seed: int = 0) -> Estimate:
    """Sum over sum, such as bits per note; long pieces weigh more.

    Args:
        above: (P,) of each piece.
        below: (P,) of each piece, not negative.
        seed: Of the draws.

    Returns:
        NaN where the whole of `below` is 0; draws in which it is 0 are left out.

    Raises:
        UsageError: The shapes differ, or are not (P,).
    """
    over, under = np.asarray(above, np.float64), np.asarray(below, np.float64)
    if over.ndim != 1 or over.shape != under.shape:
        raise UsageError("one number per piece is needed twice, not shapes {above} and {below}", above=over.shape, below=under.shape)
    if under.sum() == 0:
        return Estimate(np.nan, np.nan, np.nan)
    drawn = times(len(over), seed)
    sums, of = drawn @ over, drawn @ under
    low, high = np.quantile(sums[of > 0] / of[of > 0], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(over.sum() / under.sum()), float(low), float(high))


def share(hits: ArrayLike, seed: int = 0) -> Estimate:
    """The share of pieces for which something holds, 0 to 1; every piece weighs the same.

    Args:
        hits: (P,) truth values.
        seed: Of the draws.
    """
    held = np.asarray(hits, np.float64)
    return ratio(held, np.ones_like(held), seed)


def saving(ours: ArrayLike, theirs: ArrayLike, seed: int = 0) -> Estimate:
    """How far one sum lies below the other: 0.15 says 15 % below; negative where ours is larger.

    Args:
        ours: (P,) of each piece.
        theirs: (P,) of the same pieces in the same order, not negative.
        seed: Of the draws.
    """
    part = ratio(ours, theirs, seed)
    return Estimate(1 - part.value, 1 - part.high, 1 - part.low)
