"""Precision, recall, density and coverage of a set of vectors against another: where generated pieces lie, and what they leave out.

Takes vectors of real and of generated pieces, (P, D) and (Q, D), from any embedding; gives four shares. Around each vector of a set lies a
ball that reaches to its k-th nearest neighbour in the same set; all balls of a set together are its region.

=========  ===========================================================================  =========  ===========
figure     what it is                                                                   range      ideal
=========  ===========================================================================  =========  ===========
precision  share of generated pieces in the region of the real ones                     0 to 1     near that of real music
recall     share of real pieces in the region of the generated ones                     0 to 1     likewise
density    in how many real balls a generated piece lies, mean, divided by k            0 on       1
coverage   share of real balls that hold a generated piece                              0 to 1     near that of real music
=========  ===========================================================================  =========  ===========

One odd real piece makes a large ball, in which much counts as precise; density and coverage hardly feel it. All four depend on the
sizes of both sets and on the embedding: they can be compared within a table, hardly across tables.

A piece on the edge of a ball is in it (as Kynkäänniemi et al. have it; the code of Naeem et al. leaves it out): it makes a
difference only where pieces are equal.

The intervals draw the pieces over which each figure is a mean: generated ones for precision and density, real ones for recall and
coverage. The balls stay as they are, for a drawn set holds pieces twice, and no neighbour would be as far as it is.

Source: Kynkäänniemi et al. 2019, "Improved precision and recall metric for assessing generative models"; Naeem et al. 2020, "Reliable
fidelity and diversity metrics for generative models".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kapelle.errors import UsageError
from kapelle.metrics import bootstrap
from kapelle.metrics.bootstrap import Estimate
from kapelle.metrics.distance import apart, pair

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Neighbours:
    """The four figures with their intervals; all NaN, with a reason, where a set is too small."""

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate


def precision_recall_density_coverage(real: ArrayLike, made: ArrayLike, k: int = 5, seed: int = 0) -> Neighbours:
    """How generated pieces lie among real ones.

    Args:
        real: (P, D) vectors; those with a NaN are left out.
        made: (Q, D).
        k: Which neighbour a ball reaches to, 1 or more.
        seed: Of the draws of the intervals.

    Raises:
        UsageError: `k` is below 1, or the vectors have different lengths.
    """
    if k < 1:
        raise UsageError("neighbours must be 1 or more, not {k}", k=k)
    ours, theirs = pair(real, made)
    if min(len(ours), len(theirs)) <= k:
        none = bootstrap.nothing(f"fewer than {k + 1} pieces")
        return Neighbours(none, none, none, none)
    distances = apart(ours, theirs)  # (P, Q)
    in_real = distances <= _reach(ours, k)[:, None]
    in_made = distances <= _reach(theirs, k)[None]
    return Neighbours(
        bootstrap.mean(in_real.any(axis=0), seed),
        bootstrap.mean(in_made.any(axis=1), seed),
        bootstrap.mean(in_real.sum(axis=0) / k, seed),
        bootstrap.mean(in_real.any(axis=1), seed),
    )


def _reach(vectors: Floats, k: int) -> Floats:
    """(P,) how far the k-th nearest other vector of the set is."""
    distances = apart(vectors, vectors)
    np.fill_diagonal(distances, np.inf)
    out: Floats = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return out
