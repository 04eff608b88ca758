"""The genre judge for the runtime: its graph, operator by operator as `genre_judge.build` reads, without dropout and the second head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kapelle.models.genre_judge import (
    BANDS,
    CLASSES,
    EPSILON,
    HEIGHT,
    KERNELS,
    PITCHES,
    PLANES,
    POSITION,
    QUARTER,
    STEPS,
    STRIDES,
    pitch_classes,
    turned,
)
from kapelle.models.onnx_parts import GraphWriter, linear

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx

    from kapelle.models.genre_judge import Config

LAST = STEPS // POSITION
"""Vectors of a window."""


def predict(config: Config, weights: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """``features`` (B, planes, pitches, steps) -> ``probabilities`` (B, classes) and ``embedding`` (B, D)."""
    graph = GraphWriter("genre_judge.predict")
    cells = graph.input("features", "float32", ["batch", PLANES, PITCHES, STEPS])
    parts = graph.op("Reshape", [cells, _numbers(graph, "shape.parts", 0, PLANES, PITCHES, LAST, POSITION)])
    sounds = graph.op("ReduceMax", [parts, _numbers(graph, "axes.parts", 1, 2, 4)], keepdims=0)  # (B, T)
    each = graph.op("Unsqueeze", [sounds, _numbers(graph, "axis.last", 2)])  # (B, T, 1)
    rows, met = cells, []
    for number in range(len(KERNELS)):
        rows = _filters(graph, number, rows, weights)
        met.append(graph.op("ReduceMean", [rows, _numbers(graph, "axes.cells", 2, 3)], keepdims=0))
    rows = graph.op("Transpose", [rows], perm=[0, 3, 1, 2])  # (B, T, C, HEIGHT)
    flat = graph.op("Reshape", [rows, _numbers(graph, "shape.flat", 0, LAST, config.channels[-1] * HEIGHT)])
    vectors = graph.op("Mul", [graph.op("Relu", [linear(graph, "column", flat, weights)]), each])  # (B, T, D)
    arrays = [graph.constant(f"around.{part}", weights[f"around.{part}"]) for part in ("weight", "bias")]
    around = graph.op("Conv", [graph.op("Transpose", [vectors], perm=[0, 2, 1]), *arrays], pads=[1, 1], kernel_shape=[3])
    heard = graph.op("Add", [vectors, graph.op("Transpose", [around], perm=[0, 2, 1])])
    heard = graph.op("Mul", [graph.op("Relu", [heard]), each])
    axis = _numbers(graph, "axis.time", 1)
    one = graph.constant("one", np.array([1], np.float32))
    count = graph.op("Max", [graph.op("ReduceSum", [sounds, axis], keepdims=1), one])
    mean = graph.op("Div", [graph.op("ReduceSum", [heard, axis], keepdims=0), count])
    most = graph.op("ReduceMax", [heard, axis], keepdims=0)
    whole = graph.constant("whole", np.array([LAST], np.float32))
    often = graph.op("Mul", [graph.op("Concat", met[:-1], axis=1), graph.op("Div", [whole, count])])
    even = _normalised(graph, "even", graph.op("Concat", [mean, most, often, _counts(graph, cells, count)], axis=1), weights)
    point = linear(graph, "point", even, weights, out="embedding")
    scores = graph.op("Div", [linear(graph, "classes", point, weights), graph.constant("temperature", weights["temperature"])])
    graph.op("Softmax", [scores], ["probabilities"], axis=1)
    graph.output("probabilities", "float32", ["batch", config.classes])
    graph.output("embedding", "float32", ["batch", config.d_embed])
    return graph.model()


def _counts(graph: GraphWriter, cells: str, count: str) -> str:
    """The plain statistics of beginnings, (B, N_COUNTS)."""
    one, axes = graph.constant("one", np.array([1], np.float32)), _numbers(graph, "axes.cells.both", 1, 2)
    planes = [graph.op("Gather", [cells, _numbers(graph, f"plane.{plane}", plane)], axis=1) for plane in range(PLANES)]
    onsets, held = (graph.op("Squeeze", [plane, _numbers(graph, "axis.time", 1)]) for plane in planes)

    def added(value: str, axis: int, keepdims: int = 0) -> str:
        return graph.op("ReduceSum", [value, _numbers(graph, f"axis.{axis}", axis)], keepdims=keepdims)

    flat = _numbers(graph, "shape.column", -1, 1)
    total = graph.op("Max", [graph.op("Reshape", [graph.op("ReduceSum", [onsets, axes]), flat]), one])
    rows = graph.op("Div", [added(onsets, 2), total])
    bars = graph.op("Reshape", [added(onsets, 1), _numbers(graph, "shape.places", 0, LAST, POSITION)])
    places = graph.op("Div", [added(bars, 1), total])
    shares = graph.op("MatMul", [rows, graph.constant("pitch_classes", pitch_classes())])
    turns = graph.op("MatMul", [shares, graph.constant("turned", turned())])
    turns = graph.op("Reshape", [turns, _numbers(graph, "shape.turns", 0, CLASSES, CLASSES)])
    apart = added(graph.op("Mul", [turns, graph.op("Unsqueeze", [shares, _numbers(graph, "axis.time", 1)])]), 2)
    struck = added(graph.op("ReduceMax", [onsets, _numbers(graph, "axis.time", 1)], keepdims=0), 1, keepdims=1)
    lasting = graph.op("Max", [graph.op("Reshape", [graph.op("ReduceSum", [held, axes]), flat]), one])
    ratios = ((total, count), (lasting, total), (total, graph.op("Max", [struck, one])))
    amounts = [graph.op("Log", [graph.op("Div", list(pair))]) for pair in ratios]
    bands = graph.op("Reshape", [rows, _numbers(graph, "shape.bands", 0, BANDS, PITCHES // BANDS)])
    return graph.op("Concat", [added(bands, 2), places, apart, *amounts], axis=1)


def _filters(graph: GraphWriter, number: int, rows: str, weights: Mapping[str, np.ndarray]) -> str:
    """One layer of filters."""
    name, (high, wide) = f"filters.{number}", KERNELS[number]
    across = 0 if wide == QUARTER else wide // 2
    kernel = graph.constant(f"{name}.conv.weight", weights[f"{name}.conv.weight"])
    made = graph.op("Conv", [rows, kernel], pads=[high // 2, across] * 2, kernel_shape=[high, wide], strides=list(STRIDES[number]))
    return graph.op("Relu", [_normalised(graph, f"{name}.norm", made, weights)])


def _normalised(graph: GraphWriter, name: str, rows: str, weights: Mapping[str, np.ndarray]) -> str:
    """A batch normalisation as it is in use."""
    norm = [graph.constant(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias", "running_mean", "running_var")]
    return graph.op("BatchNormalization", [rows, *norm], epsilon=EPSILON)


def _numbers(graph: GraphWriter, name: str, *values: int) -> str:
    return graph.constant(name, np.array(values))
