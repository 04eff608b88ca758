"""How far from the middle of real music a piece lies, in a space of features.

Takes rows of features (N, F), float; gives a `Middle`, fitted on real music, and distances from it. The distance is that of Mahalanobis
with a shrunk covariance: directions in which real music varies a lot count little, those in which it hardly varies count much, and what
so many pieces cannot tell about the covariance is filled up with the plain variance. Every group (a genre) has a centre of its own, the
covariance is common to all. Features are standardised, and cut at `CLIP` deviations, so that one absurd value cannot decide alone.

It is the thesis' outlier detection turned round: of many candidates those are wanted that are least of an outlier. An isolation forest is
the usual tool; it needs scikit-learn, and benchmarks/ranking.py shows how the two compare.

Source: Mahalanobis 1936; Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kapelle.errors import UsageError

Floats = NDArray[np.float64]

CLIP = 6.0
"""Standardised features are cut here, on both sides."""

FEWEST = 8
"""Pieces of a group, below which it has no centre of its own."""


@dataclass(frozen=True)
class Middle:
    """Where real music lies.

    Args:
        names: Of the features.
        groups: Of the music, such as genres.
        location: (F,) mean of every feature over all music.
        scale: (F,) its deviation; 0 for a feature that never varies, which then does not count.
        centres: (G, F) mean of every group, in standardised features.
        precision: (F, F) inverse of the shrunk covariance within groups.
        typical: (G,) median distance of the group's own music.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    location: Floats
    scale: Floats
    centres: Floats
    precision: Floats
    typical: Floats

    def group_of(self, name: str) -> int | None:
        """The place of a group; None if there is none of the name."""
        return self.groups.index(name) if name in self.groups else None


def fit(rows: ArrayLike, labels: Sequence[str], names: Sequence[str]) -> Middle:
    """The middle of real music.

    Args:
        rows: (N, F) features; NaN where a piece has nothing to measure, which then counts as the mean.
        labels: Group of every row; groups of fewer than `FEWEST` are counted in with no group of their own.
        names: (F,) of the features.

    Raises:
        UsageError: Fewer than `FEWEST` pieces, or shapes that do not fit.
    """
    given = np.asarray(rows, np.float64)
    if given.ndim != 2 or given.shape != (len(labels), len(names)):
        raise UsageError("{rows} rows of features do not fit {labels} labels", rows=given.shape, labels=len(labels))
    if len(given) < FEWEST:
        raise UsageError("{n} pieces are too few for a reference, which takes {fewest}", n=len(given), fewest=FEWEST)
    known = np.isfinite(given)
    counts = np.maximum(known.sum(axis=0), 1)
    location = np.where(known, given, 0.0).sum(axis=0) / counts
    scale = np.sqrt((np.where(known, given - location, 0.0) ** 2).sum(axis=0) / counts)
    scale[scale < 1e-9 * np.maximum(np.abs(location), 1.0)] = 0.0
    standard = _standardised(given, location, scale)
    held = [name for name in sorted(set(labels)) if list(labels).count(name) >= FEWEST] or [""]
    place = np.array([held.index(label) if label in held else 0 if held == [""] else -1 for label in labels])
    centres = np.stack([standard[place == group].mean(axis=0) for group in range(len(held))])
    inside = standard[place >= 0] - centres[place[place >= 0]]
    precision = np.asarray(np.linalg.inv(shrunk(inside)), np.float64)
    middle = Middle(tuple(names), tuple(held), location, scale, centres, precision, np.zeros(len(held)))
    own = [np.median(_to_centre(standard[place == group], middle, group)) for group in range(len(held))]
    return Middle(tuple(names), tuple(held), location, scale, centres, precision, np.maximum(np.array(own), 1e-9))


def shrunk(centred: Floats) -> Floats:
    """(F, F) covariance of rows of mean 0, drawn towards the plain variance as far as so few rows demand; never singular.

    Args:
        centred: (N, F).
    """
    n, f = centred.shape
    sample = centred.T @ centred / n
    mean_variance = max(float(np.trace(sample)) / f, 1e-12)
    target = mean_variance * np.eye(f)
    spread = float(((sample - target) ** 2).sum())
    squares = (centred**2).sum(axis=1)
    noise = (float((squares**2).sum()) / n - float((sample**2).sum())) / n
    share = 1.0 if spread <= 0 else float(np.clip(noise / spread, 0.0, 1.0))
    out: Floats = share * target + (1 - share) * sample + 1e-3 * target
    return out


def distances(rows: ArrayLike, middle: Middle, group: str = "") -> Floats:
    """(N,) how far every row lies from the middle of real music: 1 is where half of the real pieces lie further out, half nearer.

    Args:
        rows: (N, F) features under the names of the middle.
        middle: From `fit`.
        group: Whose centre counts; the nearest one if empty or unknown.
    """
    given = np.asarray(rows, np.float64)
    if given.ndim != 2 or given.shape[1] != len(middle.names):
        raise UsageError("rows of {found} features do not fit a reference of {known}", found=given.shape, known=len(middle.names))
    standard = _standardised(given, middle.location, middle.scale)
    chosen = middle.group_of(group)
    asked = range(len(middle.groups)) if chosen is None else [chosen]
    out: Floats = np.stack([_to_centre(standard, middle, one) / middle.typical[one] for one in asked]).min(axis=0)
    return out


def standardised(rows: ArrayLike, middle: Middle) -> Floats:
    """(N, F) features as the middle sees them: mean 0, deviation 1 over real music, cut at `CLIP`, 0 where there is no number."""
    return _standardised(np.asarray(rows, np.float64), middle.location, middle.scale)


def _standardised(rows: Floats, location: Floats, scale: Floats) -> Floats:
    known = np.isfinite(rows) & (scale > 0)
    centred = np.where(known, rows, location) - location
    out: Floats = np.clip(centred / np.where(scale > 0, scale, 1.0), -CLIP, CLIP)
    return out


def _to_centre(standard: Floats, middle: Middle, group: int) -> Floats:
    apart = standard - middle.centres[group]
    out: Floats = np.sqrt(np.maximum(np.einsum("nf,fg,ng->n", apart, middle.precision, apart, optimize=True), 0.0))
    return out
