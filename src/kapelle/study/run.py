"""A study carried out: every cell made once, written at once, measured; then the tables, the picture and the pages of all of them.

Takes a plan and a maker; fills a folder and gives `Results`. Files: ``plan.json``; for each cell what `cell` writes under ``cells/``;
``results.json``, ``results.csv``, ``mosaic.png``, ``index.html`` and ``pages/``. A cell that is there is kept, also one that came out empty
or failed: nothing is made again unless it is asked for (`force`, `retry`). Stopped or killed, the same call goes on. Cells can be
made by several processes, which changes nothing about them.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.errors import Interrupted, UnreadableInput, UsageError
from kapelle.score.write import write_bytes
from kapelle.study import cell as cells
from kapelle.study import figures, opinions, pictures, site, tables
from kapelle.study.cell import CELLS, Make, Nothing, Wanted, finite
from kapelle.study.sound import Sound
from kapelle.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Generator

    from kapelle.study.plan import Cell, Plan

__all__ = ["Nothing", "Options", "Results", "as_csv", "run"]


@dataclass(frozen=True)
class Options:
    """How a study is carried out.

    Args:
        sound: What is heard of every piece.
        force: Make every cell again, and replace what another study left in the folder.
        retry: Make again the cells that failed.
        workers: Who makes the cells.
        progress: Called with (cells done, cells in all).
        cancelled: Asked before every cell.
    """

    sound: Sound = field(default_factory=Sound)
    force: bool = False
    retry: bool = False
    workers: Workers = field(default_factory=Workers)
    progress: Callable[[int, int], None] = lambda done, total: None
    cancelled: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Results:
    """What came of a study.

    Args:
        plan: What was asked.
        rows: One for each cell, in the order of the plan: values, name, empty and failed (why, or ""), short, problems, attempts,
            measures, verdicts, faults, facts.
        made: Cells made by this call; the others were there.
        missing: Classifiers that were asked for and are not installed.
    """

    plan: Plan
    rows: tuple[dict[str, Any], ...] = field(repr=False)
    made: int = 0
    missing: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Cells, and how many are empty, failed, short or degenerate."""
        return tables.counts(self.rows)

    @property
    def figures(self) -> tuple[str, ...]:
        """The figures that the plan asks for."""
        return figures.chosen(self.plan.figures)

    @property
    def classifiers(self) -> tuple[str, ...]:
        """The classifiers that the plan asks for and that were there."""
        return tuple(name for name in self.plan.classifiers if name not in self.missing)

    @cached_property
    def tables(self) -> tables.Tables:
        """Their statistics."""
        return tables.of(self.rows, self.plan.axes, self.figures, self.classifiers)

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON; NaN becomes null."""
        plan, found = self.plan, self.tables
        out: dict[str, Any] = finite(
            {
                "study": plan.name,
                "title": plan.title,
                "settings": dict(plan.settings),
                "axes": [{"name": axis.name, "values": list(axis.values)} for axis in plan.axes],
                "least_s": plan.least_s,
                "counts": self.counts,
                "statistics": found.statistics,
                "by_axis": found.by_axis,
                "effects": found.effects,
                "classifiers": found.opinions,
                "missing": list(self.missing),
                "cells": list(self.rows),
            }
        )
        return out


def run(plan: Plan, make: Make, folder: Path, options: Options | None = None) -> Results:
    """Carry out `plan` in `folder`.

    Raises:
        UsageError: The folder holds another study, or the plan asks for a figure that there is not.
        StorageError: It may not be written to.
        NotEnoughMemory: The system ended a process.
        Interrupted: `cancelled` said so; what was made is kept.
    """
    options = options or Options()
    figures.chosen(plan.figures)
    asked, missing = opinions.there(plan.classifiers)
    wanted = Wanted(options.sound, asked, plan.least_s, options.force, options.retry)
    _claim(plan, folder, options.force)
    rows: list[dict[str, Any]] = []
    made = 0
    with closing(_rows(plan, make, folder, wanted, options)) as found:
        while True:
            if len(rows) < plan.n_cells and options.cancelled():
                raise Interrupted("the study was stopped after {done} of {total} cells", done=len(rows), total=plan.n_cells,
                                  hint="the same command goes on")  # fmt: skip
            pair = next(found, None)
            if pair is None:
                break
            rows.append(pair[0])
            made += pair[1]
            options.progress(len(rows), plan.n_cells)
    results = Results(plan, tuple(rows), made, missing)
    _written(results, folder)
    return results


def _rows(plan: Plan, make: Make, folder: Path, wanted: Wanted, options: Options) -> Generator[tuple[dict[str, Any], bool], None, None]:
    """The row of every cell in the order of the plan, and whether it was made now."""
    held = {cell.name: cells.kept(folder, cell.name, wanted) for cell in plan.cells()}
    todo: list[Cell] = []
    for cell in plan.cells():
        row = held[cell.name]
        if row is None or cells.lacks(folder, row, wanted):
            todo.append(cell)
    results = options.workers.map(partial(cells.done, make, folder, wanted), todo)
    with closing(results):  # type: ignore[type-var]
        names = {cell.name for cell in todo}
        for cell in plan.cells():
            row = held[cell.name]
            if cell.name in names:
                yield next(results), row is None
            elif row is not None:
                yield row, False


def _claim(plan: Plan, folder: Path, force: bool) -> None:
    """Write plan.json, unless another study's is there."""
    path = folder / "plan.json"
    if path.is_file() and not force:
        try:
            there = json.loads(path.read_bytes())["fingerprint"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UnreadableInput("{path} is no plan of a study: {why}", path=path, why=error, hint="choose another folder") from error
        if there != plan.fingerprint:
            raise UsageError(
                "{folder} holds another study", folder=folder, hint="choose another folder, or make all of it anew with --force"
            )
    table = {"fingerprint": plan.fingerprint, "study": plan.name, "settings": dict(plan.settings)}
    write_bytes(path, (json.dumps(table, indent=1, ensure_ascii=False, default=str) + "\n").encode())


def _written(results: Results, folder: Path) -> None:
    """The tables, the picture and the pages."""
    table = results.as_dict()
    write_bytes(folder / "results.json", (json.dumps(table, indent=1, ensure_ascii=False, default=str) + "\n").encode())
    write_bytes(folder / "results.csv", as_csv(results).encode())
    picture = pictures.mosaic_of([folder / CELLS / f"{row['name']}.mid" for row in results.rows if row["measures"]], results.plan)
    if picture:
        write_bytes(folder / "mosaic.png", picture)
    for name, text in site.pages(results, folder).items():
        write_bytes(folder / name, text.encode())


def as_csv(results: Results) -> str:
    """A line for each cell: the values of the axes, what became of it, its figures, and every classifier's probabilities."""
    axes, names = [axis.name for axis in results.plan.axes], results.figures
    labels = {name: tuple(opinions.probabilities(results.rows, name)) for name in results.classifiers}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*axes, "file", "empty", "short", "problems", "attempts", *names,
                     *(f"{name}: {label}" for name, held in labels.items() for label in held)])  # fmt: skip
    for row in results.rows:
        said = {name: row["verdicts"].get(name, {}).get("probabilities", {}) for name in labels}
        numbers = figures.columns(row["measures"], names) + [said[name].get(one, math.nan) for name, held in labels.items() for one in held]
        shown = ["" if math.isnan(value) else f"{value:.6g}" for value in numbers]
        file = f"{CELLS}/{row['name']}.mid" if row["measures"] else ""
        writer.writerow([*(row["values"][name] for name in axes), file, row["empty"] or row["failed"], int(row["short"]),
                         "; ".join(row["problems"]), row["attempts"], *shown])  # fmt: skip
    return out.getvalue()
