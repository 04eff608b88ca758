"""Convolutions of piano-rolls as products of matrices.

Cells are kept as *rows* of channels: a matrix (R, C), in the order phrase, bar, step, pitch. A transposed convolution whose kernel
equals its stride makes each row into `k` rows that stand next to each other, so it is one product (R, C) x (C, k C') looked at as
(R k, C'): nothing is moved, and batch norm finds channels last. A convolution with kernel = stride is the same backwards. Two kinds of
layers overlap and are done for what they are: few and small. On one thread a bar generator is two to three times as fast as one of
torch's ConvTranspose2d.

Every function can be differentiated twice, which the gradient penalty needs. torch is loaded when this file is; nobody imports it but
the networks, when they are built.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Mapping


def grow(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Each row (R, C) as k rows (R k, C'): transposed convolution, kernel = stride. `weight` is (C, k, C')."""
    inner, kernel, outer = weight.shape
    return torch.addmm(bias.repeat(kernel), rows, weight.reshape(inner, kernel * outer)).view(-1, outer)


def merge(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Every k rows (R, C) as one (R/k, C'): convolution, kernel = stride. `weight` is (k, C, C')."""
    kernel, inner, outer = weight.shape
    return torch.addmm(bias, rows.reshape(-1, kernel * inner), weight.reshape(kernel * inner, outer))


def spread(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """T rows as T + k - 1, (N, T, C) to (N, T + k - 1, C'): transposed convolution, stride 1. `weight` is (C, k, C')."""
    kernel = weight.shape[1]
    parts = torch.einsum("ntc,cko->ntko", rows, weight)
    late = [F.pad(parts[:, :, at], (0, 0, at, kernel - 1 - at)) for at in range(kernel)]  # each (N, T + k - 1, C')
    return torch.stack(late).sum(dim=0) + bias


def slide(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, stride: int) -> torch.Tensor:
    """T rows as T', (N, T, C) to (N, T', C'): convolution with overlapping kernels. `weight` is (k, C, C')."""
    kernel, inner, outer = weight.shape
    windows = rows.unfold(1, kernel, stride).transpose(2, 3)  # (N, T', k, C)
    return windows.reshape(*windows.shape[:2], kernel * inner) @ weight.reshape(kernel * inner, outer) + bias


class Players(nn.Module):
    """The two who play against each other, and the generator's slow average.

    Args:
        generator: Latents by name, and what is given, to rolls.
        critic: Rolls to (B, K) marks, high for real ones.
    """

    def __init__(self, generator: nn.Module, critic: nn.Module) -> None:
        super().__init__()
        self.generator = generator
        self.critic = critic
        self.averaged = copy.deepcopy(generator).requires_grad_(False)  # buffers included; training moves it
        self.averaged.eval()

    def train(self, mode: bool = True) -> Players:
        """Switch the two; the average always stays as it will be used, with the running statistics of its norms."""
        super().train(mode)
        self.averaged.eval()
        return self

    def forward(self, latents: Mapping[str, torch.Tensor], given: torch.Tensor | None = None) -> torch.Tensor:
        """What the average makes."""
        made: torch.Tensor = self.averaged(latents, given)
        return made
