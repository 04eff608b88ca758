"""``kapelle develop``: a piece on a theme that is brought along."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.cli.choice import ChoiceFlags, best_of
from kapelle.cli.flags import argument, generated, group, option
from kapelle.cli.pieces import FileFlags, compose_all, files_of, show
from kapelle.cli.who import WorkerFlags
from kapelle.composing.request import MAX_BARS
from kapelle.sampling.options import SamplingOptions

if TYPE_CHECKING:
    from kapelle.cli.console import Console


def theme_options() -> list[type[Any]]:
    """The options of a model that develops a theme."""
    from kapelle.composing.theme import Options

    return [Options]


@dataclass(frozen=True, kw_only=True)
class LengthFlags:
    """How long; one of the two."""

    bars: int | None = option(None, help="length in bars; 16 if no length is given", short="-b", min=1, max=MAX_BARS)
    seconds: float | None = option(None, help="length in seconds, rounded to whole bars", min=1, max=3600)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    source: Path = argument(help="MIDI file with the theme, in 4/4: its first bars, 8 at most", metavar="THEME.mid")
    output: Path | None = option(None, help="MIDI file to write, or a folder when several", short="-o", metavar="FILE.mid")
    model: str = option("theme", help="model that develops it, by name or folder", short="-m", metavar="NAME")
    length: LengthFlags = group(LengthFlags, "Length")
    options: dict[str, Any] = generated(theme_options, "Music")
    band: str = option("", help="play a band around the piece", metavar="NAME", implied="band")
    sampling: dict[str, Any] = generated(lambda: [SamplingOptions], "Choice of notes")
    seed: int | None = option(None, help="same seed, same piece; drawn and shown if left out", short="-s", min=0)
    count: int = option(1, help="how many pieces; each has the next seed", short="-n", min=1, max=10_000)
    work: WorkerFlags = group(WorkerFlags, "Work")
    choice: ChoiceFlags = group(ChoiceFlags, "Choice of pieces")
    files: FileFlags = group(FileFlags, "Files")


def run(arguments: Arguments, console: Console) -> None:
    """Read, develop, write, tell."""
    from kapelle import api

    wish = api.development(
        arguments.source,
        model=arguments.model,
        length=api.length_of(**asdict(arguments.length)),
        seed=arguments.seed,
        count=arguments.count,
        sampling=arguments.sampling,
        options=arguments.options,
        band=arguments.band,
    )
    stem = f"{arguments.source.stem}-developed"
    chosen = best_of(arguments, wish, stem, console)
    if chosen is None:
        files = files_of(wish, arguments.output, arguments.files, stem)
        tables = compose_all(wish, files, arguments.files, arguments.work.workers, console)
    else:
        tables = chosen
    heard = tables[0]["theme"] or {}
    if heard and heard["found"] > heard["bars"] and "theme_length" not in arguments.options:
        console.warn("the theme is the first {n} of {found} bars", n=heard["bars"], found=heard["found"])
    if heard and heard["pick_up"]:
        console.warn("the pick-up is left out ({n} notes): a theme begins on a bar line", n=heard["pick_up"])
    if chosen is None:
        show(tables, console)
