"""Stand-ins that are real: bundles of every kind, tiny, with weights from a seed. They are files on disk, loaded and run like any other.

Each function writes one bundle into a folder and returns its path. They need the onnx package, not torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.bundles.export import write_bundle
from kapelle.bundles.manifest import Codec, Manifest, Provenance
from kapelle.models import Kind, StateSpec, gpt, theme, theme_onnx
from kapelle.models.onnx_parts import GraphWriter, last_positions

if TYPE_CHECKING:
    from pathlib import Path

Weights = dict[str, np.ndarray]


def gpt_weights(config: gpt.Config, seed: int = 0, scale: float = 0.3) -> Weights:
    """Random weights under the names of GPT2LMHeadModel, large enough for logits that differ."""
    rng = np.random.default_rng(seed)
    width = config.n_embd
    shapes: dict[str, tuple[int, ...]] = {
        "transformer.wte.weight": (config.vocabulary, width),
        "transformer.wpe.weight": (config.n_positions, width),
    }
    for layer in range(config.n_layer):
        name = f"transformer.h.{layer}"
        for norm in ("ln_1", "ln_2"):
            shapes |= {f"{name}.{norm}.weight": (width,), f"{name}.{norm}.bias": (width,)}
        for part, inner, outer in (
            ("attn.c_attn", width, 3 * width),
            ("attn.c_proj", width, width),
            ("mlp.c_fc", width, 4 * width),
            ("mlp.c_proj", 4 * width, width),
        ):
            shapes |= {f"{name}.{part}.weight": (inner, outer), f"{name}.{part}.bias": (outer,)}
    shapes |= {"transformer.ln_f.weight": (width,), "transformer.ln_f.bias": (width,)}
    return {name: rng.normal(0, scale, shape).astype(np.float32) for name, shape in shapes.items()}


def theme_weights(config: theme.Config, seed: int = 0, scale: float = 0.2) -> Weights:
    """Random weights under the names of the Theme Transformer; norms near 1."""
    rng = np.random.default_rng(seed)
    shapes = theme_onnx.shapes(config)
    return {
        name: rng.normal(float("norm" in name and name.endswith("weight")), scale, shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def autoregressive(folder: Path, config: gpt.Config | None = None, *, codec: Codec | None = None, **options: Any) -> Path:
    """A GPT with a memory of kind kv."""
    config = config or gpt.Config(vocabulary=40, n_positions=32, n_embd=32, n_layer=2, n_head=2)
    graphs = gpt.graphs(config, gpt_weights(config))
    options = {"vocabulary": config.vocabulary, "context": config.n_positions} | options
    return write(folder, "autoregressive", graphs, gpt.states(config), codec=codec, family="gpt", **options)


def markov(folder: Path, table: np.ndarray, *, codec: Codec | None = None, files: dict[str, bytes] | None = None, **options: Any) -> Path:
    """A model without a memory: after the id i come the logits ``table[i]``, (V, V). It says what the test wants it to say."""
    graph = GraphWriter("markov.step")
    found = graph.op("Gather", [graph.constant("table", table.astype(np.float32)), graph.input("ids", "int64", ["batch", "tokens"])])
    graph.op("Identity", [last_positions(graph, found)], ["logits"])
    graph.output("logits", "float32", ["batch", "kept", table.shape[1]])
    options = {"vocabulary": table.shape[1]} | options
    return write(folder, "autoregressive", {"step": graph.model()}, codec=codec, files=files, **options)


def uniform(folder: Path, vocabulary: int, *, codec: Codec | None = None, files: dict[str, bytes] | None = None, **options: Any) -> Path:
    """A model to which every id is as likely as every other."""
    return markov(folder, np.zeros((vocabulary, vocabulary)), codec=codec, files=files, **options)


def recurrent(folder: Path, vocabulary: int = 40, width: int = 16, seed: int = 0) -> Path:
    """An LSTM of one layer: two recurrent states."""
    rng = np.random.default_rng(seed)
    graph = GraphWriter("lstm.step")
    ids = graph.input("ids", "int64", ["batch", "tokens"])
    embedded = graph.op("Gather", [_random(graph, rng, "embedding", (vocabulary, width)), ids])
    graph.op(
        "MatMul", [last_positions(graph, _lstm(graph, rng, embedded, width)), _random(graph, rng, "out", (width, vocabulary))], ["logits"]
    )
    graph.output("logits", "float32", ["batch", "kept", vocabulary])
    return write(folder, "autoregressive", {"step": graph.model()}, _lstm_states(width), vocabulary=vocabulary)


def symbols(folder: Path, n_pitches: int = 12, n_lengths: int = 5, width: int = 16, seed: int = 0) -> Path:
    """An LSTM over pairs of pitch and length, with logits for each."""
    rng = np.random.default_rng(seed)
    graph = GraphWriter("symbols.step")
    sizes = {"pitch": n_pitches, "length": n_lengths}
    parts = [
        graph.op(
            "Gather", [_random(graph, rng, f"embedding.{name}", (size, width)), graph.input(f"ids.{name}", "int64", ["batch", "tokens"])]
        )
        for name, size in sizes.items()
    ]
    kept = last_positions(graph, _lstm(graph, rng, graph.op("Add", parts), width))
    for name, size in sizes.items():
        graph.op("MatMul", [kept, _random(graph, rng, f"out.{name}", (width, size))], [f"logits.{name}"])
        graph.output(f"logits.{name}", "float32", ["batch", "kept", size])
    return write(folder, "symbols", {"step": graph.model()}, _lstm_states(width), codec="chords")


def encoder_decoder(folder: Path, vocabulary: int = 20, width: int = 8, seed: int = 0) -> Path:
    """An encoder of a row of vectors, and a decoder that adds their mean to what the last id says."""
    rng = np.random.default_rng(seed)
    encode = GraphWriter("fake.encode")
    source = encode.input("source", "float32", ["batch", "length", width])
    encode.op("MatMul", [source, _random(encode, rng, "encoder", (width, width))], ["memory.source"])
    encode.output("memory.source", "float32", ["batch", "length", width])
    step = GraphWriter("fake.step")
    ids = step.input("ids", "int64", ["batch", "tokens"])
    memory = step.input("memory.source", "float32", ["batch", "length", width])
    mean = step.op("ReduceMean", [memory, step.constant("axes", np.array([1]))], keepdims=1)
    hidden = step.op("Add", [step.op("Gather", [_random(step, rng, "embedding", (vocabulary, width)), ids]), mean])
    step.op("MatMul", [last_positions(step, hidden), _random(step, rng, "out", (width, vocabulary))], ["logits"])
    step.output("logits", "float32", ["batch", "kept", vocabulary])
    return write(folder, "encoder_decoder", {"encode": encode.model(), "step": step.model()}, codec="theme", vocabulary=vocabulary)


def one_shot(folder: Path, n_tracks: int = 5, n_steps: int = 16, n_pitches: int = 12, seed: int = 0) -> Path:
    """Latents to a piano-roll: ``shared`` (B, 4) and ``own`` (B, tracks, 4) -> ``roll`` (B, tracks, steps, pitches) of 0 to 1."""
    rng = np.random.default_rng(seed)
    graph = GraphWriter("fake.generate")
    shared = graph.input("shared", "float32", ["batch", 4])
    own = graph.input("own", "float32", ["batch", n_tracks, 4])
    both = graph.op("Add", [graph.op("Unsqueeze", [shared, graph.constant("axis", np.array([1]))]), own])
    flat = graph.op("MatMul", [both, _random(graph, rng, "out", (4, n_steps * n_pitches))])
    shape = graph.constant("shape", np.array([0, n_tracks, n_steps, n_pitches]))
    graph.op("Sigmoid", [graph.op("Reshape", [flat, shape])], ["roll"])
    graph.output("roll", "float32", ["batch", n_tracks, n_steps, n_pitches])
    return write(folder, "one_shot", {"generate": graph.model()}, codec="roll", tracks=n_tracks)


def classifier(folder: Path, n_features: int = 6, classes: tuple[str, ...] = ("jazz", "pop", "rock"), seed: int = 0) -> Path:
    """Logistic regression."""
    rng = np.random.default_rng(seed)
    graph = GraphWriter("fake.predict")
    features = graph.input("features", "float32", ["batch", n_features])
    scores = graph.op("MatMul", [features, _random(graph, rng, "out", (n_features, len(classes)))])
    graph.op("Softmax", [scores], ["probabilities"], axis=-1)
    graph.output("probabilities", "float32", ["batch", len(classes)])
    return write(folder, "classifier", {"predict": graph.model()}, classes=list(classes))


def encoder(folder: Path, vocabulary: int = 20, width: int = 8, seed: int = 0) -> Path:
    """Rows of ids to points of length 1: the mean of what a table says of them."""
    rng = np.random.default_rng(seed)
    graph = GraphWriter("fake.encode")
    found = graph.op("Gather", [_random(graph, rng, "table", (vocabulary, width)), graph.input("ids", "int64", ["batch", "tokens"])])
    axis = graph.constant("axis", np.array([1]))
    mean = graph.op("ReduceMean", [found, axis], keepdims=0)
    graph.op("Div", [mean, graph.op("ReduceL2", [mean, axis], keepdims=1)], ["embedding"])
    graph.output("embedding", "float32", ["batch", width])
    return write(folder, "encoder", {"encode": graph.model()}, codec="fragments")


EVERY_KIND = {
    "autoregressive": autoregressive,
    "recurrent": recurrent,
    "symbols": symbols,
    "encoder_decoder": encoder_decoder,
    "one_shot": one_shot,
    "classifier": classifier,
    "encoder": encoder,
}


def write(
    folder: Path,
    kind: Kind,
    graphs: dict[str, Any],
    states: tuple[StateSpec, ...] = (),
    *,
    codec: Codec | None = None,
    family: str = "fake",
    files: dict[str, bytes] | None = None,
    **options: Any,
) -> Path:
    """Write graphs as a bundle with a card, and return its path."""
    draft = Manifest(
        name=f"fake-{kind.replace('_', '-')}",
        family=family,
        kind=kind,
        graphs={},
        files={},
        licence="CC0-1.0",
        states=states,
        codec=codec,
        options=options,
        provenance=Provenance(data=({"name": "random numbers", "licence": "none needed"},)),
    )
    data = {role: graph.SerializeToString(deterministic=True) for role, graph in graphs.items()}
    write_bundle(folder, draft, data, {"card.md": b"# A fake\n", **(files or {})})
    return folder


def _random(graph: GraphWriter, rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> str:
    return graph.constant(name, rng.normal(0, 0.5, shape).astype(np.float32))


def _lstm_states(width: int) -> tuple[StateSpec, ...]:
    return tuple(StateSpec(name, (1, "batch", width), "float32", "recurrent") for name in ("h", "c"))


def _lstm(graph: GraphWriter, rng: np.random.Generator, embedded: str, width: int) -> str:
    """Hidden values (B, T, D) of an LSTM over (B, T, D), starting from and leaving the states h and c."""
    past = [graph.input(f"past.{name}", "float32", [1, "batch", width]) for name in ("h", "c")]
    present = [graph.output(f"present.{name}", "float32", [1, "batch", width]) for name in ("h", "c")]
    by_time = graph.op("Transpose", [embedded], perm=[1, 0, 2])
    weights = [_random(graph, rng, f"lstm.{name}", (1, 4 * width, width)) for name in ("w", "r")]
    bias = _random(graph, rng, "lstm.b", (1, 8 * width))
    graph.op("LSTM", [by_time, *weights, bias, "", *past], ["lstm.y", *present], hidden_size=width)  # y: (T, 1, B, D)
    squeezed = graph.op("Squeeze", ["lstm.y", graph.constant("lstm.axis", np.array([1]))])
    return graph.op("Transpose", [squeezed], perm=[1, 0, 2])
