"""``kapelle compose``: a piece, or many, from a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.flags import option
from kapelle.cli.pieces import compose_all, files_of, show
from kapelle.cli.wish import WishArguments, wish_of
from kapelle.errors import UsageError

if TYPE_CHECKING:
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments(WishArguments):
    """What can be asked."""

    from_: Path | None = option(None, help="make a piece again from a file of --save-recipe", metavar="FILE.json")


def run(arguments: Arguments, console: Console) -> None:
    """Compose, write, tell."""
    from kapelle import api

    if arguments.from_ is not None:
        _refuse_wishes(arguments)
        wish = api.remake(arguments.from_)
    else:
        wish = wish_of(arguments)
    stem = f"kapelle-{wish.options.get('genre') or Path(wish.model).name}"
    files = files_of(wish, arguments.output, arguments.files, stem)
    show(compose_all(wish, files, arguments.files, arguments.processes, console), console)


def _refuse_wishes(arguments: Arguments) -> None:
    """A recipe says everything; what else is asked would contradict it."""
    asked = [*arguments.options, *arguments.sampling, *(name for name, value in asdict(arguments.length).items() if value is not None)]
    others = {"model": bool(arguments.model), "seed": arguments.seed is not None, "count": arguments.count > 1}
    asked += [name for name, given in others.items() if given]
    if asked:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in asked)
        raise UsageError("--from says all about the piece, and {names} would change it", names=names, hint="leave one of the two out")
