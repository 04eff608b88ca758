"""Training an encoder to tell fragments of melodies apart whatever does not matter about them: contrastive learning.

Takes fragment shards and a network that makes points of length 1. A step draws one fragment each of as many songs as the batch has rows
and changes it twice (`kapelle.data.themes.changed`): the two are to lie near each other, and far from all fragments of other songs, by
the normalised temperature-scaled cross-entropy (NT-Xent). Two fragments of one song never meet in a step, since they may well be alike.

Validation does the same with held-out songs, a few fragments of each, always the same and changed in the same way: "validation" is the
loss, "found" the share of fragments whose nearest neighbour is the other change of the same fragment.

Source: Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations"; the three changes: Shih et al. 2022.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from kapelle.data import themes
from kapelle.errors import UsageError
from kapelle.training.objectives import adamw

if TYPE_CHECKING:
    from kapelle.data.fragment_shards import Fragments
    from kapelle.training.objectives import Figures, Turn
    from kapelle.training.recipe import ContrastiveSection, TrainingSection

GROUPS = 4
"""Portions that a batch is read in."""

VALIDATION_KEY = 2**32
"""Where the chance of validation is drawn from, away from that of the steps."""


@dataclass
class Contrastive:
    """NT-Xent over pairs of changes of one fragment.

    Args:
        fragments: What to learn from.
        settings: The recipe's [training]; `batch_size` counts fragments, no more than there are songs.
    """

    fragments: Fragments
    settings: TrainingSection

    def __post_init__(self) -> None:
        self.own: ContrastiveSection = self.settings.contrastive
        self.songs = self.fragments.by_song("train")
        if len(self.songs) < 2:
            raise UsageError("contrastive training needs fragments of two songs at least", hint="give more songs")
        self.rows = min(self.settings.batch_size, len(self.songs))
        self.steps_per_epoch = max(1, sum(map(len, self.songs)) // self.rows)
        self.sizes: Mapping[str, Any] = themes.SIZES
        own = self.own
        self.changes = themes.Changes(own.degrees, own.last, own.split, own.join)

    def optimizers(self, network: torch.nn.Module) -> dict[str, torch.optim.Optimizer]:
        """One AdamW."""
        return {"adamw": adamw(network, self.settings)}

    def step(self, turn: Turn) -> Figures:
        """One update; each of several processes compares the pairs of its own share with one another."""
        draw = np.random.Generator(np.random.Philox(key=[self.settings.seed, turn.step]))
        songs = draw.permutation(len(self.songs))[: self.rows]
        places = np.array([draw.choice(self.songs[song]) for song in songs])[turn.rank :: turn.world]
        turn.pause()
        loss, found = nt_xent(self._points(turn, self._changed(places, draw)), self.own.temperature)
        turn.backward(loss / turn.world)
        norm = turn.update("adamw")
        figures = {"loss": loss.detach() / turn.world, "found": found / turn.world, "gradient_norm": norm / turn.world}
        return {**figures, "tokens": float(len(places))}

    @torch.no_grad()
    def validate(self, turn: Turn) -> dict[str, float]:
        """Loss, and the share of fragments found, of held-out songs."""
        songs = self.fragments.by_song("validation")
        if len(songs) < 2:
            return {}
        draw = np.random.Generator(np.random.Philox(key=[self.settings.seed, VALIDATION_KEY]))
        losses, shares = [], []
        for _ in range(self.own.validation_rounds):
            turn.pause()
            places = np.array([draw.choice(song) for song in songs])
            loss, found = nt_xent(self._points(turn, self._changed(places, draw)), self.own.temperature)
            losses.append(float(loss))
            shares.append(float(found))
        return {"validation": float(np.mean(losses)), "validation_found": float(np.mean(shares))}

    def _changed(self, places: np.ndarray, draw: np.random.Generator) -> list[themes.Fragment]:
        """Two changes of every fragment: the first of all, then the second of all."""
        held = [(self.fragments.fragment(int(place)), int(self.fragments.table["tonic"][place])) for place in places]
        return [themes.Fragment(one.bar, themes.changed(one.notes, tonic, draw, self.changes)) for _ in range(2) for one, tonic in held]

    def _points(self, turn: Turn, found: list[themes.Fragment]) -> torch.Tensor:
        """(N, D): the network reads fragments of about one length together, since it would read padding as well."""
        order = np.argsort([len(one.notes) for one in found], kind="stable")
        parts = []
        for group in np.array_split(order, GROUPS):
            ids = themes.features([found[place] for place in group])
            parts.append(turn.network({kind: torch.from_numpy(rows).to(turn.device) for kind, rows in ids.items()}))
        return torch.cat(parts)[torch.from_numpy(np.argsort(order)).to(turn.device)]


def nt_xent(points: torch.Tensor, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss, and the share of points whose nearest neighbour is their pair.

    Args:
        points: (2 N, D) of length 1; rows i and N + i are a pair.
        temperature: What cosines are divided by.
    """
    n = len(points) // 2
    cosines = (points @ points.T).float() / temperature
    cosines = cosines.masked_fill(torch.eye(2 * n, dtype=torch.bool, device=points.device), -torch.inf)
    pairs = torch.arange(2 * n, device=points.device).roll(n)
    return F.cross_entropy(cosines, pairs), (cosines.detach().argmax(1) == pairs).float().mean()
