"""``kapelle evaluate``: folders of generated pieces against a folder of real ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.flags import argument, group, option
from kapelle.cli.who import WorkerFlags
from kapelle.judging.evaluation import Options

if TYPE_CHECKING:
    from kapelle.cli.console import Console
    from kapelle.judging.evaluation import Evaluation

LABELS = {"measuring pieces": "measuring", "comparing sets": "comparing"}


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    made: tuple[Path, ...] = argument(help="folders of MIDI files; each is a row of the table", metavar="DIR")
    reference: tuple[Path, ...] = option(help="folder of real music that no model learned from", short="-r", metavar="DIR")
    output: tuple[Path, ...] = option(
        (), help="report to write: .html, .md or .json; as often as there are formats", short="-o", metavar="OUT"
    )
    options: Options = group(Options, "Evaluation")
    work: WorkerFlags = group(WorkerFlags, "Work")
    force: bool = option(False, help="replace files that are there already")


def run(arguments: Arguments, console: Console) -> None:
    """Measure, compare, write, tell."""
    from kapelle import api

    with console.bar("measuring") as bar:
        found = api.evaluate(
            arguments.made,
            arguments.reference,
            arguments.output,
            options=arguments.options,
            by=arguments.work.workers,
            force=arguments.force,
            progress=lambda stage, done, total: bar(done, total, label=LABELS[stage]),
        )
    if console.as_json:
        console.data(found.as_dict() | {"reports": arguments.output})
        return
    for remark in found.remarks:
        console.warn(remark.template, **remark.values)
    if not arguments.output:
        _show(found, console)
    for path in arguments.output:
        console.line(str(path))


def _show(found: Evaluation, console: Console) -> None:
    """The tables, one below the other."""
    from kapelle.judging import report

    console.line(report.summary(found))
    for table in report.tables(found):
        console.line()
        console.line(table.title)
        console.line(table.about)
        console.line()
        console.table(table.head, table.rows, numbers=table.head[1:])
