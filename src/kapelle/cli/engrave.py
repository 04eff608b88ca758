"""``kapelle engrave``: a MIDI file as sheet music."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.cli.flags import argument, generated, option
from kapelle.cli.pieces import claim
from kapelle.engraving.options import ENGRAVERS, EngravingOptions

if TYPE_CHECKING:
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    source: Path = argument(help="MIDI file to write out", metavar="IN.mid")
    output: Path | None = option(
        None,
        help="sheet music to write: .pdf, .svg, .png, .musicxml or .mxl; a PDF beside the MIDI file if left out",
        short="-o",
        metavar="OUT.pdf",
    )
    engraver: str = option("verovio", help="what draws the pages; musescore must be installed", choices=ENGRAVERS)
    force: bool = option(False, help="replace files that are there already")
    look: dict[str, Any] = generated(lambda: (EngravingOptions,), "Page")


def run(arguments: Arguments, console: Console) -> None:
    """Write, draw, tell."""
    from kapelle import api
    from kapelle.engraving.sheet import check_suffix

    out = arguments.output or arguments.source.with_suffix(".pdf")
    check_suffix(out)
    claim([out], force=arguments.force)
    options = EngravingOptions(**{"title": arguments.source.stem, **arguments.look})
    with console.bar("engraving") as bar:
        made = api.engrave_file(arguments.source, out, options, engraver=arguments.engraver, force=arguments.force, progress=bar)
    if console.as_json:
        sizes = [file.stat().st_size for file in made.files]
        console.data({"files": list(made.files), "pages": made.n_pages, "bytes": sum(sizes), "engraver": arguments.engraver})
        return
    for file in made.files:
        console.line(str(file))
