"""``kapelle compose``: a piece, or many, from a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.cli.flags import generated, group, option
from kapelle.cli.pieces import FileFlags, LengthFlags, compose_all, files_of, model_options, show
from kapelle.errors import UsageError
from kapelle.sampling.options import SamplingOptions

if TYPE_CHECKING:
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    output: Path | None = option(None, help="MIDI file to write, or a folder when several", short="-o", metavar="FILE.mid")
    model: str = option("", help="bundle to compose with, by name or folder", short="-m", metavar="NAME")
    length: LengthFlags = group(LengthFlags, "Length")
    options: dict[str, Any] = generated(model_options, "Music")
    sampling: dict[str, Any] = generated(lambda: [SamplingOptions], "Choice of notes")
    seed: int | None = option(None, help="same seed, same piece; drawn and shown if left out", short="-s", min=0)
    count: int = option(1, help="how many pieces; each has the next seed", short="-n", min=1, max=10_000)
    processes: int = option(1, help="how many processes compose them", min=1, max=256)
    files: FileFlags = group(FileFlags, "Files")
    from_: Path | None = option(None, help="make a piece again from a file of --save-recipe", metavar="FILE.json")


def run(arguments: Arguments, console: Console) -> None:
    """Compose, write, tell."""
    from kapelle import api

    if arguments.from_ is not None:
        _refuse_wishes(arguments)
        wish = api.remake(arguments.from_)
    else:
        wish = api.request(
            arguments.model,
            length=api.length_of(**asdict(arguments.length)),
            seed=arguments.seed,
            count=arguments.count,
            sampling=arguments.sampling,
            options=arguments.options,
        )
    stem = f"kapelle-{wish.options.get('genre') or Path(wish.model).name}"
    files = files_of(wish, arguments.output, arguments.files, stem)
    show(compose_all(wish, files, arguments.files, arguments.processes, console), console)


def _refuse_wishes(arguments: Arguments) -> None:
    """A recipe says everything; what else is asked would contradict it."""
    asked = [*arguments.options, *arguments.sampling, *(name for name, value in asdict(arguments.length).items() if value is not None)]
    asked += [name for name in ("model", "seed") if getattr(arguments, name)] + (["count"] if arguments.count > 1 else [])
    if asked:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in asked)
        raise UsageError("--from says all about the piece, and {names} would change it", names=names, hint="leave one of the two out")
