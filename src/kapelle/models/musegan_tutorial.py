"""The small MuseGAN of the ISMIR 2019 tutorial: phrases of 4 bars of 16 steps and 72 pitches.

Takes latents ``{"z": (B, 128)}``, standard normal, gives cells (B, M, 4, 16, 72) from 0 up; a cell sounds where it is more than 0.5, and
data is 0 and 1. One generator and one critic, with private layers for each track at the generator's end and the critic's beginning.
Nothing else may be set: it is kept as it was, down to the names of its weights, so that checkpoints can be compared. It knows nothing
of music.

Source: Dong and Yang 2019, tutorial "Generating Music with GANs" at ISMIR, notebook (MIT). With five tracks the generator has
313,951 parameters and the critic 204,321.
Known differences: none in the networks; once trained, the generator's norms use their running statistics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from kapelle.config import setting
from kapelle.errors import CheckpointError, UsageError
from kapelle.models.musegan import states, weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import onnx
    import torch

    from kapelle.models import Kind
    from kapelle.models.musegan.graph import Folded

__all__ = ["KIND", "Config", "build", "graphs", "latents", "real", "scores", "states", "weights"]

KIND: Kind = "one_shot"

LATENT = 128
BARS, BEATS, STEPS, OCTAVES, PITCHES = 4, 4, 4, 6, 12
"""Of a phrase, a bar, a beat, a roll, an octave."""

THRESHOLD = 0.5
SLOPE = 0.01
"""Of the critic's leaky ReLU."""

Sides = tuple[int, int, int]
Row = tuple[int, int, Sides, Sides]

REACH = 4
"""Rows along pitch that the overlapping transconv3 makes into the octaves."""

GENERATOR: tuple[Row, ...] = (
    (128, 256, (4, 1, 1), (4, 1, 1)),
    (256, 128, (1, 4, 1), (1, 4, 1)),
    (128, 64, (1, 1, 4), (1, 1, 4)),
    (64, 32, (1, 1, 3), (1, 1, 1)),
    (32, 16, (1, 4, 1), (1, 4, 1)),
    (16, 1, (1, 1, 12), (1, 1, 12)),
)
"""Channels in and out, kernel and stride over (bar, time, pitch) of transconv0 to transconv5; the last two once for each track."""

CRITIC: tuple[Row, ...] = (
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
    from kapelle.models.musegan_tutorial_network import players

    return players(config.n_tracks)


def graphs(config: Config, weights: Mapping[str, np.ndarray]) -> dict[str, onnx.ModelProto]:
    """The averaged generator in 32-bit floats, from the arrays of the network's ``state_dict()``.

    ``scores`` are what stands before the last ReLU, less the threshold.

    Raises:
        CheckpointError: The weights are of another shape than the network.
    """
    from kapelle.models.musegan.graph import Folded, product, reshaped
    from kapelle.models.onnx_parts import GraphWriter

    graph = GraphWriter("musegan_tutorial.generate")
    rows = graph.input("z", "float32", ["batch", LATENT])
    for number in range(4):
        inputs, _, kernel, stride = GENERATOR[number]
        layer = _folded(weights, number, f"transconv{number}")
        overlaps = kernel != stride
        matrix, bias = layer.spread(REACH) if overlaps else (layer.matrix(), layer.biases())
        rows = reshaped(graph, rows, (-1, inputs * (REACH if overlaps else 1))) if number else rows
        rows = graph.op("Relu", [product(graph, f"transconv{number}", rows, matrix, bias)])
    shared, tracks = reshaped(graph, rows, (-1, GENERATOR[4][0])), []
    for track in range(config.n_tracks):
        first, last = (_folded(weights, number, f"transconv{number}.{track}") for number in PRIVATE["transconv"])
        last = Folded(last.weight, last.bias - THRESHOLD)
        own = graph.op("Relu", [product(graph, f"transconv4.{track}", shared, first.matrix(), first.biases())])
        own = product(graph, f"transconv5.{track}", reshaped(graph, own, (-1, GENERATOR[5][0])), last.matrix(), last.biases())
        tracks.append(reshaped(graph, own, (-1, 1, BARS, BEATS, OCTAVES, STEPS, PITCHES)))
    cells = graph.op("Transpose", [graph.op("Concat", tracks, axis=1)], perm=[0, 1, 2, 3, 5, 4, 6])
    form = (config.n_tracks, BARS, BEATS * STEPS, OCTAVES * PITCHES)
    reshaped(graph, cells, (-1, *form), out="scores")
    graph.output("scores", "float32", ["batch", *form])
    return {"generate": graph.model()}


def _folded(weights: Mapping[str, np.ndarray], number: int, name: str) -> Folded:
    """The block `name`, which is one of transconv`number`, as one product."""
    from kapelle.models.musegan.graph import PREFIX, folded

    inputs, channels, kernel, _ = GENERATOR[number]
    held = weights[f"{PREFIX}{name}.transconv.weight"]
    if held.shape != (inputs, channels, *kernel):
        raise CheckpointError(
            "{name} is {found}, the recipe makes it {expected}", name=name, found=held.shape, expected=(inputs, channels, *kernel)
        )
    norm = [weights[f"{PREFIX}{name}.batchnorm.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
    return folded(held.reshape(inputs, channels, -1).transpose(0, 2, 1), weights[f"{PREFIX}{name}.transconv.bias"], norm)
