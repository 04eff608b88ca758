"""``kapelle originality``: what of a piece is also in the music that its model learned from, beside the same figures of human music."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.cli.flags import argument, option
from kapelle.errors import KapelleError, UnreadableInput, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kapelle.cli.console import Console
    from kapelle.texts import Texts

COLUMNS = ("file", "notes", "shared run", "share", "nearest")
NO_INDEX = "the model has no index of the music that it learned from"


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    files: tuple[Path, ...] = argument((), help="MIDI files to look at", metavar="FILE.mid")
    model: str = option("", help="model whose music to compare with, by name or folder; the one that composed the file", metavar="NAME")
    plot: Path | None = option(None, help="draw the one file as a piano roll, shared notes in their own colour", metavar="FILE.png")
    theme: str = option("light", help="colours of the picture", choices=("light", "dark"))
    force: bool = option(False, help="replace a picture that is there already")
    index: Path | None = option(None, help="make the index of a bundle from the shards that it learned from", metavar="SHARDS")
    bundle: Path | None = option(None, help="folder of the bundle that gets the index", metavar="BUNDLE")
    names: Path | None = option(None, help="data folder in which the names of pieces are looked up", metavar="DATA")


def run(arguments: Arguments, console: Console) -> None:
    """Look up and tell, or make an index."""
    if (arguments.index is None) != (arguments.bundle is None):
        raise UsageError("--index and --bundle belong together", hint="--index SHARDS --bundle BUNDLE")
    if arguments.index is not None and arguments.bundle is not None:
        _make(arguments.index, arguments.bundle, arguments.names, console)
    elif not arguments.files:
        raise UsageError("{name} is missing: {why}", name="FILE.mid", why="MIDI files to look at", hint="see {name} in --help")
    if arguments.plot is not None and len(arguments.files) != 1:
        raise UsageError("{count} pieces cannot share one file", count=len(arguments.files), hint="draw one file at a time")
    if arguments.files:
        _tell(arguments, console)


def _make(shards: Path, bundle: Path, names: Path | None, console: Console) -> None:
    from kapelle import api

    with console.bar("reading the training music") as bar:
        made, index = api.add_index(bundle, shards, names=names, progress=bar)
    size = made.files["originality.idx"].size
    if console.as_json:
        console.data({"bundle": bundle, "bytes": size, "pieces": index.n_pieces, "human": index.human.as_dict()})
        return
    console.line(str(bundle))
    console.facts(
        {"pieces": index.n_pieces, "size": f"{size / 1e6:.1f} MB", "originality": human_line(index.human.as_dict(), console.texts)}
    )


def _tell(arguments: Arguments, console: Console) -> None:
    """Compare every file; one of several that cannot be read does not stop the others."""
    from kapelle import api

    tables: list[tuple[Path, dict[str, Any] | None]] = []
    bad: list[tuple[Path, KapelleError]] = []
    with console.bar("comparing") as bar:
        for number, path in enumerate(arguments.files):
            try:
                found = api.originality(path, model=arguments.model)
                tables.append((path, found.as_dict() if found is not None else None))
            except UnreadableInput as error:
                bad.append((path, error))
            bar(number + 1, len(arguments.files))
    if not tables:
        raise bad[0][1]
    if arguments.plot is not None:
        api.originality_plot(arguments.files[0], arguments.plot, model=arguments.model, theme=arguments.theme, force=arguments.force)
    if console.as_json:
        failed = [{"file": path, "error": str(why), "hint": why.hint} for path, why in bad]
        console.data({"files": [{"file": path, "originality": table} for path, table in tables] + failed})
        return
    for path, why in bad:
        console.warn("{path}: {why}", path=path, why=why)
    _show(tables, arguments.plot, console)


def _show(tables: list[tuple[Path, dict[str, Any] | None]], plot: Path | None, console: Console) -> None:
    if len(tables) == 1:
        path, table = tables[0]
        console.line(str(path))
        console.facts({"plot": plot, "originality": lines(table, console.texts)})
        return
    rows = [(path, *_cells(table, console.texts)) for path, table in tables]
    console.table(COLUMNS, rows, numbers=("notes", "share"))
    human_lines((table for _, table in tables), console)


def _cells(table: Mapping[str, Any] | None, texts: Texts) -> tuple[str, ...]:
    if table is None:
        return "", texts("no index"), "", ""
    return str(table["notes"]), short(table), f"{table['share_copied']:.1%}", table["nearest"]


def short(table: Mapping[str, Any] | None) -> str:
    """The longest shared run in a cell: ``14-16``, or ``-`` if none was found; empty where there is no index."""
    if table is None:
        return ""
    if not table["longest_run"]:
        return "-"
    return _span(table)


def _span(table: Mapping[str, Any], between: str = "-") -> str:
    least, most = table["longest_run"], table["at_most"]
    return str(least) if least == most else f"{least}{between}{most}"


def lines(table: Mapping[str, Any] | None, texts: Texts) -> str:
    """What is told of the originality of a piece, always with the figures of human music below it."""
    if table is None:
        return texts(NO_INDEX)
    if not table["notes"]:
        return texts("there are no pitched notes to compare")
    if table["longest_run"]:
        told = [
            texts("longest run shared with the training music: {span} notes", span=_span(table, " - ")),
            texts("share of notes in such runs of {least} or more: {share}", least=12, share=f"{table['share_copied']:.1%}"),
            texts("nearest: {piece}", piece=table["nearest"]),
        ]
    else:
        told = [texts("no run of {least} notes or more is also in the training music", least=table["at_most"] + 1)]
    return "\n".join([*told, human_line(table["human"], texts)])


def human_lines(tables: Iterable[Mapping[str, Any] | None], console: Console) -> None:
    """Print the figures of human music below a table of pieces, each once."""
    for text in dict.fromkeys(human_line(table["human"], console.texts) for table in tables if table):
        console.line(text)


def human_line(human: Mapping[str, Any], texts: Texts) -> str:
    """The figures of human music that the model did not learn from."""
    if not human["excerpts"]:
        return texts("there are no figures of human music to compare with")
    return texts(
        "human music (excerpts of {bars} bars: {n}): no shared run in {without}, {most} notes or fewer in 95%; share of notes {share}",
        n=human["excerpts"], bars=human["bars"], without=f"{human['without']:.0%}", most=human["longest_run"]["95%"],
        share=f"{human['share_copied']:.1%}",
    )  # fmt: skip
