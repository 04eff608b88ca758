"""``kapelle fit``: a folder of MIDI to a bundle, all in one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli import export, prepare, train
from kapelle.cli.flags import argument, option

if TYPE_CHECKING:
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    recipe: str = argument(help="recipe, by file or by the name of one that comes with Kapelle", metavar="RECIPE")
    folder: Path = argument(help="folder of MIDI files, or of one folder for each genre", metavar="FOLDER")
    overrides: tuple[str, ...] = argument((), help="changes to the recipe, such as training.steps=2000", metavar="SECTION.KEY=VALUE")
    output: Path = option(help="folder of the bundle to write", short="-o", metavar="BUNDLE")
    work: Path | None = option(None, help="folder for shards and run; beside the bundle if left out", metavar="DIR")
    processes: int = option(0, help="how many processes read files; 0: one for each core", min=0, max=256)
    max_minutes: float = option(0.0, help="stop, saved, after so many minutes; 0: no limit", min=0)
    name: str = option("", help="name of the bundle; that of its folder if left out", metavar="NAME")
    licence: str = option("", help="licence of the weights", metavar="TEXT")
    force: bool = option(False, help="replace a bundle that is there already")


def run(arguments: Arguments, console: Console) -> None:
    """Prepare, train, export, each with a bar; then tell all three results."""
    from kapelle import api
    from kapelle.bundles.export import ExportOptions
    from kapelle.fitting import Fitting
    from kapelle.training.fit import FitOptions

    work = arguments.work or arguments.output.with_name(f"{arguments.output.name}-work")
    with console.bar("reading MIDI") as bar:
        training = FitOptions(overrides=arguments.overrides, max_minutes=arguments.max_minutes, progress=train.told(bar, console))
        exporting = ExportOptions(name=arguments.name, licence=arguments.licence, force=arguments.force)
        how = Fitting(work, arguments.processes, bar, training, exporting)
        made = api.fit(arguments.recipe, arguments.folder, arguments.output, how)
    if console.as_json:
        console.data({"bundle": arguments.output, "name": made.manifest.name, "bytes": made.manifest.n_bytes, "work": work,
                      "figures": made.figures, "kept": made.report["kept"], "dropped": made.report["dropped"]})  # fmt: skip
        return
    prepare.show(made.report, work / "shards", console)
    train.show(made.figures, work / "run", console)
    export.show(made.manifest, arguments.output, console)
