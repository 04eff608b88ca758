"""``kapelle classify``: the genre of pieces and sounds, and whether a person or a model wrote them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.flags import argument, option

if TYPE_CHECKING:
    from kapelle.api.classification import Classified
    from kapelle.classifiers.verdict import Verdict
    from kapelle.cli.console import Console

BAR = 40
"""Characters of a probability of 1."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    sources: tuple[Path, ...] = argument(help="MIDI files, sounds, or folders of them", metavar="FILE")
    model: str = option(
        "",
        help="classifier, by name or folder; left out: genre-midi for MIDI files, genre-audio for sounds",
        short="-m",
        metavar="NAME",
    )


def run(arguments: Arguments, console: Console) -> None:
    """Ask, then tell every probability."""
    from kapelle import api

    with console.bar("classifying") as bar:
        found = api.classify_files(arguments.sources, arguments.model, progress=bar)
    if console.as_json:
        console.data({"files": [one.as_dict() for one in found]})
        return
    for one in found:
        if one.error:
            console.warn("{path}: {why}", path=one.path, why=console.texts.error(one.error))
    told = [one for one in found if one.verdict]
    if len(found) == 1:
        _show(told[0], console)
    else:
        _table(told, console)


def _show(one: Classified, console: Console) -> None:
    """Every class with a bar as long as it is probable."""
    verdict = one.verdict
    assert verdict
    console.line(str(one.path))
    console.facts({"model": verdict.model, "class": verdict.label, "confidence": f"{verdict.confidence:.1%}"})
    console.line()
    width = max(map(len, verdict.probabilities))
    for name, value in sorted(verdict.probabilities.items(), key=lambda item: -item[1]):
        console.line(f"  {name:<{width}}  {value:6.1%}  {'█' * round(value * BAR)}".rstrip())
    _warn(one.path, verdict, console)


def _table(told: list[Classified], console: Console) -> None:
    """A row for each file, a column for each class; a table for each classifier that was asked."""
    by_model: dict[str, list[tuple[Path, Verdict]]] = {}
    for one in told:
        if one.verdict:
            by_model.setdefault(one.verdict.model, []).append((one.path, one.verdict))
    for model, rows in by_model.items():
        classes = list(rows[0][1].probabilities)
        console.line(model)
        cells = [(path, verdict.label, *(f"{verdict.probabilities[name]:.1%}" for name in classes)) for path, verdict in rows]
        console.table(("file", "class", *classes), cells, numbers=classes)
        for path, verdict in rows:
            _warn(path, verdict, console)


def _warn(path: Path, verdict: Verdict, console: Console) -> None:
    for warning in verdict.warnings:
        console.warn("{path}: {why}", path=path, why=warning)
