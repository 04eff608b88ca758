"""``kapelle study models``: the same request to several models with the same seeds, on a page to listen to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.flags import group, option
from kapelle.cli.study import SOUNDS, show, whole
from kapelle.cli.who import WorkerFlags

if TYPE_CHECKING:
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    output: Path = option(
        Path("study-models"), help="folder for pieces, tables and the page; what is there is kept", short="-o", metavar="DIR"
    )
    model: tuple[str, ...] = option((), help="model to study, by name or folder; once for each", short="-m", metavar="NAME")
    seeds: int = option(45, help="how many seeds each model gets", min=1, max=1000)
    seed: int = option(20220529, help="the first seed", short="-s", min=0)
    bars: int = option(32, help="length of every piece in bars", short="-b", min=1, max=512)
    sound: str = option("ogg", help="sounds for the page", choices=SOUNDS)
    work: WorkerFlags = group(WorkerFlags, "Work")
    force: bool = option(False, help="make every cell again")


def run(arguments: Arguments, console: Console) -> None:
    """Make what is missing, tell what came of it."""
    from kapelle import api
    from kapelle.api.studies import StudyWay

    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    with console.bar("composing") as move:
        way = StudyWay(whole(arguments.sound), workers=arguments.work.workers, force=arguments.force, progress=move)
        results = api.study_models(arguments.output, arguments.model, seeds=seeds, length=api.length_of(bars=arguments.bars), way=way)
    show(results, arguments.output, console)
