"""``kapelle render``: a MIDI file as sound, or as one sound file per track in a zip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.flags import argument, option
from kapelle.cli.pieces import claim
from kapelle.errors import UsageError

if TYPE_CHECKING:
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    source: Path = argument(help="MIDI file to play", metavar="IN.mid")
    output: Path | None = option(
        None,
        help="sound file to write: .wav, .flac, .ogg, .opus or .mp3, or a .zip of stems; beside the MIDI file if left out",
        short="-o",
        metavar="OUT.wav",
    )
    stems: str = option(
        "", help="write each track as a sound file of its own, into a zip; they add up to the piece", choices=("", "wav", "flac")
    )
    synth: str = option("soundfont", help="what plays it", choices=("soundfont", "sine"))
    soundfont: Path | None = option(None, help="the SoundFont to play it with", metavar="FILE.sf2")
    bits: int = option(16, help="bits per sample: 16, 24, or 32 (WAV only)", min=16, max=32)
    force: bool = option(False, help="replace files that are there already")


def run(arguments: Arguments, console: Console) -> None:
    """Play, write, tell."""
    from kapelle import api

    if arguments.stems or (arguments.output and arguments.output.suffix.lower() == ".zip"):
        _stems(arguments, console)
        return
    out = arguments.output or arguments.source.with_suffix(".wav")
    claim([out], force=arguments.force)
    with console.bar("rendering"):
        api.render_file(
            arguments.source, out, synth=arguments.synth, soundfont=arguments.soundfont, bits=arguments.bits, force=arguments.force
        )
    if console.as_json:
        console.data({"file": out, "synth": arguments.synth, "bytes": out.stat().st_size})
    else:
        console.line(str(out))


def _stems(arguments: Arguments, console: Console) -> None:
    from kapelle import api

    if arguments.synth != "soundfont" or arguments.soundfont:
        raise UsageError("stems are played with the SoundFont that comes with Kapelle", hint="leave out --synth and --soundfont")
    out = arguments.output or arguments.source.with_suffix(".stems.zip")
    if out.suffix.lower() != ".zip":
        raise UsageError("stems go into a .zip, not {name}", name=out.name, hint="-o {stem}.zip", stem=out.stem)
    claim([out], force=arguments.force)
    with console.bar("rendering") as bar:
        _, names = api.stems_file(arguments.source, out, f".{arguments.stems or 'wav'}", force=arguments.force, progress=bar)
    if console.as_json:
        console.data({"file": out, "stems": names, "bytes": out.stat().st_size})
    else:
        console.line(str(out))
