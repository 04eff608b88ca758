"""``kapelle fit``: a folder of MIDI to a bundle, all in one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.cli import train
from kapelle.cli.flags import argument, option

if TYPE_CHECKING:
    from kapelle.cli.console import Console
    from kapelle.fitting import Fitted


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    recipe: str = argument(help="recipe, by file or by the name of one that comes with Kapelle", metavar="RECIPE")
    folder: Path = argument(help="folder of MIDI files, or of one folder for each genre", metavar="FOLDER")
    overrides: tuple[str, ...] = argument((), help="changes to the recipe, such as training.steps=2000", metavar="SECTION.KEY=VALUE")
    output: Path = option(help="folder of the bundle to write", short="-o", metavar="BUNDLE")
    from_: str = option("", help="bundle, run or weights to begin with (fine-tuning)", metavar="BUNDLE_OR_RUN")
    epochs: float = option(0.0, help="how often training goes over the music; 0: by the amount of music", min=0)
    work: Path | None = option(None, help="folder for shards and run; beside the bundle if left out", metavar="DIR")
    processes: int = option(0, help="how many processes read files; 0: one for each core", min=0, max=256)
    max_minutes: float = option(0.0, help="stop, saved, after so many minutes; 0: no limit", min=0)
    name: str = option("", help="name of the bundle; that of its folder if left out", metavar="NAME")
    licence: str = option("", help="licence of the weights", metavar="TEXT")
    force: bool = option(False, help="replace a bundle that is there already")


def run(arguments: Arguments, console: Console) -> None:
    """Prepare, train, export, each with a bar; then tell what came of it."""
    from kapelle import api
    from kapelle.bundles.export import ExportOptions
    from kapelle.cli import fit_report
    from kapelle.fitting import Fitting
    from kapelle.training.fit import FitOptions

    with console.bar("reading MIDI") as bar:
        progress = fit_report.with_estimate(train.told(bar, console), console)
        how = Fitting(
            work=arguments.work,
            processes=arguments.processes,
            prepared=bar,
            planned=lambda report: fit_report.plan(report, console),
            start=arguments.from_,
            epochs=arguments.epochs,
            training=FitOptions(overrides=arguments.overrides, max_minutes=arguments.max_minutes, progress=progress),
            export=ExportOptions(name=arguments.name, licence=arguments.licence, force=arguments.force),
        )
        made = api.fit(arguments.recipe, arguments.folder, arguments.output, how)
    if console.as_json:
        console.data(_table(made))
    else:
        fit_report.show(made, arguments.output, console)


def _table(made: Fitted) -> dict[str, Any]:
    """The report for a program; ``list`` holds every file."""
    return {**made.report, "licence": made.manifest.licence}
