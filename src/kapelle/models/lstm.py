"""REMI LSTM: an embedding, a multi-layer LSTM and a linear layer over token ids.

Takes ids (B, T), gives logits (B, T, V). In training every block starts from an empty memory; in composing the memory (h and c
of every layer) is carried from token to token however long the piece is, so nothing is ever read twice. It knows nothing of what
the ids mean.

Source: Hochreiter and Schmidhuber 1997, "Long Short-Term Memory"; torch's nn.LSTM (one bias more than the paper).
Known differences from the usual student model: dropout also on the embedding and before the output, where small data needs it;
the embedding may have another width than the LSTM; the gates' forget bias starts at 1, so that a fresh memory remembers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kapelle.config import setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import onnx
    import torch

    from kapelle.models import Kind, StateSpec

KIND: Kind = "autoregressive"


@dataclass(frozen=True)
class Config:
    """The shape of the network."""

    vocabulary: int = setting(help="number of token ids", min=2)
    embed_size: int = setting(256, help="width of the embedding", min=1)
    hidden_size: int = setting(512, help="width of the memory", min=1)
    num_layers: int = setting(2, help="LSTM layers", min=1)
    dropout: float = setting(0.2, help="share of activations dropped between layers in training", min=0.0, max=0.9)


def build(config: Config) -> torch.nn.Module:
    """A fresh network; random weights come from torch's global generator, which the caller seeds."""
    import torch
    from torch import nn

    class Lstm(nn.Module):
        """embedding -> LSTM layers -> logits."""

        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(config.vocabulary, config.embed_size)
            between = config.dropout if config.num_layers > 1 else 0.0
            self.lstm = nn.LSTM(config.embed_size, config.hidden_size, config.num_layers, batch_first=True, dropout=between)
            self.dropout = nn.Dropout(config.dropout)
            self.output = nn.Linear(config.hidden_size, config.vocabulary)
            for layer in range(config.num_layers):
                bias = getattr(self.lstm, f"bias_ih_l{layer}")
                with torch.no_grad():
                    bias[config.hidden_size : 2 * config.hidden_size].fill_(1.0)  # torch's order of gates: in, forget, cell, out

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            hidden = self.dropout(self.embedding(ids))  # (B, T, E)
            hidden, _ = self.lstm(hidden)  # (B, T, D)
            out: torch.Tensor = self.output(self.dropout(hidden))  # (B, T, V)
            return out

    return Lstm()


def logits(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """Logits (B, T, V) of the next token after every position of `ids` (B, T), from an empty memory."""
    out: torch.Tensor = model(ids)
    return out


def graphs(config: Config, weights: Mapping[str, np.ndarray]) -> dict[str, onnx.ModelProto]:
    """The step graph in 32-bit floats, from the arrays of the network's ``state_dict()``."""
    from kapelle.models.onnx_parts import GraphWriter, last_positions, linear
    from kapelle.models.recurrent_onnx import PARTS, lstm_layer

    graph = GraphWriter("lstm.step")
    ids = graph.input("ids", "int64", ["batch", "tokens"])
    hidden = graph.op("Gather", [graph.constant("embedding.weight", weights["embedding.weight"]), ids])  # (B, T, E)
    for layer in range(config.num_layers):
        arrays: Any = [weights[f"lstm.{part}_l{layer}"] for part in PARTS]
        hidden = lstm_layer(graph, f"lstm.{layer}", hidden, *arrays)  # (B, T, D)
    linear(graph, "output", last_positions(graph, hidden), weights, out="logits")
    graph.output("logits", "float32", ["batch", "kept", config.vocabulary])
    return {"step": graph.model()}


def weights(config: Config, constants: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays that `graphs` wrote."""
    from kapelle.models.recurrent_onnx import torch_layer

    held = constants["step"]
    out = {"embedding.weight": held["embedding.weight"], "output.weight": held["output.weight.T"].T, "output.bias": held["output.bias"]}
    for layer in range(config.num_layers):
        out |= {f"lstm.{part}_l{layer}": array for part, array in torch_layer(f"lstm.{layer}", held).items()}
    return out


def states(config: Config) -> tuple[StateSpec, ...]:
    """h and c of every layer."""
    from kapelle.models.recurrent_onnx import lstm_states

    return tuple(state for layer in range(config.num_layers) for state in lstm_states(f"lstm.{layer}", config.hidden_size))
