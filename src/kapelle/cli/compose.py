"""``kapelle compose``: a piece, or many, from a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.choice import best_of
from kapelle.cli.flags import option
from kapelle.cli.pieces import claim, compose_all, files_of, row_of, show
from kapelle.cli.wish import WishArguments, wish_of
from kapelle.errors import UsageError

if TYPE_CHECKING:
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments(WishArguments):
    """What can be asked."""

    band: str = option("", help="play a band around the piece, which is then in 4/4", metavar="NAME", implied="band")
    max_copied_notes: int = option(
        0, help="compose again while a run of more notes may be in the training music too; 0: no limit, 11 or more otherwise", min=0
    )
    from_: Path | None = option(None, help="make a piece again from a file of --save-recipe", metavar="FILE.json")


def run(arguments: Arguments, console: Console) -> None:
    """Compose, write, tell."""
    from kapelle import api

    if arguments.from_ is not None:
        _refuse_wishes(arguments)
        wish = api.remake(arguments.from_)
    else:
        wish = wish_of(arguments, band=arguments.band, max_copied_notes=arguments.max_copied_notes)
    if arguments.files.resume and wish.max_copied_notes:
        raise UsageError("--resume and --max-copied-notes contradict each other", hint="leave one of the two out")
    stem = f"kapelle-{wish.options.get('genre') or Path(wish.model).name}"
    if best_of(arguments, wish, stem, console) is not None:
        return
    files = files_of(wish, arguments.output, arguments.files, stem)
    row = row_of(wish, files)
    if row is not None:
        claim([row], force=arguments.files.force)
    tables = compose_all(wish, files, arguments.files, arguments.work.workers, console)
    if row is not None:
        first, last = wish.seed, wish.options["towards"]
        labels = [f"{i / (wish.count - 1):.0%}" for i in range(wish.count)]
        api.plot_row([place.midi for place in files], row, labels, title=f"{first} → {last}", force=True)
    show(tables, console, row)


def _refuse_wishes(arguments: Arguments) -> None:
    """A recipe says everything; what else is asked would contradict it."""
    asked = [*arguments.options, *arguments.sampling, *(name for name, value in asdict(arguments.length).items() if value is not None)]
    others = {"model": bool(arguments.model), "seed": arguments.seed is not None, "count": arguments.count > 1,
              "band": bool(arguments.band), "best": arguments.choice.best is not None, "of": arguments.choice.of is not None,
              "max_copied_notes": bool(arguments.max_copied_notes)}  # fmt: skip
    asked += [name for name, given in others.items() if given]
    if asked:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in asked)
        raise UsageError("--from says all about the piece, and {names} would change it", names=names, hint="leave one of the two out")
