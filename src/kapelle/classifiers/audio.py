"""The genre of a sound by trees that ask its features: the classifiers ``genre-audio`` (the default) and ``gtzan``.

Takes a `Waveform`, or the path of a sound file of any length, of which three half minutes are heard; gives a `Verdict`, whose
probabilities are the mean over the half minutes. Trees are asked `AudioFeatures` and nothing else, so that no row that somebody scaled can
reach them. Features beyond what the trees learned from are named in a warning.

What is not heard: words, voices, who plays, anything beyond 11 kHz.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kapelle.audio import files
from kapelle.audio.waveform import Waveform
from kapelle.classifiers.audio_features import EXCERPT_S, NAMES, SHORTEST_S, SILENT, AudioFeatures, features
from kapelle.classifiers.verdict import Verdict, verdict
from kapelle.errors import BundleError, UnreadableInput, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from kapelle.bundles.load import Bundle

NAME = "genre-audio"
"""The bundle that is asked if none is named."""

INPUTS = "audio_features"
"""What the options of such a bundle call its inputs."""

LOUDEST = 1e6
"""Peaks beyond it, full scale being 1, are no sound but damage: floats that were never samples."""

EXCERPTS = 3
"""Half minutes of a sound that are heard, at most."""

MOST_OUTSIDE = 0.05
"""Such a share of the features may lie outside the range of 99 % of the training music without a word: by chance 1 % do."""

NAMED = 6
"""So many of them are named."""

SHORT = "{seconds:.1f} s of sound: the classifier learned from {usual:.0f} s"
OUTSIDE = "unlike what it learned from: {n} of {total} features lie outside ({names})"


class AudioClassifier:
    """A classifier of sound, opened.

    Args:
        bundle: Of kind classifier, whose inputs are features of audio; None for `NAME`.
        threads: Threads of the CPU.

    Raises:
        Missing: The bundle is not installed.
        UsageError: It is another kind of classifier.
        BundleError: It is damaged, or its features are not those of this version.
    """

    def __init__(self, bundle: Bundle | None = None, *, threads: int = 1) -> None:
        from kapelle.bundles import load
        from kapelle.bundles.session import Classifier

        self.bundle = bundle if bundle is not None else load.load(load.find(NAME))
        options = self.bundle.manifest.options
        if options.get("inputs") != INPUTS:
            raise UsageError("the bundle {name} does not judge sound", name=self.bundle.name, hint="genre-audio and gtzan do")
        self.classes: tuple[str, ...] = tuple(options["classes"])
        self.names: tuple[str, ...] = tuple(options["features"])
        if not set(self.names) <= set(NAMES):
            hint = "prepare, train and export it again"
            raise BundleError("the features of {name} are not those that this version measures", name=self.bundle.name, hint=hint)
        self._columns = np.array([NAMES.index(name) for name in self.names])
        self._low, self._high = (np.asarray(options[side], np.float64) for side in ("low", "high"))
        self._session = Classifier(self.bundle, threads=threads)

    def classify(self, wave: Waveform) -> Verdict:
        """The probability of each class.

        Raises:
            UnreadableInput: It is silent, shorter than a second, or beyond a million times full scale.
        """
        return self._of(_excerpts(wave), "the sound")

    def classify_file(self, path: Path) -> Verdict:
        """The verdict on a sound file, of whatever length: only the half minutes that are heard are read.

        Raises:
            UnreadableInput: It is no sound file, or damaged; or silent, or shorter than a second.
            Missing, StorageError: It is not there, or reading is not allowed.
        """
        return self._of(files.read_parts(path, EXCERPT_S, EXCERPTS), str(path))

    def classify_many(self, waves: Iterable[Waveform]) -> list[Verdict]:
        """The verdict of each sound, in their order."""
        return [self.classify(wave) for wave in waves]

    def predict(self, heard: Sequence[AudioFeatures]) -> Verdict:
        """The verdict on the excerpts of one sound.

        Raises:
            UsageError: There are none, or something else than `AudioFeatures` was given.
        """
        if not heard or not all(isinstance(one, AudioFeatures) for one in heard):
            raise UsageError("a classifier of audio is asked features of audio, not numbers", hint="call features(waveform)")
        rows = np.stack([one.values for one in heard])[:, self._columns]
        mean = self._session.predict(rows).mean(axis=0, dtype=np.float64)
        return verdict(self.bundle.name, self.bundle.hash, self.classes, mean.tolist(), [*self._short(heard), *self._outside(rows)])

    def _of(self, parts: Sequence[Waveform], name: str) -> Verdict:
        peak = max((part.peak for part in parts), default=0.0)
        if peak > LOUDEST:
            raise UnreadableInput("{name} is damaged: samples reach {peak:.3g}, and full scale is 1", name=name, peak=peak)
        heard = [features(part) for part in parts if part.duration_s >= SHORTEST_S and part.peak >= SILENT]
        if not heard:
            hint = "at least a second that can be heard is needed, better half a minute"
            raise UnreadableInput("{name} holds nothing to judge: silence, or less than a second", name=name, hint=hint)
        return self.predict(heard)

    def _short(self, heard: Sequence[AudioFeatures]) -> list[str]:
        seconds = sum(one.duration_s for one in heard)
        return [SHORT.format(seconds=seconds, usual=EXCERPT_S)] if seconds < EXCERPT_S / 2 else []

    def _outside(self, rows: np.ndarray) -> list[str]:
        outside = self.outside(rows)
        if len(outside) <= MOST_OUTSIDE * len(self.names):
            return []
        named = ", ".join(outside[:NAMED]) + (" ..." if len(outside) > NAMED else "")
        return [OUTSIDE.format(n=len(outside), total=len(self.names), names=named)]

    def outside(self, rows: np.ndarray) -> list[str]:
        """The features of which the mean of rows (n, F) lies outside what 99 % of the training rows had, the furthest first."""
        mean = rows.mean(axis=0, dtype=np.float64)
        far = np.maximum(self._low - mean, mean - self._high) / np.maximum(self._high - self._low, 1e-12)
        return [self.names[place] for place in np.argsort(-far, kind="stable").tolist() if far[place] > 0]


def _excerpts(wave: Waveform) -> list[Waveform]:
    places = files.places(wave.n_frames, wave.sample_rate, EXCERPT_S, EXCERPTS)
    return [Waveform(wave.samples[place], wave.sample_rate) for place in places]
