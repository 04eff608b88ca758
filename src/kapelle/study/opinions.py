"""What classifiers say of the pieces of a study: the whole vector of probabilities of each, kept with the hash of the bundle that said it.

Takes names of bundles of kind classifier; gives probabilities by class. A classifier that is not installed is left out and named. What a
verdict is worth stands in the card of its bundle: on whose music it was tested, and how often it is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kapelle.bundles import load
from kapelle.errors import Missing, UsageError

if TYPE_CHECKING:
    from symusic import Score

    from kapelle.audio import Waveform
    from kapelle.bundles.load import Bundle

KNOWN = ("genre-midi", "genre-judge", "genre-audio", "gtzan")
"""The classifiers of genre that ship with Kapelle: two that read notes, two that hear sound."""


class Heard(Protocol):
    """A piece to be judged."""

    @property
    def score(self) -> Score:
        """Its notes."""

    @property
    def wave(self) -> Waveform:
        """Its sound."""


def there(names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those of some classifiers that are installed, and those that are not.

    Raises:
        UsageError: One is no classifier.
    """
    held: dict[str, bool] = {}
    for name in names:
        try:
            kind = load.load(name).manifest.kind
        except Missing:
            held[name] = False
            continue
        if kind != "classifier":
            raise UsageError("{name} is no classifier", name=name, hint="known: {known}", known=", ".join(KNOWN))
        held[name] = True
    return tuple(name for name in held if held[name]), tuple(name for name in held if not held[name])


def lacking(verdicts: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """The classifiers whose opinion is not there, or was another bundle's."""
    return [name for name in names if verdicts.get(name, {}).get("bundle") != digest(name)]


def digest(name: str) -> str:
    """The hash of an installed bundle."""
    return _loaded(load.find(name)).hash


@cache
def _loaded(path: Path) -> Bundle:
    return load.load(path)


@cache
def _opened(path: Path) -> Any:
    from kapelle.classifiers.opening import opened

    return opened(str(path))


def of(name: str, heard: Heard) -> dict[str, Any]:
    """The opinion of a classifier on a piece: ``bundle``, ``probabilities`` by class, ``warnings``."""
    kind = _loaded(load.find(name)).manifest.options.get("inputs")
    verdict = _opened(load.find(name)).classify(heard.wave if kind == "audio_features" else heard.score)
    return {
        "bundle": digest(name),
        "probabilities": {label: float(value) for label, value in verdict.probabilities.items()},
        "warnings": list(verdict.warnings),
    }


def probabilities(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, list[float]]:
    """Class -> its probability in every row that the classifier has judged."""
    found = [row["verdicts"][name]["probabilities"] for row in rows if name in row["verdicts"]]
    return {label: [one[label] for one in found] for label in (found[0] if found else ())}


def winners(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, int]:
    """Class -> in how many rows it is the most probable one."""
    table = probabilities(rows, name)
    counts = dict.fromkeys(table, 0)
    for values in zip(*table.values(), strict=True):
        counts[max(zip(values, table, strict=True), key=lambda pair: pair[0])[1]] += 1
    return counts
