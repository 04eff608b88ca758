"""What is asked of a text-to-audio model, in one frozen object; what no model could do is refused here and nowhere else.

Takes the wishes; gives an object that every backend understands. What only some models can do (a melody, a continuation, steps) is
refused by `check_fits`, which names the models that can.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING
from unicodedata import category

from kapelle.audio.waveform import Waveform, amplitude
from kapelle.config import check, native, setting
from kapelle.errors import CannotObey, UsageError

if TYPE_CHECKING:
    from kapelle.text_audio.catalogue import SoundModel

MAX_PROMPT_CHARACTERS = 1_000
MAX_COUNT = 100
MAX_SEED = 2**63 - 1
SHORTEST_S = 0.5
SILENCE_DB = -60.0
SHORTEST_GIVEN_S = 0.5
"""Of a sound to go on from, to follow or to change."""


@dataclass(frozen=True, kw_only=True)
class SoundRequest:
    """One prompt and how it is to become sound.

    Args:
        prompt: What is to be heard, 1 to 1,000 characters; the published models understand English.
        negative_prompt: What is to be kept away from; empty: the model's own default.
        duration_s: Length in seconds, from 0.5; every model has its longest.
        seed: Of the first sound; sound number i, from 0, is drawn with ``seed + i``, whatever else is asked for.
        count: How many sounds.
        candidates: Sounds drawn for each one that is kept: the one nearest to the prompt.
        guidance: How strictly the prompt is followed, 1 is as it was learned, and no stricter; None: the model's own default.
        steps: Denoising steps; None: the model's own default.
        temperature: Of models that draw tokens: above 1 more surprising, below 1 more predictable.
        top_k: Of models that draw tokens: how many of the likeliest are drawn from; 0: all.
        top_p: Of models that draw tokens: the smallest set with this probability is drawn from; 0: not used.
        continuation: Sound to go on from; it is the beginning of the result, and counts into `duration_s`.
        melody: Sound whose melody is followed.
        initial: Sound that is changed into what the prompt says.
        strength: How much of `initial` is changed: 0 nothing, 1 everything.

    Raises:
        UsageError: Something is empty, out of range or contradicts something else.
    """

    prompt: str
    negative_prompt: str = ""
    duration_s: float = setting(10.0, help="length in seconds", unit="s", min=SHORTEST_S, max=3_599)
    seed: int = setting(0, min=0, max=MAX_SEED)
    count: int = setting(1, min=1, max=MAX_COUNT)
    candidates: int = setting(1, help="draw so many for each sound and keep the one nearest to the prompt", min=1, max=16)
    guidance: float | None = setting(None, help="how strictly the prompt is followed; the model's own if left out", min=1.0, max=30.0)
    steps: int | None = setting(None, help="denoising steps; the model's own if left out", min=1, max=1_000)
    temperature: float = setting(1.0, help="of models that draw tokens: above 1 more surprising, below more predictable", min=0.01, max=5.0)
    top_k: int = setting(250, help="of models that draw tokens: draw from so many of the likeliest; 0: from all", min=0, max=10_000)
    top_p: float = setting(0.0, help="of models that draw tokens: draw from the likeliest that make up so much", min=0.0, max=1.0)
    continuation: Waveform | None = None
    melody: Waveform | None = None
    initial: Waveform | None = None
    strength: float = setting(0.7, help="how much of the initial sound is changed: near 0 little, 1 everything", min=0.01, max=1.0)

    def __post_init__(self) -> None:
        _make_plain(self)
        check(self)
        if self.seed + self.count - 1 > MAX_SEED:
            raise UsageError("seed must be 0 to {limit}, not {seed}", limit=MAX_SEED - self.count + 1, seed=self.seed)
        _check_prompt("prompt", self.prompt)
        if not self.prompt.strip():
            raise UsageError("the prompt is empty", hint='say what is to be heard, such as "Lo-fi funk"')
        _check_prompt("negative prompt", self.negative_prompt)
        if self.negative_prompt and self.guidance == 1.0:
            raise UsageError("without guidance a negative prompt changes nothing", hint="take --guidance above 1, or no negative prompt")
        for name in ("continuation", "melody", "initial"):
            if sound := getattr(self, name):
                _check_heard(name, sound)
        if self.continuation and self.duration_s <= self.continuation.duration_s:
            raise UsageError(
                "the sound to go on from lasts {given:.1f} s already, and {asked:g} s are asked for",
                given=self.continuation.duration_s, asked=self.duration_s, hint="ask for a longer duration: what is given counts into it",
            )  # fmt: skip

    def n_frames(self, sample_rate: int) -> int:
        """Frames of the result at a sample rate."""
        return round(self.duration_s * sample_rate)

    def guidance_of(self, model: SoundModel) -> float:
        """How strictly the prompt is followed: as asked, or as the model's authors do by default."""
        return model.guidance if self.guidance is None else self.guidance

    @property
    def asks(self) -> frozenset[str]:
        """What is asked for that not every model can do, by the names of `SoundModel.takes`."""
        named = {
            "negative_prompt": bool(self.negative_prompt),
            "candidates": self.candidates > 1,
            "steps": self.steps is not None,
            "sampling": any(getattr(self, name) != getattr(SoundRequest, name) for name in ("temperature", "top_k", "top_p")),
            "continuation": self.continuation is not None,
            "melody": self.melody is not None,
            "initial": self.initial is not None,
        }
        return frozenset(name for name, asked in named.items() if asked)


