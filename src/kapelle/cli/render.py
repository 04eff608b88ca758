"""``kapelle render``: a MIDI file as sound."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.flags import argument, option
from kapelle.cli.pieces import claim

if TYPE_CHECKING:
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    source: Path = argument(help="MIDI file to play", metavar="IN.mid")
    output: Path | None = option(
        None, help="sound file to write: .wav, .flac, .ogg, .opus or .mp3; beside the MIDI file if left out", short="-o", metavar="OUT.wav"
    )
    synth: str = option("soundfont", help="what plays it", choices=("soundfont", "sine"))
    soundfont: Path | None = option(None, help="the SoundFont to play it with", metavar="FILE.sf2")
    bits: int = option(16, help="bits per sample: 16, 24, or 32 (WAV only)", min=16, max=32)
    force: bool = option(False, help="replace files that are there already")


def run(arguments: Arguments, console: Console) -> None:
    """Play, write, tell."""
    from kapelle import api

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
