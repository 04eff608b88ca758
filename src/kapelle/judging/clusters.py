"""Clusters of candidates: pieces that are alike, so that one of each kind can be taken.

Takes rows of standardised features (N, F); gives the cluster of every row. k-means with careful seeding, several starts, in numpy: the
same rows and seed give the same clusters. It does not say how many clusters there are: as many are made as pieces are wanted.

Source: Lloyd 1982; Arthur and Vassilvitskii 2007, "k-means++: the advantages of careful seeding".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kapelle.errors import UsageError

Floats = NDArray[np.float64]

STARTS = 8
MAX_ROUNDS = 100


def clusters(rows: ArrayLike, k: int, seed: int = 0) -> NDArray[np.int64]:
    """(N,) the cluster of every row, 0 to k - 1, the one with most rows first; all k are used if so many rows differ.

    Args:
        rows: (N, F), finite.
        k: 1 to N.
        seed: Of the random starts.

    Raises:
        UsageError: `k` is out of range.
    """
    given = np.asarray(rows, np.float64)
    if not 1 <= k <= len(given):
        raise UsageError("{k} clusters of {n} pieces cannot be made", k=k, n=len(given))
    draw = np.random.Generator(np.random.Philox(seed))
    best, least = np.zeros(len(given), np.int64), np.inf
    for _ in range(STARTS):
        labels, cost = _settled(given, _seeds(given, k, draw))
        if cost < least - 1e-12:
            best, least = labels, cost
    sizes = np.bincount(best, minlength=k)
    order = np.argsort(-sizes, kind="stable")
    place = np.empty(k, np.int64)
    place[order] = np.arange(k)
    out: NDArray[np.int64] = place[best]
    return out


def to_own_centre(rows: ArrayLike, labels: NDArray[np.int64]) -> Floats:
    """(N,) Euclidean distance of every row from the mean of its cluster."""
    given = np.asarray(rows, np.float64)
    centres = np.stack([given[labels == one].mean(axis=0) if (labels == one).any() else given[0] for one in range(int(labels.max()) + 1)])
    out: Floats = np.sqrt(((given - centres[labels]) ** 2).sum(axis=1))
    return out


def to_nearest_other(rows: ArrayLike) -> Floats:
    """(N,) Euclidean distance of every row from the nearest other one; infinite if there is no other."""
    given = np.asarray(rows, np.float64)
    out = np.full(len(given), np.inf)
    for place in range(len(given)):
        apart = ((given - given[place]) ** 2).sum(axis=1)
        apart[place] = np.inf
        out[place] = np.sqrt(apart.min())
    return out


def _seeds(rows: Floats, k: int, draw: np.random.Generator) -> Floats:
    """(k, F) first centres, each drawn from the rows by its squared distance from those drawn before."""
    chosen = [int(draw.integers(len(rows)))]
    apart = ((rows - rows[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < k:
        total = float(apart.sum())
        following = int(draw.integers(len(rows))) if total <= 0 else int(draw.choice(len(rows), p=apart / total))
        chosen.append(following)
        apart = np.minimum(apart, ((rows - rows[following]) ** 2).sum(axis=1))
    return rows[chosen]


def _settled(rows: Floats, centres: Floats) -> tuple[NDArray[np.int64], float]:
    """Labels that no longer change, and their cost; a cluster left empty takes the row that lies worst."""
    labels = np.full(len(rows), -1, np.int64)
    for _ in range(MAX_ROUNDS):
        apart = _apart(rows, centres)
        new = apart.argmin(axis=1)
        cost = apart[np.arange(len(rows)), new]
        for empty in np.setdiff1d(np.arange(len(centres)), new):
            worst = int(np.where(np.bincount(new, minlength=len(centres))[new] > 1, cost, -1.0).argmax())
            new[worst], cost[worst] = empty, 0.0
        if (new == labels).all():
            break
        labels = new
        centres = np.stack([rows[labels == one].mean(axis=0) for one in range(len(centres))])
    return labels, float(cost.sum())


def _apart(rows: Floats, centres: Floats) -> Floats:
    """(N, k) squared distances without a large array between."""
    out: Floats = np.maximum((rows**2).sum(axis=1)[:, None] - 2 * rows @ centres.T + (centres**2).sum(axis=1)[None], 0.0)
    return out
