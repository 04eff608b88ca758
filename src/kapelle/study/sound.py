"""How the pieces of a study sound: one rendering each, cut where all are cut, written in as many formats as are asked for.

Takes a score and a `Sound`; gives a `Waveform`, or files of it. A cut sound fades out over its last half second.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.config import check, setting
from kapelle.errors import UnknownName

if TYPE_CHECKING:
    from symusic import Score

    from kapelle.audio import Waveform

FORMATS = ("ogg", "wav", "flac", "mp3")
FADE_S = 0.5


@dataclass(frozen=True)
class Sound:
    """What is heard of every piece.

    Raises:
        UnknownName: There is no such format.
        UsageError: A number is out of range.
    """

    format: tuple[str, ...] = setting((), help="sounds of every piece: ogg, wav, flac, mp3; none if empty")
    synth: str = setting("soundfont", help="what plays them", choices=("soundfont", "sine"))
    seconds: float = setting(30.0, help="sounds are cut here; 0: whole pieces", unit="s", min=0, max=3600)
    bit_depth: int = setting(24, help="of WAV and FLAC", unit="bits", min=16, max=32)

    def __post_init__(self) -> None:
        for name in self.format:
            if name not in FORMATS:
                raise UnknownName("sound format", name, FORMATS)
        check(self)


def rendered(score: Score, sound: Sound) -> Waveform:
    """The sound of a score, cut."""
    from kapelle.audio import Waveform
    from kapelle.audio.effects import fade
    from kapelle.render import render

    wave = render(score, sound.synth)  # type: ignore[arg-type]
    if not sound.seconds or wave.duration_s <= sound.seconds:
        return wave
    n_frames = round(sound.seconds * wave.sample_rate)
    return fade(Waveform(wave.samples[:n_frames], wave.sample_rate), out_s=FADE_S)


def files(base: Path, sound: Sound) -> Iterator[Path]:
    """Where the sounds of a piece lie, whose files are called `base` without a suffix."""
    yield from (base.with_name(f"{base.name}.{suffix}") for suffix in sound.format)


def write(path: Path, wave: Waveform, sound: Sound) -> None:
    """Write one of `files`."""
    from kapelle.audio import files as sounds

    bits = min(sound.bit_depth, 24) if path.suffix == ".flac" else sound.bit_depth
    sounds.write(path, wave, bits=bits)
