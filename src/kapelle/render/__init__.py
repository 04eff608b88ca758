"""From a score to sound: `render` with a SoundFont or with sines, normalised and with a tail.

Takes a `symusic.Score`; gives a `Waveform`. The same score and options give the same samples. Writing them to a file is
`kapelle.audio.files`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from kapelle.audio.effects import normalise_peak
from kapelle.errors import NotEnoughMemory, UnknownName, UsageError
from kapelle.render import sine
from kapelle.render import soundfont as soundfont_player
from kapelle.render.performance import perform
from kapelle.render.soundfont import chosen_player, fluidsynth_available
from kapelle.score import units

if TYPE_CHECKING:
    from pathlib import Path

    from symusic import Score

    from kapelle.audio import Waveform

__all__ = ["SYNTHS", "check", "chosen_player", "fluidsynth_available", "render"]

Synth = Literal["soundfont", "sine"]
SYNTHS: tuple[Synth, ...] = ("soundfont", "sine")
MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 96_000
MAX_RENDER_S = 3600.0
MAX_TAIL_S = 30.0
# An orchestra's tutti is about thirty notes. Without a limit a small file of endless notes would take hours.
MAX_MEAN_POLYPHONY = 100.0


def render(
    score: Score,
    synth: Synth = "soundfont",
    *,
    soundfont: Path | None = None,
    sample_rate: int = 44_100,
    tail_s: float = 1.5,
    peak_db: float = -1.0,
) -> Waveform:
    """`score` as stereo sound with its peak at `peak_db`, ending `tail_s` seconds after its last note.

    A score without notes, or whose notes are all mute, gives silence of the right length.

    Args:
        score: A score in ticks, at most an hour long.
        synth: ``soundfont`` (recorded instruments) or ``sine`` (sums of sines; faster, needs no SoundFont).
        soundfont: The .sf2 file to play; None for the one that is installed with Kapelle. Not with ``sine``.
        sample_rate: Frames per second, 8,000 to 96,000.
        tail_s: Seconds after the last note, 0 to 30, in which it may ring; the end of them is faded out.
        peak_db: Level of the largest sample, at most 0.

    Raises:
        UnknownName: There is no such synth.
        UsageError: A number is out of range, or a SoundFont was given to the sines; or more than a hundred notes
            sound at once, on average over at least a minute.
        NotEnoughMemory: The score lasts longer than an hour.
        Missing, UnreadableInput: The SoundFont is not there, or is none.
    """
    if synth not in SYNTHS:
        raise UnknownName("synth", synth, SYNTHS)
    if soundfont is not None and synth == "sine":
        raise UsageError("the sine synth plays no SoundFont", hint="leave out --soundfont, or use --synth soundfont")
    for name, value, low, high in (("sample rate", sample_rate, MIN_RATE_HZ, MAX_RATE_HZ), ("tail", tail_s, 0, MAX_TAIL_S)):
        if not low <= value <= high:
            raise UsageError("the {name} must be {low} to {high}, not {value}", name=name, low=low, high=high, value=value)
    check(score)
    if synth == "sine":
        waveform = sine.render(score, sample_rate=sample_rate, tail_s=tail_s)
    else:
        waveform = soundfont_player.render(score, soundfont, sample_rate=sample_rate, tail_s=tail_s)
    return normalise_peak(waveform, peak_db)


def check(score: Score) -> None:
    """Refuse a score that is too long or too dense to be played.

    Raises:
        NotEnoughMemory: It lasts longer than an hour.
        UsageError: More than a hundred notes sound at once, on average over at least a minute.
    """
    duration_s = units.duration_s(score)
    if duration_s > MAX_RENDER_S:
        raise NotEnoughMemory(
            "the piece lasts {minutes:.0f} minutes; at most {limit:.0f} are rendered",
            minutes=duration_s / 60,
            limit=MAX_RENDER_S / 60,
            hint="render it in parts",
        )
    polyphony = perform(score).sounding_s / max(duration_s, 60.0)
    if polyphony > MAX_MEAN_POLYPHONY:
        raise UsageError(
            "{polyphony:.0f} notes sound at once on average; at most {limit:.0f} are rendered",
            polyphony=polyphony,
            limit=MAX_MEAN_POLYPHONY,
            hint="the file is probably damaged: its notes do not end",
        )
