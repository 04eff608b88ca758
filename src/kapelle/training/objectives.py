"""What a training run optimises. The loop knows only the protocol `Objective`; networks and data meet here.

An objective reads its data, makes its optimisers, and in every step calls ``turn.backward`` for gradients and ``turn.update`` for
each optimiser whose turn it is. `LanguageModel`, the first, does so once; an adversarial one updates its critic several times and
then its generator, on one network whose parts are the two. A new one is a class and a row in `OBJECTIVES`.

Processes: every process is given the same step and does its share of it. Gradients and figures are *added up* over processes, so
an objective divides by what the whole step holds, not by its share.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.nn import functional as F

from kapelle.data import shards as shard_files
from kapelle.data.shards import Shards
from kapelle.errors import UnknownName
from kapelle.training import batches, score
from kapelle.training.recipe import Recipe, TrainingSection

if TYPE_CHECKING:
    from pathlib import Path

Figures = Mapping[str, float | torch.Tensor]
"""Scalars; tensors may stay on their device until somebody wants to read them, so that a GPU is not waited for at every step."""


@dataclass(frozen=True)
class Turn:
    """What the loop hands to an objective for one step or one validation.

    Args:
        network: The network, ready to be called or its parts to be called; the mode (train or eval) is set. Called as a whole it computes
            in the recipe's ``precision``; its parts, called by themselves, in 32 bits.
        device: Where batches must go.
        step: Steps done before this one.
        rank: This process, from 0.
        world: Number of processes.
        backward: Adds the gradients of a loss.
        update: Name of an optimiser -> adds up the gradients over processes, clips them, steps, clears all gradients of the
            network, and returns the norm that the gradients had.
        pause: Call it where a long piece of work can be left off; it does not return if the run was asked to stop.
    """

    network: Any
    device: torch.device
    step: int
    rank: int
    world: int
    backward: Callable[[torch.Tensor], None]
    update: Callable[[str], float | torch.Tensor]
    pause: Callable[[], None]


class Objective(Protocol):
    """One way of training."""

    steps_per_epoch: int
    sizes: Mapping[str, Any]
    """Entries of the family's Config that the data decides, such as the size of the vocabulary."""

    def optimizers(self, network: torch.nn.Module) -> dict[str, torch.optim.Optimizer]:
        """The optimisers by name, each with its own highest learning rate; the schedule scales them all, checkpoints hold them all."""

    def step(self, turn: Turn) -> Figures:
        """Do this process's share of one step, updates included, and return its share of the figures to log, "loss" among them.

        Everything random is a function of ``turn.step``, or drawn from torch's global generator, which the loop seeds for every
        step and process; so a resumed run does what it would have done.
        """

    def validate(self, turn: Turn) -> dict[str, float]:
        """Figures on held-out data, whole on every process; "validation" is the one to make small. Empty if there is no such data."""


def adamw(network: torch.nn.Module, settings: TrainingSection) -> torch.optim.AdamW:
    """AdamW with decay on matrices only: biases, norms and single vectors are left alone."""
    matrices = [p for p in network.parameters() if p.requires_grad and p.ndim >= 2]
    vectors = [p for p in network.parameters() if p.requires_grad and p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(settings.beta1, settings.beta2))


