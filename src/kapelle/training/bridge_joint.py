"""MuseGAN and the Theme Transformer trained together: the transformer tells the generator what it makes of its openings.

Takes phrases of a band, with the songs of the Theme Transformer in the folder ``themes`` inside of theirs, and a network of the family
``bridge_joint``. A step is one of the band's, then one of the transformer's:

1. The critic is updated as ever. The generator minimises the critic's loss, so that it stays a band, and two losses of the transformer
   over the first bars of some phrases, guitar as melody and piano as they cross the bridge (`kapelle.models.soft_bridge`):
   *opening*, the nats per token of these bars as any piece might begin, no theme heard: the transformer as a judge of openings; and
   *return*, those of the same bars inside a theme region, while the encoder hears them as the theme: how well it comes back. Only the
   second goes through the encoder. The loss of a real continuation, which one would wish for, is not defined: no song continues them.
2. The transformer learns its songs as in objective ``theme``, and, with the weight `welcome`, to bring back the openings just made.

Validation is the band's and the transformer's, and the bits of openings that the averaged generator makes of latents that never change,
beside those of held-out phrases. "validation" is the band's distance times the bits of an opening: a tenth less of either is as good.

Runs of the two are joined into one to begin with (`join`), and a joint run is parted into what either side can be exported from (`part`).
Source: the idea is that of the thesis (joining both graphs, "think about gradient flow"); everything else is ours.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from kapelle.errors import UsageError
from kapelle.models.bridge_joint import TRANSFORMER
from kapelle.models.soft_bridge import Places, SoftTheme, soft_theme
from kapelle.training import run_folder, transfer
from kapelle.training.adversarial import Adversarial
from kapelle.training.objectives import adamw
from kapelle.training.themes import Themes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kapelle.data.phrase_shards import Phrases
    from kapelle.data.theme_shards import ThemeShards
    from kapelle.training.objectives import Figures, Turn
    from kapelle.training.recipe import BridgeSection, Recipe
    from kapelle.training.themes import Batch

THEMES = "themes"
"""The folder of the songs, inside that of the phrases."""

VOICES = ("guitar", "piano")
"""What of the band becomes melody and accompaniment."""

LOUDNESS = 80
AT_ONCE = 16
"""Themes judged in one pass of validation."""


def places_of(names: Sequence[str], phrases: Phrases) -> Places:
    """Where the tokens of themes stand, by their names, for rolls of these phrases.

    Raises:
        UsageError: A bar of the phrases is not cut as the tokens cut it, or they have no guitar or no piano.
    """
    ids = {name: i for i, name in enumerate(names)}
    steps = sum(name.startswith("Position_") for name in names)
    if phrases.sizes["n_steps"] != steps:
        raise UsageError("themes have {steps} steps a bar, these phrases have {found}", steps=steps, found=phrases.sizes["n_steps"])
    if missing := [track for track in VOICES if track not in phrases.tracks]:
        raise UsageError("the band has no {track}, and the bridge needs it", track=missing[0])
    lowest = int(phrases.info["form"]["lowest_pitch"])
    on, duration, velocity = (
        tuple(ids[f"Note-{kind}-{track}_{value}"] for track in ("MELODY", "PIANO"))
        for kind, value in (("On", lowest), ("Duration", 1), ("Velocity", LOUDNESS))
    )
    start, end, bar, position = (ids[name] for name in ("Theme_Start", "Theme_End", "Bar_None", "Position_0"))
    return Places(len(ids), start, end, bar, position, (on[0], on[1]), (duration[0], duration[1]), (velocity[0], velocity[1]))


def losses(transformer: Any, theme: SoftTheme, places: Places) -> tuple[torch.Tensor, torch.Tensor]:
    """Nats per token (B,) of every theme as an opening, and where it is heard as the theme and comes back; see the head of this file."""
    ids, shares = theme.ids, theme.shares
    embedded = theme.embedded(transformer.token_embedding.weight)
    heard = (ids != 0)[:, None, None]
    memory = transformer.encode(ids, embedded=embedded)
    inside = (ids != 0) & (ids != places.end)
    labels = torch.where(inside, torch.arange(1, ids.shape[1] + 1, device=ids.device), 0)
    told = []
    for first, place, wanted in ((1, torch.zeros_like(labels), inside), (0, labels, ids != 0)):
        logits = transformer.decode(ids[:, first:-1], place[:, first:-1], memory, heard, embedded=embedded[:, first:-1])
        nats = -(shares[:, first + 1 :] * functional.log_softmax(logits.float(), dim=2)).sum(2)
        counted = wanted[:, first + 1 :]
        told.append((nats * counted).sum(1) / counted.sum(1).clamp(min=1))
    return told[0], told[1]


@dataclass
class _Band(Adversarial):
    """The band, whose generator hears what the transformer says.

    Args:
        places: Where the tokens stand.
        bridge: The recipe's [training.bridge].
    """

    places: Places
    bridge: BridgeSection
    last: SoftTheme | None = field(init=False, default=None)

    def theme(self, rolls: torch.Tensor) -> SoftTheme:
        """The first bars of phrases (B, M, L, S, P), in the network's range, as themes."""
        rows = [self.phrases.tracks.index(track) for track in VOICES]
        heard = self.family.scores(self.config, rolls)[:, rows, : self.bridge.bars]
        return soft_theme(heard, self.places, voices=self.bridge.voices, slope=self.bridge.slope)

    def _extra(self, turn: Turn, made: torch.Tensor) -> torch.Tensor:
        """What the transformer's two losses add to the generator's: this process's share."""
        rules, transformer = self.bridge, turn.network.transformer
        theme = self.theme(made[: max(1, rules.judged // turn.world)])
        transformer.requires_grad_(False)  # its turn comes later
        opening, back = losses(transformer, theme, self.places)
        transformer.requires_grad_(True)
        self.last = SoftTheme(theme.ids, theme.shares.detach())
        return (rules.opening * opening + rules.back * back).mean() / turn.world


@dataclass
class _Songs(Themes):
    """The songs of the transformer, which also learns to bring back what the band has just made.

    Args:
        band: The band.
    """

    band: _Band

    def _extra(self, turn: Turn, part: Batch, n_ids: float) -> torch.Tensor | float:
        made, welcome = self.band.last, self.band.bridge.welcome
        return 0.0 if made is None or not welcome else welcome * losses(turn.network, made, self.band.places)[1].mean()


class BridgeJoint:
    """Both, one after the other in every step.

    Args:
        phrases: Of the band.
        songs: Of the transformer.
        names: Tokens of the songs by id.
        recipe: The whole recipe.
        family: `kapelle.models.bridge_joint`.
    """

    def __init__(self, phrases: Phrases, songs: ThemeShards, names: Sequence[str], recipe: Recipe, family: Any) -> None:
        from kapelle.models import theme

        self.settings, self.bridge = recipe.training, recipe.training.bridge
        shape = {**recipe.model.get(TRANSFORMER[:-1], {}), "vocabulary": songs.vocabulary_size}
        model = {**recipe.model, TRANSFORMER[:-1]: shape}
        self.band = _Band(phrases, recipe.training, family, model, places_of(names, phrases), self.bridge)
        slower = replace(
            recipe.training, batch_size=self.bridge.songs, learning_rate=recipe.training.learning_rate * self.bridge.transformer_rate
        )
        self.songs = _Songs(songs, slower, theme.logits, self.band)
        self.sizes: Mapping[str, Any] = {**self.band.sizes, TRANSFORMER[:-1]: shape}
        self.steps_per_epoch = self.band.steps_per_epoch

    def optimizers(self, network: Any) -> dict[str, torch.optim.Optimizer]:
        """The band's two, and one for the transformer."""
        return {**self.band.optimizers(network), "transformer": adamw(network.transformer, self.songs.settings)}

    def step(self, turn: Turn) -> Figures:
        """A step of the band, then one of the transformer; figures of the latter begin with "songs_"."""
        figures = dict(self.band.step(turn))
        if self.bridge.transformer_rate:
            told = self.songs.step(self._songs_turn(turn))
            figures |= {f"songs_{name}": value for name, value in told.items() if name in ("loss", "accuracy")}
        return figures

    def _songs_turn(self, turn: Turn) -> Turn:
        return replace(turn, network=turn.network.transformer, update=lambda name: turn.update("transformer"))

    @torch.no_grad()
    def validate(self, turn: Turn) -> dict[str, float]:
        """Figures of both sides, and of the bridge: bits per token of made and of held-out openings, and where they return."""
        told = self.band.validate(turn)
        told |= {f"songs_{name}": value for name, value in self.songs.validate(self._songs_turn(turn)).items()}
        made = self.band.made(turn.network.averaged, self.bridge.validation_themes, turn.device)
        told |= self.judged(turn, made, "made")
        places = self.band._reference_places[: self.bridge.validation_themes]
        told |= self.judged(turn, self.band.phrases.cells(places), "held_out")
        return {**told, "validation": told["validation"] * told["made_opening_bits"]}

    def judged(self, turn: Turn, cells: np.ndarray, whose: str) -> dict[str, float]:
        """What the transformer says of the openings of phrases (N, M, L, S, P), as bits per token, and how many tokens they have."""
        sums = np.zeros(3)
        for first in range(0, len(cells), AT_ONCE):
            turn.pause()
            rolls = self.band.family.real(self.band.config, torch.from_numpy(cells[first : first + AT_ONCE]).to(turn.device))
            theme = self.band.theme(rolls)
            opening, back = losses(turn.network.transformer, theme, self.band.places)
            sums += [float(opening.sum()), float(back.sum()), float((theme.ids != 0).sum())]
        opening_nats, back_nats, tokens = sums / max(1, len(cells))
        bits = {"opening_bits": opening_nats / math.log(2), "return_bits": back_nats / math.log(2), "tokens": tokens}
        return {f"{whose}_{name}": value for name, value in bits.items()}


def make(data: Path, recipe: Recipe, family: Any) -> BridgeJoint:
    """The objective over a folder of phrases with songs inside."""
    from kapelle.data import phrase_shards, theme_shards

    songs = data / THEMES
    return BridgeJoint(phrase_shards.read(data), theme_shards.read(songs), transfer.names(songs / "tokenizer.json"), recipe, family)


def join(band: Path, transformer: Path, out: Path) -> Path:
    """Write the weights of two runs into the folder `out`, from which a joint run can begin; the file.

    Raises:
        Missing: One of them has no weights.
        CheckpointError: They are damaged.
    """
    from safetensors.torch import save_file

    held = {**run_folder.weights_of(band), **{TRANSFORMER + name: value for name, value in run_folder.weights_of(transformer).items()}}
    out.mkdir(parents=True, exist_ok=True)
    save_file(held, out / run_folder.WEIGHTS)
    return out / run_folder.WEIGHTS


def part(joint: Path, band: Path, transformer: Path, out: Path) -> tuple[Path, Path]:
    """Two folders in `out`, ``band`` and ``theme``: the runs that a joint one began with, with the weights that it came to.

    Args:
        joint: The run, or a file of its weights.
        band: The run that the band's side began with; its recipe and the description of its data are copied.
        transformer: The same of the transformer's.
        out: The folder.
    """
    from safetensors.torch import save_file

    held = run_folder.weights_of(joint)
    sides = {
        name: {key: value for key, value in held.items() if key.startswith(TRANSFORMER) == (name == "theme")} for name in ("band", "theme")
    }
    sides["theme"] = {name.removeprefix(TRANSFORMER): value for name, value in sides["theme"].items()}
    for name, begun in (("band", band), ("theme", transformer)):
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        for copied in ("recipe.toml", *run_folder.COPIES):
            if (begun / copied).is_file():
                shutil.copyfile(begun / copied, folder / copied)
        save_file(sides[name], folder / run_folder.WEIGHTS)
    return out / "band", out / "theme"
