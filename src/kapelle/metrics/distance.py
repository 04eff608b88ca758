"""How far two sets of numbers, or of vectors, lie apart.

Task: a metric of many generated pieces and the same metric of many real ones; are these two sets of the same kind?

Conventions. A set is (P,), a number per piece, or (P, D), a vector per piece. NaN says that a piece had nothing to measure; it is left
out, a vector as soon as one of its numbers is NaN. `overlap` is 1 for equal distributions and 0 for separate ones; `kld`, in nats, and
`frechet` are 0 for equal ones and larger the farther apart. Where nothing can be measured the answer is NaN, and `trouble` says why.

Densities are estimated with Gaussian kernels of Scott's bandwidth, as MGEval does, **both on one grid** that reaches four bandwidths
beyond the data. MGEval's own code evaluates each density on its own grid, from the least to the largest value of its own set. So its
KLD compares shapes and knows neither place nor scale: it is 0.000 for data shifted by 100 or multiplied by 10; and since its overlap
stops at the outermost values, that of a set with itself is 0.82 to 0.96 instead of 1. ``legacy=True`` gives those numbers, for comparison
with published ones.

On one grid a density may be 0 where the other is not, and the KLD would be infinite. A millionth of a uniform density is mixed into both:
the KLD of two sets that have nothing in common is then about 14 plus the logarithm of how much wider the grid is than the first set, not
infinite.

Source: Yang and Lerch 2020, "On the evaluation of generative models in music", Neural Computing and Applications 32 (MGEval). Fréchet
distance: Heusel et al. 2017, "GANs trained by a two time-scale update rule". Kernels: Scott 1992, "Multivariate density estimation".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kapelle.errors import UsageError
from kapelle.metrics import bootstrap
from kapelle.metrics.bootstrap import N_SET_DRAWS, Estimate

Floats = NDArray[np.float64]

N_CELLS = 1024
"""Of the grid."""

REACH = 4.0
"""Bandwidths by which the grid reaches beyond the data."""

FLOOR = 1e-6
"""Of a uniform density, mixed in before a KLD."""

MOST_KERNELS = 1024

LEGACY_SAMPLES = 1000
"""Points of each grid in the published code."""

AT_ONCE = 2**22
"""Kernel values computed in one go."""


def trouble(a: ArrayLike, b: ArrayLike) -> str:
    """Why the densities of two sets of numbers cannot be compared; empty if they can."""
    for one in (_numbers(a), _numbers(b)):
        if len(one) < 2:
            return "fewer than two values"
        if one.min() == one.max():
            return "all values are equal"
        if not np.isfinite(one).all():
            return "a value is infinite"
    return ""


def overlap(a: ArrayLike, b: ArrayLike, *, legacy: bool = False) -> float:
    """The area under both densities, 0 to 1; 1 for a set and itself.

    Args:
        a: (P,) numbers.
        b: (Q,) numbers.
        legacy: As the published code has it: the area from the least to the largest value alone.

    Returns:
        NaN where `trouble` says why.

    Raises:
        UsageError: A set is not (P,).
    """
    if trouble(a, b):
        return float("nan")
    one, other = _numbers(a), _numbers(b)
    if legacy:
        at = np.linspace(min(one.min(), other.min()), max(one.max(), other.max()), LEGACY_SAMPLES)
        both = np.minimum(density(one, at), density(other, at))
        area: float = (both[1:] + both[:-1]).sum() * (at[1] - at[0]) / 2
        return float(area)
    return float(_shared(*_masses(one, other))[0])


def kld(a: ArrayLike, b: ArrayLike, *, legacy: bool = False) -> float:
    """The Kullback-Leibler divergence of the density of `a` from that of `b`, in nats, 0 or more; 0 for a set and itself.

    Args:
        a: (P,) numbers.
        b: (Q,) numbers.
        legacy: As the published code has it: each density on a grid of its own.

    Returns:
        NaN where `trouble` says why; with `legacy` it may be infinite.

    Raises:
        UsageError: A set is not (P,).
    """
    if trouble(a, b):
        return float("nan")
    one, other = _numbers(a), _numbers(b)
    if not legacy:
        return float(_divergence(*_masses(one, other))[0])
    found = [density(values, np.linspace(values.min(), values.max(), LEGACY_SAMPLES)) for values in (one, other)]
    p, q = (values / values.sum() for values in found)
    if (q[p > 0] == 0).any():
        return float("inf")
    return max(float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum()), 0.0)


def bandwidth(values: Floats) -> float:
    """Scott's: standard deviation times P to the power of -1/5; of (P,) numbers, at least 2."""
    return float(values.std(ddof=1)) / math.pow(len(values), 0.2)


