"""Small real objectives of the other kinds, each with its network: adversarial, contrastive, classifying.

They take the loop, checkpoints and resume the way the language model does. This module is also a family: ``kind`` in its Config
says which network to build. `register` puts them into the tables for the length of a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from kapelle import models
from kapelle.config import setting
from kapelle.training import objectives

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

    from kapelle.training.objectives import Figures, Turn
    from kapelle.training.recipe import Recipe

KIND = "one_shot"
WIDTH = 8


@dataclass(frozen=True)
class Config:
    kind: str = setting(choices=("gan", "contrastive", "classifier"))
    hidden: int = setting(16, min=1)


class Gan(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, WIDTH))
        self.critic = nn.Sequential(nn.Linear(WIDTH, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1))


def build(config: Config) -> nn.Module:
    if config.kind == "gan":
        return Gan(config.hidden)
    out = 3 if config.kind == "classifier" else 4
    return nn.Sequential(
        nn.Linear(WIDTH, config.hidden), nn.BatchNorm1d(config.hidden), nn.ReLU(), nn.Dropout(0.1), nn.Linear(config.hidden, out)
    )


def drawn(seed: int, step: int, n: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed * 100_003 + step * 11 + n)


class Base:
    """What the three share: synthetic data by step, an epoch of five steps."""

    def __init__(self, data: Path, recipe: Recipe, family: Any) -> None:
        self.settings, self.steps_per_epoch = recipe.training, 5
        self.sizes: Mapping[str, Any] = {}

    def share(self, turn: Turn, rows: torch.Tensor) -> torch.Tensor:
        return rows[turn.rank :: turn.world].to(turn.device)


class WassersteinGan(Base):
    """Three critic steps with gradient penalty, then one of the generator; two Adams with learning rates of their own."""

    def optimizers(self, network: Any) -> dict[str, torch.optim.Optimizer]:
        rate = self.settings.learning_rate
        return {
            "critic": torch.optim.Adam(network.critic.parameters(), lr=rate, betas=(0.5, 0.9)),
            "generator": torch.optim.Adam(network.generator.parameters(), lr=rate / 4, betas=(0.5, 0.9)),
        }

    def real(self, draw: torch.Generator, n: int) -> torch.Tensor:
        return 0.3 * torch.randn(n, WIDTH, generator=draw) + torch.arange(WIDTH) / WIDTH

    def step(self, turn: Turn) -> Figures:
        network, n = turn.network, self.settings.batch_size
        critic_loss = 0.0
        for turn_of_critic in range(3):
            draw = drawn(self.settings.seed, turn.step, turn_of_critic)
            real, noise, mix = self.real(draw, n), torch.randn(n, 4, generator=draw), torch.rand(n, 1, generator=draw)
            real, noise, mix = (self.share(turn, rows) for rows in (real, noise, mix))
            fake = network.generator(noise).detach()
            between = (mix * real + (1 - mix) * fake).requires_grad_()
            slope = torch.autograd.grad(network.critic(between).sum(), between, create_graph=True)[0].norm(dim=1)
            loss = (network.critic(fake) - network.critic(real)).sum() / n + 10 * ((slope - 1) ** 2).sum() / n
            turn.backward(loss)
            turn.update("critic")
            critic_loss += float(loss.detach())
        noise = self.share(turn, torch.randn(n, 4, generator=drawn(self.settings.seed, turn.step, 9)))
        loss = -network.critic(network.generator(noise)).sum() / n
        turn.backward(loss)
        turn.update("generator")
        return {"loss": critic_loss / 3, "generator_loss": loss.detach()}

    def validate(self, turn: Turn) -> dict[str, float]:
        with torch.no_grad():
            made = turn.network.generator(torch.randn(256, 4))  # from the generator that the loop seeds
        return {"validation": float((made.mean(0) - torch.arange(WIDTH) / WIDTH).abs().mean())}


class Contrastive(Base):
    """Two noisy views of the same rows must find one another (InfoNCE); BatchNorm makes the network remember its batches."""

    def optimizers(self, network: Any) -> dict[str, torch.optim.Optimizer]:
        return {"sgd": torch.optim.SGD(network.parameters(), lr=self.settings.learning_rate, momentum=0.9)}

    def loss(self, network: Any, draw: torch.Generator) -> torch.Tensor:
        rows = torch.randn(self.settings.batch_size, WIDTH, generator=draw)
        views = [F.normalize(network(rows + 0.1 * torch.randn(rows.shape, generator=draw)), dim=1) for _ in range(2)]
        return F.cross_entropy(views[0] @ views[1].T / 0.2, torch.arange(len(rows)))

    def step(self, turn: Turn) -> Figures:
        loss = self.loss(turn.network, drawn(self.settings.seed, turn.step, 0)) / turn.world  # negatives are the whole batch
        turn.pause()
        turn.backward(loss)
        turn.update("sgd")
        return {"loss": loss.detach()}

    def validate(self, turn: Turn) -> dict[str, float]:
        with torch.no_grad():
            return {"validation": float(self.loss(turn.network, drawn(1, 0, 0)))}


class Classifier(Base):
    """Three classes by the largest of the first three features."""

    def optimizers(self, network: Any) -> dict[str, torch.optim.Optimizer]:
        return {"adamw": objectives.adamw(network, self.settings)}

    def rows(self, draw: torch.Generator, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.randn(n, WIDTH, generator=draw)
        return rows, rows[:, :3].argmax(1)

    def step(self, turn: Turn) -> Figures:
        rows, classes = self.rows(drawn(self.settings.seed, turn.step, 0), self.settings.batch_size)
        loss = F.cross_entropy(turn.network(self.share(turn, rows)), self.share(turn, classes), reduction="sum") / len(rows)
        turn.backward(loss)
        turn.update("adamw")
        return {"loss": loss.detach(), "tokens": float(len(rows)) / turn.world}

    def validate(self, turn: Turn) -> dict[str, float]:
        rows, classes = self.rows(drawn(77, 0, 0), 300)
        with torch.no_grad():
            right = turn.network(rows).argmax(1) == classes
        return {"accuracy": float(right.float().mean()), "validation": 1 - float(right.float().mean())}


KINDS = {"gan": WassersteinGan, "contrastive": Contrastive, "classifier": Classifier}


def register(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(models.FAMILIES, "fakes", __name__)
    for name, kind in KINDS.items():
        patch.setitem(objectives.OBJECTIVES, name, kind)


def recipe(kind: str, steps: int = 12) -> str:
    return f"""
name = "{kind}"
family = "fakes"
codec = "roll"
objective = "{kind}"
[model]
kind = "{kind}"
[training]
steps = {steps}
batch_size = 16
learning_rate = 0.01
warmup_steps = 2
clip_norm = 0.0
precision = "32-true"
validate_every = 4
log_every = 1
"""
