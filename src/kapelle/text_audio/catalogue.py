"""The text-to-audio models that are published, and what everybody should know of each before fetching it.

Plain facts, no torch: names, where the weights are, rates, limits, sizes, licences. `MODELS` is the table; a model is added by a row.

Source: the model cards of the repositories named here, and the papers and code of their authors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from kapelle.errors import CannotObey, UnknownName


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
        window_s: Seconds that it was trained on.
        longest_s: Most seconds that are made: windows are joined, or AudioLDM2 makes more in one piece.
        takes: What it can do beyond prompt, duration, seed and guidance, by the names of `SoundRequest`; "sampling": temperature and top-k.
        guidance: Its authors' default.
        steps: Its authors' default number of denoising steps; 0: it draws tokens.
        n_parameters: Numbers to load, about.
        gated: The hub asks for an account, and for consent to the licence.
        by_hand: Its weights are published as pickles alone: they are to be fetched and converted once, by hand.
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
    by_hand: bool = False
    about: str = ""


# Where a commit is given, at least two public projects on GitHub record it; one of them is named. The others are looked up at the first
# fetch, and kept to from then on. Numbers are counted by benchmarks/sound_models.py.


def _musicgen(
    name: str, n_parameters: int, revision: str = "main", *, stereo: bool = False, melody: bool = False, about: str
) -> SoundModel:
    return SoundModel(
        name=name, family="musicgen", repo=f"facebook/{name}", revision=revision, licence=CC_BY_NC, sample_rate=32_000,
        channels=2 if stereo else 1, window_s=30.0, longest_s=600.0, guidance=3.0, n_parameters=n_parameters, about=about,
        takes=frozenset({"negative_prompt", "sampling", "melody" if melody else "continuation"}),
    )  # fmt: skip


def _audioldm2(name: str, n_parameters: int, revision: str, about: str) -> SoundModel:
    return SoundModel(
        name=name, family="audioldm2", repo=f"cvssp/{name}", revision=revision, licence=CC_BY_NC_SA, sample_rate=16_000, channels=1,
        # learned on 10.24 s; what is longer is made in one piece all the same, as far as three times that
        window_s=10.24, longest_s=30.72, guidance=3.5, steps=200, n_parameters=n_parameters, about=about,
        takes=frozenset({"negative_prompt", "candidates", "steps"}),
    )  # fmt: skip


MODELS: tuple[SoundModel, ...] = (
    # small, medium and large: guan-yuan/bcs-icassp2027, extraction/extract_musicgen_native.py
    _musicgen("musicgen-small", 591_087_246, "4c8334b02c6ec4e8664a91979669a501ec497792", about="the smallest, and the one to begin with"),
    _musicgen("musicgen-medium", 2_010_502_286, "d3bd7b00761b78ad7a8a05145ee31e7832e9916c", about="the best of quality for its size"),
    _musicgen("musicgen-large", 3_429_769_870, "15ccdc92099879e47b6da12c350cdb71d4eab3ca", about="the largest of its family"),
    # MunazaAshraf10/rvq-reverse-distillation, src/rvq_ae/experiments/usecases.py
    _musicgen(
        "musicgen-melody", 1_557_389_966, "68d653a95788ec0d2b0abccab22c0b3a200c2d90", melody=True, about="follows the melody of a sound"
    ),
    _musicgen("musicgen-melody-large", 2_624_293_518, melody=True, about="follows the melody of a sound, and is large"),
    _musicgen("musicgen-stereo-small", 607_868_558, stereo=True, about="small, two channels"),
    _musicgen("musicgen-stereo-medium", 2_035_674_254, stereo=True, about="medium, two channels"),
    _musicgen("musicgen-stereo-large", 3_463_332_494, stereo=True, about="large, two channels"),
    _musicgen("musicgen-stereo-melody", 1_582_561_934, stereo=True, melody=True, about="follows a melody, two channels"),
    _musicgen("musicgen-stereo-melody-large", 2_657_856_142, stereo=True, melody=True, about="follows a melody, large, two channels"),
    _audioldm2("audioldm2-music", 1_118_590_700, "main", "trained on music alone"),
    # ayutaz/vokra, tools/parity/audioldm2_inspect.py
    _audioldm2("audioldm2", 1_118_590_700, "c8e7e189d324425c05c4c2f81214041ef4107983", "speech, sounds and music"),
    _audioldm2("audioldm2-large", 1_489_716_672, "main", "speech, sounds and music; a larger network"),
    SoundModel(
        name="stable-audio-open", family="stable_audio", repo="stabilityai/stable-audio-open-1.0", licence=STABILITY, sample_rate=44_100,
        channels=2, window_s=47.55, longest_s=47.55, guidance=7.0, steps=100, n_parameters=1_323_076_738, gated=True,
        takes=frozenset({"negative_prompt", "steps", "initial"}), about="stereo at 44.1 kHz; changes a sound into another",
    ),
    SoundModel(
        name="lumina-music", family="lumina", repo="Alpha-VLLM/Lumina-T2Music", licence=APACHE, sample_rate=16_000, channels=1,
        # learned on 624 frames of 16 ms; its table of positions ends at 1,000 of 32 ms
        window_s=9.984, longest_s=32.0, guidance=5.0, steps=40, n_parameters=750_705_365, by_hand=True,
        takes=frozenset({"negative_prompt", "steps"}), about="flow matching; weights are to be converted once",
    ),
)  # fmt: skip

SMALLEST = "musicgen-small"

BYTES_EACH = 4
"""Of a number in published weights, nearly everywhere."""


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


def check_commercial(model: SoundModel) -> str:
    """What the licence asks of those who use the sound for money; empty if it asks nothing beyond naming the authors.

    Raises:
        CannotObey: It forbids that; the hint names the models whose licences allow it.
    """
    if model.licence.commercial == "no":
        able = [f"{one.name} ({one.licence.terms})" for one in MODELS if one.licence.commercial != "no"]
        raise CannotObey(
            "{model} may not be used for money: its licence is {licence}", model=model.name, licence=model.licence.name,
            able="; ".join(able), hint="models that may: {able}",
        )  # fmt: skip
    return model.licence.terms if model.licence.commercial == "some" else ""


def notice(model: SoundModel) -> str:
    """What everybody should read before a model is fetched: whose it is, its licence and what that asks, in three lines."""
    licence = model.licence
    return (
        f"{model.name}: weights of {model.repo}, about {model.n_parameters * BYTES_EACH / 1e9:.1f} GB\n"
        f"licence: {licence.name}, {licence.terms}\n"
        f"{licence.url}"
    )