def density(values: ArrayLike, at: ArrayLike) -> Floats:
    """(G,) the density of numbers that are not all equal, at least 2, by Gaussian kernels of Scott's bandwidth, at the points `at` (G,).

    More than 1,024 numbers are counted in as many cells first, which moves the density by less than 1 in 1,000 of its peak.
    """
    held, points = _numbers(values), np.asarray(at, np.float64)
    width = bandwidth(held)
    centres, counts = (held, np.ones(len(held))) if len(held) <= MOST_KERNELS else _counted(held)
    out = np.empty(len(points))
    step = max(AT_ONCE // len(centres), 1)
    for start in range(0, len(points), step):
        out[start : start + step] = np.exp(-0.5 * ((points[start : start + step, None] - centres[None]) / width) ** 2) @ counts
    out /= len(held) * width * np.sqrt(2 * np.pi)
    return out


def intra(values: ArrayLike) -> Floats:
    """(P, P - 1) the distance of each piece from every other of its set: Euclidean, of numbers (P,) or vectors (P, D)."""
    held = _vectors(values)
    n = len(held)
    others = ~np.eye(n, dtype=np.bool_)
    return apart(held, held)[others].reshape(n, max(n - 1, 0))


def inter(a: ArrayLike, b: ArrayLike) -> Floats:
    """(P, Q) the distance of each piece of one set from each of the other: Euclidean, of numbers or vectors."""
    return apart(_vectors(a), _vectors(b))


def apart(one: Floats, other: Floats) -> Floats:
    """(P, Q) Euclidean distances of vectors (P, D) and (Q, D); 0 exactly where two are equal."""
    if one.shape[1] == 1:
        line: Floats = np.abs(one[:, 0, None] - other[None, :, 0])
        return line
    out = np.empty((len(one), len(other)))
    step = max(AT_ONCE // max(other.size, 1), 1)
    for start in range(0, len(one), step):
        out[start : start + step] = np.sqrt(((one[start : start + step, None] - other[None]) ** 2).sum(axis=2))
    return out


@dataclass(frozen=True)
class Compared:
    """A metric of two sets, compared.

    Args:
        overlap: Of the two densities.
        kld: Of the first set's density from the second's, nats.
        intra_overlap: MGEval's way: density of the distances within the second set against that of the distances between both.
        intra_kld: Likewise, nats.
        legacy_overlap: What MGEval's code gives for `intra_overlap`; without an interval.
        legacy_kld: What it gives for `intra_kld`.
    """

    overlap: Estimate
    kld: Estimate
    intra_overlap: Estimate
    intra_kld: Estimate
    legacy_overlap: float
    legacy_kld: float


def compared(made: ArrayLike, reference: ArrayLike, seed: int = 0, n_draws: int = N_SET_DRAWS) -> Compared:
    """How a metric of generated pieces (P,) and of reference pieces (Q,) compare, with intervals over pieces of both.

    The draws keep the bandwidths of the sets themselves. In the draws of distances a piece drawn twice has no distance from itself.

    Args:
        made: (P,) numbers.
        reference: (Q,) numbers.
        seed: Of the draws.
        n_draws: How many.
    """
    if why := trouble(made, reference):
        none = bootstrap.nothing(why)
        return Compared(none, none, none, none, float("nan"), float("nan"))
    one, other = _numbers(made), _numbers(reference)
    grid = _Grid.over(one, other)
    drawn = [grid.binned(values, bootstrap.times(len(values), seed + place, n_draws)) for place, values in enumerate((one, other))]
    plain = [grid.binned(values, np.ones((1, len(values)))) for values in (one, other)]
    p, q = (np.concatenate(both) for both in zip(plain, drawn, strict=True))  # (1 + draws, cells)
    smooth = [grid.smoothed(cells, bandwidth(values)) for cells, values in ((p, one), (q, other))]
    within, between = intra(other).ravel(), inter(one, other).ravel()
    found = {"overlap": _shared(*smooth), "kld": _divergence(*smooth)}
    if not trouble(within, between):
        own = bootstrap.times(len(other), seed + 1, n_draws)
        itself = grid.itself(other, np.concatenate([np.ones((1, len(other))), own]))
        lags = (
            grid.smoothed_lags(np.maximum(_lags(q, q) - itself, 0.0), bandwidth(within)),
            grid.smoothed_lags(_lags(q, p), bandwidth(between)),
        )
        found |= {"intra_overlap": _shared(*lags), "intra_kld": _divergence(*lags)}
    told = {
        name: bootstrap.around(float(values[0]), values[1:], 0.0, 1.0 if name.endswith("overlap") else np.inf)
        for name, values in found.items()
    }
    none = bootstrap.nothing("all distances are equal")
    return Compared(
        told["overlap"],
        told["kld"],
        told.get("intra_overlap", none),
        told.get("intra_kld", none),
        overlap(within, between, legacy=True),
        kld(within, between, legacy=True),
    )


def frechet(a: ArrayLike, b: ArrayLike) -> float:
    """The Fréchet distance of two normal distributions fitted to sets of vectors, 0 or more, in squared units of the vectors.

    Squared distance of the means, plus the traces of both covariances, minus twice the trace of the square root of their product. That
    trace is the sum of the singular values of the centred sets multiplied, so that singular covariances, as of fewer pieces than
    dimensions, need no care. It grows as sets get smaller: only distances of sets of equal sizes can be compared.

    Args:
        a: (P, D) vectors, or (P,) numbers.
        b: (Q, D).

    Returns:
        NaN if a set has fewer than two vectors.

    Raises:
        UsageError: The vectors have different lengths.
    """
    one, other = pair(a, b)
    if len(one) < 2 or len(other) < 2:
        return float("nan")
    return _frechet(one, np.ones(len(one)), other, np.ones(len(other)))


def frechet_estimate(a: ArrayLike, b: ArrayLike, seed: int = 0, n_draws: int = N_SET_DRAWS) -> Estimate:
    """`frechet` with its interval over pieces of both sets."""
    one, other = pair(a, b)
    value = frechet(one, other)
    if np.isnan(value):
        return bootstrap.nothing("fewer than two values")
    drawn = zip(bootstrap.times(len(one), seed, n_draws), bootstrap.times(len(other), seed + 1, n_draws), strict=True)
    return bootstrap.around(value, [_frechet(one, left, other, right) for left, right in drawn], 0.0)


def _frechet(one: Floats, left: Floats, other: Floats, right: Floats) -> float:
    """Of weighted vectors; weights are counts."""
    means: list[Floats] = []
    roots: list[Floats] = []
    traces = 0.0
    for vectors, counts in ((one, left), (other, right)):
        total = counts.sum()
        mean = counts @ vectors / total
        centred = np.sqrt(counts / (total - 1))[:, None] * (vectors - mean)
        means.append(mean)
        traces += float((centred**2).sum())
        roots.append(np.asarray(np.linalg.qr(centred, mode="r")) if len(centred) > centred.shape[1] else centred)
    shared = np.linalg.svd(roots[0] @ roots[1].T, full_matrices=False, compute_uv=False).sum()
    return max(float(((means[0] - means[1]) ** 2).sum()) + traces - 2 * float(shared), 0.0)


def pair(a: ArrayLike, b: ArrayLike) -> tuple[Floats, Floats]:
    """Two sets of vectors (P, D) and (Q, D) without those that have a NaN; numbers (P,) are vectors of one.

    Raises:
        UsageError: The vectors have different lengths, or a set is no set of vectors.
    """
    one, other = _vectors(a), _vectors(b)
    if one.shape[1] != other.shape[1]:
        raise UsageError("vectors of {first} and of {second} numbers cannot be compared", first=one.shape[1], second=other.shape[1])
    return one, other


# --- densities on one grid ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Grid:
    """Equal cells over two sets of numbers. What is put on it keeps its sum, however narrow a kernel is beside a cell."""

    low: float
    cell: float

    @classmethod
    def over(cls, one: Floats, other: Floats) -> _Grid:
        reach = REACH * max(bandwidth(one), bandwidth(other))
        low, high = min(one.min(), other.min()) - reach, max(one.max(), other.max()) + reach
        return cls(float(low), float(high - low) / (N_CELLS - 1))

    def binned(self, values: Floats, counts: Floats) -> Floats:
        """(draws, cells) numbers (P,) counted (draws, P) times, each divided between the two cells that it lies between."""
        first, share = _place(values, self.low, self.cell, N_CELLS)
        out = np.empty((len(counts), N_CELLS))
        for row, times in zip(out, counts, strict=True):
            row[:] = np.bincount(first, times * (1 - share), N_CELLS) + np.bincount(first + 1, times * share, N_CELLS)
        return out

    def itself(self, values: Floats, counts: Floats) -> Floats:
        """(draws, cells) what `_lags` of a set with itself holds for the distance of a piece from itself, one drawn twice included."""
        share = _place(values, self.low, self.cell, N_CELLS)[1]
        out = np.zeros((len(counts), N_CELLS))
        out[:, 0] = counts**2 @ (share**2 + (1 - share) ** 2)
        out[:, 1] = counts**2 @ (2 * share * (1 - share))
        return out

    def smoothed(self, cells: Floats, width: float) -> Floats:
        """(draws, cells) as shares, under a Gaussian kernel."""
        n = cells.shape[1]
        radius = min(int(np.ceil(REACH * width / self.cell)), n - 1)
        kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) * self.cell / width) ** 2)
        size = 1 << (n + 2 * radius).bit_length()
        found = np.fft.irfft(np.fft.rfft(cells, size) * np.fft.rfft(kernel, size), size)[:, radius : radius + n]
        out: Floats = np.maximum(found, 0.0)
        out /= out.sum(axis=1, keepdims=True)
        return out

    def smoothed_lags(self, cells: Floats, width: float) -> Floats:
        """Likewise of distances, whose kernels reach below 0: (draws, 2 x cells), 0 in the middle."""
        return self.smoothed(np.concatenate([np.zeros_like(cells), cells], axis=1), width)


