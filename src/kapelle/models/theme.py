"""Theme Transformer: a piece, token after token, that listens to a theme wherever a theme is to sound.

Takes ids (B, T) of the piece, labels (B, T) that say where in it the theme sounds (0: nowhere; 1, 2, 3 ...: the place inside it) and
ids (B, S) of the theme; gives logits (B, T, V). Id 0 is padding, always at the end of a row; every theme has at least one real id.
Six encoder layers read the theme. In every decoder layer self-attention and attention to the theme stand side by side and are
averaged; a gate opens the latter inside theme regions alone, and in the layers called exclusive shuts the former there. The network
is in `theme_network`, the graphs in `theme_onnx`. Neither knows anything of music.

Source: Shih et al. 2022, "Theme Transformer: Symbolic Music Generation with Theme-Conditioned Transformer" (IEEE Transactions on
Multimedia), and the authors' released network. Known differences: no dropout on attention weights by default (`attention_dropout`
brings it back); matrices of the released names without their first part ``transformer_model.``, codes of position not stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kapelle.config import setting
from kapelle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    import torch

    from kapelle.models import Kind, StateSpec

KIND: Kind = "encoder_decoder"


@dataclass(frozen=True)
class Config:
    """The shape of the network: 11,587,081 parameters with 1,033 ids and all else as it stands."""

    vocabulary: int = setting(help="number of token ids", min=2)
    n_positions: int = setting(512, help="longest block, in tokens", unit="tokens", min=8)
    d_model: int = setting(256, help="width", min=8)
    n_head: int = setting(8, help="attention heads", min=1)
    d_ff: int = setting(1024, help="width inside the feed-forward layers", min=1)
    n_encoder: int = setting(6, help="encoder layers", min=0)
    n_decoder: int = setting(6, help="decoder layers", min=1)
    exclusive: tuple[int, ...] = setting((0, 0, 0, 1, 1, 1), help="for each decoder layer, 1: inside the theme it hears the theme alone")
    dropout: float = setting(0.1, help="share of activations dropped in training", min=0.0, max=0.9)
    variant: str = setting("theme", help="how the theme is heard", choices=("theme", "seq2seq", "prompt"))
    gated: bool = setting(True, help="attention to the theme inside theme regions alone; without: everywhere, an ablation")
    encoder_offset: float = setting(0.1, help="position of the theme's first token; the released network has 0.1")
    attention_dropout: float = setting(0.0, help="share of attention weights dropped in training", min=0.0, max=0.9)
    embedding_std: float = setting(
        0.0,
        help="deviation of fresh embeddings; 0: Xavier's as published, beside which the codes of position are 15 times as large",
        min=0.0,
    )

    def __post_init__(self) -> None:
        if self.d_model % self.n_head or self.d_model % 2:
            raise UsageError("d_model must be even and a multiple of n_head, not {width}", width=self.d_model)
        if self.variant == "theme" and self.gated and len(self.exclusive) != self.n_decoder:
            raise UsageError("exclusive must name all {n} decoder layers, not {found}", n=self.n_decoder, found=len(self.exclusive))


def kind(config: Config) -> Kind:
    """The variant prompt has nothing to encode: it goes on from what it is fed."""
    return "autoregressive" if config.variant == "prompt" else KIND


def build(config: Config) -> torch.nn.Module:
    """A fresh network; random weights come from torch's global generator, which the caller seeds.

    It is called ``network(ids, labels, theme, theme_labels=None)``. The variant prompt is a decoder alone: its theme is the beginning
    of `ids`, and `labels` and `theme` are not looked at.
    """
    from kapelle.models.theme_network import ThemeTransformer

    return ThemeTransformer(config)


def logits(network: torch.nn.Module, ids: torch.Tensor, labels: torch.Tensor, theme: torch.Tensor) -> torch.Tensor:
    """Logits (B, T, V) of the next token after every position of `ids` (B, T)."""
    out: torch.Tensor = network(ids, labels, theme)
    return out


def codes(n_positions: int, width: int, offset: float = 0.0) -> np.ndarray:
    """Sinusoidal codes (n_positions, width) float32 of the positions `offset`, `offset` + 1, ...: sines at even places, cosines at odd.

    Source: Vaswani et al. 2017, "Attention Is All You Need".
    """
    positions = np.arange(n_positions, dtype=np.float64)[:, None] + offset
    rates = np.exp(np.arange(0, width, 2) * (-np.log(10_000.0) / width))
    table = np.empty((n_positions, width))
    table[:, 0::2], table[:, 1::2] = np.sin(positions * rates), np.cos(positions * rates)
    return table.astype(np.float32)


def graphs(config: Config, weights: Mapping[str, np.ndarray]) -> dict[str, onnx.ModelProto]:
    """The graphs "encode" and "step" in 32-bit floats, from the arrays of the network's ``state_dict()``; prompt has the latter alone.

    Raises:
        CheckpointError: The weights are of another shape than `config`.
    """
    from kapelle.models import theme_onnx

    return theme_onnx.graphs(config, weights)


def weights(config: Config, constants: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What `graphs` was given, from the constants that it wrote."""
    from kapelle.models import theme_onnx

    return theme_onnx.weights(config, constants)


def states(config: Config) -> tuple[StateSpec, ...]:
    """Keys and values of every decoder layer's self-attention."""
    from kapelle.models import theme_onnx

    return theme_onnx.states(config)
