"""Which of the candidates are taken: by what they are ordered, and whether they are to differ.

Takes one number per candidate (higher is better) and, where they are to differ, the rows of their features; gives an order. A way of
choosing is a name of `WAYS`:

==========  =======================================================================================================================
way         the best is
==========  =======================================================================================================================
`score`     the one with the highest weighted score
`genre`     the one whose asked genre is the most probable; without one, whose most probable genre is (max p -> 1)
`outlier`   the one nearest to the middle of real music in feature space
`human`     the one that a classifier holds most probably for written by a person
`cluster`   the one nearest to the middle of its own cluster of candidates, a cluster for each piece wanted
`random`    any, by a seed: what the others have to be better than
==========  =======================================================================================================================

Degenerate candidates stand behind all others, whatever the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kapelle.errors import UnknownName, UsageError
from kapelle.judging.clusters import clusters

WAYS = ("score", "genre", "outlier", "human", "cluster", "random")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """What is wanted.

    Args:
        best: Pieces to take, 1 or more; all if there are fewer.
        by: One of `WAYS`.
        diverse: Take one of each of so many clusters of candidates.
        seed: Of what is random.

    Raises:
        UsageError: `best` is below 1, or there is no such way.
    """

    best: int = 1
    by: str = "score"
    diverse: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.best < 1:
            raise UsageError("the best {best} cannot be chosen", best=self.best, hint="ask for 1 or more")
        if self.by not in WAYS:
            raise UnknownName("way of choosing", self.by, WAYS)

    @property
    def clustered(self) -> bool:
        """The chosen are to come from clusters of their own."""
        return self.diverse or self.by == "cluster"


def at_random(n: int, seed: int) -> Floats:
    """(n,) numbers by which candidates stand in a random order."""
    return np.random.Generator(np.random.Philox(key=[seed, 0x52414E4B])).random(n)


def in_order(values: Sequence[float], sound: Sequence[bool]) -> list[int]:
    """Places from the best to the worst: sound before degenerate ones, then by value, then as they came; NaN behind all numbers.

    Args:
        values: (N,) higher is better.
        sound: (N,) false for a degenerate one.
    """
    return sorted(range(len(values)), key=lambda place: (not sound[place], np.isnan(values[place]), -np.nan_to_num(values[place]), place))


def groups_of(rows: Floats, choice: Choice, sound: Sequence[bool]) -> NDArray[np.int64]:
    """(N,) the cluster of every candidate; -1 for those out of the running, unless all are.

    Args:
        rows: (N, F) standardised features.
        choice: What is wanted.
        sound: (N,) false for a degenerate one.
    """
    running = np.array(sound, bool) if any(sound) else np.ones(len(rows), bool)
    out = np.full(len(rows), -1, np.int64)
    out[running] = clusters(rows[running], min(choice.best, int(running.sum())), choice.seed)
    return out


def one_of_each(order: Sequence[int], groups: NDArray[np.int64], best: int) -> list[int]:
    """The order with the first of every cluster in front, so that the `best` first are of different clusters."""
    seen: set[int] = set()
    first: list[int] = []
    for place in order:
        group = int(groups[place])
        if group >= 0 and group not in seen and len(first) < best:
            seen.add(group)
            first.append(place)
    return [*first, *(place for place in order if place not in set(first))]
