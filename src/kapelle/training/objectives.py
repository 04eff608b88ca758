"""What a training run optimises. The loop knows only this protocol; networks and data meet here.

`LanguageModel` is the first: next-token cross-entropy over blocks of ids. Others (adversarial, contrastive, classifying) have
several optimisers or other data and plug in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch.nn import functional as F

from kapelle.data.shards import Shards
from kapelle.training import batches
from kapelle.training.recipe import TrainingSection

Backward = Callable[[torch.Tensor], None]


class Objective(Protocol):
    """One way of training."""

    steps_per_epoch: int

    def optimizers(self, model: torch.nn.Module) -> dict[str, torch.optim.Optimizer]:
        """The optimisers, by name; all of them are checkpointed."""

    def step(self, model: Any, step: int, rank: int, world: int, backward: Backward) -> dict[str, float]:
        """Leave the gradients of one step in the model (calling `backward` once or more) and return figures to log, "loss" among them."""

    def validate(self, model: Any, device: torch.device) -> dict[str, float]:
        """Figures on held-out data; "validation" is the one to make small."""


def adamw(model: torch.nn.Module, settings: TrainingSection) -> torch.optim.AdamW:
    """AdamW with decay on matrices only: biases, norms and single vectors are left alone."""
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(settings.beta1, settings.beta2))


@dataclass
class LanguageModel:
    """Cross-entropy of the next id, PAD ignored.

    Args:
        shards: What to learn.
        settings: The recipe's [training].
        length: Ids in a block.
        logits: (model, ids (B, T)) -> logits (B, T, V).
    """

    shards: Shards
    settings: TrainingSection
    length: int
    logits: Callable[[Any, torch.Tensor], torch.Tensor]

    def __post_init__(self) -> None:
        self.batches = batches.Batches(self.shards, self.settings, self.length)
        self.steps_per_epoch = self.batches.steps_per_epoch
        self.pad = int(self.shards.info["pad"])

    def optimizers(self, model: torch.nn.Module) -> dict[str, torch.optim.Optimizer]:
        """One AdamW."""
        return {"adamw": adamw(model, self.settings)}

    def step(self, model: Any, step: int, rank: int, world: int, backward: Backward) -> dict[str, float]:
        """Gradients of the mean over all ids of the step, however the blocks are dealt to processes and micro-batches."""
        whole = self.batches.batch(step)
        n_targets = int((whole[:, 1:] != self.pad).sum())
        mine = torch.from_numpy(whole[rank::world])
        total = 0.0
        for part in mine.split(self.settings.micro_batch or len(mine)):
            ids = part.to(next(model.parameters()).device)
            loss = self._loss(model, ids) * world / n_targets
            backward(loss)
            total += float(loss.detach()) / world
        return {"loss": total, "tokens": float(n_targets)}

    def _loss(self, model: Any, ids: torch.Tensor) -> torch.Tensor:
        scores = self.logits(model, ids[:, :-1])  # (B, T-1, V)
        return F.cross_entropy(scores.flatten(0, 1).float(), ids[:, 1:].flatten(), ignore_index=self.pad, reduction="sum")

    def validate(self, model: Any, device: torch.device) -> dict[str, float]:
        """Bits per note and per token on the validation part."""
        chosen = batches.evaluation_blocks(self.shards, 1, self.settings.validation_blocks)
        if not len(chosen):
            return {}
        bits, tokens, notes = score_blocks(self, model, chosen, device)
        return {"bits_per_note": bits / max(notes, 1), "bits_per_token": bits / max(tokens, 1), "validation": bits / max(tokens, 1)}


@torch.no_grad()
def score_blocks(objective: LanguageModel, model: Any, chosen: np.ndarray[Any, Any], device: torch.device) -> tuple[float, int, int]:
    """Bits, ids and notes of evaluation blocks; every id counts once though blocks overlap."""
    low, high = objective.shards.info["note_ids"]
    bits, tokens, notes = 0.0, 0, 0
    for group in np.array_split(chosen, math.ceil(len(chosen) / 8)):
        ids = np.stack([objective.shards.block(int(block), objective.length) for block in group])
        counts = np.stack([batches.scored(objective.shards, int(b), row) for b, row in zip(group, ids, strict=True)])[:, 1:]
        batch = torch.from_numpy(ids).to(device)
        scores = objective.logits(model, batch[:, :-1]).float()
        loss = F.cross_entropy(scores.flatten(0, 1), batch[:, 1:].flatten(), reduction="none").view(batch.shape[0], -1)
        bits += float((loss.cpu() * torch.from_numpy(counts)).sum()) / math.log(2)
        tokens += int(counts.sum())
        notes += int((counts & (ids[:, 1:] >= low) & (ids[:, 1:] < high)).sum())
    return bits, tokens, notes


def _language_model(shards: Shards, settings: TrainingSection, length: int, family: Any) -> Objective:
    return LanguageModel(shards, settings, length, family.logits)


OBJECTIVES: dict[str, Callable[[Shards, TrainingSection, int, Any], Objective]] = {"language_model": _language_model}
"""Name in a recipe -> how to make it of (shards, [training], ids in a block, module of the family)."""
