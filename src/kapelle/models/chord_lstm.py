"""Chopin LSTM: two LSTM layers of falling width and a dense layer over ids of notes and chords.

Takes ids (B, T), gives logits (B, T, V). The better variant reads ids through an embedding; the faithful one reads each id as one number,
id / V, as the notebooks do that it comes from: an order where there is none, kept to be compared with. Every block starts from an empty
memory in training; what carries the memory on is the caller's business. It knows nothing of what the ids mean.

Source: the public notebook "Music Generation: LSTM" (LSTM, Dropout 0.1, LSTM, Dense, Dropout 0.1, softmax), with layers of 256 and 128;
Hochreiter and Schmidhuber 1997, "Long Short-Term Memory".
Known differences: one network for every length, logits at every position (the notebook asks for the last one only; so does the objective
of the faithful variant); a ReLU after the dense layer, without which two linear layers are one; the gates' forget bias starts at 1.
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
    input: str = setting("embedding", help="how an id is read: by an embedding, or as one number", choices=("embedding", "scalar"))
    embed: int = setting(128, help="width of the embedding", min=1)
    hidden: tuple[int, ...] = setting((256, 128), help="widths of the LSTM layers")
    dense: int = setting(256, help="width of the dense layer", min=1)
    dropout: float = setting(0.1, help="share of activations dropped in training", min=0.0, max=0.9)
    window: int = setting(0, help="ids that a composer shows it at every step, from an empty memory; 0: its memory is carried on", min=0)

    @property
    def inputs(self) -> tuple[int, ...]:
        """Width of what every LSTM layer reads."""
        return (self.embed if self.input == "embedding" else 1, *self.hidden[:-1])


def build(config: Config) -> torch.nn.Module:
    """A fresh network; random weights come from torch's global generator, which the caller seeds."""
    import torch
    from torch import nn

    class ChordLstm(nn.Module):
        """ids -> LSTM layers -> dense -> logits."""

        def __init__(self) -> None:
            super().__init__()
            if config.input == "embedding":
                self.embedding = nn.Embedding(config.vocabulary, config.embed)
                nn.init.normal_(self.embedding.weight, std=config.embed**-0.5)
            widths = zip(config.inputs, config.hidden, strict=True)
            self.layers = nn.ModuleList(nn.LSTM(width, hidden, batch_first=True) for width, hidden in widths)
            self.dropout = nn.Dropout(config.dropout)
            self.dense = nn.Linear(config.hidden[-1], config.dense)
            self.output = nn.Linear(config.dense, config.vocabulary)
            for layer, hidden in zip(self.layers, config.hidden, strict=True):
                bias: Any = layer.bias_ih_l0
                with torch.no_grad():
                    bias[hidden : 2 * hidden].fill_(1.0)  # torch's order of gates: in, forget, cell, out
            nn.init.kaiming_normal_(self.dense.weight, nonlinearity="relu")  # torch's default halves what passes, and learning with it

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            hidden = self._inputs(ids)
            for place, layer in enumerate(self.layers):
                hidden, _ = layer(hidden if place == 0 else self.dropout(hidden))  # (B, T, D)
            dense = torch.relu(self.dense(self.dropout(hidden)))
            out: torch.Tensor = self.output(self.dropout(dense))  # (B, T, V)
            return out

        def _inputs(self, ids: torch.Tensor) -> torch.Tensor:
            if config.input == "scalar":
                return (ids.float() / config.vocabulary).unsqueeze(-1)  # (B, T, 1)
            embedded: torch.Tensor = self.dropout(self.embedding(ids))  # (B, T, E)
            return embedded

    return ChordLstm()


def logits(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """Logits (B, T, V) of the next token after every position of `ids` (B, T), from an empty memory."""
    out: torch.Tensor = model(ids)
    return out


def graphs(config: Config, weights: Mapping[str, np.ndarray]) -> dict[str, onnx.ModelProto]:
    """The step graph in 32-bit floats, from the arrays of the network's ``state_dict()``."""
    import numpy as np

    from kapelle.models.onnx_parts import GraphWriter, last_positions, linear
    from kapelle.models.recurrent_onnx import PARTS, lstm_layer

    graph = GraphWriter("chord_lstm.step")
    ids = graph.input("ids", "int64", ["batch", "tokens"])
    if config.input == "embedding":
        hidden = graph.op("Gather", [graph.constant("embedding.weight", weights["embedding.weight"]), ids])  # (B, T, E)
    else:
        share = graph.op("Div", [graph.op("Cast", [ids], to=1), graph.constant("vocabulary", np.float32(config.vocabulary).reshape(1))])
        hidden = graph.op("Unsqueeze", [share, graph.constant("last", np.array([-1]))])  # (B, T, 1)
    for layer in range(len(config.hidden)):
        arrays: Any = [weights[f"layers.{layer}.{part}_l0"] for part in PARTS]
        hidden = lstm_layer(graph, f"lstm.{layer}", hidden, *arrays)  # (B, T, D)
    dense = graph.op("Relu", [linear(graph, "dense", last_positions(graph, hidden), weights)])
    linear(graph, "output", dense, weights, out="logits")
    graph.output("logits", "float32", ["batch", "kept", config.vocabulary])
    return {"step": graph.model()}


def weights(config: Config, constants: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays that `graphs` wrote."""
    from kapelle.models.recurrent_onnx import torch_layer

    held = constants["step"]
    out = {"embedding.weight": held["embedding.weight"]} if config.input == "embedding" else {}
    for name in ("dense", "output"):
        out |= {f"{name}.weight": held[f"{name}.weight.T"].T, f"{name}.bias": held[f"{name}.bias"]}
    for layer in range(len(config.hidden)):
        out |= {f"layers.{layer}.{part}_l0": array for part, array in torch_layer(f"lstm.{layer}", held).items()}
    return out


def states(config: Config) -> tuple[StateSpec, ...]:
    """h and c of every layer."""
    from kapelle.models.recurrent_onnx import lstm_states

    return tuple(state for layer, width in enumerate(config.hidden) for state in lstm_states(f"lstm.{layer}", width))
