"""What can be asked of ``kapelle imagine``, and the requests that it makes."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.cli.flags import generated, option
from kapelle.cli.pieces import SOUNDS
from kapelle.errors import UsageError
from kapelle.text_audio.places import DEVICES, DTYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kapelle.api.imagining import SoundWay
    from kapelle.api.sound_files import Finish
    from kapelle.text_audio.request import SoundRequest

FORMATS = tuple(suffix.removeprefix(".") for suffix in SOUNDS)


_NAMED_HERE = ("prompt", "negative_prompt", "duration_s", "seed", "count", "continuation", "melody", "initial")
"""What is asked of a request under other names than its own, or as a file."""


def _settings() -> tuple[type[Any], ...]:
    from kapelle.text_audio.request import SoundRequest

    return (SoundRequest,)


@dataclass(frozen=True, kw_only=True)
class SoundFlags:
    """How the prompt is to sound."""

    duration: float = option(
        10.0, help="length in seconds; --duration-seconds and --durability_seconds say the same", short="-d", metavar="SECONDS",
        min=0.5, max=600, aliases=("--duration-seconds", "--durability_seconds"),
    )  # fmt: skip
    negative: str = option("", help="what is to be kept away from", metavar="PROMPT")
    seed: int | None = option(None, help="same seed, same sound on the same machine; drawn and shown if left out", short="-s", min=0)
    count: int = option(1, help="how many sounds of each prompt; each has the next seed", short="-n", min=1, max=100)
    settings: dict[str, Any] = generated(_settings, "Sound", without=_NAMED_HERE, defaults=True)


@dataclass(frozen=True, kw_only=True)
class GivenFlags:
    """What the model is given beside the prompt."""

    prompts: Path | None = option(None, help="a file of prompts, one on a line; # begins a comment", metavar="FILE.txt")
    from_: Path | None = option(None, help="take the prompt from a piece: genre, tempo, key, instruments", metavar="TUNE.mid")
    continue_: Path | None = option(None, help="a sound to go on from; it counts into the length", metavar="FILE")
    melody: Path | None = option(None, help="a sound or MIDI file whose melody is followed", metavar="FILE")
    initial: Path | None = option(None, help="a sound or MIDI file that is changed into what the prompt says", metavar="FILE")


@dataclass(frozen=True, kw_only=True)
class FinishFlags:
    """What is done with the sound."""

    denoise: str = option("", help="write cleaned copies too: wiener, noisereduce, deepfilternet", metavar="METHOD,...")
    raw: bool = option(False, help="leave the level as the model made it; otherwise it is -14 LUFS")
    format: str = option("wav", help="of files in a folder, and where -o is left out", choices=FORMATS)
    save_recipe: bool = option(False, help="write beside each sound how it was made, as JSON")
    force: bool = option(False, help="replace files that are there already")
    resume: bool = option(False, help="keep the sounds that are there already, and make the others")


@dataclass(frozen=True, kw_only=True)
class PlaceFlags:
    """Where the model comes from, and where it runs."""

    weights: Path | None = option(
        None, help="folder of the model's weights; left out: what was fetched before, else the hub", metavar="DIR"
    )
    offline: bool = option(False, help="fetch nothing")
    commercial: bool = option(False, help="refuse models whose licence forbids use for money")
    device: str = option("auto", help="where it runs", choices=DEVICES)
    dtype: str = option("auto", help="what it computes with", choices=DTYPES)


def way_of(flags: PlaceFlags) -> SoundWay:
    """The place flags as the api takes them."""
    from kapelle.api.imagining import SoundWay

    return SoundWay(weights=flags.weights, device=flags.device, dtype=flags.dtype, offline=flags.offline, commercial=flags.commercial)


def finish_of(flags: FinishFlags) -> Finish:
    """The finish flags as the api takes them."""
    from kapelle.api.sound_files import Finish

    methods = tuple(dict.fromkeys(name.strip() for name in flags.denoise.split(",") if name.strip()))
    return Finish(denoise=methods, raw=flags.raw, recipe=flags.save_recipe, force=flags.force, resume=flags.resume)


def requests_of(prompts: Sequence[str], sound: SoundFlags, given: GivenFlags, seed: int | None) -> list[SoundRequest]:
    """One request for each prompt, checked; the files that are given are read.

    Args:
        prompts: What is to be heard.
        sound: How.
        given: With what.
        seed: Of the first sound of each; None: drawn.

    Raises:
        UsageError: Something is out of range, or contradicts something else.
        Missing, UnreadableInput: A file is not there, or is none.
    """
    from kapelle.text_audio.request import SoundRequest

    if "strength" in sound.settings and given.initial is None:
        raise UsageError("--strength says how much of a sound is changed, and none is given", hint="give one with --initial")
    settings: dict[str, Any] = {
        "negative_prompt": sound.negative, "duration_s": sound.duration, "seed": secrets.randbelow(2**31) if seed is None else seed,
        "count": sound.count, **sound.settings,
    }  # fmt: skip
    wishes = [SoundRequest(prompt=prompt, **settings) for prompt in prompts]  # what is said is checked before a file is read
    sounds = _sounds_of(given, sound.duration)
    return [SoundRequest(prompt=prompt, **settings, **sounds) for prompt in prompts] if sounds else wishes


def _sounds_of(given: GivenFlags, duration_s: float) -> dict[str, Any]:
    from kapelle.api.imagining import sound_of

    sounds: dict[str, Any] = {}
    if given.continue_ is not None:
        sounds["continuation"] = sound_of(given.continue_)
    if given.melody is not None:
        sounds["melody"] = sound_of(given.melody, melody=True, longest_s=duration_s)
    if given.initial is not None:
        sounds["initial"] = sound_of(given.initial, longest_s=duration_s)
    return sounds
