"""The classifier of a bundle, whatever it takes: a score or a sound.

Takes a name or folder, as `kapelle.bundles.load` finds it; gives the class that its ``options.inputs`` asks for, opened once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from kapelle.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from kapelle.bundles.load import Bundle
    from kapelle.classifiers.audio import AudioClassifier
    from kapelle.classifiers.judge import GenreJudge
    from kapelle.classifiers.midi import MidiClassifier

    Opened: TypeAlias = MidiClassifier | GenreJudge | AudioClassifier

MIDI, AUDIO = ("midi_features", "roll"), ("audio_features",)
"""What bundles that hear scores, and sounds, call their inputs."""

KEPT = 8
"""Classifiers that stay open."""


@lru_cache(maxsize=KEPT)
def opened(name: str | Path) -> Opened:
    """The classifier `name`, opened.

    Raises:
        Missing: No such bundle is installed.
        BundleError: It is damaged, or its features are those of another version.
        UsageError: It is no classifier, or of inputs that this version does not know.
    """
    from kapelle.bundles import load

    return of(load.load(name))


def of(bundle: Bundle) -> Opened:
    """The classifier of a loaded bundle; raises as `opened`."""
    inputs = bundle.manifest.options.get("inputs")
    if bundle.manifest.kind != "classifier" or inputs not in (*MIDI, *AUDIO):
        hint = "`kapelle models` lists the bundles; classifiers are of kind classifier"
        raise UsageError("{name} is no classifier of pieces or sounds", name=bundle.name, hint=hint)
    if inputs == "roll":
        from kapelle.classifiers.judge import GenreJudge

        return GenreJudge(bundle)
    if inputs == "audio_features":
        from kapelle.classifiers.audio import AudioClassifier

        return AudioClassifier(bundle)
    from kapelle.classifiers.midi import MidiClassifier

    return MidiClassifier(bundle)


def hears_scores(bundle: Bundle) -> bool:
    """Whether a classifier's bundle takes scores, not sounds."""
    return bundle.manifest.options.get("inputs") in MIDI
