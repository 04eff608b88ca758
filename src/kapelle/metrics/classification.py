"""How good a classifier is: shares of right answers, how much its probabilities can be believed, what it takes for what.

Takes probabilities (N, C), rows that add up to 1, and labels (N,), whole numbers from 0 to C - 1. Gives a `Classification`.

==================  =====================================================================================================
figure              what it is
==================  =====================================================================================================
accuracy            share of rows whose most probable class is the right one, 0 to 1
balanced accuracy   the same share for every class that occurs, averaged: 1 / C for one who always says the same
log loss            mean of -ln of the probability given to the right class, nats; ln C for one who knows nothing
calibration error   how far confidence and share of right answers lie apart, averaged over bins of confidence (ECE), 0 to 1
baseline            share of the most frequent class among the rows: the accuracy of always saying it
confusion           (C, C) counts, rows: what it is, columns: what it is taken for
==================  =====================================================================================================

Of no rows every figure is NaN, and every count 0.

Source of the calibration error: Naeini, Cooper and Hauskrecht 2015, AAAI; bins of equal width, as in Guo et al. 2017, ICML.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

BINS = 10
TINY = 1e-15
"""The least probability in a logarithm."""


@dataclass(frozen=True)
class Bin:
    """The rows whose confidence lies in a bin.

    Args:
        low: Of the bin, exclusive (inclusive for 0).
        high: Of the bin, inclusive.
        n: How many rows.
        confidence: Their mean confidence; NaN of none.
        accuracy: Their share of right answers; NaN of none.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Classification:
    """What was measured; see the head of the module."""

    classes: tuple[str, ...]
    n: int
    accuracy: float
    balanced_accuracy: float
    log_loss: float
    calibration_error: float
    baseline: float
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[Bin, ...]

    @property
    def recall(self) -> tuple[float, ...]:
        """For every class the share of its rows that are recognised; NaN where it has none."""
        return tuple(row[i] / sum(row) if sum(row) else float("nan") for i, row in enumerate(self.confusion))

    def as_dict(self) -> dict[str, Any]:
        """The figures for JSON, without tables; NaN as None."""
        names = ("accuracy", "balanced_accuracy", "log_loss", "calibration_error", "baseline")
        return {"n": self.n, **{name: _plain(getattr(self, name)) for name in names}}

    def tables(self) -> dict[str, Any]:
        """The tables for JSON: recall by class, confusion matrix, reliability."""
        return {
            "recall": {name: _plain(value) for name, value in zip(self.classes, self.recall, strict=True)},
            "confusion": {name: list(row) for name, row in zip(self.classes, self.confusion, strict=True)},
            "reliability": [{name: _plain(value) for name, value in vars(row).items()} for row in self.reliability if row.n],
        }

    def markdown(self) -> str:
        """Confusion matrix and reliability as two Markdown tables, one newline at the end."""
        share = [f"{value:.0%}" if value == value else "-" for value in self.recall]
        rows = [[name, *map(str, row), found] for name, row, found in zip(self.classes, self.confusion, share, strict=True)]
        bins = [[f"{row.low:.1f} - {row.high:.1f}", str(row.n), f"{row.confidence:.3f}", f"{row.accuracy:.3f}"]
                for row in self.reliability if row.n]  # fmt: skip
        return (
            "\n\n".join(
                (
                    _table(["is \\ taken for", *self.classes, "found"], rows),
                    _table(["confidence", "rows", "mean confidence", "share right"], bins),
                )
            )
            + "\n"
        )


def classification(probabilities: ArrayLike, labels: ArrayLike, classes: Sequence[str], *, bins: int = BINS) -> Classification:
    """How good the probabilities are.

    Args:
        probabilities: (N, C), rows that add up to 1.
        labels: (N,) the right classes, by number.
        classes: Names of the C classes.
        bins: Of confidence, for calibration.

    Raises:
        ValueError: The shapes do not fit one another.
    """
    given, right = np.asarray(probabilities, np.float64).reshape(-1, len(classes)), np.asarray(labels, np.int64)
    if right.shape != (len(given),):
        raise ValueError(f"{len(given)} rows have labels of the shape {right.shape}")
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    said, sure = given.argmax(1), given.max(1, initial=0)
    np.add.at(confusion, (right, said), 1)
    reliability = _reliability(sure, said == right, bins)
    n, occurring = len(given), confusion.sum(1) > 0
    nothing = float("nan")
    recall = confusion.diagonal()[occurring] / confusion.sum(1)[occurring]
    return Classification(
        classes=tuple(classes),
        n=n,
        accuracy=float(confusion.trace() / n) if n else nothing,
        balanced_accuracy=float(recall.mean()) if n else nothing,
        log_loss=float(-np.log(np.maximum(given[np.arange(n), right], TINY)).mean()) if n else nothing,
        calibration_error=sum(row.n * abs(row.confidence - row.accuracy) for row in reliability if row.n) / n if n else nothing,
        baseline=float(confusion.sum(1).max() / n) if n else nothing,
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        reliability=reliability,
    )


def among(probabilities: ArrayLike, places: Sequence[int]) -> NDArray[np.float64]:
    """Probabilities (N, len(places)) if only the classes at `places` were possible; equal shares where all of them are 0."""
    some = np.asarray(probabilities, np.float64)[:, list(places)]
    total = some.sum(1, keepdims=True)
    out: NDArray[np.float64] = np.where(total > 0, some / np.where(total > 0, total, 1), 1 / len(places))
    return out


def by_piece(probabilities: ArrayLike, pieces: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The mean of the probabilities of each piece's rows (P, C), and the place of the first row of each (P,); pieces ascending."""
    given = np.asarray(probabilities, np.float64)
    _, first, number, counts = np.unique(np.asarray(pieces), return_index=True, return_inverse=True, return_counts=True)
    total = np.zeros((len(first), given.shape[1]))
    np.add.at(total, number, given)
    return total / counts[:, None], first.astype(np.int64)


def _reliability(sure: NDArray[np.float64], right: NDArray[np.bool_], bins: int) -> tuple[Bin, ...]:
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, bins - 1)
    out = []
    for i in range(bins):
        here = place == i
        n = int(here.sum())
        means = (float(sure[here].mean()), float(right[here].mean())) if n else (float("nan"), float("nan"))
        out.append(Bin(float(edges[i]), float(edges[i + 1]), n, *means))
    return tuple(out)


def _plain(value: float) -> float | None:
    return None if value != value else value


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))
