"""MuseGAN for the runtime: the averaged generator, written operator by operator from its weights.

Takes `Config` and the arrays of ``state_dict()`` (those named ``averaged.``), gives one ONNX model in 32-bit floats: inputs are the
latents by name and, in a conditional model, ``given`` with 0 and 1; output is ``scores`` (B, M, L, S, P), where a cell sounds above 0.
Norms are folded into the products before them, and everything but sums, ReLUs and reshapes is a product with a constant matrix, which
`kapelle.bundles.quantise` makes smaller.

Known differences from the torch network: ``scores`` are what stands before the last function (tanh or binary neurons), which keeps the
sign and tells cells apart that tanh makes equal; folded norms round otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kapelle.errors import CheckpointError
from kapelle.models.musegan import latents as latent_shapes
from kapelle.models.musegan import layers
from kapelle.models.onnx_parts import GraphWriter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import onnx

    from kapelle.models.musegan import Config

Weights = dict[str, np.ndarray]

EPSILON = 1e-5
"""Of the batch norms: torch's default."""

SLOPE = 0.2
PREFIX = "averaged."


@dataclass(frozen=True)
class Folded:
    """A layer and the batch norm after it as one product.

    Args:
        weight: (C, k, C') of a layer that makes rows, (k, C, C') of one that merges them.
        bias: (C',)
    """

    weight: np.ndarray
    bias: np.ndarray

    def matrix(self) -> np.ndarray:
        """For a layer that makes rows: (C, k C')."""
        return self.weight.reshape(len(self.weight), -1)

    def biases(self) -> np.ndarray:
        """For a layer that makes rows: (k C',)."""
        return np.tile(self.bias, self.weight.shape[1])

    def spread(self, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
        """For an overlapping layer that makes n + k - 1 of n rows: matrix (n C, (n + k - 1) C') and bias."""
        inner, kernel, outer = self.weight.shape
        matrix = np.zeros((n_rows, inner, n_rows + kernel - 1, outer), np.float32)
        for row in range(n_rows):
            matrix[row, :, row : row + kernel] = self.weight
        return matrix.reshape(n_rows * inner, -1), np.tile(self.bias, n_rows + kernel - 1)


def folded(weight: np.ndarray, bias: np.ndarray, norm: Sequence[np.ndarray] | None) -> Folded:
    """A layer with channels last and its norm: (scale, shift, running mean, running variance); None where it has none."""
    if norm is None:
        return Folded(weight, bias)
    gamma, beta, mean, variance = norm
    scale = gamma / np.sqrt(variance + EPSILON)
    return Folded((weight * scale).astype(np.float32), ((bias - mean) * scale + beta).astype(np.float32))


def product(graph: GraphWriter, name: str, rows: str, matrix: np.ndarray, bias: np.ndarray, *, out: str | None = None) -> str:
    """``rows @ matrix + bias``."""
    weight = graph.constant(f"{name}.weight", np.ascontiguousarray(matrix, np.float32))
    return graph.op(
        "Add", [graph.op("MatMul", [rows, weight]), graph.constant(f"{name}.bias", bias.astype(np.float32))], [out] if out else None
    )


def reshaped(graph: GraphWriter, value: str, shape: Sequence[int], *, out: str | None = None) -> str:
    """`value` with other sides; -1 stands for what is left."""
    sides = graph.constant("shape." + "x".join(map(str, shape)), np.array(shape, np.int64))
    return graph.op("Reshape", [value, sides], [out] if out else None)


def generate(config: Config, weights: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """The graph: latents and what is given -> scores.

    Raises:
        CheckpointError: The weights are of another shape than `config`.
    """
    return _Writer(config, weights).model()


class _Writer:
    """One graph while it is written, in the order of `network.Generator`."""

    def __init__(self, config: Config, weights: Mapping[str, np.ndarray]) -> None:
        self.config, self.weights = config, weights
        self.graph = GraphWriter("musegan.generate")
        self.size = config.latent // len(config.parts)

    def model(self) -> onnx.ModelProto:
        """The finished graph."""
        graph, config = self.graph, self.config
        shapes = latent_shapes(config)
        deviation = graph.constant("latent_std", np.array(config.latent_std, np.float32))
        inputs = {name: graph.input(name, "float32", ["batch", *shape]) for name, shape in shapes.items()}
        features = self.features() if config.conditional else []
        scaled = {name: graph.op("Mul", [value, deviation]) for name, value in inputs.items()}
        shared = self.temporal("shared", scaled["z_t"]) if "z_t" in scaled else ""
        form = (config.bars, config.n_steps, config.n_pitches)
        made = [self.bars(f"bars.{index}", self.latent(scaled, shared, index), features) for index in range(config.n_generators)]
        if len(made) == 1:
            cells = reshaped(graph, made[0], (-1, *form, config.n_tracks))
            graph.op("Transpose", [cells], ["scores"], perm=[0, 4, 1, 2, 3])
        else:
            graph.op("Concat", [reshaped(graph, cells, (-1, 1, *form)) for cells in made], ["scores"], axis=1)
        graph.output("scores", "float32", ["batch", config.n_tracks, *form])
        return graph.model()

    def latent(self, scaled: Mapping[str, str], shared: str, index: int) -> str:
        """(B L, Z) what the bar generator `index` reads."""
        graph, n_bars = self.graph, self.config.bars
        every = graph.constant("every", np.array([1, n_bars, 1], np.int64))
        parts = []
        for name in self.config.parts:
            own = (
                graph.op("Gather", [scaled[name], graph.constant(f"track.{index}", np.array(index))], axis=1)
                if "i" in name
                else scaled[name]
            )
            if "t" in name:
                parts.append(shared if name == "z_t" else self.temporal(f"private.{index}", own))
            else:
                parts.append(graph.op("Expand", [reshaped(graph, own, (-1, 1, self.size)), every]))
        whole = graph.op("Concat", parts, axis=2) if len(parts) > 1 else parts[0]
        return reshaped(graph, whole, (-1, self.config.latent))

    def temporal(self, name: str, latent: str) -> str:
        """A temporal generator: (B, d) to (B, L, d)."""
        graph, hidden = self.graph, layers.scaled(self.config, layers.HIDDEN)
        halves = self.fold(f"{name}.halves", (self.size, 2, hidden), norm=f"{name}.halves.norm")
        rows = graph.op("Relu", [product(graph, f"{name}.halves", latent, halves.matrix(), halves.biases())])  # (B, 2 hidden)
        matrix, bias = self.fold(name, (hidden, self.config.n_bars - 1, self.size), norm=f"{name}.norm").spread(2)
        return reshaped(graph, graph.op("Relu", [product(graph, name, rows, matrix, bias)]), (-1, self.config.n_bars, self.size))

    def bars(self, name: str, rows: str, features: Sequence[str]) -> str:
        """A bar generator: (B L, Z) to cells (B L S P, outputs), or any other shape of as many numbers in the same order."""
        graph, config = self.graph, self.config
        first, *others = layers.bar_generator(config, config.n_tracks if config.n_generators == 1 else 1)
        layer = self.fold(f"{name}.h0", (first.inputs, 1, first.kernel * first.channels), norm=f"{name}.h0.norm")
        rows = graph.op("Relu", [product(graph, f"{name}.h0", rows, layer.matrix(), layer.biases())])
        channels = first.channels
        for number, row in enumerate(others, start=1):
            rows = reshaped(graph, rows, (-1, channels))
            if features:
                rows = graph.op("Concat", [rows, features[-number]], axis=1)
            last, label = row is others[-1], f"{name}.{row.name}"
            layer = self.fold(label, (row.inputs, row.kernel, row.channels), norm=None if last else f"{label}.norm")
            rows = product(graph, label, rows, layer.matrix(), layer.biases())
            rows, channels = rows if last else graph.op("Relu", [rows]), row.channels
        return rows

    def features(self) -> list[str]:
        """The encoder: ``given`` to e0, e1, ..."""
        graph, config = self.graph, self.config
        given = graph.input("given", "float32", ["batch", config.n_tracks, config.bars, config.n_steps, config.n_pitches])
        two, one = (graph.constant(name, np.array(value, np.float32)) for name, value in (("two", 2), ("one", 1)))
        ranged = graph.op("Sub", [graph.op("Mul", [given, two]), one])  # -1 and 1
        rows, out = graph.op("Transpose", [ranged], perm=[0, 2, 3, 4, 1]), []
        for row in layers.encoder(config):
            label = f"encoder.{row.name}"
            layer = self.fold(label, (row.kernel, row.inputs, row.channels), norm=f"{label}.norm")
            rows = reshaped(graph, rows, (-1, row.kernel * row.inputs))
            rows = graph.op("LeakyRelu", [product(graph, label, rows, layer.weight.reshape(-1, row.channels), layer.bias)], alpha=SLOPE)
            out.append(rows)
        return out

    def fold(self, name: str, shape: tuple[int, int, int], norm: str | None) -> Folded:
        """The layer `name` with its norm; its weight must have the shape that the table tells."""
        weight, bias = self.weights[f"{PREFIX}{name}.weight"], self.weights[f"{PREFIX}{name}.bias"]
        if weight.shape != shape or bias.shape != shape[2:]:
            raise CheckpointError("{name} is {found}, the recipe makes it {expected}", name=name, found=weight.shape, expected=shape)
        parts = ("weight", "bias", "running_mean", "running_var")
        return folded(weight, bias, None if norm is None else [self.weights[f"{PREFIX}{norm}.{part}"] for part in parts])
