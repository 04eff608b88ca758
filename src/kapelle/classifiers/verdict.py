"""What a classifier says of one thing: a probability for every class, whose word it is, and what speaks against believing it.

Takes probabilities, gives a frozen `Verdict`. It decides nothing: a caller who wants one word takes `label`, who wants to rank takes the
vector.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kapelle.errors import UsageError


@dataclass(frozen=True)
class Verdict:
    """A classifier's word on one thing.

    Args:
        model: Name of the bundle.
        bundle_hash: Its hash: the same hash, the same bytes.
        probabilities: Class -> probability, in the order of the bundle's classes; they add up to 1.
        warnings: Sentences that say why it may be wrong, such as features outside what it was trained on.
    """

    model: str
    bundle_hash: str
    probabilities: Mapping[str, float]
    warnings: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The most probable class; of several, the first."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def confidence(self) -> float:
        """The probability of `label`, 1 / classes to 1."""
        return max(self.probabilities.values())

    @property
    def entropy(self) -> float:
        """How undecided it is, in bits: 0 when it is sure, log2 of the number of classes when it knows nothing."""
        return 0.0 - sum(p * math.log2(p) for p in self.probabilities.values() if p > 0)

    def among(self, classes: Sequence[str]) -> Verdict:
        """The verdict if only `classes` were possible: their probabilities, renormalised; equal shares if all of them are 0.

        Raises:
            UsageError: No class is named, or one that it does not know.
        """
        unknown = [name for name in classes if name not in self.probabilities]
        if unknown or not classes:
            hint = "it knows {known}"
            known = ", ".join(self.probabilities)
            raise UsageError("{model} does not know the classes {unknown}", model=self.model, unknown=unknown, known=known, hint=hint)
        total = sum(self.probabilities[name] for name in classes)
        shares = {name: self.probabilities[name] / total if total > 0 else 1 / len(classes) for name in classes}
        return Verdict(self.model, self.bundle_hash, shares, self.warnings)

    def as_dict(self) -> dict[str, Any]:
        """Itself for JSON."""
        return {
            "model": self.model,
            "bundle_hash": self.bundle_hash,
            "label": self.label,
            "confidence": self.confidence,
            "entropy": self.entropy,
            "probabilities": dict(self.probabilities),
            "warnings": list(self.warnings),
        }


def verdict(model: str, bundle_hash: str, classes: Sequence[str], row: Sequence[float], warnings: Sequence[str] = ()) -> Verdict:
    """The verdict of one row of a classifier's output.

    Args:
        model: Name of the bundle.
        bundle_hash: Its hash.
        classes: In the order of the row.
        row: Probabilities.
        warnings: Sentences.
    """
    table = {name: float(value) for name, value in zip(classes, row, strict=True)}
    return Verdict(model, bundle_hash, table, tuple(warnings))
