"""The Theme Transformer for the runtime: the graphs "encode" and "step", written operator by operator from the weights.

Takes `Config` and the arrays of the network's ``state_dict()``, gives ONNX models in 32-bit floats. "encode" reads a theme once and gives
the keys and values that every decoder layer will attend to; "step" appends tokens to a memory that is kept in place and reads those.
The mean of the two attentions is written into their output matrices (halving is exact). A theme holds no padding here: rows of a batch
are of one length.

Source: onnxruntime's contrib operators (GroupQueryAttention, MultiHeadAttention, SkipLayerNormalization), read from their schema documents.
Known differences from the torch network: none beyond rounding (below 1e-5 on logits of size 1); dropout is gone, as in evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from kapelle.errors import CheckpointError
from kapelle.models import StateSpec
from kapelle.models.onnx_parts import MICROSOFT, GraphWriter, last_positions, last_rows, linear
from kapelle.models.theme import codes

if TYPE_CHECKING:
    import onnx

    from kapelle.models.theme import Config

Weights = Mapping[str, np.ndarray]

Heard = Callable[[GraphWriter, str], str]
"""(graph, name of a value) -> name of what is heard in its place."""

EPSILON = 1e-5
"""Of the layer norms: torch's default."""

CROSS = "multihead_attn"


