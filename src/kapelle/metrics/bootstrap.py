"""Figures over many pieces with their 95 % intervals, by drawing pieces anew.

Takes one number per piece; gives an `Estimate`. The piece is what is drawn, with replacement, because notes and blocks of one piece
resemble each other: drawing those would give intervals that are far too narrow. Percentile intervals; the draws come from a seed, so the
same pieces give the same interval. Two models are compared within each draw (`saving`), not by whether their intervals overlap.

It tells how far the figure may move with other pieces of the same kind. It tells nothing of other seeds of a training run.

Source: Efron 1979, "Bootstrap methods: another look at the jackknife".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kapelle.errors import UsageError

N_DRAWS = 2000
LEVEL = 0.95

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; all three NaN where there are no pieces."""

    value: float
    low: float
    high: float


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
    draw = np.random.Generator(np.random.Philox(seed))
    times = draw.multinomial(len(over), np.full(len(over), 1 / len(over)), size=N_DRAWS).astype(np.float64)  # (draws, P)
    sums, of = times @ over, times @ under
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
