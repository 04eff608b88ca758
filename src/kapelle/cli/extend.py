"""``kapelle extend``: go on where a MIDI file ends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.choice import best_of
from kapelle.cli.flags import argument
from kapelle.cli.pieces import compose_all, files_of, show
from kapelle.cli.wish import WishArguments, wish_of

if TYPE_CHECKING:
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments(WishArguments):
    """What can be asked."""

    source: Path = argument(help="MIDI file to go on from; it is kept note for note", metavar="IN.mid")


def run(arguments: Arguments, console: Console) -> None:
    """Read, go on, write, tell."""
    from kapelle import api

    wish = wish_of(arguments, api.midi_bytes(arguments.source))
    stem = f"{arguments.source.stem}-extended"
    if best_of(arguments, wish, stem, console) is not None:
        return
    files = files_of(wish, arguments.output, arguments.files, stem)
    show(compose_all(wish, files, arguments.files, arguments.work.workers, console), console)
