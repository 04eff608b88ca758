"""A recipe: one TOML file that says how a model is prepared, shaped, trained and sampled.

Training reads the model and training sections; the others are kept as plain tables for those who own them (data preparation,
composing), so that this file needs nothing of music.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kapelle import config
from kapelle.config import setting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class AdversarialSection:
    """The [training.adversarial] section: what objective ``adversarial`` reads beside the rest."""

    critic_steps: int = setting(5, help="updates of the critic for each of the generator", min=1)
    opening_critic_steps: int = setting(0, help="the same during the opening, when the critic must get ahead; 0: as always", min=0)
    opening_steps: int = setting(0, help="steps of the opening", min=0)
    generator_rate: float = setting(1.0, help="learning rate of the generator, as a share of the critic's", min=0.0)
    gradient_penalty: float = setting(10.0, help="weight of the critic's slope being other than 1", min=0.0)
    average: float = setting(0.999, help="share of the averaged generator that a step leaves; 0: it is the generator", min=0.0, max=1.0)
    validation_phrases: int = setting(512, help="phrases made at each validation and compared with held-out ones", min=8)


@dataclass(frozen=True)
class ContrastiveSection:
    """The [training.contrastive] section: what objective ``contrastive`` reads beside the rest."""

    temperature: float = setting(0.1, help="what cosines are divided by", min=0.001, max=10.0)
    degrees: int = setting(4, help="a fragment is moved by up to so many degrees of its scale each way; 0: not at all", min=0, max=14)
    last: float = setting(0.8, help="chance that its last note gets another duration", min=0.0, max=1.0)
    split: float = setting(0.15, help="chance of each note to be struck twice, each half as long", min=0.0, max=1.0)
    join: float = setting(0.3, help="chance of two neighbours of one pitch to become one", min=0.0, max=1.0)
    validation_rounds: int = setting(8, help="fragments of every held-out song in one validation", min=1)


@dataclass(frozen=True)
class ThemesSection:
    """The [training.themes] section: what objective ``theme`` reads beside the rest."""

    echo_steps: int = setting(0, help="steps at the beginning that learn theme regions alone, so that listening is learned first", min=0)
    echo_share: float = setting(0.0, help="share of the later steps that do so too, in place of a batch of windows", min=0.0, max=0.9)
    encoder_rate: float = setting(1.0, help="learning rate of the encoder, as a share of the others'", min=0.0, max=1.0)


@dataclass(frozen=True)
class VariationalSection:
    """The [training.variational] section: what objective ``theme_variational`` reads beside the rest."""

    weight: float = setting(0.5, help="weight of what the slots say about a theme, in nats, against the nats of the piece", min=0.0)
    free_bits: float = setting(8.0, help="bits that each slot may say for nothing", unit="bits", min=0.0)
    ramp_steps: int = setting(100, help="steps in which that weight grows to its height", min=1)


@dataclass(frozen=True)
class BridgeSection:
    """The [training.bridge] section: what objective ``bridge_joint`` reads beside the rest."""

    opening: float = setting(1.0, help="weight, in the generator's loss, of the transformer's nats per token of an opening", min=0.0)
    back: float = setting(1.0, help="weight of its nats per token where it hears the opening as theme and brings it back", min=0.0)
    judged: int = setting(8, help="phrases that it judges in each step, over all processes", min=1)
    bars: int = setting(2, help="bars of an opening", unit="bars", min=1, max=4)
    voices: int = setting(4, help="notes of the accompaniment that may begin together", min=1)
    slope: float = setting(4.0, help="steepness of the sigmoid that lends cells its gradient", min=0.1, max=100.0)
    transformer_rate: float = setting(
        0.05, help="the transformer's learning rate as a share of the critic's; 0: it stays as it is", min=0.0
    )
    songs: int = setting(4, help="windows of songs that the transformer learns in each step", min=1)
    welcome: float = setting(1.0, help="weight, in the transformer's loss, of bringing back the band's openings", min=0.0)
    validation_themes: int = setting(64, help="openings of either kind that are judged in a validation", min=1)


@dataclass(frozen=True)
class ClassifierSection:
    """The [training.classifier] section: what objective ``classifier`` reads beside the rest."""

    smoothing: float = setting(0.1, help="share of the probability that is wanted evenly for all classes", min=0.0, max=0.9)
    disorder: float = setting(0.5, help="weight of noticing what was shuffled in a window; 0: nothing is shuffled", min=0.0)
    short: float = setting(0.25, help="share of windows that are cut shorter, to 4 to 15 bars of four quarters", min=0.0, max=1.0)
    thin: float = setting(0.15, help="largest share of a window's notes that are left out", min=0.0, max=0.9)
    lengths: float = setting(0.5, help="notes of a window get up to so much longer or shorter, as a share, all alike", min=0.0, max=0.9)


@dataclass(frozen=True)
class TreesSection:
    """The [training.trees] section: what objective ``trees`` reads beside steps (trees), learning_rate, seed, balance and patience."""

    l2: float = setting(3.0, help="weight of the squares of the leaves", min=0.0)
    borders: int = setting(128, help="thresholds that are tried for a feature", min=1, max=65535)
    shake: float = setting(1.0, help="how much chance there is in the choice of a question", min=0.0)
    features: float = setting(1.0, help="share of the features that a tree may ask for", min=0.01, max=1.0)


@dataclass(frozen=True)
class TrainingSection:
    """The [training] section."""

    steps: int = setting(help="optimiser steps", min=1)
    batch_size: int = setting(8, help="blocks in one step, over all processes", min=1)
    micro_batch: int = setting(0, help="blocks that fit at once; 0: the whole share of a process", min=0)
    learning_rate: float = setting(1e-3, help="highest learning rate", min=0.0)
    final_rate: float = setting(0.05, help="share of the learning rate that is left at the end", min=0.0, max=1.0)
    warmup_steps: int = setting(200, help="steps of linear warm-up; a cosine follows", min=0)
    weight_decay: float = setting(0.1, help="AdamW's weight decay, on matrices only", min=0.0)
    beta1: float = setting(0.9, help="AdamW's first beta", min=0.0, max=1.0)
    beta2: float = setting(0.95, help="AdamW's second beta", min=0.0, max=1.0)
    clip_norm: float = setting(1.0, help="largest norm of the gradient; 0: no clipping", min=0.0)
    precision: str = setting("bf16-mixed", help="arithmetic", choices=("32-true", "bf16-mixed", "16-mixed"))
    compile: bool = setting(False, help="compile the network first (faster steps, a minute's delay)")
    seed: int = setting(0, help="of weights, batches and dropout", min=0, max=2**31 - 1)
    balance: float = setting(0.5, help="0: genres as they come; 1: every genre equally often", min=0.0, max=1.0)
    semitones: int = setting(0, help="random transposition up to so far each way", unit="semitones", min=0, max=127)
    velocity_levels: int = setting(1, help="random loudness change up to so far each way", min=0, max=2)
    excerpts: float = setting(0.2, help="share of blocks that open a piece at a random bar, so that short pieces are met", min=0.0, max=1.0)
    validate_every: int = setting(500, help="steps between two validations", min=1)
    validation_blocks: int = setting(64, help="blocks in one validation, taken evenly over all", min=1)
    patience: int = setting(0, help="validations without a better one after which it ends; 0: all steps are done", min=0)
    checkpoint_minutes: float = setting(
        10.0,
        help="longest time between two checkpoints; one follows every epoch and every best validation too; 0: after every step",
        unit="minutes",
        min=0.0,
    )
    log_every: int = setting(20, help="steps between two lines of the log", min=1)
    stages: tuple[int, ...] = setting((), help="steps whose weights are kept in stages/, to study how a model learns")
    adversarial: AdversarialSection = setting(AdversarialSection(), help="for objective adversarial")
    themes: ThemesSection = setting(ThemesSection(), help="for objective theme")
    contrastive: ContrastiveSection = setting(ContrastiveSection(), help="for objective contrastive")
    variational: VariationalSection = setting(VariationalSection(), help="for objective theme_variational")
    classifier: ClassifierSection = setting(ClassifierSection(), help="for objective classifier")
    bridge: BridgeSection = setting(BridgeSection(), help="for objective bridge_joint")
    trees: TreesSection = setting(TreesSection(), help="for objective trees")


@dataclass(frozen=True)
class Recipe:
    """A whole recipe."""

    name: str = setting(help="of the recipe, the bundle and --model")
    family: str = setting(help="network, a row of kapelle.models.FAMILIES")
    codec: str = setting(
        help="how scores become ids",
        choices=("remi", "chords", "theme", "roll", "fragments", "rolls", "features", "renderings", "table"),
    )
    training: TrainingSection = setting(help="how it is trained")
    licence: str = setting("", help="licence of the weights, shown with the bundle")
    objective: str = setting("language_model", help="what training optimises")
    data: dict[str, Any] = setting({}, help="kept for data preparation")
    tokenizer: dict[str, Any] = setting({}, help="kept for data preparation")
    preprocessing: dict[str, Any] = setting({}, help="kept for data preparation")
    model: dict[str, Any] = setting({}, help="the family's Config, vocabulary aside")
    generation: dict[str, Any] = setting({}, help="kept for composing: default sampling")


def read(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in a file, with ``section.key=value`` overrides.

    Raises:
        Missing: No such file.
        RecipeError: It is no TOML, or a key is unknown, missing, of the wrong type or out of range.
    """
    return config.load(Recipe, path, overrides)


