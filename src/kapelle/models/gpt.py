"""GPT-2: a decoder-only Transformer over token ids, in the shape of the genre Transformer.

Takes ids (B, T), gives logits (B, T, V). Learned positions, pre-norm blocks, GELU (tanh form), output tied to the embedding.
The network itself is transformers' GPT2LMHeadModel; this file fixes its shape, its loss and how it is written for the runtime.
It knows nothing of what the ids mean.

Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"; transformers 5 (Apache-2.0).
Known differences: no dropout on attention weights by default (small data is augmented instead); biases kept as in GPT-2.
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
    """The shape of the network. Its count of parameters with tied embeddings is 12·L·D² + 13·L·D + 2·D + (V + N)·D."""

    vocabulary: int = setting(help="number of token ids", min=2)
    n_positions: int = setting(512, help="longest block, in tokens", unit="tokens", min=8)
    n_embd: int = setting(512, help="width", min=8)
    n_layer: int = setting(6, help="blocks", min=1)
    n_head: int = setting(8, help="attention heads", min=1)
    dropout: float = setting(0.1, help="share of activations dropped in training", min=0.0, max=0.9)


def build(config: Config) -> torch.nn.Module:
    """A fresh GPT2LMHeadModel of the shape `config`; random weights come from torch's global generator, which the caller seeds."""
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = GPT2Config(
        vocab_size=config.vocabulary,
        n_positions=config.n_positions,
        n_embd=config.n_embd,
        n_layer=config.n_layer,
        n_head=config.n_head,
        resid_pdrop=config.dropout,
        embd_pdrop=config.dropout,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
        use_cache=False,
    )
    model: Any = GPT2LMHeadModel(shape)
    return model  # type: ignore[no-any-return]


def logits(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """Logits (B, T, V) of the next token after every position of `ids` (B, T)."""
    out: torch.Tensor = model(input_ids=ids).logits
    return out


def graphs(config: Config, weights: Mapping[str, np.ndarray]) -> dict[str, onnx.ModelProto]:
    """The step graph in 32-bit floats, from the arrays of the network's ``state_dict()``."""
    from kapelle.models import gpt_onnx

    return {"step": gpt_onnx.step(config, weights)}


def weights(config: Config, constants: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays that `graphs` wrote; the output matrix is the embedding's, which is stored more finely."""
    held = constants["step"]
    blocks = {name: array for name, array in held.items() if name.startswith("transformer.")}
    return blocks | {"transformer.wte.weight": held["wte"], "transformer.wpe.weight": held["wpe"]}


def states(config: Config) -> tuple[StateSpec, ...]:
    """Keys and values of every block."""
    from kapelle.models import gpt_onnx

    return gpt_onnx.states(config)
