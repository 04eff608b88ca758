"""The SoundFont renderer: recorded instruments, by FluidSynth where its library is found, else by our own player.

Takes a `symusic.Score` and a SoundFont file (the General MIDI one inside pretty_midi if none is named); gives stereo float32,
not normalised. The two players agree on notes, levels, pan and pedal; FluidSynth adds pitch bend, modulation, reverb and chorus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from kapelle.errors import Missing, UnknownName
from kapelle.render import fluid, soundfont_file
from kapelle.render.mixing import mix
from kapelle.render.performance import perform
from kapelle.render.sampler import SamplerTones

if TYPE_CHECKING:
    from pathlib import Path

    from symusic import Score

    from kapelle.audio.waveform import Waveform

Player = Literal["auto", "fluidsynth", "sampler"]
PLAYERS: tuple[Player, ...] = ("auto", "fluidsynth", "sampler")


def fluidsynth_available() -> bool:
    """Whether pyfluidsynth and the FluidSynth library are both found."""
    return fluid.available()


def chosen_player() -> str:
    """What plays SoundFonts on this machine: ``fluidsynth`` or ``sampler``."""
    return "fluidsynth" if fluid.available() else "sampler"


def render(
    score: Score, soundfont: Path | None = None, *, sample_rate: int = 44_100, tail_s: float = 1.5, player: Player = "auto"
) -> Waveform:
    """`score` as stereo sound, from its start to `tail_s` seconds after its last note; silence for a score without notes.

    Args:
        score: A score in ticks.
        soundfont: An .sf2 file (FluidSynth also plays .sf3); None for the one inside pretty_midi.
        sample_rate: Frames per second, 8,000 to 96,000.
        tail_s: Seconds after the last note, in which it may ring.
        player: ``fluidsynth``, ``sampler``, or ``auto`` for the first where it is found.

    Raises:
        Missing: There is no such SoundFont, or FluidSynth was asked for and is not there.
        UnreadableInput: The file is no SoundFont, or a damaged one.
    """
    if player not in PLAYERS:
        raise UnknownName("player", player, PLAYERS)
    font = soundfont_file.load(soundfont or soundfont_file.bundled())
    if player == "fluidsynth" or (player == "auto" and fluid.available()):
        return fluid.render(score, font, sample_rate=sample_rate, tail_s=tail_s)
    if font.compressed:
        raise Missing(
            "{path} is compressed (.sf3), which only FluidSynth can play, and FluidSynth is not there",
            path=font.path,
            hint="install FluidSynth, or use an .sf2 file",
        )
    return mix(perform(score), SamplerTones(font, sample_rate), tail_s)
