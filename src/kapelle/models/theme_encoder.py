"""Theme encoder: a small Transformer that makes a point on the unit sphere of a handful of things in a row.

Takes ids of several kinds for every place of a row, such as pitch, onset and duration of a note: (B, T) each, 0 where a row is filled up.
Gives vectors (B, D) of length 1. Embeddings of all kinds are added up, blocks of attention and a small network follow (norms first, no
code of places: onsets tell where things stand), then the mean over what is no padding, and a linear layer. What is filled up changes
nothing, whatever the row's neighbours in the batch are. It knows nothing of music.

Source: Vaswani et al. 2017 for the blocks; Chen et al. 2020, "SimCLR", for training it (`kapelle.training.contrastive`).
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

KIND: Kind = "encoder"

EPSILON = 1e-5
"""Of the norms, as torch's."""

FAR = -1e9
"""Added to the attention that padding would get."""

TINY = 1e-12
"""Shortest length that a vector is divided by."""


@dataclass(frozen=True)
class Config:
    """The shape of the network."""

    pitch: int = setting(help="ids of pitch, padding included", min=2)
    interval: int = setting(help="ids of interval, padding included", min=2)
    onset: int = setting(help="ids of onset, padding included", min=2)
    duration: int = setting(help="ids of duration, padding included", min=2)
    d_model: int = setting(128, help="width inside", min=1)
    n_head: int = setting(4, help="heads of attention", min=1)
    n_layer: int = setting(2, help="blocks", min=1)
    d_ff: int = setting(256, help="width of the small networks", min=1)
    d_out: int = setting(128, help="numbers of a point", min=1)
    dropout: float = setting(0.1, help="share of activations dropped in training", min=0.0, max=0.9)

    @property
    def kinds(self) -> dict[str, int]:
        """Kind of ids -> how many."""
        return {"pitch": self.pitch, "interval": self.interval, "onset": self.onset, "duration": self.duration}


def build(config: Config) -> torch.nn.Module:
    """A fresh network: called with {kind: ids (B, T)} it gives (B, D); random weights come from torch's global generator."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Block(nn.Module):
        """Attention among the things of a row, then a small network for each."""

        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(config.d_model), nn.LayerNorm(config.d_model)
            self.attention = nn.Linear(config.d_model, 3 * config.d_model)
            self.joined = nn.Linear(config.d_model, config.d_model)
            self.wide, self.narrow = nn.Linear(config.d_model, config.d_ff), nn.Linear(config.d_ff, config.d_model)
            self.dropout = nn.Dropout(config.dropout)

        def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            n, length, width = hidden.shape
            parts = self.attention(self.norm1(hidden)).view(n, length, 3, config.n_head, width // config.n_head)
            query, key, value = parts.permute(2, 0, 3, 1, 4)  # (B, H, T, D/H)
            weights = (query @ key.transpose(2, 3) * (width // config.n_head) ** -0.5 + mask).softmax(-1)  # (B, H, T, T)
            heard = (weights @ value).transpose(1, 2).reshape(n, length, width)
            hidden = hidden + self.dropout(self.joined(heard))
            out: torch.Tensor = hidden + self.dropout(self.narrow(F.gelu(self.wide(self.norm2(hidden)))))
            return out

    class Encoder(nn.Module):
        """ids -> embeddings -> blocks -> mean -> point."""

        def __init__(self) -> None:
            super().__init__()
            self.embeddings = nn.ModuleDict({kind: nn.Embedding(n_ids, config.d_model) for kind, n_ids in config.kinds.items()})
            self.dropout = nn.Dropout(config.dropout)
            self.blocks = nn.ModuleList(Block() for _ in range(config.n_layer))
            self.norm = nn.LayerNorm(config.d_model)
            self.output = nn.Linear(config.d_model, config.d_out)
            for table in self.embeddings.values():
                nn.init.normal_(table.weight, std=0.5)  # type: ignore[arg-type]  # four of them make about length 1 for each number

        def forward(self, ids: dict[str, torch.Tensor]) -> torch.Tensor:
            here = (ids["onset"] > 0).float()  # (B, T)
            mask = (1 - here)[:, None, None] * FAR  # (B, 1, 1, T)
            hidden = self.dropout(torch.stack([self.embeddings[kind](ids[kind]) for kind in config.kinds]).sum(0))
            for block in self.blocks:
                hidden = block(hidden, mask)
            total = (self.norm(hidden) * here[..., None]).sum(1) / here.sum(1, keepdim=True).clamp(min=1)
            return F.normalize(self.output(total), eps=TINY)

    return Encoder()


def graphs(config: Config, weights: Mapping[str, np.ndarray]) -> dict[str, onnx.ModelProto]:
    """The encode graph in 32-bit floats, from the arrays of the network's ``state_dict()``: {kind: ids} -> ``embedding``."""
    import numpy as np

    from kapelle.models.onnx_parts import GraphWriter, linear

    graph = GraphWriter("theme_encoder.encode")
    ids = {kind: graph.input(kind, "int64", ["batch", "notes"]) for kind in config.kinds}
    tables = {kind: graph.constant(f"embeddings.{kind}.weight", weights[f"embeddings.{kind}.weight"]) for kind in ids}
    here = graph.op("Cast", [graph.op("Greater", [ids["onset"], graph.constant("zero", np.array([0]))])], to=1)  # (B, T)
    away = graph.op("Mul", [graph.op("Sub", [graph.constant("one", np.array([1], np.float32)), here]), _number(graph, "far", FAR)])
    mask = graph.op("Unsqueeze", [away, graph.constant("axes.heads", np.array([1, 2]))])  # (B, 1, 1, T)
    hidden = graph.op("Sum", [graph.op("Gather", [tables[kind], ids[kind]]) for kind in ids])  # (B, T, D)
    for layer in range(config.n_layer):
        hidden = _block(graph, config, f"blocks.{layer}", hidden, mask, weights)
    here = graph.op("Unsqueeze", [here, graph.constant("axis.last", np.array([2]))])  # (B, T, 1)
    axis = graph.constant("axis.notes", np.array([1]))
    total = graph.op("ReduceSum", [graph.op("Mul", [_norm(graph, "norm", hidden, weights), here]), axis], keepdims=0)
    count = graph.op("Max", [graph.op("ReduceSum", [here, axis], keepdims=0), _number(graph, "least", 1.0)])
    point = linear(graph, "output", graph.op("Div", [total, count]), weights)
    length = graph.op("Max", [graph.op("ReduceL2", [point, axis], keepdims=1), _number(graph, "tiny", TINY)])
    graph.op("Div", [point, length], ["embedding"])
    graph.output("embedding", "float32", ["batch", config.d_out])
    return {"encode": graph.model()}