def check_fits(request: SoundRequest, model: SoundModel) -> None:
    """Raise unless a model can do what is asked; cheap, to be called before anything is fetched or loaded.

    Raises:
        CannotObey: It has no means; the hint names the models that have.
        UsageError: The duration is beyond the model's longest.
    """
    from kapelle.text_audio.catalogue import MODELS

    for wish in sorted(request.asks - model.takes):
        able = [one.name for one in MODELS if wish in one.takes]
        raise CannotObey(
            "{model} takes no {wish}", model=model.name, wish=wish.replace("_", " "), able=", ".join(able), hint="models that do: {able}"
        )
    if request.duration_s > model.longest_s:
        longer = [one.name for one in MODELS if one.longest_s >= request.duration_s]
        hint = "ask for less, or take one of: {longer}" if longer else "ask for less"
        raise UsageError(
            "{model} makes at most {longest:g} s, not {asked:g} s",
            model=model.name, longest=model.longest_s, asked=request.duration_s, longer=", ".join(longer), hint=hint,
        )  # fmt: skip


def _make_plain(request: SoundRequest) -> None:
    """Turn numbers of numpy into Python's, and whole ones into floats where they may be broken: files say how a sound was asked for."""
    for item in fields(request):
        value = native(getattr(request, item.name))
        broken = "float" in str(item.type) and isinstance(value, int)
        object.__setattr__(request, item.name, float(value) if broken else value)


def _check_prompt(what: str, text: str) -> None:
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise UsageError(
            "the {what} has {n} characters; at most {limit} are read",
            what=what, n=len(text), limit=MAX_PROMPT_CHARACTERS, hint="say it in a sentence or two",
        )  # fmt: skip
    kinds = {category(character) for character in text if character not in "\t\n"}
    if "Cs" in kinds:  # how Python keeps bytes of the command line that it cannot read
        raise UsageError("the {what} holds bytes that are no letters", what=what, hint="texts are to be in UTF-8")
    if "Cc" in kinds:  # some of them command terminals
        raise UsageError("the {what} holds control characters", what=what)


def _check_heard(name: str, sound: Waveform) -> None:
    if sound.duration_s < SHORTEST_GIVEN_S:
        raise UsageError(
            "the {name} lasts {seconds:.2f} s; it needs at least {least} s", name=name, seconds=sound.duration_s, least=SHORTEST_GIVEN_S
        )
    if sound.peak < amplitude(SILENCE_DB):
        raise UsageError("the {name} is silent: nothing in it is louder than {level:g} dB", name=name, level=SILENCE_DB)
