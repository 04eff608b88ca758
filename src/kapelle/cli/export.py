"""``kapelle export``: a training run as a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.flags import argument, option

if TYPE_CHECKING:
    from kapelle.bundles.manifest import Manifest
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    source: Path = argument(help="folder of a training run", metavar="RUN")
    output: Path = option(help="folder of the bundle to write", short="-o", metavar="BUNDLE")
    name: str = option("", help="name of the bundle; the recipe's if left out", metavar="NAME")
    precision: str = option("8bit", help="8-bit blocks (small, fast) or 32-bit floats", choices=("8bit", "fp32"))
    licence: str = option("", help="licence of the weights", metavar="TEXT")
    measured: Path | None = option(None, help="Markdown file of measured figures to put into the card", metavar="FILE")
    stage: int = option(0, help="step whose weights the run kept (training.stages); 0: its best", min=0)
    shards: Path | None = option(None, help="shards that the run learned from: the bundle gets an index of them", metavar="SHARDS")
    names: Path | None = option(None, help="data folder in which the names of pieces are looked up", metavar="DATA")
    force: bool = option(False, help="replace a bundle that is there already")


def run(arguments: Arguments, console: Console) -> None:
    """Export and tell."""
    from kapelle import api

    with console.bar("exporting"):
        made = api.export(
            arguments.source,
            arguments.output,
            name=arguments.name,
            precision=arguments.precision,
            licence=arguments.licence,
            measured=arguments.measured,
            stage=arguments.stage,
            shards=arguments.shards,
            names=arguments.names,
            force=arguments.force,
        )
    show(made, arguments.output, console)


def show(made: Manifest, output: Path, console: Console) -> None:
    """Print what a bundle is."""
    if console.as_json:
        console.data({"bundle": output, "name": made.name, "kind": made.kind, "bytes": made.n_bytes, "licence": made.licence})
        return
    console.line(str(output))
    console.facts({"name": made.name, "kind": made.kind, "size": f"{made.n_bytes / 1e6:.1f} MB", "licence": made.licence})
    if made.kind == "classifier":
        console.note("`kapelle classify FILE --model {path}` asks it", path=output)
    elif made.kind != "encoder":
        console.note("`kapelle compose --model {path}` composes with it", path=output)
