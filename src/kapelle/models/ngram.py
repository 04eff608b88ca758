"""The n-gram baseline: interpolated Kneser-Ney over ids, of order 5 unless said.

Takes sequences of ids, each with a mask of the ids that are to be predicted; gives the bits that each id costs. An id outside the mask
(a genre, a key, the start) is context alone: neither learnt nor charged for. Where a sequence has fewer ids to the left than the order
looks back, a boundary stands for the missing ones, in training and in scoring alike.

An n-gram is one whole number (its ids as digits), so counting is sorting: sixteen million ids take about fifteen seconds and 1.5 GB.
Every order has three discounts, for counts of one, two, and three or more. Below the unigrams stands the uniform distribution over all ids,
so every id has a probability above 0 and the probabilities of a context sum to 1. It imports numpy alone, knows nothing of music, and
does not sample; it is not a family of networks and has no bundle.

Source: Kneser and Ney 1995, "Improved backing-off for m-gram language modeling"; discounts per count and the interpolated form:
Chen and Goodman 1998, "An empirical study of smoothing techniques for language modeling", TR-10-98, Harvard.
Known differences: their closed form for the discounts is only where `tune` begins; the discounts used are those that make a validation
set cheapest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kapelle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

Ids = NDArray[np.integer]
Keys = NDArray[np.int64]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

N_CLASSES = 3
"""Counts of one, two, and three or more are discounted differently."""

LEAST_DISCOUNT = 1e-3
"""Above 0, so that what was never seen keeps a probability."""


@dataclass(frozen=True)
class Level:
    """What was counted of one order n; N n-grams, C contexts.

    Args:
        keys: (N,) packed n-grams, ascending.
        counts: (N,) how often each occurs; below the highest order, how many different ids stand to the left of it (Kneser-Ney).
        contexts: (C,) packed first n-1 ids, ascending.
        totals: (C,) sum of the counts that follow each.
        tails: (C, 3) how many different ids follow each with a count of one, two, and three or more.
    """

    keys: Keys
    counts: NDArray[np.int64]
    contexts: Keys
    totals: Floats
    tails: Floats


@dataclass(frozen=True)
class NGram:
    """A trained model.

    Args:
        vocabulary: Number of ids, V.
        levels: Order 1 first.
        discounts: (order, 3) what is taken off counts of one, two, and three or more; the i-th lies above 0 and is at most i.
    """

    vocabulary: int
    levels: tuple[Level, ...]
    discounts: Floats

    @property
    def order(self) -> int:
        """The longest n-gram: one id and how many before it are looked at, plus one."""
        return len(self.levels)

    @property
    def n_grams(self) -> int:
        """Distinct n-grams over all orders."""
        return sum(len(level.keys) for level in self.levels)


def train(sequences: Iterable[tuple[Ids, Mask]], vocabulary: int, order: int = 5) -> NGram:
    """The model of some sequences, with the discounts of the closed form.

    Args:
        sequences: Ids (T,), 0 to V-1, and which of them are to be predicted (T,).
        vocabulary: Number of ids, V.
        order: 1 (unigrams) or more.

    Raises:
        UsageError: Nothing is to be predicted, an id is out of range, or the order is more than 63 bits hold with so many ids.
    """
    if order < 1 or vocabulary < 1 or (vocabulary + 1) ** order >= 2**63:
        raise UsageError(
            "n-grams of order {order} over {vocabulary} ids cannot be counted",
            order=order,
            vocabulary=vocabulary,
            hint="choose a lower order",
        )
    packed = [_pack(ids, vocabulary, order)[mask] for ids, mask in sequences]
    whole = np.concatenate(packed) if packed else np.zeros(0, np.int64)
    if not len(whole):
        raise UsageError("there is nothing to learn from: no id is to be predicted")
    del packed
    levels: list[Level] = []
    for n in range(order, 0, -1):
        keys, counts = _count(whole)
        levels.insert(0, _level(keys, counts, vocabulary + 1))
        whole = keys % (vocabulary + 1) ** (n - 1)  # each distinct n-gram counts once for what it ends in: a continuation count
    return NGram(vocabulary, tuple(levels), np.array([_closed_form(level.counts) for level in levels]))


def bits(model: NGram, ids: ArrayLike) -> Floats:
    """What every id costs given those to its left in the same row, -log2 p, finite; same shape as `ids`, (T,) or (B, T).

    Raises:
        UsageError: An id is out of range.
    """
    rows = np.asarray(ids)
    probabilities = _Lookup(model, _pack(rows, model.vocabulary, model.order).ravel()).probabilities(model.discounts)
    out: Floats = -np.log2(probabilities[-1]).reshape(rows.shape)
    return out


def distribution(model: NGram, context: ArrayLike) -> Floats:
    """(V,) the probability of every id after `context` (T,), which may be empty; sums to 1."""
    before = np.asarray(context, np.int64)
    rows = np.column_stack([np.tile(before, (model.vocabulary, 1)), np.arange(model.vocabulary)])
    keys = _pack(rows, model.vocabulary, model.order)[:, -1]
    return _Lookup(model, keys).probabilities(model.discounts)[-1]


def tune(model: NGram, sequences: Iterable[tuple[Ids, Mask]], tolerance_bits: float = 1e-6, max_rounds: int = 50) -> NGram:
    """The same counts with the discounts that make `sequences` cheapest.

    A probability is linear in the three discounts of one order, so its logarithm is concave in them: each order in turn takes
    Newton's steps inside its bounds, until a round over all orders gains less than `tolerance_bits` per id.

    Args:
        model: From `train`.
        sequences: A validation set, not the training set: as for `train`.
        tolerance_bits: Bits per id.
        max_rounds: Rounds over all orders at most.
    """
    packed = [_pack(ids, model.vocabulary, model.order)[mask] for ids, mask in sequences]
    keys = np.concatenate(packed) if packed else np.zeros(0, np.int64)
    if not len(keys):
        return model
    lookup = _Lookup(model, keys)
    discounts = model.discounts.copy()
    cost = _mean_bits(lookup.probabilities(discounts)[-1])
    for _ in range(max_rounds):
        for n in range(model.order):
            discounts[n] = _best_of_order(*lookup.linear(discounts, n), discounts[n])
        before, cost = cost, _mean_bits(lookup.probabilities(discounts)[-1])
        if before - cost < tolerance_bits:
            break
    return replace(model, discounts=discounts)


class _Lookup:
    """The counts that the probabilities of some n-grams (K,) are made of, looked up once for any discounts."""

    def __init__(self, model: NGram, keys: Keys) -> None:
        base = model.vocabulary + 1
        self.uniform = 1.0 / model.vocabulary
        self.counts: list[Floats] = []  # (K,) of the n-gram; 0: never seen
        self.totals: list[Floats] = []  # (K,) of its context; 0: never seen
        self.tails: list[Floats] = []  # (K, 3)
        distinct, self._back = np.unique(keys, return_inverse=True)  # neighbours in the tables are looked up one after the other
        for n, level in enumerate(model.levels, start=1):
            ends = distinct % base**n
            self.counts.append(_take(level.keys, level.counts, ends)[self._back])
            self.totals.append(_take(level.contexts, level.totals, ends // base)[self._back])
            self.tails.append(_take(level.contexts, level.tails, ends // base)[self._back])

    def probabilities(self, discounts: Floats) -> list[Floats]:
        """(K,) at every order, order 1 first; the last is the model's."""
        out: list[Floats] = []
        below: Floats = np.full(len(self._back), self.uniform)
        for n in range(len(self.counts)):
            constant, slopes = self._own(n, below)
            below = constant + slopes @ discounts[n]
            out.append(below)
        return out

    def linear(self, discounts: Floats, n: int) -> tuple[Floats, Floats]:
        """(K,) and (K, 3): the model's probability is the first plus the second times the discounts of order index `n`."""
        probabilities = self.probabilities(discounts)
        constant, slopes = self._own(n, probabilities[n - 1] if n else np.full(len(self._back), self.uniform))
        for m in range(n + 1, len(self.counts)):
            weight, share = self._weight(m, discounts), self._share(m, discounts)
            constant, slopes = share + weight * constant, weight[:, None] * slopes
        return constant, slopes

    def _own(self, n: int, below: Floats) -> tuple[Floats, Floats]:
        """The same for the probability at order index `n` itself, given that one order below."""
        seen = self.totals[n] > 0
        totals = np.where(seen, self.totals[n], 1.0)
        constant: Floats = np.where(seen, self.counts[n] / totals, below)
        slopes = (self.tails[n] * below[:, None] - _one_hot(self.counts[n])) / totals[:, None]
        return constant, slopes

    def _share(self, n: int, discounts: Floats) -> Floats:
        """What the order's own discounted count gives; 0 where the context was never seen."""
        taken = _one_hot(self.counts[n]) @ discounts[n]
        out: Floats = np.where(self.totals[n] > 0, (self.counts[n] - taken) / np.maximum(self.totals[n], 1), 0.0)
        return out

    def _weight(self, n: int, discounts: Floats) -> Floats:
        """What the order leaves to those below; 1 where the context was never seen."""
        out: Floats = np.where(self.totals[n] > 0, self.tails[n] @ discounts[n] / np.maximum(self.totals[n], 1), 1.0)
        return out


