"""The text-to-audio models that are published, and what everybody should know of each before fetching it.

Plain facts, no torch: names, where the weights are, rates, limits, sizes, licences. `MODELS` is the table; a model is added by a row.

Source: the model cards of the repositories named here, and the papers and code of their authors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from kapelle.errors import UnknownName


@dataclass(frozen=True)
class Licence:
    """What may be done with a model's weights, and with the sound that it makes.

    Args:
        name: As its authors call it.
        url: Its text.
        commercial: Whether use for money is allowed: to nobody, to some, to all.
        terms: What it asks, in a sentence.
    """

    name: str
    url: str
    commercial: Literal["no", "some", "yes"]
    terms: str


CC_BY_NC = Licence("CC BY-NC 4.0", "https://creativecommons.org/licenses/by-nc/4.0/", "no", "not for money; name the authors")
CC_BY_NC_SA = Licence(
    "CC BY-NC-SA 4.0",
    "https://creativecommons.org/licenses/by-nc-sa/4.0/",
    "no",
    "not for money; name the authors; pass on under the same terms",
)
STABILITY = Licence(
    "Stability AI Community License",
    "https://stability.ai/license",
    "some",
    "for money only below one million US dollars of yearly revenue, and after registering with Stability AI",
)
APACHE = Licence("Apache 2.0", "https://www.apache.org/licenses/LICENSE-2.0", "yes", "name the authors, keep the notice")


@dataclass(frozen=True, kw_only=True)
class SoundModel:
    """A published model.

    Args:
        name: As ``--model`` takes it.
        family: The backend, a file of this package.
        repo: Of its weights on the hub, ``owner/name``.
        revision: The commit that is fetched, 40 hexadecimal digits; "main" where none is known: the first fetch then pins what it found.
        licence: Of the weights.
        sample_rate: Of its sound, in hertz.
        channels: Of its sound.
        window_s: Most seconds that it makes at once.
        longest_s: Most seconds that are made by joining windows.
        takes: What it can do beyond prompt, duration, seed and guidance, by the names of `SoundRequest`; "sampling": temperature and top-k.
        guidance: Its authors' default.
        steps: Its authors' default number of denoising steps; 0: it draws tokens.
        n_parameters: Numbers to load, about.
        gated: The hub asks for an account, and for consent to the licence.
        about: In a line.
    """

    name: str
    family: str
    repo: str
    revision: str = "main"
    licence: Licence
    sample_rate: int
    channels: int
    window_s: float
    longest_s: float
    takes: frozenset[str]
    guidance: float
    steps: int = 0
    n_parameters: int
    gated: bool = False
    about: str = ""


def _musicgen(name: str, n_parameters: float, *, stereo: bool = False, melody: bool = False, about: str) -> SoundModel:
    return SoundModel(
        name=name, family="musicgen", repo=f"facebook/{name}", licence=CC_BY_NC, sample_rate=32_000, channels=2 if stereo else 1,
        window_s=30.0, longest_s=600.0, guidance=3.0, n_parameters=int(n_parameters), about=about,
        takes=frozenset({"negative_prompt", "sampling", "melody" if melody else "continuation"}),
    )  # fmt: skip


def _audioldm2(name: str, n_parameters: float, about: str) -> SoundModel:
    return SoundModel(
        name=name, family="audioldm2", repo=f"cvssp/{name}", licence=CC_BY_NC_SA, sample_rate=16_000, channels=1,
        window_s=60.0, longest_s=60.0, guidance=3.5, steps=200, n_parameters=int(n_parameters), about=about,
        takes=frozenset({"negative_prompt", "candidates", "steps"}),
    )  # fmt: skip


MODELS: tuple[SoundModel, ...] = (
    _musicgen("musicgen-small", 0.47e9, about="the smallest, and the one to begin with"),
    _musicgen("musicgen-medium", 1.7e9, about="the best of quality for its size"),
    _musicgen("musicgen-large", 3.5e9, about="the largest of its family"),
    _musicgen("musicgen-melody", 1.7e9, melody=True, about="follows the melody of a sound"),
    _musicgen("musicgen-melody-large", 3.5e9, melody=True, about="follows the melody of a sound, and is large"),
    _musicgen("musicgen-stereo-small", 0.47e9, stereo=True, about="small, two channels"),
    _musicgen("musicgen-stereo-medium", 1.7e9, stereo=True, about="medium, two channels"),
    _musicgen("musicgen-stereo-large", 3.5e9, stereo=True, about="large, two channels"),
    _musicgen("musicgen-stereo-melody", 1.7e9, stereo=True, melody=True, about="follows a melody, two channels"),
    _musicgen("musicgen-stereo-melody-large", 3.5e9, stereo=True, melody=True, about="follows a melody, large, two channels"),
    _audioldm2("audioldm2-music", 1.1e9, "trained on music alone"),
    _audioldm2("audioldm2", 1.1e9, "speech, sounds and music"),
    _audioldm2("audioldm2-large", 1.5e9, "speech, sounds and music; a larger network"),
    SoundModel(
        name="stable-audio-open", family="stable_audio", repo="stabilityai/stable-audio-open-1.0", licence=STABILITY, sample_rate=44_100,
        channels=2, window_s=47.55, longest_s=47.55, guidance=7.0, steps=100, n_parameters=1_322_000_000, gated=True,
        takes=frozenset({"negative_prompt", "candidates", "steps", "initial"}), about="stereo at 44.1 kHz; changes a sound into another",
    ),
    SoundModel(
        name="lumina-music", family="lumina", repo="Alpha-VLLM/Lumina-T2Music", licence=APACHE, sample_rate=16_000, channels=1,
        window_s=10.0, longest_s=10.0, guidance=5.0, steps=100, n_parameters=800_000_000,
        takes=frozenset({"negative_prompt", "steps"}), about="flow matching; weights are to be converted once",
    ),
)  # fmt: skip

SMALLEST = "musicgen-small"


def find(name: str) -> SoundModel:
    """The model of a name.

    Raises:
        UnknownName: There is none; the message lists those that are.
    """
    for model in MODELS:
        if model.name == name:
            return model
    raise UnknownName("sound model", name, names())


def names(of: Iterable[SoundModel] = MODELS) -> tuple[str, ...]:
    """The names of models."""
    return tuple(model.name for model in of)
