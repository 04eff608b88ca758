"""The small MuseGAN of the ISMIR 2019 tutorial, which is the one that the thesis trains: phrases of 4 bars of 16 steps and 72 pitches.

Takes latents ``{"z": (B, 128)}``, standard normal, gives cells (B, M, 4, 16, 72) from 0 up; a cell sounds where it is more than 0.5, and data
is 0 and 1. One generator and one critic, shared layers first and private ones for each track at the generator's end and the critic's
beginning. Nothing else may be set: it is kept as it was, down to the names of its weights, so that checkpoints can be compared. It knows
nothing of music.

Both networks work on rows of channels (see `musegan.rows`): the order is phrase, bar, beat, octave, and after the private layers step
within the beat and pitch within the octave, so that every layer but the overlapping ones is one product.

Source: Dong and Yang 2019, tutorial "Generating Music with GANs" at ISMIR, notebook (MIT). Parameters with five tracks: 313,951 and 204,321.
Known differences: none in the networks. Once trained the generator's norms use their running statistics; the notebook does the same,
since it samples in eval mode. Data is not drawn at random bars but is whatever the shards hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from kapelle.config import setting
from kapelle.errors import CannotObey, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import onnx
    import torch

    from kapelle.models import Kind, StateSpec

KIND: Kind = "one_shot"

LATENT = 128
BARS, BEATS, STEPS, OCTAVES, PITCHES = 4, 4, 4, 6, 12
"""Of a phrase, a bar, a beat, a roll, an octave."""

THRESHOLD = 0.5
SLOPE = 0.01
"""Of the critic's leaky ReLU."""

GENERATOR = (
    (128, 256, (4, 1, 1), (4, 1, 1)),
    (256, 128, (1, 4, 1), (1, 4, 1)),
    (128, 64, (1, 1, 4), (1, 1, 4)),
    (64, 32, (1, 1, 3), (1, 1, 1)),
    (32, 16, (1, 4, 1), (1, 4, 1)),
    (16, 1, (1, 1, 12), (1, 1, 12)),
)
"""Channels in and out, kernel and stride over (bar, time, pitch) of transconv0 to transconv5; the last two once for each track."""

CRITIC = (
    (1, 16, (1, 1, 12), (1, 1, 12)),
    (16, 16, (1, 4, 1), (1, 4, 1)),
    (80, 64, (1, 1, 3), (1, 1, 1)),
    (64, 64, (1, 1, 4), (1, 1, 4)),
    (64, 128, (1, 4, 1), (1, 4, 1)),
    (128, 128, (2, 1, 1), (1, 1, 1)),
    (128, 256, (3, 1, 1), (3, 1, 1)),
)
"""The same of conv0 to conv6; the first two once for each track, and conv2 reads 16 channels of each."""

PRIVATE = {"transconv": (4, 5), "conv": (0, 1)}


@dataclass(frozen=True)
class Config:
    """The form of the data; the network follows from it."""

    n_tracks: int = setting(help="tracks", min=1, max=16)
    n_bars: int = setting(BARS, help="bars of a phrase")
    n_steps: int = setting(BEATS * STEPS, help="steps of a bar")
    n_pitches: int = setting(OCTAVES * PITCHES, help="pitches")
    conditional: ClassVar[bool] = False

    def __post_init__(self) -> None:
        form, own = (self.n_bars, self.n_steps, self.n_pitches), (BARS, BEATS * STEPS, OCTAVES * PITCHES)
        if form != own:
            raise UsageError(
                "the tutorial network takes (bars, steps, pitches) {own}, not {form}", own=own, form=form, hint="use the family musegan"
            )

    @property
    def bars(self) -> int:
        """Bars of one item."""
        return self.n_bars


def latents(config: Config) -> dict[str, tuple[int, ...]]:
    """Name -> shape without batch: one latent for everything."""
    return {"z": (LATENT,)}


def real(config: Config, cells: torch.Tensor) -> torch.Tensor:
    """Cells of data (B, M, L, S, P) bool in the network's own range, 0 and 1."""
    return cells.float()


def scores(config: Config, made: torch.Tensor) -> torch.Tensor:
    """What a generator made, so that a cell sounds where it is more than 0."""
    return made - THRESHOLD


