"""GPT-2 for the runtime: the step graph, written operator by operator from the weights.

Takes `Config` and the arrays of ``GPT2LMHeadModel.state_dict()``, gives one ONNX model in 32-bit floats. The attention operator
keeps keys and values in a buffer that the caller binds as input and output at once, so a step copies nothing and costs the same
however long the piece is. Residual sums, biases and norms are written as the fused operators that the runtime would make of them.

Source: onnxruntime's contrib operators (GroupQueryAttention, SkipLayerNormalization, FastGelu), read from their schema documents.
Known differences from the torch network: none beyond rounding (5e-6 on logits of size 1); dropout is gone, as in evaluation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kapelle.errors import CheckpointError
from kapelle.models import StateSpec
from kapelle.models.onnx_parts import MICROSOFT, GraphWriter, last_positions, last_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx

    from kapelle.models.gpt import Config

EPSILON = 1e-5
"""Of the layer norms: GPT2Config's default."""


def states(config: Config) -> tuple[StateSpec, ...]:
    """Keys and values of every block: (batch, heads, context, width of a head)."""
    shape = ("batch", config.n_head, "context", config.n_embd // config.n_head)
    return tuple(StateSpec(f"{layer}.{part}", shape, "float32", "kv") for layer in range(config.n_layer) for part in ("key", "value"))


def step(config: Config, weights: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """The step graph: ids (B, T) appended to the memory -> logits (B, kept, V).

    Raises:
        CheckpointError: The weights are of another shape than `config`.
    """
    _check(config, weights)
    graph = GraphWriter("gpt.step")
    ids = graph.input("ids", "int64", ["batch", "tokens"])
    graph.input("seqlens_k", "int32", ["batch"])
    total = graph.input("total_sequence_length", "int32", [])
    table = graph.constant("wte", weights["transformer.wte.weight"])
    places = last_rows(graph, ids, total, graph.constant("wpe", weights["transformer.wpe.weight"]))
    hidden = graph.op("Gather", [table, ids])  # (B, T, D)
    added = [places]  # what the next norm adds to the residual stream: (T, D) first, then (B, T, D) and a bias
    for layer in range(config.n_layer):
        hidden, added = _block(graph, config, layer, weights, hidden, added)
    normed, _ = _norm(graph, "transformer.ln_f", weights, hidden, added)
    kept = last_positions(graph, normed)
    output = graph.constant("lm_head", weights["transformer.wte.weight"].T)
    graph.op("MatMul", [kept, output], ["logits"])
    graph.output("logits", "float32", ["batch", "kept", config.vocabulary])
    return graph.model()


def _check(config: Config, weights: Mapping[str, np.ndarray]) -> None:
    """Compare what tells one shape from another: the two tables, the first block's width and the number of blocks."""
    width = config.n_embd
    expected = {
        "transformer.wte.weight": (config.vocabulary, width),
        "transformer.wpe.weight": (config.n_positions, width),
        f"transformer.h.{config.n_layer - 1}.attn.c_attn.weight": (width, 3 * width),
    }
    for name, shape in expected.items():
        found = weights[name].shape if name in weights else None
        if found != shape:
            raise CheckpointError("{name} must be of the shape {shape}, found {found}", name=name, shape=shape, found=found)
    if f"transformer.h.{config.n_layer}.ln_1.weight" in weights:
        raise CheckpointError("the weights have more than the {n_layer} blocks of the recipe", n_layer=config.n_layer)


def _block(
    graph: GraphWriter, config: Config, layer: int, weights: Mapping[str, np.ndarray], hidden: str, added: list[str]
) -> tuple[str, list[str]]:
    """One block: the residual stream, and what is still to be added to it."""
    name = f"transformer.h.{layer}"
    normed, hidden = _norm(graph, f"{name}.ln_1", weights, hidden, added)
    packed = _product(graph, f"{name}.attn.c_attn", weights, normed)  # (B, T, 3D)
    packed = graph.op("Add", [packed, _bias(graph, f"{name}.attn.c_attn", weights)])
    attended = _attention(graph, config, layer, packed)
    projected = _product(graph, f"{name}.attn.c_proj", weights, attended)
    added = [projected, _bias(graph, f"{name}.attn.c_proj", weights)]
    normed, hidden = _norm(graph, f"{name}.ln_2", weights, hidden, added)
    wide = _product(graph, f"{name}.mlp.c_fc", weights, normed)  # (B, T, 4D)
    active = graph.op("FastGelu", [wide, _bias(graph, f"{name}.mlp.c_fc", weights)], domain=MICROSOFT)
    narrow = _product(graph, f"{name}.mlp.c_proj", weights, active)
    return hidden, [narrow, _bias(graph, f"{name}.mlp.c_proj", weights)]


def _attention(graph: GraphWriter, config: Config, layer: int, packed: str) -> str:
    """Causal attention over the memory (B, T, D); the memory's buffers are extended in place."""
    past, present = [], []
    for part in ("key", "value"):
        shape: list[int | str] = ["batch", config.n_head, "context", config.n_embd // config.n_head]
        past.append(graph.input(f"past.{layer}.{part}", "float32", shape))
        present.append(graph.output(f"present.{layer}.{part}", "float32", shape))
    return graph.op(
        "GroupQueryAttention",
        [packed, "", "", *past, "seqlens_k", "total_sequence_length"],
        [f"attended.{layer}", *present],
        domain=MICROSOFT,
        num_heads=config.n_head,
        kv_num_heads=config.n_head,
    )


def _norm(graph: GraphWriter, name: str, weights: Mapping[str, np.ndarray], hidden: str, added: list[str]) -> tuple[str, str]:
    """Norm of `hidden` plus all of `added`, and that sum."""
    gain = graph.constant(f"{name}.weight", weights[f"{name}.weight"])
    shift = graph.constant(f"{name}.bias", weights[f"{name}.bias"])
    normed, total = f"{name}.normed", f"{name}.sum"
    inputs = [hidden, added[0], gain, shift, *added[1:]]
    graph.op("SkipLayerNormalization", inputs, [normed, "", "", total], domain=MICROSOFT, epsilon=EPSILON)
    return normed, total


def _product(graph: GraphWriter, name: str, weights: Mapping[str, np.ndarray], left: str) -> str:
    return graph.op("MatMul", [left, graph.constant(f"{name}.weight", weights[f"{name}.weight"])])


def _bias(graph: GraphWriter, name: str, weights: Mapping[str, np.ndarray]) -> str:
    return graph.constant(f"{name}.bias", weights[f"{name}.bias"])
