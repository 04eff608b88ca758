"""Theme Transformer with a variational encoder: between the theme and the piece stands a vector of fixed size, and it is uncertain.

Takes and gives what the family ``theme`` does. After the encoder, K slots ask what they want of the theme; each has a normal distribution
over Z numbers, mean and logarithm of the variance. In training a draw from it, else its mean, is all that the decoder hears of the theme:
a memory of K rows, however long the theme was. So two themes of any lengths have a way between them (`between`), and training pays for
what the slots say with `divergence` from the standard normal, the first nats of each slot free, so that not all of them fall silent.

All other parts are those of `theme` by name, so that training may begin with a run without slots. Of the three variants it has
the one, "theme". A bundle hears the means.

Source: the idea is the thesis' ("variational encoder in the transformer"); Kingma and Welling 2014, "Auto-Encoding Variational Bayes";
free bits: Kingma et al. 2016, "Improved Variational Inference with Inverse Autoregressive Flow". Slots that ask: ours, after the pooling
by attention of Lee et al. 2019, "Set Transformer".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from kapelle.config import setting
from kapelle.errors import CannotObey, CheckpointError, UsageError
from kapelle.models import theme
from kapelle.models.theme import KIND, logits

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    import torch

    from kapelle.models import StateSpec
    from kapelle.models.onnx_parts import GraphWriter

__all__ = ["KIND", "Config", "between", "build", "divergence", "graphs", "logits", "states", "weights"]


NEW = "slots."
"""How the names of the weights begin that `theme` does not have."""


@dataclass(frozen=True)
class Config(theme.Config):
    """The shape of the network."""

    slots: int = setting(16, help="rows of the memory, whatever the theme", min=1, max=256)
    latent: int = setting(16, help="numbers in each slot", min=1, max=1024)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variant != "theme":
            raise UsageError("a variational encoder needs the variant theme, not {variant}", variant=self.variant)


def build(config: Config) -> torch.nn.Module:
    """A fresh network, called as that of `theme`; its ``posterior(theme)`` gives mean and log-variance, ``memory(z)`` what is heard."""
    from kapelle.models.theme_variational_network import VariationalTheme

    return VariationalTheme(config)


def divergence(mean: torch.Tensor, spread: torch.Tensor, free: float = 0.0) -> torch.Tensor:
    """(B, K) nats by which the distribution of each slot differs from the standard normal, none of them below `free`.

    Args:
        mean: (B, K, Z).
        spread: (B, K, Z) logarithms of the variances.
        free: Nats that cost nothing, for each slot; where a slot has less there is no gradient.
    """
    nats = 0.5 * (mean.square() + spread.exp() - 1 - spread).sum(dim=2)
    return nats.clamp(min=free) if free else nats


def between(one: torch.Tensor, other: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """The way from `one` (K, Z) to `other` (K, Z), as (N, K, Z): straight, `shares` (N,) of the way, 0 to 1."""
    return one + shares[:, None, None] * (other - one)


def graphs(config: Config, weights: Mapping[str, np.ndarray]) -> dict[str, onnx.ModelProto]:
    """The graphs "encode" and "step" of `theme`; the first gives a memory of K rows, of the means.

    Raises:
        CheckpointError: The weights are of another shape than `config`.
    """
    from kapelle.models import theme_onnx

    slots = {name: weights[name] for name in weights if name.startswith(NEW)}
    _check(config, slots)
    plain = {name: weights[name] for name in weights if name not in slots}
    return theme_onnx.graphs(config, plain, partial(_heard, config, slots))


def _shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """The name and shape of every parameter of the slots."""
    width, latent = config.d_model, config.latent
    attention = {"in_proj_weight": (3 * width, width), "in_proj_bias": (3 * width,), "out_proj.weight": (width, width)}
    out = {"questions": (config.slots, width), "names": (config.slots, width), "attention.out_proj.bias": (width,)}
    out |= {f"attention.{name}": shape for name, shape in attention.items()}
    out |= {f"{norm}.{part}": (width,) for norm in ("norm", "last") for part in ("weight", "bias")}
    for name, shape in (("mean", (latent, width)), ("spread", (latent, width)), ("row", (width, latent))):
        out |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return {NEW + name: shape for name, shape in out.items()}


def _check(config: Config, slots: Mapping[str, np.ndarray]) -> None:
    expected = _shapes(config)
    for name in sorted(expected.keys() | slots.keys()):
        wanted, found = expected.get(name), slots[name].shape if name in slots else None
        if wanted != found:
            raise CheckpointError("{name} must be of the shape {shape}, found {found}", name=name, shape=wanted, found=found)


def _heard(config: Config, slots: Mapping[str, np.ndarray], graph: GraphWriter, hidden: str) -> str:
    """What the slots make (B, K, D) of the encoder's output `hidden` (B, S, D): see `theme_variational_network.Slots`."""
    from kapelle.models.onnx_parts import MICROSOFT, linear
    from kapelle.models.theme_onnx import EPSILON

    def norm(name: str, rows: str) -> str:
        gain, shift = (graph.constant(f"{NEW}{name}.{part}", slots[f"{NEW}{name}.{part}"]) for part in ("weight", "bias"))
        return graph.op("LayerNormalization", [rows, gain, shift], epsilon=EPSILON)

    width, matrix, bias = config.d_model, slots[f"{NEW}attention.in_proj_weight"], slots[f"{NEW}attention.in_proj_bias"]
    asked = graph.constant(f"{NEW}asked", slots[f"{NEW}questions"] @ matrix[:width].T + bias[:width])  # (K, D)
    rows = graph.constant(f"{NEW}shape", np.array([config.slots, width]))
    shape = graph.op("Concat", [graph.op("Shape", [hidden], start=0, end=1), rows], axis=0)
    told = [graph.constant(f"{NEW}told.T", matrix[width:].T), graph.constant(f"{NEW}told.bias", bias[width:])]
    packed = graph.op("Add", [graph.op("MatMul", [hidden, told[0]]), told[1]])  # (B, S, 2D)
    parts = [f"{NEW}key", f"{NEW}value"]
    graph.op("Split", [packed], parts, axis=-1, num_outputs=2)
    mixed = graph.op("MultiHeadAttention", [graph.op("Expand", [asked, shape]), *parts], domain=MICROSOFT, num_heads=config.n_head)
    answers = norm("norm", linear(graph, f"{NEW}attention.out_proj", mixed, slots))
    latent = linear(graph, f"{NEW}mean", answers, slots)  # (B, K, Z)
    names = graph.constant(f"{NEW}names", slots[f"{NEW}names"])
    return norm("last", graph.op("Add", [linear(graph, f"{NEW}row", latent, slots), names]))


def weights(config: Config, constants: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Never: a bundle hears means, and has lost how certain they are.

    Raises:
        CannotObey: Always.
    """
    raise CannotObey(
        "a bundle of this family cannot be trained on: it holds no variances", hint="begin with the run that it was exported from"
    )


def states(config: Config) -> tuple[StateSpec, ...]:
    """Keys and values of every decoder layer's self-attention."""
    return theme.states(config)
