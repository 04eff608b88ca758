"""``kapelle study blind SITE -o DIR``: a blind listening test of a study, and its key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.flags import argument, option

if TYPE_CHECKING:
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    site: Path = argument(help="folder of a study", metavar="SITE")
    output: Path = option(help="folder for the page and its clips, to be given to listeners", short="-o", metavar="DIR")
    key: Path | None = option(None, help="file for the key: which clip is which piece; beside the folder if left out", metavar="FILE.json")
    clips: int = option(12, help="pieces to rate", min=0, max=200)
    pairs: int = option(6, help="pairs to compare", min=0, max=200)
    by: str = option("", help="axis of the study whose values are compared; its first if left out", metavar="AXIS")
    beside: Path | None = option(None, help="folder of real music to put among the pieces", metavar="DIR")
    seconds: float = option(30.0, help="length of every clip in seconds", min=3, max=600)
    synth: str = option("soundfont", help="what plays the clips", choices=("soundfont", "sine"))
    seed: int = option(1, help="of what is drawn: which pieces, in which order, under which names", short="-s", min=0)
    force: bool = option(False, help="replace files that are there already")


def run(arguments: Arguments, console: Console) -> None:
    """Draw, render, tell where the key is."""
    from kapelle import api
    from kapelle.study.blind import Asked

    asked = Asked(arguments.clips, arguments.pairs, arguments.seed, arguments.by, arguments.seconds, arguments.synth)
    with console.bar("rendering") as move:
        made, key = api.listening_test(
            arguments.site, arguments.output, asked, key=arguments.key, beside=arguments.beside, force=arguments.force, progress=move
        )
    page = arguments.output / "index.html"
    if console.as_json:
        console.data({"page": page, "key": key, "test": made.key["test"], "clips": len(made.order), "pairs": len(made.pairs)})
        return
    console.line(str(page))
    console.facts({"pieces": len(made.order), "pairs": len(made.pairs), "key": key, "quieter": made.n_quieter or ""})
    console.note("listeners get the folder, not the key")
