"""How long to train on how much music: the rule, and what it changes in a recipe.

A recipe's steps are meant for its own data. On other music training goes over the blocks for a number of epochs (`FRESH` from nothing,
`ON` when it goes on from a model), with the fewest steps that anything can be learned in and never more than the recipe's. Validation
comes about once in an epoch, or as often as the recipe says if that is more; when it has not improved `PATIENCE` times, training ends, and
the best weights are the ones kept.
Going on from a model, the learning rate is a tenth of the recipe's, so that what is known is not thrown away.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from kapelle.training.score import TRAIN, VALIDATION

if TYPE_CHECKING:
    from kapelle.data.shards import Shards
    from kapelle.training.recipe import TrainingSection


@dataclass(frozen=True)
class Rule:
    """How to go about it.

    Args:
        epochs: How often every block is seen.
        fewest_steps: Fewer are never done, unless the recipe has fewer.
        rate: Share of the recipe's learning rate.
    """

    epochs: float
    fewest_steps: int
    rate: float


FRESH = Rule(epochs=20, fewest_steps=200, rate=1.0)
ON = Rule(epochs=5, fewest_steps=40, rate=0.1)
VALIDATIONS = 20
"""In a training of many short epochs: spread evenly."""
PATIENCE = 4
WARM_UP = 0.1
"""Share of the steps in which the learning rate rises, at most the recipe's."""


@dataclass(frozen=True)
class Schedule:
    """How training will go.

    Args:
        steps: Of the optimiser, at most.
        epochs: How often that sees every block.
        blocks: Blocks for training.
        held_out_blocks: Blocks for validation.
        validate_every: Steps between two validations.
        warmup_steps: Steps in which the learning rate rises.
        learning_rate: The highest.
        patience: Validations without a better one that end it; 0 where there is nothing to validate with.
    """

    steps: int
    epochs: float
    blocks: int
    held_out_blocks: int
    validate_every: int
    warmup_steps: int
    learning_rate: float
    patience: int

    def overrides(self) -> tuple[str, ...]:
        """The same as changes to a recipe."""
        names = ("steps", "validate_every", "warmup_steps", "learning_rate", "patience")
        return tuple(f"training.{name}={value!r}" for name, value in asdict(self).items() if name in names)


def schedule(shards: Shards, settings: TrainingSection, rule: Rule, epochs: float = 0.0) -> Schedule:
    """The schedule for some shards.

    Args:
        shards: What to learn.
        settings: The recipe's [training].
        rule: `FRESH` or `ON`.
        epochs: In place of the rule's, without a fewest number of steps and without the recipe's limit; 0: as the rule says.
    """
    blocks, held_out = (int((shards.block_parts == part).sum()) for part in (TRAIN, VALIDATION))
    per_epoch = max(1.0, blocks / settings.batch_size)
    by_rule = min(settings.steps, max(rule.fewest_steps, ceil(rule.epochs * per_epoch)))
    steps = max(1, ceil(epochs * per_epoch)) if epochs else by_rule
    return Schedule(
        steps=steps,
        epochs=round(steps / per_epoch, 2),
        blocks=blocks,
        held_out_blocks=held_out,
        validate_every=min(steps, settings.validate_every, max(ceil(per_epoch), ceil(steps / VALIDATIONS))),
        warmup_steps=min(settings.warmup_steps, ceil(WARM_UP * steps)),
        learning_rate=settings.learning_rate * rule.rate,
        patience=PATIENCE if held_out else 0,
    )


def kept(settings: TrainingSection, shards: Shards) -> dict[str, Any]:
    """The facts of a training that keeps to its recipe."""
    blocks = int((shards.block_parts == TRAIN).sum())
    return {"steps": settings.steps, "epochs": round(settings.steps * settings.batch_size / max(1, blocks), 2), "blocks": blocks}