OVERRIDE = "# override: "
"""How a run folder's recipe.toml keeps an override: as a comment below the recipe."""


def text_with(path: Path, overrides: Sequence[str]) -> str:
    """The text of a recipe, with its overrides written below it as comments."""
    text = path.read_text(encoding="utf-8")
    return text.rstrip("\n") + "\n" + "".join(f"{OVERRIDE}{' '.join(item.splitlines())}\n" for item in overrides)


def read_again(path: Path) -> Recipe:
    """The recipe in a run folder, its overrides included; raises as `read`."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return read(path, [line.removeprefix(OVERRIDE) for line in lines if line.startswith(OVERRIDE)])


FREE = ("checkpoint_minutes", "log_every", "micro_batch", "compile", "stages")
"""Keys of [training] that may change between two calls of one run: they decide how it runs, not what it learns."""


def differences(one: Recipe, other: Recipe) -> list[str]:
    """The keys in which two recipes train differently, as ``section.key``; the data is told apart by its shards."""
    out = [name for name in ("family", "codec", "objective") if getattr(one, name) != getattr(other, name)]
    for section, first, second in (
        ("model", one.model, other.model),
        ("training", config.plain(one.training), config.plain(other.training)),
    ):
        out += [f"{section}.{key}" for key in sorted({*first, *second} - {*FREE}) if first.get(key) != second.get(key)]
    return out
