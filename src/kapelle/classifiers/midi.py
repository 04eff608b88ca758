"""Scores to verdicts, by a bundle whose trees were grown on the features of MIDI.

Takes scores; gives a `Verdict` of each. A piece is looked at in excerpts, as in training (`midi_rows`), and its probabilities are the mean
of those of its excerpts. There is no way to hand in rows: what the trees are asked is measured here and nowhere else, by the function that
measured what they learned from. Where more of the features than is usual lie outside what nearly all of the training pieces had, the
verdict says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kapelle.bundles.session import Classifier
from kapelle.classifiers import midi_features
from kapelle.classifiers.midi_rows import Excerpts, held_of, rows_of
from kapelle.classifiers.verdict import Verdict, verdict
from kapelle.config import build
from kapelle.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray
    from symusic import Score

    from kapelle.bundles.load import Bundle

INPUTS = "midi_features"
"""What the options of such a bundle call its inputs."""

MOST_OUTSIDE = 3
"""So many features may lie outside what 99 % of the training excerpts had without a word: 98 of 100 held-out pieces have no more."""

NAMED = 4
"""So many of them are named."""


class MidiClassifier:
    """The classifier of a bundle, opened.

    Args:
        bundle: Of kind classifier, whose inputs are features of MIDI.
        threads: Threads of the CPU.

    Raises:
        BundleError: Its features are not those of this version.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        options: Mapping[str, Any] = bundle.manifest.options
        if options.get("inputs") != INPUTS or tuple(options.get("features", ())) != midi_features.NAMES:
            hint = "prepare, train and export it again"
            raise BundleError("the features of {name} are not those that this version measures", name=bundle.name, hint=hint)
        self.bundle = bundle
        self.classes: tuple[str, ...] = tuple(options["classes"])
        self.excerpts = build(Excerpts, dict(options["excerpts"]), f"bundle.json of {bundle.name}: excerpts")
        self._low, self._high = (np.array(options[name], np.float32) for name in ("low", "high"))
        self._session = Classifier(bundle, threads=threads)

    def classify(self, score: Score) -> Verdict:
        """The verdict on one score; raises as `classify_many`."""
        return self.classify_many([score])[0]

    def classify_many(self, scores: Sequence[Score]) -> list[Verdict]:
        """The verdict of each score, in their order; what one is called does not depend on the others.

        Raises:
            UnreadableInput: A score has no pitched note, or a metre that the bundle cannot hear.
        """
        return [self._verdict(*self._measured(score)) for score in scores]

    def _measured(self, score: Score) -> tuple[NDArray[np.float32], int, int]:
        """Rows, notes and bars of a score."""
        held = held_of(score, self.excerpts)
        return rows_of(held, self.excerpts), len(held.start), held.n_bars

    def _verdict(self, rows: NDArray[np.float32], n_notes: int, n_bars: int) -> Verdict:
        found = self._session.predict(rows).mean(axis=0, dtype=np.float64)
        warnings = [*self._short(n_notes, n_bars), *self.odd(rows)]
        return verdict(self.bundle.name, self.bundle.hash, self.classes, (found / found.sum()).tolist(), warnings)

    def _short(self, n_notes: int, n_bars: int) -> list[str]:
        least = self.excerpts
        if n_bars >= least.min_bars and n_notes >= least.min_notes:
            return []
        return [f"{n_bars} bars with {n_notes} notes: it learned from pieces of at least {least.min_bars} bars and {least.min_notes} notes"]

    def odd(self, rows: NDArray[np.float32]) -> list[str]:
        """A warning if the rows (n, F) of a piece are unlike what it learned from; nothing otherwise."""
        outside = self.outside(rows)
        if len(outside) <= MOST_OUTSIDE:
            return []
        named = ", ".join(outside[:NAMED]) + (" ..." if len(outside) > NAMED else "")
        return [f"unlike what it learned from: {len(outside)} of {len(midi_features.NAMES)} features lie outside ({named})"]

    def outside(self, rows: NDArray[np.float32]) -> list[str]:
        """The features of which the mean of the rows lies outside what 99 % of the training rows had, the furthest first."""
        there = np.isfinite(rows)
        value = np.where(there, rows, 0).sum(0, dtype=np.float64) / np.maximum(there.sum(0), 1)
        wide = np.maximum(self._high - self._low, 1e-6)
        far = np.maximum(self._low - value, value - self._high) / wide
        far[~there.any(0)] = 0
        return [midi_features.NAMES[i] for i in np.argsort(-far, kind="stable").tolist() if far[i] > 1e-6]
