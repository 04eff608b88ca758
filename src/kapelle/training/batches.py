"""Which blocks a training step sees: a pure function of (seed, step), so that a resumed run sees what it would have seen.

Takes shards, gives ids (B, T). Genres are balanced by `balance`, pieces within a genre weigh by their blocks. Blocks are drawn
with replacement; an epoch is as many draws as there are training blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kapelle.data.shards import Shards
from kapelle.errors import UsageError
from kapelle.training.recipe import TrainingSection

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Batches:
    """Training batches of some shards."""

    shards: Shards
    settings: TrainingSection
    length: int  # ids in a block

    @cached_property
    def by_genre(self) -> list[NDArray[np.int64]]:
        """Training blocks of every genre that has some."""
        blocks = self.shards.blocks
        genre = self.shards.pieces["genre"][blocks["piece"]]
        groups = [np.flatnonzero((genre == g) & (self.shards.block_parts == 0)) for g in range(len(self.shards.genres))]
        groups = [group for group in groups if len(group)]
        if not groups:
            raise UsageError("no piece of the shards is for training", hint="lower the shares of validation and test in the recipe")
        return groups

    @cached_property
    def steps_per_epoch(self) -> int:
        """Steps until as many blocks were drawn as there are."""
        return max(1, sum(len(group) for group in self.by_genre) // self.settings.batch_size)

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        sizes = np.array([len(group) for group in self.by_genre], float) ** (1 - self.settings.balance)
        share: NDArray[np.float64] = sizes / sizes.sum()
        return share

    def batch(self, step: int) -> Ids:
        """(B, T) the blocks of a step, augmented."""
        draw = np.random.Generator(np.random.Philox(key=[self.settings.seed, step]))
        rows = []
        for genre in draw.choice(len(self.by_genre), self.settings.batch_size, p=self._weights):
            group = self.by_genre[genre]
            rows.append(self._augment(int(group[draw.integers(len(group))]), draw))
        return np.stack(rows)

    def _augment(self, block: int, draw: np.random.Generator) -> Ids:
        place = int(self.shards.blocks[block]["piece"])
        piece = self.shards.pieces[place]
        if draw.random() < self.settings.excerpts:
            ids = self.shards.cut(place, int(draw.integers(piece["n_bars"])), self.length, opening=True)
        else:
            ids = self.shards.block(block, self.length)
        reach, levels = self.settings.semitones, self.settings.velocity_levels
        shift = int(draw.integers(max(-reach, piece["down"]), min(reach, piece["up"]) + 1))
        louder = int(draw.integers(-levels, levels + 1))
        transpose, velocity = self.shards.transpose, self.shards.velocity
        ids = transpose[len(transpose) // 2 + shift][ids].astype(np.int64)
        out: Ids = velocity[len(velocity) // 2 + louder][ids].astype(np.int64)
        return out