def _pack(ids: Ids, vocabulary: int, order: int) -> Keys:
    """The n-gram that ends in every id of `ids` (..., T) as one number, same shape; V stands left of the first."""
    rows = np.asarray(ids, np.int64)
    if rows.size and (int(rows.min()) < 0 or int(rows.max()) >= vocabulary):
        raise UsageError("ids must be 0 to {last}; found {low} to {high}", last=vocabulary - 1, low=rows.min(), high=rows.max())
    padded = np.concatenate([np.full((*rows.shape[:-1], order - 1), vocabulary, np.int64), rows], axis=-1)
    keys = np.zeros(rows.shape, np.int64)
    for back in range(order):
        keys = keys * (vocabulary + 1) + padded[..., back : back + rows.shape[-1]]
    return keys


def _count(keys: Keys) -> tuple[Keys, NDArray[np.int64]]:
    """Distinct keys, ascending, and how often each occurs. Sorts in place."""
    keys.sort()
    firsts = _firsts(keys)
    return keys[firsts], np.diff(np.append(firsts, len(keys)))


def _firsts(ascending: Keys) -> NDArray[np.int64]:
    """Where each distinct value of a sorted array begins."""
    return np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]]))


def _level(keys: Keys, counts: NDArray[np.int64], base: int) -> Level:
    contexts = keys // base
    firsts = _firsts(contexts)
    totals = np.add.reduceat(counts, firsts).astype(np.float64)
    classes = [counts == 1, counts == 2, counts >= N_CLASSES]
    tails = np.stack([np.add.reduceat(is_class.astype(np.float64), firsts) for is_class in classes], axis=1)
    return Level(keys, counts, contexts[firsts], totals, tails)


