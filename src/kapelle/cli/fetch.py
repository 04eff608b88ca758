"""``kapelle data fetch``: a dataset, an address, an archive or a folder as a folder of music."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.flags import argument, option
from kapelle.errors import UsageError

if TYPE_CHECKING:
    from kapelle.cli.console import Bar, Console
    from kapelle.data.fetch import Fetched, Order

YES = ("y", "yes", "д", "да")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    what: str = argument(help="a dataset of `kapelle data list`, an address, an archive or a folder", metavar="NAME|URL|PATH")
    output: Path = option(Path("data"), help="data folder; the dataset gets a folder of its own in it", short="-o", metavar="DIR")
    yes: bool = option(False, help="download without asking", short="-y")
    sha256: str = option("", help="refuse a file that has another one", metavar="HEX")
    keep_archive: bool = option(False, help="leave the downloaded file in the data folder")
    force: bool = option(False, help="replace a folder that is there already")


def run(arguments: Arguments, console: Console) -> None:
    """Show what it costs, ask, bring it with a bar, and tell what to do next."""
    from kapelle import api

    order = api.order_dataset(arguments.what, arguments.output, sha256=arguments.sha256, force=arguments.force)
    if order.there:
        console.note("{path} was fetched before; --force fetches it anew", path=order.folder)
    elif order.path is None and not arguments.yes:
        _ask(order, console)
    with console.bar("fetching") as bar:
        found = api.fetch_dataset(order, keep=arguments.keep_archive, progress=_moving(bar))
    _tell(found, console)


def _moving(bar: Bar) -> Callable[[int, int], None]:
    """What moves a bar by bytes; when they begin anew after the last one came, it is unpacking."""
    label, before = "", (0, 1)

    def move(done: int, total: int) -> None:
        nonlocal label, before
        if before[0] == before[1] and done < total:
            label = "unpacking"
        before = (done, total)
        note = f"{done / 1e6:,.1f} / {total / 1e6:,.1f} MB" if total else f"{done / 1e6:,.1f} MB"
        bar(done, total, note, label)

    return move


def _ask(order: Order, console: Console) -> None:
    """Show size, licence and use, and go on only if the answer is yes.

    Raises:
        UsageError: Nobody can be asked, or the answer is no.
    """
    from kapelle.cli.datasets import show

    aside = replace(console, out=console.err)  # stdout is for the result
    if order.dataset and not console.as_json:
        show(order.dataset, None, aside)
    elif not console.as_json:
        console.note("{url} is not in the catalogue: its licence and size are not known", url=order.url)
    if console.as_json or not sys.stdin.isatty():
        hint = "--yes downloads without asking; `kapelle data list NAME` tells its size, licence and use"
        raise UsageError("this would download {name}, and nobody can be asked here", name=order.name, hint=hint)
    console.note("Download to {folder}? [y/N]", folder=order.folder)
    if sys.stdin.readline().strip().lower() not in YES:
        raise UsageError("nothing was downloaded")


def _tell(found: Fetched, console: Console) -> None:
    if console.as_json:
        console.data(asdict(found))
        return
    console.line(str(found.folder))
    size = f"{found.size / 1e6:,.1f} MB"
    console.facts({"files": f"{found.files:,}", "MIDI files": f"{found.midi:,}", "size": size, "sha256": found.sha256})
    if found.same_name:
        console.warn("members of the archive left out because an earlier one has their name: {n}", n=found.same_name)
    if found.recipes:
        recipe = found.recipes[-1]
        console.facts({"recipes that read it": ", ".join(found.recipes)})
        console.note("next: kapelle data prepare {data} --recipe {recipe} -o shards", data=found.data, recipe=recipe)
    elif found.midi:
        console.note("no recipe names this folder; to train on it: kapelle fit genre-small {folder} -o my-bundle", folder=found.folder)
    else:
        console.note("there is no MIDI file in it, and no recipe names this folder")
