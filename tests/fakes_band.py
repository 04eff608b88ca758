"""A band of two tracks, two bars, four steps and twelve pitches: its shards, and a small real network of the family's shape."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from kapelle.config import setting
from kapelle.data import phrase_shards

if TYPE_CHECKING:
    from pathlib import Path

KIND = "one_shot"
TRACKS = ("drums", "piano")
SIZES = {"n_tracks": 2, "n_bars": 2, "n_steps": 4, "n_pitches": 12}
CELLS = (2, 2, 4, 12)


@dataclass(frozen=True)
class Config:
    n_tracks: int = setting(2)
    n_bars: int = setting(2)
    n_steps: int = setting(4)
    n_pitches: int = setting(12)
    conditional: bool = setting(False)
    n_critics: int = setting(1)


class Generator(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        n_cells = int(np.prod(CELLS))
        self.first = nn.Sequential(nn.Linear(4 + n_cells * config.conditional, 32), nn.BatchNorm1d(32), nn.ReLU())
        self.last = nn.Linear(32, n_cells)

    def forward(self, latents: dict[str, torch.Tensor], given: torch.Tensor | None = None) -> torch.Tensor:
        heard = latents["z"] if given is None else torch.cat([latents["z"], given.flatten(1)], 1)
        return torch.tanh(self.last(self.first(heard))).view(-1, *CELLS)


class Critic(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        size = int(np.prod(CELLS)) // config.n_critics
        self.parts = nn.ModuleList(nn.Sequential(nn.Linear(size, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1)) for _ in range(config.n_critics))

    def forward(self, rolls: torch.Tensor) -> torch.Tensor:
        if len(self.parts) == 1:
            return self.parts[0](rolls.flatten(1))
        return torch.cat([part(rolls[:, m].flatten(1)) for m, part in enumerate(self.parts)], 1)


class Network(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.generator, self.critic = Generator(config), Critic(config)
        self.averaged = copy.deepcopy(self.generator).requires_grad_(False)


def build(config: Config) -> nn.Module:
    return Network(config)


def latents(config: Config) -> dict[str, tuple[int, ...]]:
    return {"z": (4,)}


def real(config: Config, cells: torch.Tensor) -> torch.Tensor:
    return cells.float() * 2 - 1


def scores(config: Config, made: torch.Tensor) -> torch.Tensor:
    return made


def cells(n: int, seed: int = 0) -> np.ndarray:
    """Phrases with a drum on every first step, and one of two triads held through a bar."""
    draw = np.random.default_rng(seed)
    out = np.zeros((n, *CELLS), bool)
    out[:, 0, :, 0, 0] = True
    for phrase in out:
        for bar in range(2):
            root = int(draw.integers(2)) * 5
            phrase[1, bar][:, [root, root + 4, (root + 7) % 12]] = True
    return out


def write_shards(path: Path, rolls: np.ndarray, present: Any = 0b11, up: int = 0) -> Path:
    phrases = np.zeros(len(rolls), phrase_shards.PHRASE)
    phrases["song"], phrases["present"], phrases["up"] = np.arange(len(rolls)), present, up
    phrases["part"][: len(rolls) // 4] = 1
    form = {"name": "tiny", "steps_per_bar": 4, "n_pitches": 12, "lowest_pitch": 24}
    info: dict[str, Any] = {"tracks": list(TRACKS), "sizes": SIZES, "form": form, "sources": [{"name": "made", "licence": "ours"}]}
    phrase_shards.write(path, info, {"cells": phrase_shards.pack(rolls), "phrases": phrases})
    return path


def recipe(steps: int = 8, model: str = "", rest: str = "") -> str:
    return f"""
name = "tiny-band"
family = "fake_band"
codec = "roll"
objective = "adversarial"
[model]
{model}
[training]
steps = {steps}
batch_size = 16
learning_rate = 0.003
warmup_steps = 0
beta1 = 0.5
beta2 = 0.9
clip_norm = 0.0
precision = "32-true"
validate_every = 4
log_every = 1
{rest}
[training.adversarial]
critic_steps = 2
average = 0.9
validation_phrases = 64
"""