def _closed_form(counts: NDArray[np.int64]) -> Floats:
    """Chen and Goodman's three discounts from how many n-grams occur once to four times; half the class where one never does."""
    n1, n2, n3, n4 = (float((counts == k).sum()) for k in (1, 2, 3, 4))
    if min(n1, n2, n3, n4) == 0:
        return np.array([0.5, 1.0, 1.5])
    y = n1 / (n1 + 2 * n2)
    return np.clip([1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3], LEAST_DISCOUNT, [1, 2, 3])


def _take(table: Keys, values: NDArray[np.generic], wanted: Keys) -> Floats:
    """`values` at the places where `table` (ascending) holds `wanted`; 0 where it does not."""
    places = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
    out = values[places].astype(np.float64)
    out[table[places] != wanted] = 0
    return out


def _one_hot(counts: Floats) -> Floats:
    """(K, 3) which discount a count takes; none for 0."""
    return np.stack([counts == 1, counts == 2, counts >= N_CLASSES], axis=1).astype(np.float64)


def _mean_bits(probabilities: Floats) -> float:
    return -float(np.log2(probabilities).mean())


def _best_of_order(constant: Floats, slopes: Floats, start: Floats) -> Floats:
    """The discounts in bounds that make the mean logarithm of ``constant + slopes @ discounts`` largest."""
    here, value = start, _mean_bits(constant + slopes @ start)
    for _ in range(20):
        relative = slopes / (constant + slopes @ here)[:, None]
        curvature = relative.T @ relative + 1e-9 * np.eye(N_CLASSES)
        step, length = np.linalg.solve(curvature, relative.sum(axis=0)), 1.0
        while length > 1e-3:
            there = np.clip(here + length * step, LEAST_DISCOUNT, [1.0, 2.0, 3.0])
            found = _mean_bits(constant + slopes @ there)
            if found < value:
                break
            length /= 2
        else:
            return here
        gain, here, value = value - found, there, found
        if gain < 1e-9:
            return here
    return here
