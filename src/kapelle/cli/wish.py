"""What can be asked of every verb that composes, and the request that it makes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kapelle.cli.choice import ChoiceFlags
from kapelle.cli.flags import generated, group, option
from kapelle.cli.pieces import FileFlags, LengthFlags, model_options
from kapelle.cli.who import WorkerFlags
from kapelle.composing.request import ComposeRequest
from kapelle.errors import UsageError
from kapelle.sampling.options import SamplingOptions


@dataclass(frozen=True, kw_only=True)
class MusicArguments:
    """What music is wanted, of every verb that composes from nothing."""

    model: str = option("", help="bundle to compose with, by name or folder", short="-m", metavar="NAME")
    length: LengthFlags = group(LengthFlags, "Length")
    options: dict[str, Any] = generated(
        model_options, "Music", without=("track", "lead_track", "theme_length", "theme_key", "melody_track")
    )
    sampling: dict[str, Any] = generated(lambda: [SamplingOptions], "Choice of notes")
    seed: int | None = option(None, help="same seed, same piece; drawn and shown if left out", short="-s", min=0)


@dataclass(frozen=True, kw_only=True)
class WishArguments(MusicArguments):
    """The flags of `compose` and `extend`; each adds its own."""

    output: Path | None = option(None, help="MIDI file to write, or a folder when several", short="-o", metavar="FILE.mid")
    count: int = option(1, help="how many pieces; each has the next seed", short="-n", min=1, max=10_000)
    choice: ChoiceFlags = group(ChoiceFlags, "Choice of pieces")
    files: FileFlags = group(FileFlags, "Files")
    work: WorkerFlags = group(WorkerFlags, "Work")


def wish_of(arguments: WishArguments, prompt: bytes | None = None, band: str = "", max_copied_notes: int = 0) -> ComposeRequest:
    """The checked request of the flags, going on from the MIDI file `prompt` if there is one, with the bundle `band` around it."""
    from kapelle import api

    if arguments.files.resume and arguments.seed is None:
        raise UsageError("--resume needs --seed: another seed is another piece", hint="the seed was shown when it was drawn")
    return api.request(
        arguments.model,
        length=api.length_of(**asdict(arguments.length)),
        seed=arguments.seed,
        count=arguments.count,
        sampling=arguments.sampling,
        options=arguments.options,
        prompt=prompt,
        band=band,
        max_copied_notes=max_copied_notes,
    )
