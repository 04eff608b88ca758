"""One distribution: logits and a mask become a token.

Takes logits (V,) and options, gives an id. Plain numpy on a few hundred values; the order of equal logits is the order of ids,
so that the same logits and the same random number give the same token everywhere.

Source: Holtzman et al. 2020 (nucleus sampling); Nguyen et al. 2024 (min-p); Keskar et al. 2019 (repetition penalty).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kapelle.sampling.options import SamplingOptions

Logits = NDArray[np.floating]


def probabilities(logits: Logits, options: SamplingOptions, mask: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """(V,) the probabilities that are drawn from: they sum to 1 and are 0 outside the mask.

    Args:
        logits: (V,) finite.
        options: Temperature, then top-k, top-p, min-p. At least the likeliest allowed token is always kept.
        mask: (V,) true where a token is allowed; None allows all.
    """
    scores = logits.astype(np.float64) if mask is None else logits[mask].astype(np.float64)
    weights: NDArray[np.float64] = np.exp((scores - scores.max()) / options.temperature)
    if 0 < options.top_k < len(weights):
        _keep(weights, options.top_k)
    weights /= weights.sum()
    if options.top_p < 1.0:
        mass = np.sort(weights)[::-1].cumsum()
        _keep(weights, int(np.searchsorted(mass, options.top_p)) + 1)  # so many have the mass together; one at least
    if options.min_p:
        weights[weights < options.min_p * weights.max()] = 0.0
    weights /= weights.sum()
    if mask is None:
        return weights
    out = np.zeros(len(logits))
    out[mask] = weights
    return out


def _keep(weights: NDArray[np.float64], n: int) -> None:
    """Set all but the n largest to zero; among equals the first stay."""
    if n >= len(weights):
        return
    least = np.partition(weights, len(weights) - n)[len(weights) - n]
    equal = np.flatnonzero(weights == least)
    room = n - int(np.count_nonzero(weights > least))
    weights[weights < least] = 0.0
    weights[equal[room:]] = 0.0


def draw(weights: NDArray[np.float64], random: np.random.Generator) -> int:
    """An id drawn from probabilities (V,)."""
    total = weights.cumsum()
    place = int(total.searchsorted(random.random() * total[-1], side="right"))
    return place if place < len(weights) and weights[place] > 0 else int(np.flatnonzero(weights)[-1])


def sample(logits: Logits, options: SamplingOptions, random: np.random.Generator, mask: NDArray[np.bool_] | None = None) -> int:
    """The next id, drawn from logits (V,)."""
    return draw(probabilities(logits, options, mask), random)


def discourage(logits: Logits, ids: Sequence[int], penalty: float) -> Logits:
    """Logits (V,) with the given ids made less likely: positive logits divided by the penalty, negative ones multiplied."""
    if penalty == 1.0 or not ids:
        return logits
    out = logits.copy()
    chosen = np.unique(np.asarray(ids))
    out[chosen] = np.where(out[chosen] > 0, out[chosen] / penalty, out[chosen] * penalty)
    return out


def lean(logits: Logits, leanings: Mapping[int, float]) -> Logits:
    """Logits (V,) with some ids made likelier: `leanings` says by how much each logit is raised."""
    if not leanings:
        return logits
    out = logits.copy()
    out[list(leanings)] += list(leanings.values())
    return out


def merge(logits: Logits, same: Sequence[int], mask: NDArray[np.bool_]) -> Logits:
    """Logits (V,) in which ids that mean the same event share their probability: what is allowed gets what is not allowed.

    A model that was about to open the next bar, where only the end is allowed, has in fact said that this bar is over.

    Args:
        logits: (V,).
        same: Ids that stand for one event, of which the mask allows one at most at a time.
        mask: (V,) the ids allowed.
    """
    allowed = [i for i in same if mask[i]]
    if len(allowed) != 1:
        return logits
    out = logits.copy()
    out[allowed[0]] = np.logaddexp.reduce(logits[list(same)].astype(np.float64))
    return out
