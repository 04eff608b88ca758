"""``kapelle accompany``: a band around a MIDI file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.cli.choice import ChoiceFlags, best_of
from kapelle.cli.flags import argument, generated, group, option
from kapelle.cli.pieces import FileFlags, compose_all, files_of, show
from kapelle.cli.who import WorkerFlags

if TYPE_CHECKING:
    from kapelle.cli.console import Console


def band_options() -> list[type[Any]]:
    """The options of a band."""
    from kapelle.composing.band import Options

    return [Options]


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    source: Path = argument(help="MIDI file to play around; its lead is kept note for note", metavar="LEAD.mid")
    output: Path | None = option(None, help="MIDI file to write, or a folder when several", short="-o", metavar="FILE.mid")
    model: str = option("band", help="band to play with, by name or folder", short="-m", metavar="NAME")
    options: dict[str, Any] = generated(band_options, "Music", without=("tempo",))
    seed: int | None = option(None, help="same seed, same piece; drawn and shown if left out", short="-s", min=0)
    count: int = option(1, help="how many pieces; each has the next seed", short="-n", min=1, max=10_000)
    work: WorkerFlags = group(WorkerFlags, "Work")
    choice: ChoiceFlags = group(ChoiceFlags, "Choice of pieces")
    files: FileFlags = group(FileFlags, "Files")


def run(arguments: Arguments, console: Console) -> None:
    """Read, accompany, write, tell."""
    from kapelle import api

    wish = api.accompaniment(arguments.source, model=arguments.model, seed=arguments.seed, count=arguments.count, options=arguments.options)
    stem = f"{arguments.source.stem}-band"
    if best_of(arguments, wish, stem, console) is not None:
        return
    files = files_of(wish, arguments.output, arguments.files, stem)
    show(compose_all(wish, files, arguments.files, arguments.work.workers, console), console)