def _counted(values: Floats) -> tuple[Floats, Floats]:
    """(cells,) the centres of cells over numbers, and how many are in each."""
    centres = np.linspace(values.min(), values.max(), MOST_KERNELS, dtype=np.float64)
    first, share = _place(values, float(centres[0]), float(centres[1] - centres[0]), MOST_KERNELS)
    counts = np.zeros(MOST_KERNELS)
    counts += np.bincount(first, 1 - share, MOST_KERNELS) + np.bincount(first + 1, share, MOST_KERNELS)
    return centres, counts


def _place(values: Floats, low: float, cell: float, n_cells: int) -> tuple[NDArray[np.int64], Floats]:
    """(P,) the cell at or below each number, and how far to the next it is, 0 to 1."""
    at = (values - low) / cell
    first = np.clip(at.astype(np.int64), 0, n_cells - 2)
    return first, at - first


def _lags(one: Floats, other: Floats) -> Floats:
    """(draws, cells) how many pairs of what stands in two rows of cells lie so many cells apart, either way."""
    size = 2 * N_CELLS
    found = np.fft.irfft(np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size)), size)
    out = found[:, :N_CELLS].copy()
    out[:, 1:] += found[:, : size - N_CELLS : -1]
    return np.maximum(out, 0.0)


def _masses(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """(1, cells) the densities of two sets as shares of one grid."""
    grid = _Grid.over(one, other)
    found = [grid.smoothed(grid.binned(values, np.ones((1, len(values)))), bandwidth(values)) for values in (one, other)]
    return found[0], found[1]


def _shared(p: Floats, q: Floats) -> Floats:
    """(draws,) the area under both."""
    out: Floats = np.minimum(np.minimum(p, q).sum(axis=1), 1.0)
    return out


def _divergence(p: Floats, q: Floats) -> Floats:
    """(draws,) nats, of shares (draws, cells)."""
    left, right = ((1 - FLOOR) * values + FLOOR / values.shape[1] for values in (p, q))
    out: Floats = np.maximum((left * np.log(left / right)).sum(axis=1), 0.0)
    return out


def _numbers(values: ArrayLike) -> Floats:
    """(P,) those that are numbers."""
    given = np.asarray(values, np.float64)
    if given.ndim != 1:
        raise UsageError("a set of numbers, one per piece, is needed, not the shape {shape}", shape=given.shape)
    return given[~np.isnan(given)]


def _vectors(values: ArrayLike) -> Floats:
    """(P, D) those that have no NaN."""
    given = np.asarray(values, np.float64)
    if given.ndim == 1:
        given = given[:, None]
    if given.ndim != 2:
        raise UsageError("a set of vectors, one per piece, is needed, not the shape {shape}", shape=given.shape)
    return given[~np.isnan(given).any(axis=1)]
