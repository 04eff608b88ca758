"""``kapelle themes``: the theme of a MIDI file, and where it comes back."""

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

    source: Path = argument(help="MIDI file to look through, in 4/4", metavar="FILE.mid")
    output: Path | None = option(None, help="MIDI file to write the theme to, for `kapelle develop`", short="-o", metavar="THEME.mid")
    plot: Path | None = option(None, help="picture to draw: the melody, its theme, how alike its bars are", metavar="OUT.png")
    melody_track: str = option("", help="which track has the melody, by name or number; found if left out", metavar="NAME")
    eps: float | None = option(None, help="how far apart returns of one theme may be; chosen for the encoder if left out", min=0.01, max=2)
    theme: str = option("light", help="colours", choices=("light", "dark"))
    force: bool = option(False, help="replace files that are there already")


def run(arguments: Arguments, console: Console) -> None:
    """Find, write, draw, tell."""
    from kapelle import api

    wanted = [path for path in (arguments.output, arguments.plot) if path]
    claim(wanted, force=arguments.force)
    found = api.themes_file(
        arguments.source,
        arguments.output,
        arguments.plot,
        melody_track=arguments.melody_track,
        eps=arguments.eps,
        theme=arguments.theme,
        force=arguments.force,
    )
    if console.as_json:
        console.data({"file": arguments.source, "output": arguments.output, "plot": arguments.plot, **found.as_dict()})
        return
    console.line(str(arguments.source))
    console.facts({"melody": found.track_name, "bars": found.n_bars, "notes": len(found.melody)})
    console.line()
    if not found.returns:
        console.line(console.texts("no two bars of the melody come back"))
    else:
        first = console.texts("the theme")
        rows = [(f"{one.bar + 1}-{one.end}", first if i == 0 else f"{one.distance:.2f}") for i, one in enumerate(found.returns)]
        console.table(("bars", "distance"), rows, numbers=("distance",))
    for path in wanted:
        console.line(str(path))
