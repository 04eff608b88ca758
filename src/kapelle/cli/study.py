"""``kapelle study PLAN.toml -o DIR``: what a plan asks for, on pages to listen to. What its sub-verbs share is here too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.flags import argument, group, option
from kapelle.cli.who import WorkerFlags

if TYPE_CHECKING:
    from kapelle.cli.console import Console
    from kapelle.study.run import Results
    from kapelle.study.sound import Sound

SOUNDS = ("none", "ogg", "wav", "flac", "mp3")
NUMBERS = ("made", "empty", "short", "degenerate", "notes", "seconds")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    plan: str = argument(help="a plan, or the name of one that comes with Kapelle", metavar="PLAN.toml")
    output: Path = option(help="folder for pieces, tables and pages; what is there is kept", short="-o", metavar="DIR")
    theme: Path | None = option(None, help="theme to develop, in place of the plan's", metavar="FILE.mid")
    sound: tuple[str, ...] = option((), help="sounds in place of the plan's; once for each", choices=SOUNDS)
    seconds: float | None = option(None, help="cut sounds here, in place of the plan's; 0: whole pieces", min=0, max=3600)
    bit_depth: int | None = option(None, help="bits of WAV and FLAC, in place of the plan's", min=16, max=32)
    classifier: tuple[str, ...] = option((), help="classifiers in place of the plan's; once for each, or none", metavar="NAME")
    work: WorkerFlags = group(WorkerFlags, "Work")
    force: bool = option(False, help="make every cell again")
    retry: bool = option(False, help="make the cells again that failed")


def run(arguments: Arguments, console: Console) -> None:
    """Make what is missing, tell what came of it."""
    from kapelle import api
    from kapelle.api.studies import StudyWay
    from kapelle.study import experiment

    planned = experiment.load(api.plan_path(arguments.plan)).sound
    classifiers = None if not arguments.classifier else tuple(name for name in arguments.classifier if name != "none")
    with console.bar("composing") as move:
        way = StudyWay(
            _sound(arguments, planned), arguments.theme, classifiers, arguments.work.workers, arguments.force, arguments.retry, move
        )
        results = api.study(arguments.plan, arguments.output, way)
    show(results, arguments.output, console)


def _sound(arguments: Arguments, planned: Sound) -> Sound:
    """The plan's sound with what is asked otherwise."""
    from dataclasses import replace

    asked = {"format": tuple(name for name in arguments.sound if name != "none") if arguments.sound else None,
             "seconds": arguments.seconds, "bit_depth": arguments.bit_depth}  # fmt: skip
    return replace(planned, **{name: value for name, value in asked.items() if value is not None})  # type: ignore[arg-type]


def whole(sound: str) -> Sound:
    """Whole pieces in one format, "none" for none."""
    from kapelle.study.sound import Sound

    return Sound(() if sound == "none" else (sound,), seconds=0.0)


def show(results: Results, folder: Path, console: Console) -> None:
    """The counts, means by the values of each axis, and where the page is."""
    for name in results.missing:
        console.warn("the classifier {name} is not installed; its tables are left out", name=name)
    failed = [row for row in results.rows if row["failed"]]
    if failed:
        console.warn("{count} pieces could not be made, the first of them {name}: {why}",
                     count=len(failed), name=failed[0]["name"], why=failed[0]["failed"])  # fmt: skip
    if console.as_json:
        console.data({"folder": folder, "page": folder / "index.html", "made": results.made, **results.as_dict()})
        return
    console.line(str(folder / "index.html"))
    counts = results.counts
    console.facts(
        {
            "cells": counts["cells"],
            "made": counts["made"],
            "empty": counts["empty"],
            "failed": counts["failed"] or "",
            "short": counts["short"],
            "degenerate": counts["degenerate"],
        }
    )
    from kapelle.study.site.statistics import MOST_VALUES

    table = results.as_dict()["by_axis"]
    for axis in results.plan.axes:
        many = len(axis.values) > MOST_VALUES and not axis.paged
        if 1 < len(axis.values) < len(results.rows) and not many:  # else a row for each piece would say nothing new
            rows = [(axis.label(value), *_row(found)) for value, found in table[axis.name].items()]
            console.line()
            console.table((axis.name, "made", "empty", "short", "degenerate", "notes", "seconds"), rows, numbers=NUMBERS)


def _row(found: Mapping[str, float | None]) -> list[str]:
    """Counts, and means with a digit; nothing where there is none."""
    return [f"{found[name]:g}" for name in NUMBERS[:4]] + [
        "" if value is None else f"{value:.1f}" for value in (found.get("notes"), found.get("seconds"))
    ]
