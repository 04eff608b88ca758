"""What a recipe says of renderings: how written music is varied before a classifier of audio hears it.

Data alone; who renders is `kapelle.classifiers.renderings`.
"""

from __future__ import annotations

from dataclasses import dataclass

from kapelle.config import setting

PLAYERS = ("fluidsynth", "sampler", "sine")


@dataclass(frozen=True)
class RenderRules:
    """The [preprocessing] section of a recipe of codec ``renderings``."""

    views: int = setting(1, help="renderings of a piece, each with its own chance", min=1, max=16)
    programs: tuple[int, ...] = setting((0,), help="General MIDI programs that a part may be played on, 0 to 127")
    own_program: float = setting(0.4, help="share of renderings that keep the programs of the file", min=0.0, max=1.0)
    players: tuple[str, ...] = setting(
        PLAYERS[:2], help="synthesizers, one named twice is taken twice as often; without FluidSynth the sampler plays for it"
    )
    tempo: float = setting(0.15, help="how much slower or faster, as a share", min=0.0, max=0.5)
    semitones_down: int = setting(5, help="how far down it may be moved", min=0, max=12)
    semitones_up: int = setting(6, help="how far up it may be moved", min=0, max=12)
    quietest_db: float = setting(-15.0, help="lowest peak in decibels; the highest is 0", min=-60.0, max=0.0)
    noise: float = setting(0.3, help="share of renderings with a little noise, 40 to 70 dB below full scale", min=0.0, max=1.0)
    muffled: float = setting(0.3, help="share of renderings with a low-pass filter somewhere from 2.5 to 9 kHz", min=0.0, max=1.0)
    min_notes: int = setting(30, help="excerpts with fewer notes are not taken", min=1)
    min_s: float = setting(15.0, help="shorter pieces are left out, in seconds", min=1.0)
    seed: int = setting(1, help="of chance", min=0)
