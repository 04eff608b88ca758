"""How long to train on how much music: the rule, and what it changes in a recipe.

A recipe's steps are meant for its own data. On other music training goes over the blocks, or a band's phrases, for a number of epochs
(one rule from nothing, another when it goes on from a model), with the fewest steps that anything can be learned in and never more than
the recipe's. Validation comes about once in an epoch, or as often as the recipe says if that is more; when it has not improved as often
as the rule is patient, training ends, and the best weights are the ones kept.
Going on from a model, the learning rate is a tenth of the recipe's, so that what is known is not thrown away.

A band does all its steps: against a critic it takes hundreds of them until phrases differ from one another at all, and up to then
validation rises and falls and says little.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kapelle.training.recipe import TrainingSection


@dataclass(frozen=True)
class Amount:
    """How much music there is.

    Args:
        training: Items to learn from; a step takes a batch of them.
        held_out: Items for validation.
        unit: What an item is called: "blocks", "phrases", "windows" or "fragments".
    """

    training: int
    held_out: int
    unit: str = "blocks"


@dataclass(frozen=True)
class Rule:
    """How to go about it.

    Args:
        epochs: How often every item is seen.
        fewest_steps: Fewer are never done, unless the recipe has fewer.
        rate: Share of the recipe's learning rate.
        patience: Validations without a better one that end it; 0: nothing does.
    """

    epochs: float
    fewest_steps: int
    rate: float
    patience: int


FRESH = Rule(epochs=20, fewest_steps=200, rate=1.0, patience=4)
ON = Rule(epochs=5, fewest_steps=40, rate=0.1, patience=4)
BAND_FRESH = Rule(epochs=20, fewest_steps=1500, rate=1.0, patience=0)
BAND_ON = Rule(epochs=5, fewest_steps=400, rate=0.1, patience=0)
RULES = {
    ("blocks", False): FRESH,
    ("blocks", True): ON,
    ("phrases", False): BAND_FRESH,
    ("phrases", True): BAND_ON,
    ("fragments", False): FRESH,
    ("fragments", True): ON,
    ("windows", False): FRESH,
    ("windows", True): ON,
}
"""(`Amount.unit`, whether training goes on from a model) -> the rule."""

VALIDATIONS = 20
"""In a training of many short epochs: spread evenly."""
WARM_UP = 0.1
"""Share of the steps in which the learning rate rises, at most the recipe's."""


@dataclass(frozen=True)
class Schedule:
    """How training will go.

    Args:
        steps: Of the optimiser, at most.
        epochs: How often that sees every item.
        validate_every: Steps between two validations.
        warmup_steps: Steps in which the learning rate rises.
        learning_rate: The highest.
        patience: Validations without a better one that end it; 0 where there is nothing to validate with.
    """

    steps: int
    epochs: float
    validate_every: int
    warmup_steps: int
    learning_rate: float
    patience: int

    def overrides(self) -> tuple[str, ...]:
        """The same as changes to a recipe."""
        return tuple(f"training.{name}={value!r}" for name, value in asdict(self).items() if name != "epochs")


def schedule(amount: Amount, settings: TrainingSection, rule: Rule, epochs: float = 0.0) -> Schedule:
    """The schedule for some music.

    Args:
        amount: What to learn.
        settings: The recipe's [training].
        rule: Of `RULES`.
        epochs: In place of the rule's, without a fewest number of steps and without the recipe's limit; 0: as the rule says.
    """
    per_epoch = max(1.0, amount.training / settings.batch_size)
    by_rule = min(settings.steps, max(rule.fewest_steps, ceil(rule.epochs * per_epoch)))
    steps = max(1, ceil(epochs * per_epoch)) if epochs else by_rule
    return Schedule(
        steps=steps,
        epochs=round(steps / per_epoch, 2),
        validate_every=min(steps, settings.validate_every, max(ceil(per_epoch), ceil(steps / VALIDATIONS))),
        warmup_steps=min(settings.warmup_steps, ceil(WARM_UP * steps)),
        learning_rate=settings.learning_rate * rule.rate,
        patience=rule.patience if amount.held_out else 0,
    )


def kept(settings: TrainingSection, amount: Amount) -> dict[str, Any]:
    """The facts of a training with these settings."""
    epochs = settings.steps * settings.batch_size / max(1, amount.training)
    return {"steps": settings.steps, "epochs": round(epochs, 2), amount.unit: amount.training}