def build(config: Config) -> torch.nn.Module:
    """A fresh network: ``generator``, ``critic`` and ``averaged``; random weights come from torch's global generator."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    from kapelle.models.musegan.rows import Players, grow, merge, slide, spread

    class GeneratorBlock(nn.Module):
        """Transposed convolution, batch norm, ReLU."""

        def __init__(self, inputs: int, channels: int, kernel: tuple[int, ...], stride: tuple[int, ...]) -> None:
            super().__init__()
            self.transconv = nn.ConvTranspose3d(inputs, channels, kernel, stride)  # type: ignore[arg-type]
            self.batchnorm = nn.BatchNorm1d(channels)  # of rows; the same weights as BatchNorm3d
            self.overlaps = kernel != stride

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            weight = self.transconv.weight.flatten(2).transpose(1, 2)  # (C, k, C'): only one of the three sides is not 1
            if self.overlaps:
                rows = spread(rows.view(-1, PITCHES // 3, rows.shape[1]), weight, self._bias()).flatten(0, 1)
            else:
                rows = grow(rows, weight, self._bias())
            return F.relu(self.batchnorm(rows))

        def _bias(self) -> torch.Tensor:
            assert self.transconv.bias is not None
            return self.transconv.bias

    class Generator(nn.Module):
        """z (B, 128) to rolls (B, M, L, S, P)."""

        def __init__(self) -> None:
            super().__init__()
            for number, row in enumerate(GENERATOR):
                private = number in PRIVATE["transconv"]
                block = nn.ModuleList(GeneratorBlock(*row) for _ in range(config.n_tracks)) if private else GeneratorBlock(*row)
                self.add_module(f"transconv{number}", block)

        def forward(self, latents: Mapping[str, torch.Tensor], given: torch.Tensor | None = None) -> torch.Tensor:
            rows = latents["z"]
            for number in range(4):
                rows = self.get_submodule(f"transconv{number}")(rows)  # at last (B · bar · beat · octave, 32)
            tracks = []
            for track in range(config.n_tracks):
                own = self.get_submodule(f"transconv4.{track}")(rows)  # (... step, 16)
                tracks.append(self.get_submodule(f"transconv5.{track}")(own))  # (... pitch, 1)
            cells = torch.stack(tracks).view(config.n_tracks, -1, BARS, BEATS, OCTAVES, STEPS, PITCHES)
            return cells.permute(1, 0, 2, 3, 5, 4, 6).reshape(-1, config.n_tracks, BARS, BEATS * STEPS, OCTAVES * PITCHES)

    class LayerNorm(nn.Module):
        """Over the whole sample, with a scale and a shift for each channel; deviation with n - 1, the small number added to it."""

        def __init__(self, channels: int) -> None:
            super().__init__()
            self.gamma = nn.Parameter(torch.rand(channels))
            self.beta = nn.Parameter(torch.zeros(channels))

        def forward(self, rows: torch.Tensor, n_items: int) -> torch.Tensor:
            whole = rows.reshape(n_items, -1)
            normed = (whole - whole.mean(dim=1, keepdim=True)) / (whole.std(dim=1, keepdim=True) + 1e-5)
            return normed.view(rows.shape) * self.gamma + self.beta

    class CriticBlock(nn.Module):
        """Convolution, layer norm, leaky ReLU."""

        def __init__(self, inputs: int, channels: int, kernel: tuple[int, ...], stride: tuple[int, ...]) -> None:
            super().__init__()
            self.transconv = nn.Conv3d(inputs, channels, kernel, stride)  # type: ignore[arg-type]  # the notebook's name for it
            self.layernorm = LayerNorm(channels)
            self.window = {(1, 1, 3): OCTAVES, (2, 1, 1): BARS}[kernel] if kernel != stride else 0

        def forward(self, rows: torch.Tensor, n_items: int) -> torch.Tensor:
            weight, bias = self.transconv.weight.flatten(2).permute(2, 1, 0), self.transconv.bias  # (k, C, C')
            assert bias is not None
            if self.window:
                rows = slide(rows.view(-1, self.window, rows.shape[1]), weight, bias, 1).flatten(0, 1)
            else:
                rows = merge(rows, weight, bias)
            return F.leaky_relu(self.layernorm(rows, n_items), SLOPE)

    class Critic(nn.Module):
        """Rolls (B, M, L, S, P) to marks (B, 1), high for real ones."""

        def __init__(self) -> None:
            super().__init__()
            for number, (inputs, *row) in enumerate(CRITIC):
                inputs = 16 * config.n_tracks if number == 2 else inputs
                private = number in PRIVATE["conv"]
                make: Any = lambda inputs=inputs, row=row: CriticBlock(inputs, *row)
                self.add_module(f"conv{number}", nn.ModuleList(make() for _ in range(config.n_tracks)) if private else make())
            self.dense = nn.Linear(256, 1)

        def forward(self, rolls: torch.Tensor) -> torch.Tensor:
            n_items = len(rolls)
            cells = (
                rolls.reshape(n_items, -1, BARS, BEATS, STEPS, OCTAVES, PITCHES).permute(1, 0, 2, 3, 5, 4, 6).reshape(rolls.shape[1], -1, 1)
            )
            tracks = []
            for track, rows in enumerate(cells):
                rows = self.get_submodule(f"conv0.{track}")(rows, n_items)  # (B · bar · beat · octave · step, 16)
                tracks.append(self.get_submodule(f"conv1.{track}")(rows, n_items))  # (B · bar · beat · octave, 16)
            rows = torch.cat(tracks, dim=1)
            for number in range(2, len(CRITIC)):
                rows = self.get_submodule(f"conv{number}")(rows, n_items)
            mark: torch.Tensor = self.dense(rows)
            return mark

    return Players(Generator(), Critic())


def graphs(config: Config, weights: Mapping[str, np.ndarray]) -> dict[str, onnx.ModelProto]:
    """The averaged generator in 32-bit floats, from the arrays of the network's ``state_dict()``."""
    raise NotImplementedError


def weights(config: Config, constants: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Never: a bundle has no critic, and its norms are folded into its products.

    Raises:
        CannotObey: Always.
    """
    raise CannotObey(
        "a bundle of this family cannot be trained on: it holds no critic", hint="begin with the run that it was exported from"
    )


def states(config: Config) -> tuple[StateSpec, ...]:
    """None: everything is made in one go."""
    return ()