def _block(graph: Any, config: Config, name: str, hidden: str, mask: str, weights: Mapping[str, np.ndarray]) -> str:
    """One block, (B, T, D) -> (B, T, D)."""
    import numpy as np

    from kapelle.models.onnx_parts import linear

    size = config.d_model // config.n_head
    parts = linear(graph, f"{name}.attention", _norm(graph, f"{name}.norm1", hidden, weights), weights)
    apart = graph.op("Reshape", [parts, graph.constant("shape.heads", np.array([0, 0, 3, config.n_head, size]))])
    turned = graph.op("Transpose", [apart], perm=[2, 0, 3, 1, 4])  # (3, B, H, T, D/H)
    first = graph.constant("axis.first", np.array([0]))
    split = [graph.op("Squeeze", [part, first]) for part in _split(graph, f"{name}.parts", turned)]
    query, key, value = split
    scores = graph.op(
        "Mul", [graph.op("MatMul", [query, graph.op("Transpose", [key], perm=[0, 1, 3, 2])]), _number(graph, "scale", size**-0.5)]
    )
    heard = graph.op("MatMul", [graph.op("Softmax", [graph.op("Add", [scores, mask])], axis=-1), value])
    joined = graph.op(
        "Reshape", [graph.op("Transpose", [heard], perm=[0, 2, 1, 3]), graph.constant("shape.joined", np.array([0, 0, config.d_model]))]
    )
    hidden = graph.op("Add", [hidden, linear(graph, f"{name}.joined", joined, weights)])
    wide = graph.op("Gelu", [linear(graph, f"{name}.wide", _norm(graph, f"{name}.norm2", hidden, weights), weights)])
    return str(graph.op("Add", [hidden, linear(graph, f"{name}.narrow", wide, weights)]))


def _split(graph: Any, name: str, value: str) -> list[str]:
    """The three parts along the first side."""
    outputs = [f"{name}.{i}" for i in range(3)]
    graph.op("Split", [value], outputs, axis=0, num_outputs=3)
    return outputs


def _norm(graph: Any, name: str, value: str, weights: Mapping[str, np.ndarray]) -> str:
    scale, shift = (graph.constant(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias"))
    return str(graph.op("LayerNormalization", [value, scale, shift], axis=-1, epsilon=EPSILON))


def _number(graph: Any, name: str, value: float) -> str:
    import numpy as np

    return str(graph.constant(name, np.array([value], np.float32)))


def weights(config: Config, constants: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays that `graphs` wrote."""
    held = constants["encode"]
    turned = {name.removesuffix(".T"): array.T for name, array in held.items() if name.endswith(".weight.T")}
    return turned | {name: array for name, array in held.items() if name.endswith((".weight", ".bias"))}


def states(config: Config) -> tuple[StateSpec, ...]:
    """None: it goes in one go."""
    return ()
