"""``kapelle plot``: a MIDI file as a piano roll."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.flags import argument, option
from kapelle.cli.pieces import claim

if TYPE_CHECKING:
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    source: Path = argument(help="MIDI file to draw", metavar="IN.mid")
    output: Path | None = option(
        None, help="picture to write: .png or .svg; beside the MIDI file if left out", short="-o", metavar="OUT.png"
    )
    theme: str = option("light", help="colours", choices=("light", "dark"))
    force: bool = option(False, help="replace files that are there already")


def run(arguments: Arguments, console: Console) -> None:
    """Draw, write, tell."""
    from kapelle import api

    out = arguments.output or arguments.source.with_suffix(".png")
    claim([out], force=arguments.force)
    api.plot_file(arguments.source, out, theme=arguments.theme, force=arguments.force)
    if console.as_json:
        console.data({"file": out, "bytes": out.stat().st_size})
    else:
        console.line(str(out))