def states(config: Config) -> tuple[StateSpec, ...]:
    """Keys and values of every decoder layer: (batch, heads, context, width of a head)."""
    shape = ("batch", config.n_head, "context", config.d_model // config.n_head)
    return tuple(StateSpec(f"{layer}.{part}", shape, "float32", "kv") for layer in range(config.n_decoder) for part in ("key", "value"))


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """The name and shape of every parameter of the network."""
    width, wide = config.d_model, config.d_ff
    out: dict[str, tuple[int, ...]] = {"token_embedding.weight": (config.vocabulary, width)}
    if config.variant == "seq2seq":
        out["segment_embedding.weight"] = (2, width)
    attention = {"in_proj_weight": (3 * width, width), "in_proj_bias": (3 * width,), "out_proj.weight": (width, width)}
    for layer in _layers(config):
        for part in _attentions(config, layer):
            out |= {f"{layer}.{part}.{name}": shape for name, shape in attention.items()} | {f"{layer}.{part}.out_proj.bias": (width,)}
        out |= {f"{layer}.linear1.weight": (wide, width), f"{layer}.linear1.bias": (wide,)}
        out |= {f"{layer}.linear2.weight": (width, wide), f"{layer}.linear2.bias": (width,)}
    for norm in _norms(config):
        out |= {f"{norm}.weight": (width,), f"{norm}.bias": (width,)}
    return out | {"output_layer.weight": (config.vocabulary, width), "output_layer.bias": (config.vocabulary,)}


def graphs(config: Config, weights: Weights, heard: Heard | None = None) -> dict[str, onnx.ModelProto]:
    """The graph "step", and "encode" where there is an encoder.

    Args:
        config: The shape of the network.
        weights: Its weights.
        heard: Adds to the graph what stands between encoder and decoder: from (B, S, D) to (B, any number of rows, D).

    Raises:
        CheckpointError: The weights are of another shape than `config`.
    """
    _check(config, weights)
    weights = {name: array / 2 if _halved(config, name) else array for name, array in weights.items()}
    step = {"step": _step(config, weights)}
    return step if config.variant == "prompt" else {"encode": _encode(config, weights, heard)} | step


def weights(config: Config, constants: Mapping[str, Weights]) -> dict[str, np.ndarray]:
    """What `graphs` was given, from the constants by name of both graphs."""
    out: dict[str, np.ndarray] = {}
    step, encode = constants["step"], constants.get("encode", {})
    for name in shapes(config):
        held = encode if name.startswith("encoder.") else step
        if CROSS in name and "in_proj" in name:  # the theme's part of it was needed in the other graph
            turned = [part.T if name.endswith("weight") else part for part in (_held(step, name), _held(encode, name))]
            out[name] = np.concatenate(turned)
        else:
            array = _held(held, name)
            out[name] = array.T if f"{name}.T" in held else array
        if _halved(config, name):
            out[name] = out[name] * 2
    return out


def _held(constants: Weights, name: str) -> np.ndarray:
    return constants[f"{name}.T" if f"{name}.T" in constants else name]


def _halved(config: Config, name: str) -> bool:
    """Whether the mean of the two attentions is written into the parameter `name`."""
    return config.variant == "theme" and name.startswith("decoder.") and ".out_proj." in name


def _layers(config: Config) -> list[str]:
    encoder = [] if config.variant == "prompt" else [f"encoder.layers.{layer}" for layer in range(config.n_encoder)]
    return encoder + [f"decoder.layers.{layer}" for layer in range(config.n_decoder)]


def _attentions(config: Config, layer: str) -> tuple[str, ...]:
    return ("self_attn", CROSS) if layer.startswith("decoder.") and config.variant != "prompt" else ("self_attn",)


def _norms(config: Config) -> list[str]:
    """The norms of every layer under their names in the network, and the last one of each stack."""
    numbers = {"theme": (1, 3), "seq2seq": (1, 2, 3), "prompt": (1, 2)}[config.variant]
    out = [f"{layer}.norm{n}" for layer in _layers(config) for n in (numbers if layer.startswith("decoder.") else (1, 2))]
    return [*out, "decoder.norm"] if config.variant == "prompt" else [*out, "encoder.norm", "decoder.norm"]


def _check(config: Config, weights: Weights) -> None:
    """Compare every name and shape."""
    expected = shapes(config)
    for name in sorted(expected.keys() | weights.keys()):
        wanted, found = expected.get(name), weights[name].shape if name in weights else None
        if wanted != found:
            raise CheckpointError("{name} must be of the shape {shape}, found {found}", name=name, shape=wanted, found=found)


def _encode(config: Config, weights: Weights, heard: Heard | None) -> onnx.ModelProto:
    """theme (B, S) -> keys and values of every decoder layer (B, H, S, D/H)."""
    graph = GraphWriter("theme.encode")
    theme = graph.input("theme", "int64", ["batch", "theme_tokens"])
    table = codes(config.n_positions, config.d_model, config.encoder_offset)
    if config.variant == "seq2seq":
        table = table + weights["segment_embedding.weight"][1]  # all of it is theme
    start = graph.constant("start", np.array([0]))
    places = graph.op("Slice", [graph.constant("places", table), start, graph.op("Shape", [theme], start=1, end=2), start])  # (S, D)
    hidden = graph.op("Add", [_embedded(graph, theme, weights), places])  # (B, S, D)
    for layer in range(config.n_encoder):
        name = f"encoder.layers.{layer}"
        packed = _projected(graph, f"{name}.self_attn", hidden, weights)  # (B, S, 3D)
        parts = [f"{name}.{part}" for part in ("query", "key", "value")]
        graph.op("Split", [packed], parts, axis=-1, num_outputs=3)
        mixed = graph.op("MultiHeadAttention", parts, domain=MICROSOFT, num_heads=config.n_head)
        attended = linear(graph, f"{name}.self_attn.out_proj", mixed, weights)
        hidden = _norm(graph, f"{name}.norm1", hidden, attended, weights)
        hidden = _norm(graph, f"{name}.norm2", hidden, _feed(graph, name, hidden, weights), weights)
    gain, shift = (graph.constant(f"encoder.norm.{part}", weights[f"encoder.norm.{part}"]) for part in ("weight", "bias"))
    hidden = graph.op("LayerNormalization", [hidden, gain, shift], epsilon=EPSILON)
    rows = "memory_rows" if heard else "theme_tokens"
    hidden = heard(graph, hidden) if heard else hidden
    for layer in range(config.n_decoder):
        _remember(graph, config, layer, (hidden, rows), weights)
    return graph.model()


def _remember(graph: GraphWriter, config: Config, layer: int, heard: tuple[str, str], weights: Weights) -> None:
    """Outputs: what the decoder layer `layer` attends to, made of `heard`: a memory (B, S, D), and what S is called."""
    memory, rows = heard
    width, per_head = config.d_model, config.d_model // config.n_head
    packed = _projected(graph, f"decoder.layers.{layer}.{CROSS}", memory, weights, slice(width, None))  # (B, S, 2D)
    parts = [f"decoder.layers.{layer}.{part}" for part in ("key", "value")]
    graph.op("Split", [packed], parts, axis=-1, num_outputs=2)
    heads = graph.constant("heads", np.array([0, 0, config.n_head, per_head]))
    for part, name in zip(parts, (f"memory.{layer}.key", f"memory.{layer}.value"), strict=True):
        graph.op("Transpose", [graph.op("Reshape", [part, heads])], [name], perm=[0, 2, 1, 3])
        graph.output(name, "float32", ["batch", config.n_head, rows, per_head])


def _step(config: Config, weights: Weights) -> onnx.ModelProto:
    """ids and labels (B, T) appended to the memory -> logits (B, kept, V)."""
    graph = GraphWriter("theme.step")
    ids = graph.input("ids", "int64", ["batch", "tokens"])
    labels = "" if config.variant == "prompt" else graph.input("ids.theme", "int64", ["batch", "tokens"])
    graph.input("seqlens_k", "int32", ["batch"])
    total = graph.input("total_sequence_length", "int32", [])
    table = graph.constant("places", codes(config.n_positions, config.d_model))
    places = last_rows(graph, ids, total, table)  # (T, D)
    hidden = _embedded(graph, ids, weights)  # (B, T, D)
    if config.variant == "theme":
        last = graph.constant("last", np.array([config.n_positions - 1]))
        aligned = graph.op("Gather", [table, graph.op("Min", [labels, last])])  # (B, T, D)
        gates = _gates(graph, labels) if config.gated else None
        for layer in range(config.n_decoder):
            hidden = _theme_layer(graph, config, layer, hidden, (places, aligned), gates, weights)
    else:
        hidden = graph.op("Add", [hidden, places])
        if labels:
            segments = graph.constant("segment_embedding.weight", weights["segment_embedding.weight"])
            inside = graph.op("Cast", [graph.op("Greater", [labels, graph.constant("outside", np.array([0]))])], to=7)  # 7: int64
            hidden = graph.op("Add", [hidden, graph.op("Gather", [segments, inside])])
        for layer in range(config.n_decoder):
            hidden = _serial_layer(graph, config, layer, hidden, weights)
    gain, shift = (graph.constant(f"decoder.norm.{part}", weights[f"decoder.norm.{part}"]) for part in ("weight", "bias"))
    normed = graph.op("LayerNormalization", [last_positions(graph, hidden), gain, shift], epsilon=EPSILON)
    linear(graph, "output_layer", normed, weights, out="logits")
    graph.output("logits", "float32", ["batch", "kept", config.vocabulary])
    return graph.model()


def _gates(graph: GraphWriter, labels: str) -> tuple[str, str]:
    """(B, T, 1): 1 inside the theme; 1 outside of it."""
    inside = graph.op("Cast", [graph.op("Greater", [labels, graph.constant("outside", np.array([0]))])], to=1)  # 1: float32
    gate = graph.op("Unsqueeze", [inside, graph.constant("over_width", np.array([-1]))])
    return gate, graph.op("Sub", [graph.constant("whole", np.ones(1, np.float32)), gate])


def _theme_layer(
    graph: GraphWriter, config: Config, layer: int, hidden: str, coded: tuple[str, str], gates: tuple[str, str] | None, weights: Weights
) -> str:
    """One layer of the variant theme; `coded`: codes of the positions and of the labels."""
    name = f"decoder.layers.{layer}"
    own = _own(graph, config, layer, graph.op("Add", [hidden, coded[0]]), weights)
    cross = _cross(graph, config, layer, graph.op("Add", [hidden, coded[1]]), weights)
    if gates is not None:
        cross = graph.op("Mul", [cross, gates[0]])
        if config.exclusive[layer]:
            own = graph.op("Mul", [own, gates[1]])
    hidden = _norm(graph, f"{name}.norm1", hidden, graph.op("Add", [own, cross]), weights)
    return _norm(graph, f"{name}.norm3", hidden, _feed(graph, name, hidden, weights), weights)


def _serial_layer(graph: GraphWriter, config: Config, layer: int, hidden: str, weights: Weights) -> str:
    """One layer of the other variants."""
    name, last = f"decoder.layers.{layer}", "norm2"
    hidden = _norm(graph, f"{name}.norm1", hidden, _own(graph, config, layer, hidden, weights), weights)
    if config.variant == "seq2seq":
        hidden, last = _norm(graph, f"{name}.norm2", hidden, _cross(graph, config, layer, hidden, weights), weights), "norm3"
    return _norm(graph, f"{name}.{last}", hidden, _feed(graph, name, hidden, weights), weights)


def _own(graph: GraphWriter, config: Config, layer: int, hidden: str, weights: Weights) -> str:
    """Causal self-attention over the memory (B, T, D); the memory's buffers are extended in place."""
    name = f"decoder.layers.{layer}.self_attn"
    past, present = [], []
    for part in ("key", "value"):
        shape: list[int | str] = ["batch", config.n_head, "context", config.d_model // config.n_head]
        past.append(graph.input(f"past.{layer}.{part}", "float32", shape))
        present.append(graph.output(f"present.{layer}.{part}", "float32", shape))
    mixed = graph.op(
        "GroupQueryAttention",
        [_projected(graph, name, hidden, weights), "", "", *past, "seqlens_k", "total_sequence_length"],
        [f"{name}.mixed", *present],
        domain=MICROSOFT,
        num_heads=config.n_head,
        kv_num_heads=config.n_head,
    )
    return linear(graph, f"{name}.out_proj", mixed, weights)


def _cross(graph: GraphWriter, config: Config, layer: int, hidden: str, weights: Weights) -> str:
    """Attention to the theme (B, T, D)."""
    name = f"decoder.layers.{layer}.{CROSS}"
    shape: list[int | str] = ["batch", config.n_head, "theme_tokens", config.d_model // config.n_head]
    memory = [graph.input(f"memory.{layer}.{part}", "float32", shape) for part in ("key", "value")]
    asked = _projected(graph, name, hidden, weights, slice(config.d_model))
    mixed = graph.op("MultiHeadAttention", [asked, *memory], domain=MICROSOFT, num_heads=config.n_head)
    return linear(graph, f"{name}.out_proj", mixed, weights)


def _projected(graph: GraphWriter, name: str, hidden: str, weights: Weights, rows: slice = slice(None)) -> str:
    """`hidden` times the rows `rows` of the matrix that makes queries, keys and values, in this order."""
    matrix = graph.constant(f"{name}.in_proj_weight.T", weights[f"{name}.in_proj_weight"][rows].T)
    bias = graph.constant(f"{name}.in_proj_bias", weights[f"{name}.in_proj_bias"][rows])
    return graph.op("Add", [graph.op("MatMul", [hidden, matrix]), bias])


def _feed(graph: GraphWriter, name: str, hidden: str, weights: Weights) -> str:
    """The feed-forward layer."""
    return linear(graph, f"{name}.linear2", graph.op("Gelu", [linear(graph, f"{name}.linear1", hidden, weights)]), weights)


def _norm(graph: GraphWriter, name: str, hidden: str, added: str, weights: Weights) -> str:
    """Norm of the sum of `hidden` and `added`."""
    gain, shift = (graph.constant(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias"))
    return graph.op("SkipLayerNormalization", [hidden, added, gain, shift], domain=MICROSOFT, epsilon=EPSILON)


def _embedded(graph: GraphWriter, ids: str, weights: Weights) -> str:
    return graph.op("Gather", [graph.constant("token_embedding.weight", weights["token_embedding.weight"]), ids])
