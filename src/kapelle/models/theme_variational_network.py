"""The slots of the variational encoder in torch: see `kapelle.models.theme_variational`.

Letters: B rows, T tokens of the piece, S tokens of the theme, D width, K slots, Z numbers in each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from kapelle.models.theme_network import Attention, ThemeTransformer
from kapelle.models.theme_variational import NEW

if TYPE_CHECKING:
    from torch import Tensor

    from kapelle.models.theme_variational import Config

CERTAIN = -4.0
"""Logarithm of the variance with which fresh slots begin: all but certain, so that the decoder learns to hear first."""

WIDEST = 8.0
"""Bound of that logarithm either way."""


class Slots(nn.Module):
    """A theme of any length to K distributions, and K latents to a memory."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.d_model
        self.questions = nn.Parameter(torch.randn(config.slots, width))
        self.attention = Attention(config)
        self.norm = nn.LayerNorm(width)
        self.mean = nn.Linear(width, config.latent)
        self.spread = nn.Linear(width, config.latent)
        self.row = nn.Linear(config.latent, width)
        self.names = nn.Parameter(torch.randn(config.slots, width) * 0.1)
        self.last = nn.LayerNorm(width)
        self.said: tuple[Tensor, Tensor] | None = None  # mean and log-variance of the last themes heard, to be paid for
        nn.init.xavier_uniform_(self.attention.in_proj_weight)
        nn.init.zeros_(self.spread.weight)
        nn.init.constant_(self.spread.bias, CERTAIN)

    def asked(self, hidden: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, K, Z) of what the encoder made of a theme, `hidden` (B, S, D) where `heard` (B, 1, 1, S) is true."""
        questions = self.questions.expand(len(hidden), -1, -1)
        answers = self.norm(self.attention(questions, hidden, heard=heard))  # (B, K, D)
        self.said = self.mean(answers).float(), self.spread(answers).float().clamp(-WIDEST, WIDEST)
        return self.said

    def memory(self, latent: Tensor) -> Tensor:
        """(B, K, D) rows to attend to, of (B, K, Z)."""
        out: Tensor = self.last(self.row(latent) + self.names)
        return out


class VariationalTheme(ThemeTransformer):
    """The Theme Transformer, whose decoder hears slots."""

    NEW = NEW
    """A run may begin with weights that lack these."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.slots = Slots(config)

    def posterior(self, theme: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, K, Z) of the themes (B, S)."""
        mean, spread = self.slots.asked(super().encode(theme), (theme != 0)[:, None, None])
        return mean, spread

    def memory(self, latent: Tensor) -> Tensor:
        """What the decoder hears (B, K, D) of latents (B, K, Z)."""
        return self.slots.memory(latent)

    def drawn(self, mean: Tensor, spread: Tensor) -> Tensor:
        """A draw (B, K, Z) in training, by torch's global generator; else the mean."""
        return mean + (spread / 2).exp() * torch.randn_like(mean) if self.training else mean

    def encode(self, theme: Tensor, theme_labels: Tensor | None = None, *, embedded: Tensor | None = None) -> Tensor:
        """The memory (B, K, D) of `theme` (B, S)."""
        hidden = super().encode(theme, theme_labels, embedded=embedded)
        return self.memory(self.drawn(*self.slots.asked(hidden, (theme != 0)[:, None, None])))

    def forward(self, ids: Tensor, labels: Tensor, theme: Tensor, theme_labels: Tensor | None = None) -> Tensor:
        """Logits (B, T, V) after each of `ids` (B, T); see `ThemeTransformer`."""
        return self.decode(ids, labels, self.encode(theme, theme_labels), None)
