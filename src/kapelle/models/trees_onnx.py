"""A forest as an ONNX graph: Gather the features asked for, compare, make a place of the answers, Gather the leaves, add them up.

Takes the arrays of `kapelle.models.trees`, gives the graph. All trees are looked up at once; the largest array of a run has B x N x C
numbers, N trees and C classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kapelle.models.onnx_parts import GraphWriter

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    from numpy.typing import NDArray

    from kapelle.models.trees import Config

_FLOAT, _INT64 = 1, 7  # of TensorProto.DataType


def predict(config: Config, weights: Mapping[str, NDArray[np.generic]]) -> onnx.ModelProto:
    """``features`` float32 (B, F) -> ``probabilities`` float32 (B, C)."""
    from kapelle.models.trees import NEVER

    n_trees, depth = weights["features"].shape
    graph = GraphWriter("trees.predict")
    rows = graph.input("features", "float32", ["batch", config.features])
    low = graph.constant("lowest", np.array(-NEVER, np.float32))
    rows = graph.op("Where", [graph.op("IsNaN", [rows]), low, rows])
    asked = graph.op("Gather", [rows, graph.constant("features.asked", weights["features"].reshape(-1).astype(np.int64))], axis=1)
    thresholds = graph.constant("thresholds", weights["thresholds"].reshape(-1).astype(np.float32))
    answers = graph.op("Cast", [graph.op("Greater", [asked, thresholds])], to=_INT64)  # (B, N * D)
    apart = graph.op("Reshape", [answers, graph.constant("shape.levels", np.array([0, n_trees, depth]))])  # (B, N, D)
    bits = graph.op("Mul", [apart, graph.constant("bits", 1 << np.arange(depth))])
    inside = graph.op("ReduceSum", [bits, graph.constant("axis.levels", np.array([2]))], keepdims=0)  # (B, N)
    places = graph.op("Add", [inside, graph.constant("firsts", np.arange(n_trees) * 2**depth)])
    table = graph.constant("leaves.half", weights["leaves"].reshape(-1, config.classes).astype(np.float16))
    found = graph.op("Cast", [graph.op("Gather", [table, places])], to=_FLOAT)  # (B, N, C)
    total = graph.op("ReduceSum", [found, graph.constant("axis.trees", np.array([1]))], keepdims=0)
    logits = graph.op("Add", [total, graph.constant("bias", weights["bias"].astype(np.float32))])
    graph.op("Softmax", [logits], ["probabilities"], axis=1)
    graph.output("probabilities", "float32", ["batch", config.classes])
    return graph.model()
