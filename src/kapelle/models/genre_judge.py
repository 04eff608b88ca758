"""Genre judge: a small convolutional network over a piano roll; it gives the probability of each class, and a point.

Takes windows (B, planes, pitches, steps) of truth values as floats (`kapelle.data.roll_windows`). From below: a filter over one quarter
finds rhythms of each pitch; filters over 13 pitches find intervals; three more layers go over pitch and time, halving both; what is left
of the pitches becomes one vector for every four quarters, its neighbours are heard, and mean and maximum over the time in which anything
sounds, with the mean of the lower layers (how often each rhythm and interval is met) and with plain counts, make the point. The classes
are a linear layer of it, and so are the kinds of disorder on which it is also trained (`kapelle.training.classifying`); the latter are
not part of the graph. Logits are divided by a temperature, which training sets so that probabilities mean what they say. Silence changes
nothing: quarters in which nothing sounds do not count.

Source: batch normalisation, Ioffe and Szegedy 2015; temperature scaling, Guo et al. 2017, "On Calibration of Modern Neural Networks".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kapelle.config import setting
from kapelle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import onnx
    import torch

    from kapelle.models import Kind, StateSpec

KIND: Kind = "classifier"

PRECISION = "fp32"
"""It is small, and filters are not what 8 bits are for."""

PLANES, PITCHES, STEPS = 2, 88, 768
"""As `kapelle.data.roll_windows.SHAPE`, which a network may not ask."""

QUARTER = 12
"""Steps."""

KERNELS = ((1, QUARTER), (13, 1), (5, 3), (5, 3))
STRIDES = ((1, QUARTER), (2, 1), (2, 2), (2, 2))
"""Pitches by time of the four layers of filters."""

POSITION = 4 * QUARTER
"""Steps that become one vector."""

HEIGHT = 11
"""Rows of pitch after the filters."""

BANDS, CLASSES = 11, 12
"""Of pitch: eight rows each; and pitch classes."""

N_COUNTS = BANDS + POSITION + CLASSES + 3
"""Numbers of `build`'s counts."""

DISORDERS = ("none", "bars", "pitches", "onsets")
"""What the second head tells: nothing, or what was shuffled."""

EPSILON = 1e-5
"""Of the normalisation, as torch's."""


@dataclass(frozen=True)
class Config:
    """The shape of the network."""

    classes: int = setting(help="number of classes", min=2, max=255)
    channels: tuple[int, ...] = setting((16, 32, 40, 64), help="filters of the four layers")
    d_model: int = setting(88, help="width of the vector of four quarters", min=1)
    d_embed: int = setting(32, help="numbers of a point", min=1)
    dropout: float = setting(0.2, help="share of activations dropped in training", min=0.0, max=0.9)

    def __post_init__(self) -> None:
        if len(self.channels) != len(KERNELS) or min(self.channels) < 1:
            raise UsageError("model.channels must be {n} numbers above 0, not {found}", n=len(KERNELS), found=list(self.channels))


