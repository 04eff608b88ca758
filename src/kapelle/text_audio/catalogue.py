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

BYTES_EACH = 4
"""Of a number in published weights, nearly everywhere."""


@dataclass(frozen=True, kw_only=True)
class SoundModel:
    """A published model.

    Args:
        name: As ``--model`` takes it.
        family: The backend, a file of this package.
        repo: Of its weights on the hub, ``owner/name``.
        revision: The commit that is fetched, 40 hexadecimal digits; a branch, such as "main", where none is known: the first fetch then
            pins what it found.
        licence: Of the weights.
        sample_rate: Of its sound, in hertz.
        channels: Of its sound.
        window_s: Seconds that it was trained on.
        longest_s: Most seconds that are made: windows are joined, or AudioLDM2 makes more in one piece.
        takes: What it can do beyond prompt, duration, seed and guidance, by the names of `SoundRequest`; "sampling": temperature and top-k.
        guidance: Its authors' default.
        steps: Its authors' default number of denoising steps; 0: it draws tokens.
        n_parameters: Numbers to load, about.
        bytes_each: Of a number as it is published.
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
    bytes_each: int = BYTES_EACH
    gated: bool = False
    by_hand: bool = False
    about: str = ""

    @property
    def size(self) -> int:
        """Bytes of its weights as they are published, about."""
        return self.n_parameters * self.bytes_each


# Where a commit is given, a stored page of the hub shows it with its safetensors, or at least two public projects on GitHub record it, one
# of which is named. What has a branch is looked up at the first fetch, and kept to from then on. Of MusicGen's medium and large the
# branch main holds pickles alone; the hub's own converter, SFconvertbot, proposed the same numbers as safetensors (refs/pr/10 and
# refs/pr/18), and there it rests. Numbers are counted by benchmarks/sound_models.py.


def _musicgen(
    name: str, n_parameters: int, revision: str = "main", *, stereo: bool = False, melody: bool = False, about: str
) -> SoundModel:
    return SoundModel(
        name=name, family="musicgen", repo=f"facebook/{name}", revision=revision, licence=CC_BY_NC, sample_rate=32_000,
        channels=2 if stereo else 1, window_s=30.0, longest_s=600.0, guidance=3.0, n_parameters=n_parameters, about=about,
        bytes_each=2 if stereo and not melody else BYTES_EACH,  # those are published in float16
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
    # guan-yuan/bcs-icassp2027, extraction/extract_musicgen_native.py
    _musicgen("musicgen-small", 591_087_246, "4c8334b02c6ec4e8664a91979669a501ec497792", about="the smallest, and the one to begin with"),
    _musicgen("musicgen-medium", 2_010_502_286, "refs/pr/10", about="what its authors advise, between quality and speed"),
    _musicgen("musicgen-large", 3_429_769_870, "037a9f5a2a8a44bd6eaa38b1171f6fdfb1b0b1a9", about="the largest of its family"),
    # MunazaAshraf10/rvq-reverse-distillation, src/rvq_ae/experiments/usecases.py
    _musicgen(
        "musicgen-melody", 1_557_389_966, "68d653a95788ec0d2b0abccab22c0b3a200c2d90", melody=True, about="follows the melody of a sound"
    ),
    _musicgen(
        "musicgen-melody-large", 2_624_293_518, "6fdf8d3d815995108c9bdb5183414ff464b171ac",
        melody=True, about="follows the melody of a sound, and is large",
    ),
    _musicgen("musicgen-stereo-small", 607_868_558, "3a110c0092820d470372c880c5ea06ce21a78ddd", stereo=True, about="small, two channels"),
    _musicgen(
        "musicgen-stereo-medium", 2_035_674_254, "2747e613fbaadc43b14257224326ef58c5c11b81", stereo=True, about="medium, two channels"
    ),
    _musicgen("musicgen-stereo-large", 3_463_332_494, "2be1dd44de5d8ec3097a2144dbc5922039e67fd0", stereo=True, about="large, two channels"),
    _musicgen(
        "musicgen-stereo-melody", 1_582_561_934, "022c3bd20a7d77e7c014082f0391bcbcd3940a7a",
        stereo=True, melody=True, about="follows a melody, two channels",
    ),
    _musicgen(
        "musicgen-stereo-melody-large", 2_657_856_142, "eea14861e6c29c47aea1055982a217468cd1634d",
        stereo=True, melody=True, about="follows a melody, large, two channels",
    ),
    _audioldm2("audioldm2-music", 1_118_590_700, "0019cb0bd4d314accff72aee1c3abd6f22929ba5", "trained on music alone"),
    # ayutaz/vokra, tools/parity/audioldm2_inspect.py
    _audioldm2("audioldm2", 1_118_590_700, "c8e7e189d324425c05c4c2f81214041ef4107983", "speech, sounds and music"),
    _audioldm2("audioldm2-large", 1_489_716_672, "4b0b875a9e0c5305dfc917da808584e50e1c7ed4", "speech, sounds and music; a larger network"),
    SoundModel(
        name="stable-audio-open", family="stable_audio", repo="stabilityai/stable-audio-open-1.0",
        revision="f21265c1e2710b3bd2386596943f0007f55f802e", licence=STABILITY, sample_rate=44_100, channels=2,
        window_s=47.55, longest_s=47.55, guidance=7.0, steps=100, n_parameters=1_323_076_738, gated=True,
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
        f"{model.name}: weights of {model.repo}, about {model.size / 1e9:.1f} GB\nlicence: {licence.name}, {licence.terms}\n{licence.url}"
    )
