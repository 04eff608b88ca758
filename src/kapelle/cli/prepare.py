"""``kapelle data prepare``: folders of MIDI as token shards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.cli.flags import argument, option

if TYPE_CHECKING:
    from kapelle.cli.console import Console


NO_GENRES = ("roll", "theme", "fragments")
"""Codecs whose sources have none."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    folder: Path = argument(help="folder that holds the folders named in the recipe", metavar="DIR")
    overrides: tuple[str, ...] = argument((), help="changes to the recipe, such as preprocessing.overlap=0.5", metavar="SECTION.KEY=VALUE")
    recipe: str = option(help="recipe, by file or by the name of one that comes with Kapelle", short="-r", metavar="RECIPE")
    output: Path = option(help="folder to write the shards to", short="-o", metavar="SHARDS")
    split: str | None = option(None, help="what is held out: whole pieces, or windows of all pieces (leaks; codec chords only)",
                        choices=("piece", "windows"))  # fmt: skip
    processes: int = option(0, help="how many processes read files; 0: one for each core", min=0, max=256)


def run(arguments: Arguments, console: Console) -> None:
    """Prepare with a bar, then tell what was kept and why the rest was not."""
    from kapelle import api

    overrides = (*arguments.overrides, *([f"preprocessing.split={arguments.split}"] if arguments.split else []))
    with console.bar("reading MIDI") as bar:
        report = api.prepare(
            arguments.folder, arguments.recipe, arguments.output, processes=arguments.processes, progress=bar, overrides=overrides
        )
    show(report, arguments.output, console)


def show(report: dict[str, Any], output: Path, console: Console) -> None:
    """Print a report of `api.prepare`."""
    if console.as_json:
        console.data({"shards": output, **report})
        return
    console.line(str(output))
    console.facts(
        {
            name: f"{report[name]:,}"
            for name in ("files", "kept", "notes", "phrases", "bars", "tokens", "blocks", "windows")
            if name in report
        }
    )
    parts = list(dict.fromkeys(part for counts in report["pieces"].values() for part in counts))
    console.line()
    rows = [[genre, *(counts.get(part, 0) for part in parts)] for genre, counts in report["pieces"].items()]
    console.table(("genre" if report.get("codec") not in NO_GENRES else "source", *parts), rows, numbers=parts)
    if "statistics" in report:
        _averages(report["statistics"], console)
    for dropped, what in ((report["dropped"], "files"), (report.get("phrases_dropped"), "phrases")):
        if dropped:
            console.line()
            counts = sorted(dropped.items(), key=lambda item: -item[1])
            console.table(("dropped because", what), [(console.texts(why), n) for why, n in counts], numbers=(what,))


def _averages(told: dict[str, float], console: Console) -> None:
    """Print what songs with themes are like."""
    console.line()
    console.facts(
        {
            "bars per song": f"{told['bars_per_song']:,.1f}",
            "tokens per song": f"{told['tokens_per_song']:,.0f}",
            "tokens per bar": f"{told['tokens_per_bar']:,.1f}",
            "tokens per theme": f"{told['tokens_per_theme']:,.0f}",
            "theme, % of tokens": f"{told['theme_percent']:.1f}",
            "regions per song": f"{told['regions_per_song']:.1f}",
            "bars between regions": f"{told['bars_between_regions']:.1f}",
        }
    )