def build(config: Config) -> torch.nn.Module:
    """A fresh network; called with (B, planes, pitches, steps) it gives logits (B, classes), points (B, D) and disorder (B, kinds)."""
    import torch
    from torch import nn

    class Filters(nn.Module):
        """A layer of filters, normalised; then all that is negative is 0."""

        def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int]) -> None:
            super().__init__()
            padding = (kernel[0] // 2, 0 if kernel[1] == QUARTER else kernel[1] // 2)
            self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
            self.norm = nn.BatchNorm2d(outputs, eps=EPSILON)

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.norm(self.conv(rows)))

    classes, turns = (torch.from_numpy(table) for table in (pitch_classes(), turned()))

    def counts(cells: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        """(B, N_COUNTS) plain statistics of beginnings: where in pitch, where in four quarters, which intervals, how many, how long."""
        onsets, held = cells[:, 0], cells[:, 1].sum((1, 2))[:, None]
        total = onsets.sum((1, 2))[:, None].clamp(min=1)  # (B, 1)
        rows = onsets.sum(2) / total  # (B, pitches)
        places = onsets.sum(1).reshape(-1, STEPS // POSITION, POSITION).sum(1) / total
        shares = rows @ classes.to(rows.device)  # (B, 12)
        apart = (shares[:, None] * (shares @ turns.to(rows.device)).reshape(-1, CLASSES, CLASSES)).sum(2)
        struck = onsets.amax(1).sum(1)[:, None]
        amounts = [torch.log(total / count), torch.log(held.clamp(min=1) / total), torch.log(total / struck.clamp(min=1))]
        return torch.cat([rows.reshape(-1, BANDS, PITCHES // BANDS).sum(2), places, apart, *amounts], 1)

    class Judge(nn.Module):
        """filters -> vectors of four quarters -> point -> classes."""

        temperature: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            sizes = (PLANES, *config.channels)
            layers = zip(sizes[:-1], sizes[1:], KERNELS, STRIDES, strict=True)
            self.filters = nn.Sequential(*(Filters(*layer) for layer in layers))
            self.column = nn.Linear(config.channels[-1] * HEIGHT, config.d_model)
            self.around = nn.Conv1d(config.d_model, config.d_model, 3, padding=1)
            self.dropout = nn.Dropout(config.dropout)
            width = 2 * config.d_model + sum(config.channels[:-1]) + N_COUNTS
            self.even = nn.BatchNorm1d(width, eps=EPSILON)
            self.point = nn.Linear(width, config.d_embed)
            self.classes = nn.Linear(config.d_embed, config.classes)
            self.disorder = nn.Linear(config.d_embed, len(DISORDERS))
            self.register_buffer("temperature", torch.ones(1))

        def forward(self, cells: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            """Scores of the classes, the embedding, and scores of the disorders, of rolls (B, P, H, T)."""
            sounds = cells.reshape(-1, PLANES, PITCHES, STEPS // POSITION, POSITION).amax((1, 2, 4))  # (B, T), 1 where anything does
            rows, met = cells, []
            for layer in self.filters:
                rows = layer(rows)  # (B, C, pitches, time), at last (B, C, HEIGHT, T)
                met.append(rows.mean((2, 3)))
            vectors = torch.relu(self.column(rows.permute(0, 3, 1, 2).flatten(2)))  # (B, T, D)
            vectors = self.dropout(vectors * sounds[..., None])
            heard = torch.relu(vectors + self.around(vectors.transpose(1, 2)).transpose(1, 2)) * sounds[..., None]
            count = sounds.sum(1, keepdim=True).clamp(min=1)
            often = torch.cat(met[:-1], 1) * (sounds.shape[1] / count)
            whole = self.even(torch.cat([heard.sum(1) / count, heard.amax(1), often, counts(cells, count)], 1))
            point = self.point(self.dropout(whole))
            scores = self.classes(point)
            return scores if self.training else scores / self.temperature, point, self.disorder(point)

    return Judge()


def pitch_classes() -> np.ndarray:
    """(pitches, 12) which row is of which pitch class, the lowest row of the first."""
    import numpy as np

    return np.eye(CLASSES, dtype=np.float32)[np.arange(PITCHES) % CLASSES]


def turned() -> np.ndarray:
    """(12, 144) what makes of shares of pitch classes the same shares, moved by 0 to 11 semitones, one after the other."""
    import numpy as np

    return np.concatenate([np.roll(np.eye(CLASSES, dtype=np.float32), shift, axis=1) for shift in range(CLASSES)], axis=1)


def graphs(config: Config, weights: Mapping[str, np.ndarray]) -> dict[str, onnx.ModelProto]:
    """The predict graph in 32-bit floats: ``features`` -> ``probabilities`` and ``embedding``."""
    from kapelle.models.genre_judge_onnx import predict

    return {"predict": predict(config, weights)}


def weights(config: Config, constants: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays that `graphs` wrote."""
    held = constants["predict"]
    turned = {name.removesuffix(".T"): array.T for name, array in held.items() if name.endswith(".weight.T")}
    names = (".weight", ".bias", ".running_mean", ".running_var", "temperature")
    return turned | {name: array for name, array in held.items() if name.endswith(names)}


def states(config: Config) -> tuple[StateSpec, ...]:
    """None: it goes in one go."""
    return ()


def logits(model: torch.nn.Module, cells: torch.Tensor) -> Any:
    """Logits (B, classes), points (B, D), disorder (B, kinds) of windows (B, planes, pitches, steps)."""
    return model(cells)
