"""The two networks of the MuseGAN tutorial in torch. Tables, names and sizes: `kapelle.models.musegan_tutorial`.

Both work on rows of channels (see `musegan.rows`). Their order is phrase, bar, beat, octave, and in the private layers also step within
the beat and pitch within the octave, so that every layer but the overlapping ones is one product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional as F

from kapelle.models.musegan.rows import Players, grow, merge, slide, spread
from kapelle.models.musegan_tutorial import (
    BARS,
    BEATS,
    CRITIC,
    GENERATOR,
    OCTAVES,
    PITCHES,
    PRIVATE,
    REACH,
    SLOPE,
    STEPS,
    Row,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


class GeneratorBlock(nn.Module):
    """Transposed convolution, batch norm, ReLU."""

    def __init__(self, row: Row) -> None:
        super().__init__()
        inputs, channels, kernel, stride = row
        self.transconv = nn.ConvTranspose3d(inputs, channels, kernel, stride)
        self.batchnorm = nn.BatchNorm1d(channels)  # of rows; the same weights as BatchNorm3d
        self.overlaps = kernel != stride

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """(R, C) to (R', C')."""
        weight = self.transconv.weight.flatten(2).transpose(1, 2)  # (C, k, C'): only one of the three sides is not 1
        bias = cast("torch.Tensor", self.transconv.bias)
        if not self.overlaps:
            return F.relu(self.batchnorm(grow(rows, weight, bias)))
        spread_out = spread(rows.view(-1, REACH, rows.shape[1]), weight, bias)
        return F.relu(self.batchnorm(spread_out.flatten(0, 1)))


class Generator(nn.Module):
    """z (B, 128) to rolls (B, M, L, S, P)."""

    def __init__(self, n_tracks: int) -> None:
        super().__init__()
        self.n_tracks = n_tracks
        for number, row in enumerate(GENERATOR):
            private = number in PRIVATE["transconv"]
            block = nn.ModuleList(GeneratorBlock(row) for _ in range(n_tracks)) if private else GeneratorBlock(row)
            self.add_module(f"transconv{number}", block)

    def forward(self, latents: Mapping[str, torch.Tensor], given: torch.Tensor | None = None) -> torch.Tensor:
        """``{"z": (B, 128)}`` to (B, M, L, S, P)."""
        rows = latents["z"]
        for number in range(4):
            rows = self.get_submodule(f"transconv{number}")(rows)  # at last (B · bar · beat · octave, 32)
        tracks = []
        for track in range(self.n_tracks):
            own = self.get_submodule(f"transconv4.{track}")(rows)  # (... step, 16)
            tracks.append(self.get_submodule(f"transconv5.{track}")(own))  # (... pitch, 1)
        cells = torch.stack(tracks).view(self.n_tracks, -1, BARS, BEATS, OCTAVES, STEPS, PITCHES)
        return cells.permute(1, 0, 2, 3, 5, 4, 6).reshape(-1, self.n_tracks, BARS, BEATS * STEPS, OCTAVES * PITCHES)


class LayerNorm(nn.Module):
    """Over the whole sample, with a scale and a shift for each channel; deviation with n - 1, the small number added to it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, rows: torch.Tensor, n_items: int) -> torch.Tensor:
        """(R, C) of `n_items` samples to the same shape."""
        cells = rows.view(n_items, -1, rows.shape[1])
        deviation, mean = torch.std_mean(cells, dim=(1, 2), keepdim=True)
        scale = self.gamma / (deviation + 1e-5)  # (B, 1, C); dividing all cells would cost half of the critic's time
        return (cells * scale + (self.beta - mean * scale)).view_as(rows)


class CriticBlock(nn.Module):
    """Convolution, layer norm, leaky ReLU."""

    def __init__(self, row: Row) -> None:
        super().__init__()
        inputs, channels, kernel, stride = row
        self.transconv = nn.Conv3d(inputs, channels, kernel, stride)  # the notebook's name for it
        self.layernorm = LayerNorm(channels)
        self.overlaps = kernel != stride
        self.reach = BARS if kernel[0] > 1 else OCTAVES

    def forward(self, rows: torch.Tensor, n_items: int) -> torch.Tensor:
        """(R, C) of `n_items` samples to (R', C')."""
        weight = self.transconv.weight.flatten(2).permute(2, 1, 0)  # (k, C, C')
        bias = cast("torch.Tensor", self.transconv.bias)
        if self.overlaps:
            rows = slide(rows.view(-1, self.reach, rows.shape[1]), weight, bias, 1).flatten(0, 1)
        else:
            rows = merge(rows, weight, bias)
        return F.leaky_relu(self.layernorm(rows, n_items), SLOPE)


class Critic(nn.Module):
    """Rolls (B, M, L, S, P) to marks (B, 1), high for real ones."""

    def __init__(self, n_tracks: int) -> None:
        super().__init__()
        for number, row in enumerate(CRITIC):
            private = number in PRIVATE["conv"]
            here: Row = (16 * n_tracks, *row[1:]) if number == 2 else row  # conv2 reads 16 channels of each track
            block = nn.ModuleList(CriticBlock(here) for _ in range(n_tracks)) if private else CriticBlock(here)
            self.add_module(f"conv{number}", block)
        self.dense = nn.Linear(256, 1)

    def forward(self, rolls: torch.Tensor) -> torch.Tensor:
        """(B, M, L, S, P) to (B, 1)."""
        n_items, n_tracks = rolls.shape[:2]
        cells = rolls.reshape(n_items, n_tracks, BARS, BEATS, STEPS, OCTAVES, PITCHES)
        cells = cells.permute(1, 0, 2, 3, 5, 4, 6).reshape(n_tracks, -1, 1)
        tracks = []
        for track, rows in enumerate(cells):
            rows = self.get_submodule(f"conv0.{track}")(rows, n_items)  # (B · bar · beat · octave · step, 16)
            tracks.append(self.get_submodule(f"conv1.{track}")(rows, n_items))  # (B · bar · beat · octave, 16)
        rows = torch.cat(tracks, dim=1)
        for number in range(2, len(CRITIC)):
            rows = self.get_submodule(f"conv{number}")(rows, n_items)
        mark: torch.Tensor = self.dense(rows)
        return mark


def players(n_tracks: int) -> Players:
    """A fresh network of both."""
    return Players(Generator(n_tracks), Critic(n_tracks))
