"""A study carried out: every cell made once, written at once, measured; then the tables, the picture and the page of all of them.

Takes a plan and a maker; fills a folder and gives `Results`. Files: ``plan.json``; for each cell ``cells/NAME.json`` with its figures,
``.mid``, ``.png`` and, if asked for, the sound; ``results.json``, ``results.csv``, ``mosaic.png``, ``index.html``. A cell that is there is
kept, also one that came out empty: nothing is made again unless everything is (`force`). Stopped between two cells, the same call goes on.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.errors import Interrupted, UnreadableInput, UsageError
from kapelle.metrics.degenerate import degeneracy
from kapelle.score.write import write_bytes
from kapelle.study import measures, pictures, tables
from kapelle.study.site import page

if TYPE_CHECKING:
    from kapelle.composing.piece import Piece
    from kapelle.study.plan import Cell, Plan

CELLS = "cells"
SOUNDS = ("none", "ogg", "wav", "flac", "mp3")


@dataclass(frozen=True)
class Nothing:
    """There is no piece in this cell, and why."""

    reason: str


Make = Callable[["Cell"], "Piece | Nothing"]


@dataclass(frozen=True)
class Options:
    """How a study is carried out.

    Args:
        sound: Suffix of the sounds, a row of `SOUNDS`; "none" for none.
        synth: What plays them.
        force: Make every cell again, and replace what another study left in the folder.
        progress: Called with (cells done, cells in all).
        cancelled: Asked before every cell.
    """

    sound: str = "none"
    synth: str = "soundfont"
    force: bool = False
    progress: Callable[[int, int], None] = lambda done, total: None
    cancelled: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Results:
    """What came of a study.

    Args:
        plan: What was asked.
        rows: One for each cell, in the order of the plan: values, name, empty (why, or ""), short, problems, attempts, measures, facts.
        made: Cells made by this call; the others were there.
    """

    plan: Plan
    rows: tuple[dict[str, Any], ...] = field(repr=False)
    made: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Cells, and how many are empty, short or degenerate."""
        return tables.counts(self.rows)

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON; NaN becomes null."""
        plan, names = self.plan, tuple(measures.MEASURES)
        out: dict[str, Any] = _finite(
            {
                "study": plan.name,
                "title": plan.title,
                "settings": dict(plan.settings),
                "axes": [{"name": axis.name, "values": list(axis.values)} for axis in plan.axes],
                "least_s": plan.least_s,
                "counts": self.counts,
                "statistics": tables.statistics(self.rows, names),
                "by_axis": tables.by_axis(self.rows, plan.axes, names),
                "cells": list(self.rows),
            }
        )
        return out


def run(plan: Plan, make: Make, folder: Path, options: Options | None = None) -> Results:
    """Carry out `plan` in `folder`.

    Raises:
        UsageError: The folder holds another study, or there is no such sound.
        StorageError: It may not be written to.
        Interrupted: `cancelled` said so; what was made is kept.
    """
    options = options or Options()
    if options.sound not in SOUNDS:
        raise UsageError("sounds are {known}, not {sound}", known=", ".join(SOUNDS), sound=options.sound)
    _claim(plan, folder, options.force)
    rows: list[dict[str, Any]] = []
    made = 0
    for number, cell in enumerate(plan.cells()):
        row = None if options.force else _kept(folder, cell)
        if row is None:
            if options.cancelled():
                raise Interrupted("the study was stopped after {done} of {total} cells", done=number, total=plan.n_cells,
                                  hint="the same command goes on")  # fmt: skip
            row = _made(plan, cell, make(cell), folder)
            made += 1
        _sounded(folder, row, options)
        rows.append(row)
        options.progress(number + 1, plan.n_cells)
    results = Results(plan, tuple(rows), made)
    _written(results, folder)
    return results


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


def _kept(folder: Path, cell: Cell) -> dict[str, Any] | None:
    """The row of a cell that is there."""
    path = folder / CELLS / f"{cell.name}.json"
    if not path.is_file():
        return None
    try:
        row: dict[str, Any] = json.loads(path.read_bytes())
        row["measures"] = {name: math.nan if value is None else float(value) for name, value in row["measures"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableInput(
            "{path} is no cell of a study: {why}", path=path, why=error, hint="remove it, and it is made again"
        ) from error
    return row


def _made(plan: Plan, cell: Cell, piece: Piece | Nothing, folder: Path) -> dict[str, Any]:
    """Write what was made of a cell; its row last, so that a cell is there whole or not at all."""
    base = folder / CELLS / cell.name
    row: dict[str, Any] = {"name": cell.name, "values": dict(cell.values), "empty": "", "short": False, "problems": [], "attempts": 0,
                           "measures": {}, "facts": {}}  # fmt: skip
    if isinstance(piece, Nothing):
        row["empty"] = piece.reason
    else:
        write_bytes(base.with_name(f"{cell.name}.mid"), piece.to_midi())
        write_bytes(base.with_name(f"{cell.name}.png"), pictures.of_piece(piece))
        found = measures.of_piece(piece)
        row |= {
            "measures": found,
            "short": found["seconds"] < plan.least_s,
            "problems": list(degeneracy(piece.score, piece.report.n_bars).reasons),
            "attempts": piece.report.attempts,
            "facts": dict(piece.report.facts) | {"seed": piece.request.seed},
        }
    write_bytes(base.with_name(f"{cell.name}.json"), (json.dumps(_finite(row), indent=1, ensure_ascii=False, default=str) + "\n").encode())
    return row


def _sounded(folder: Path, row: dict[str, Any], options: Options) -> None:
    """The sound of a cell, if it is asked for, can be, and is not there."""
    if options.sound == "none" or row["empty"]:
        return
    path = folder / CELLS / f"{row['name']}.{options.sound}"
    if path.is_file() and not options.force:
        return
    from kapelle.audio import files
    from kapelle.render import render
    from kapelle.score.read import read

    files.write(path, render(read(path.with_suffix(".mid")), options.synth))  # type: ignore[arg-type]


def _written(results: Results, folder: Path) -> None:
    """The tables, the picture and the page."""
    table = results.as_dict()
    write_bytes(folder / "results.json", (json.dumps(table, indent=1, ensure_ascii=False, default=str) + "\n").encode())
    write_bytes(folder / "results.csv", as_csv(results).encode())
    picture = pictures.mosaic_of([folder / CELLS / f"{row['name']}.mid" for row in results.rows if not row["empty"]], results.plan)
    if picture:
        write_bytes(folder / "mosaic.png", picture)
    write_bytes(folder / "index.html", page.study(results, folder).encode())


def as_csv(results: Results) -> str:
    """A line for each cell: the values of the axes, what became of it, its figures."""
    axes = [axis.name for axis in results.plan.axes]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*axes, "file", "empty", "short", "problems", "attempts", *measures.MEASURES])
    for row in results.rows:
        figures = [row["measures"].get(name, math.nan) for name in measures.MEASURES]
        shown = ["" if math.isnan(value) else f"{value:.6g}" for value in figures]
        file = "" if row["empty"] else f"{CELLS}/{row['name']}.mid"
        writer.writerow([*(row["values"][name] for name in axes), file, row["empty"], int(row["short"]), "; ".join(row["problems"]),
                         row["attempts"], *shown])  # fmt: skip
    return out.getvalue()


def _finite(value: Any) -> Any:
    """The same with null for what is no number."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
