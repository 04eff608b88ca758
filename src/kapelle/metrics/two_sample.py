"""The classifier two-sample test: can a simple classifier learn to tell two sets of vectors apart?

Takes vectors of two sets; gives the accuracy of a classifier on vectors that it was not trained on. 0.5 is ideal: the sets cannot be
told apart by it. 1 says that they always can. The classifier is a logistic regression on vectors standardised by its own training part,
with an L2 penalty of half the squared weights; cross-validated over folds that a seed deals out. Accuracy is the mean of both sets' own,
so that sets of different sizes leave 0.5 where it is.

It sees what is linear in the embedding. That it cannot tell sets apart is no proof that they are equal: small sets hide differences.
The interval draws pieces, not trainings. Copies of one piece in both sets, or twice in one, spoil the folds: take them out before.

Source: Lopez-Paz and Oquab 2017, "Revisiting classifier two-sample tests".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kapelle.metrics import bootstrap
from kapelle.metrics.bootstrap import N_DRAWS, Estimate
from kapelle.metrics.distance import pair

Floats = NDArray[np.float64]

FOLDS = 5
PENALTY = 1.0
MOST_STEPS = 50
"""Of Newton's method, which needs fewer than ten as a rule."""

SMALL_STEP = 1e-8


def two_sample(a: ArrayLike, b: ArrayLike, seed: int = 0) -> Estimate:
    """Accuracy, 0 to 1, of telling one set from the other; 0.5 is ideal, and somewhat below 0.5 is chance too.

    Args:
        a: (P, D) vectors, or (P,) numbers; those with a NaN are left out.
        b: (Q, D).
        seed: Of the folds, and of the draws of the interval.

    Returns:
        NaN, with a reason, if a set has fewer than 5 vectors.

    Raises:
        UsageError: The vectors have different lengths.
    """
    one, other = pair(a, b)
    if min(len(one), len(other)) < FOLDS:
        return bootstrap.nothing(f"fewer than {FOLDS} pieces")
    draw = np.random.Generator(np.random.Philox(seed))
    folds = np.concatenate([draw.permutation(len(vectors)) % FOLDS for vectors in (one, other)])
    vectors = np.concatenate([one, other])
    is_other = np.arange(len(vectors)) >= len(one)
    hits = np.zeros(len(vectors))
    for fold in range(FOLDS):
        test = folds == fold
        told = _told(vectors[~test], is_other[~test], vectors[test])
        hits[test] = np.where(told == 0, 0.5, (told > 0) == is_other[test])
    parts = hits[~is_other], hits[is_other]
    drawn = sum(bootstrap.times(len(part), seed + place, N_DRAWS) @ part / len(part) for place, part in enumerate(parts)) / 2
    value = float(np.mean([part.mean() for part in parts]))
    return bootstrap.around(value, drawn, 0.0, 1.0)


def _told(known: Floats, is_other: NDArray[np.bool_], asked: Floats) -> Floats:
    """(N,) the log-odds that the vectors `asked` belong to the second set; what does not vary says nothing."""
    mean, spread = known.mean(axis=0), known.std(axis=0)
    scale = np.where(spread > 1e-12 * np.maximum(np.abs(mean), 1), 1 / np.maximum(spread, 1e-300), 0.0)
    weights = logistic((known - mean) * scale, is_other)
    return np.asarray(((asked - mean) * scale) @ weights[1:] + weights[0])


def logistic(vectors: ArrayLike, labels: ArrayLike) -> Floats:
    """(1 + D,) intercept and weights of the logistic regression that makes the log loss plus half the squared weights least.

    Newton's method, with a line search; both labels weigh the same as a whole, whatever their numbers.

    Args:
        vectors: (N, D), standardised.
        labels: (N,) truth values, both of which occur.
    """
    x = np.column_stack([np.ones(len(np.asarray(vectors))), np.asarray(vectors, np.float64)])
    y = np.asarray(labels, np.float64)
    weight = np.where(y > 0, len(y) / (2 * y.sum()), len(y) / (2 * (1 - y).sum()))
    ridge = np.full(x.shape[1], PENALTY)
    ridge[0] = 0.0
    w = np.zeros(x.shape[1])
    loss = _loss(x, y, weight, ridge, w)
    for _ in range(MOST_STEPS):
        p = 0.5 * (1 + np.tanh(0.5 * (x @ w)))
        gradient = x.T @ (weight * (p - y)) + ridge * w
        curve = (x * (weight * p * (1 - p))[:, None]).T @ x + np.diag(ridge + 1e-12)
        step = np.linalg.solve(curve, gradient)
        size = 1.0
        while size > SMALL_STEP and _loss(x, y, weight, ridge, w - size * step) > loss:
            size /= 2
        w = w - size * step
        before, loss = loss, _loss(x, y, weight, ridge, w)
        if before - loss <= SMALL_STEP * max(abs(loss), 1.0):
            break
    return w


def _loss(x: Floats, y: Floats, weight: Floats, ridge: Floats, w: Floats) -> float:
    margins = x @ w
    return float((weight * (np.logaddexp(0.0, margins) - y * margins)).sum() + 0.5 * (ridge * w * w).sum())
