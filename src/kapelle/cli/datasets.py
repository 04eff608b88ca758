"""``kapelle data list``: the datasets that can be fetched by name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from kapelle.cli.flags import argument

if TYPE_CHECKING:
    from kapelle.cli.console import Console
    from kapelle.data.catalogue import Check, Dataset


WEIGHTS = {"open": "yes", "share-alike": "same licence", "research": "for research", "non-commercial": "non-commercial", "private": "no"}
"""Whether weights may be shared, in a word, by key of `catalogue.USES`."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    name: str = argument("", help="tell all about this one", metavar="NAME")


def run(arguments: Arguments, console: Console) -> None:
    """Print the table, or all about one row."""
    from kapelle import api
    from kapelle.data import catalogue

    wanted = catalogue.find(arguments.name) if arguments.name else None
    rows = [(row, check) for row, check in api.datasets() if wanted in (None, row)]
    if console.as_json:
        console.data(
            {"datasets": [{**asdict(row), "use": catalogue.USES[row.use], "check": check and asdict(check)} for row, check in rows]}
        )
        return
    if wanted:
        for row, check in rows:
            show(row, check, console)
        return
    table = [(row.name, size(row), row.licence, console.texts(WEIGHTS[row.use]), _state(check, console)) for row, check in rows]
    console.table(("name", "size", "licence", "weights may be shared", "compared with its server"), table, numbers=("size",))
    console.note("`kapelle data list NAME` tells all about one; `kapelle data fetch NAME` downloads it")


def show(row: Dataset, check: Check | None, console: Console) -> None:
    """Print what is to be known before a download."""
    from kapelle.data import catalogue

    console.line(f"{row.name}: {row.title}")
    console.facts(
        {
            "address": row.url,
            "size": size(row) or console.texts("not known"),
            "sha256": row.sha256 or console.texts("not published"),
            "licence": row.licence,
            "use": console.texts(catalogue.USES[row.use]),
            "cite": row.citation,
            "becomes": row.folder,
            "note": console.texts(row.note) if row.note else None,
            "compared with its server": _state(check, console),
        }
    )


def size(row: Dataset) -> str:
    """Megabytes, exact or with a sign that they are not; empty if not even that is known."""
    if row.size is not None:
        return f"{row.size / 1e6:,.1f} MB"
    return f"~{row.about / 1e6:,.0f} MB" if row.about else ""


def _state(check: Check | None, console: Console) -> str:
    if check is None:
        return console.texts("not verified live")
    if check.problem:
        return f"{check.date}: {check.problem}"
    return f"{check.date}: {console.texts('sha256 compared') if check.sha256 else console.texts('it is there')}"