@dataclass
class LanguageModel:
    """Cross-entropy of the next id, PAD ignored.

    Args:
        shards: What to learn.
        settings: The recipe's [training].
        logits: (network, ids (B, T)) -> logits (B, T, V).
    """

    shards: Shards
    settings: TrainingSection
    logits: score.Logits

    def __post_init__(self) -> None:
        self.length = self.shards.context_len
        self.batches = batches.Batches(self.shards, self.settings, self.length)
        self.steps_per_epoch = self.batches.steps_per_epoch
        self.sizes: Mapping[str, Any] = {"vocabulary": self.shards.vocabulary_size}
        self.pad = int(self.shards.info["pad"])

    def optimizers(self, network: torch.nn.Module) -> dict[str, torch.optim.Optimizer]:
        """One AdamW."""
        return {"adamw": adamw(network, self.settings)}

    def step(self, turn: Turn) -> Figures:
        """One update by the mean over all ids of the step, however the blocks are dealt to processes and micro-batches."""
        whole = self.batches.batch(turn.step)
        n_targets = int((whole[:, 1:] != self.pad).sum())
        mine = torch.from_numpy(whole[turn.rank :: turn.world])
        total, hits = torch.zeros((), device=turn.device), torch.zeros((), device=turn.device)
        for part in torch.split(mine, self.settings.micro_batch or max(1, len(mine))) if len(mine) else ():
            turn.pause()
            loss, right = self._loss(turn.network, part.to(turn.device))
            turn.backward(loss / n_targets)
            total += loss.detach() / n_targets
            hits += right / n_targets
        norm = turn.update("adamw")
        tokens = float((mine[:, 1:] != self.pad).sum())
        return {"loss": total, "accuracy": hits, "tokens": tokens, "gradient_norm": norm / turn.world}

    def _loss(self, network: Any, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Summed loss, and how many ids were the likeliest ones; PAD aside."""
        scores, wanted = self.logits(network, ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten()  # (B·(T-1), V)
        loss = F.cross_entropy(scores.float(), wanted, ignore_index=self.pad, reduction="sum")
        return loss, ((scores.detach().argmax(dim=1) == wanted) & (wanted != self.pad)).sum()

    def validate(self, turn: Turn) -> dict[str, float]:
        """Bits per note and per token, loss (nats per token), perplexity and accuracy on the validation part, or some blocks of it."""
        chosen = score.blocks_of(self.shards, score.VALIDATION, self.settings.validation_blocks)
        found = score.score_blocks(self.shards, chosen, self.logits, turn.network, turn.device, pause=turn.pause)
        if not found.tokens:
            return {}
        bits = found.bits_per_token
        same = {"validation_loss": bits * math.log(2), "perplexity": 2.0**bits}  # in the units of the training loss, and of papers
        told = {"bits_per_note": found.bits_per_note, "bits_per_token": bits, "validation_accuracy": found.accuracy}
        return {**told, **same, "validation": bits}


def _language_model(data: Path, recipe: Recipe, family: Any) -> Objective:
    return LanguageModel(shard_files.read(data), recipe.training, family.logits)


def _next_item(data: Path, recipe: Recipe, family: Any) -> Objective:
    from kapelle.training.windows import NextItem

    return NextItem(shard_files.read(data), recipe.training, family.logits)


def _adversarial(data: Path, recipe: Recipe, family: Any) -> Objective:
    from kapelle.data import phrase_shards
    from kapelle.training.adversarial import Adversarial

    return Adversarial(phrase_shards.read(data), recipe.training, family, recipe.model)


def _theme(data: Path, recipe: Recipe, family: Any) -> Objective:
    from kapelle.data import theme_shards
    from kapelle.training.themes import Themes

    return Themes(theme_shards.read(data), recipe.training, family.logits)


def _contrastive(data: Path, recipe: Recipe, family: Any) -> Objective:
    from kapelle.data import fragment_shards
    from kapelle.training.contrastive import Contrastive

    return Contrastive(fragment_shards.read(data), recipe.training)


def _theme_variational(data: Path, recipe: Recipe, family: Any) -> Objective:
    from kapelle.data import theme_shards
    from kapelle.training.themes_variational import VariationalThemes

    return VariationalThemes(theme_shards.read(data), recipe.training, family.logits)


def _bridge_joint(data: Path, recipe: Recipe, family: Any) -> Objective:
    from kapelle.training import bridge_joint

    return bridge_joint.make(data, recipe, family)


def _classifier(data: Path, recipe: Recipe, family: Any) -> Objective:
    from kapelle.data import roll_shards
    from kapelle.training.classifying import Classifying

    return Classifying(roll_shards.read(data), recipe.training)


OBJECTIVES: dict[str, Callable[[Path, Recipe, Any], Objective]] = {
    "language_model": _language_model,
    "next_item": _next_item,
    "adversarial": _adversarial,
    "theme": _theme,
    "contrastive": _contrastive,
    "theme_variational": _theme_variational,
    "bridge_joint": _bridge_joint,
    "classifier": _classifier,
}
"""Name in a recipe -> how to make it of (data folder, recipe, module of the family)."""


def make(data: Path, recipe: Recipe, family: Any) -> Objective:
    """The objective that a recipe names, over a data folder.

    Raises:
        UnknownName: The table has no such row.
    """
    if recipe.objective not in OBJECTIVES:
        raise UnknownName("objective", recipe.objective, OBJECTIVES)
    return OBJECTIVES[recipe.objective](data, recipe, family)
