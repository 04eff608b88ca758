"""``kapelle extend``: go on where a MIDI file ends."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.cli.flags import argument, generated, group, option
from kapelle.cli.pieces import FileFlags, LengthFlags, compose_all, files_of, model_options, show
from kapelle.sampling.options import SamplingOptions

if TYPE_CHECKING:
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    source: Path = argument(help="MIDI file to go on from; it is kept note for note", metavar="IN.mid")
    output: Path | None = option(None, help="MIDI file to write, or a folder when several", short="-o", metavar="FILE.mid")
    model: str = option("", help="bundle to compose with, by name or folder", short="-m", metavar="NAME")
    length: LengthFlags = group(LengthFlags, "Length")
    options: dict[str, Any] = generated(model_options, "Music")
    sampling: dict[str, Any] = generated(lambda: [SamplingOptions], "Choice of notes")
    seed: int | None = option(None, help="same seed, same piece; drawn and shown if left out", short="-s", min=0)
    count: int = option(1, help="how many pieces; each has the next seed", short="-n", min=1, max=10_000)
    processes: int = option(1, help="how many processes compose them", min=1, max=256)
    files: FileFlags = group(FileFlags, "Files")


def run(arguments: Arguments, console: Console) -> None:
    """Read, go on, write, tell."""
    from kapelle import api

    wish = api.request(
        arguments.model,
        length=api.length_of(**asdict(arguments.length)),
        seed=arguments.seed,
        count=arguments.count,
        sampling=arguments.sampling,
        options=arguments.options,
        prompt=api.midi_bytes(arguments.source),
    )
    files = files_of(wish, arguments.output, arguments.files, f"{arguments.source.stem}-extended")
    show(compose_all(wish, files, arguments.files, arguments.processes, console), console)
