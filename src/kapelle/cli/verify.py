"""``kapelle data verify``: a row of the catalogue compared with its server."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from kapelle.cli.flags import argument, option
from kapelle.errors import NetworkError

if TYPE_CHECKING:
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    name: str = argument(help="a dataset of `kapelle data list`", metavar="NAME")
    full: bool = option(False, help="download it to compare its sha256 too; it is deleted afterwards")


def run(arguments: Arguments, console: Console) -> None:
    """Ask the server, print what it says, and fail if that is not what the catalogue says."""
    from kapelle import api

    with console.bar("fetching") as bar:
        check = api.verify_dataset(arguments.name, full=arguments.full, progress=bar)
    if check.problem:
        hint = "the dataset may have moved: look for it by hand, then `kapelle data fetch FILE`"
        raise NetworkError("{name} is not what the catalogue says: {why}", name=arguments.name, why=check.problem, hint=hint)
    if console.as_json:
        console.data({"name": arguments.name, **asdict(check)})
        return
    console.line(arguments.name)
    console.facts({"date": check.date, "address": check.url, "size": check.size and f"{check.size:,}", "sha256": check.sha256})
