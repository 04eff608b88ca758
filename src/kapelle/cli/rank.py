"""``kapelle rank``: MIDI files, the best first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.choice import points, tell
from kapelle.cli.flags import argument, option
from kapelle.cli.pieces import claim
from kapelle.errors import UsageError
from kapelle.judging.choosing import WAYS

if TYPE_CHECKING:
    from kapelle.api.ranking import RankedFiles
    from kapelle.cli.console import Console

SHOWN = 10
"""Places that are printed where nothing else is asked for."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    sources: tuple[Path, ...] = argument(help="MIDI files, or folders of them", metavar="DIR|FILES")
    output: Path | None = option(None, help="folder to copy the best into", short="-o", metavar="DIR")
    best: int = option(1, help="how many are the best", short="-n", min=1, max=10_000)
    model: str = option("", help="bundle that says how likely they are; the one that composed them if left out", short="-m", metavar="NAME")
    genre: str = option("", help="genre that they are to have")
    by: str = option("score", help="what makes one better than another", choices=WAYS)
    diverse: bool = option(False, help="of those that are kept, each from another cluster of candidates")
    weights: str = option("", help="weights of the score's parts, such as genre=2,human=0", metavar="PART=X,...")
    reference: Path | None = option(None, help="folder of real music to compare with", metavar="DIR")
    seed: int = option(0, help="of what is random", short="-s", min=0)
    why: bool = option(False, help="tell the parts of every candidate's score, and the reasons")
    processes: int = option(1, help="how many processes do it", min=1, max=256)
    force: bool = option(False, help="replace files that are there already")


def run(arguments: Arguments, console: Console) -> None:
    """Read, measure, order, copy, tell."""
    from kapelle import api

    if arguments.output is not None and arguments.output.is_file():
        raise UsageError("{path} is no folder", path=arguments.output, hint="give -o a folder")
    with console.bar("ranking") as bar:
        found = api.rank(
            arguments.sources,
            best=arguments.best,
            model=arguments.model,
            genre=arguments.genre,
            by=arguments.by,
            diverse=arguments.diverse,
            weights=arguments.weights,
            reference=arguments.reference or "",
            seed=arguments.seed,
            processes=arguments.processes,
            progress=bar,
        )
    copies = _copies(found, arguments, console) if arguments.output is not None else []
    _show(found, copies, arguments, console)


def _copies(found: RankedFiles, arguments: Arguments, console: Console) -> list[Path]:
    """Copy the best; the place stands in front of names that two of them have."""
    from kapelle.score.write import write_bytes

    assert arguments.output is not None
    chosen = [Path(row.name) for row in found.ranking.chosen]
    names = [path.name for path in chosen]
    copies = [arguments.output / (name if names.count(name) == 1 else f"{place}-{name}") for place, name in enumerate(names, 1)]
    claim(copies, force=arguments.force)
    for path, copy in zip(chosen, copies, strict=True):
        write_bytes(copy, path.read_bytes())
    return copies


def _show(found: RankedFiles, copies: list[Path], arguments: Arguments, console: Console) -> None:
    if console.as_json:
        unread = [{"file": str(path), "why": why} for path, why in found.unread]
        console.data({"model": found.model, "unread": unread, "copies": [str(path) for path in copies], "ranking": found.ranking.as_dict()})
        return
    rows = found.ranking.rows
    shown = rows[: max(arguments.best, SHOWN)]
    if not arguments.why:
        console.table(
            ("position", "file", "points", "problems"),
            [(f"{row.place}{'*' if row.chosen else ''}", row.name, points(row), ", ".join(map(console.texts, row.degenerate)))
             for row in shown],
            numbers=("position", "points"),
        )  # fmt: skip
        if len(rows) > len(shown):
            console.note("{n} more are not shown; --why and --json show all", n=len(rows) - len(shown))
    tell(found.ranking, console, why=arguments.why)
    if found.unread:
        path, why = found.unread[0]
        console.warn("{n} of {total} files cannot be read, the first of them {path}: {why}",
                     n=len(found.unread), total=len(found.unread) + len(rows), path=path, why=why)  # fmt: skip
    for copy in copies:
        console.line(str(copy))
