"""Writing ONNX graphs by hand: a small builder, so that a family's graph reads like its network.

Takes numpy arrays and the names of values, gives an `onnx.ModelProto`. It checks nothing about the network; the runtime does.
The onnx package (extra ``train``) is loaded when a graph is begun, not when this module is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import onnx

OPSET = 20
IR_VERSION = 10
"""Read by every onnxruntime from 1.18 on."""

MICROSOFT = "com.microsoft"
"""Domain of onnxruntime's own operators."""


class GraphWriter:
    """A graph that is being written: values are named by strings, every method returns the name of what it made.

    Args:
        name: The graph's name inside the file.
    """

    def __init__(self, name: str) -> None:
        from onnx import helper, numpy_helper

        self._helper: Any = helper
        self._numpy_helper: Any = numpy_helper
        self._name = name
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def input(self, name: str, dtype: str, shape: Sequence[int | str]) -> str:
        """The graph input `name`; strings in `shape` are sizes known only at run time."""
        self._inputs.append(self._value(name, dtype, shape))
        return name

    def output(self, name: str, dtype: str, shape: Sequence[int | str]) -> str:
        """The value `name`, which some operator makes, as a graph output."""
        self._outputs.append(self._value(name, dtype, shape))
        return name

    def constant(self, name: str, array: np.ndarray) -> str:
        """`array` stored in the file under `name`; the same name twice stores it once."""
        if name not in self._constants:
            self._constants[name] = self._numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def op(self, kind: str, inputs: Sequence[str], outputs: Sequence[str] | None = None, *, domain: str = "", **attributes: Any) -> str:
        """The first output of a new operator `kind`; its outputs are named after it unless `outputs` names them."""
        label = f"{kind}.{len(self._nodes)}"
        names = list(outputs) if outputs is not None else [label]
        self._nodes.append(self._helper.make_node(kind, list(inputs), names, name=label, domain=domain, **attributes))
        return names[0]

    def model(self, metadata: Mapping[str, str] | None = None) -> onnx.ModelProto:
        """The finished model."""
        helper = self._helper
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs, list(self._constants.values()))
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="kapelle")
        helper.set_model_props(model, dict(metadata or {}))
        return model

    def _value(self, name: str, dtype: str, shape: Sequence[int | str]) -> Any:
        kind = self._helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self._helper.make_tensor_value_info(name, kind, list(shape))


def last_positions(graph: GraphWriter, hidden: str) -> str:
    """The positions of `hidden` (B, T, D) whose logits are wanted: from ``logits_from`` on, counted from the end when negative.

    Adds the graph input ``logits_from`` int64 (1,): -1 keeps the last position only, 0 keeps all.
    """
    first = graph.input("logits_from", "int64", [1])
    end = graph.constant("slice.end", np.array([np.iinfo(np.int64).max]))
    axis = graph.constant("slice.tokens", np.array([1]))
    return graph.op("Slice", [hidden, first, end, axis])


def last_rows(graph: GraphWriter, ids: str, total: str, table: str) -> str:
    """The rows (T, D) of `table` (N, D) at the places of `ids` (B, T), which are the last T of `total` (a number, int32)."""
    n_tokens = graph.op("Shape", [ids], start=1, end=2)
    end = graph.op("Reshape", [graph.op("Cast", [total], to=7), graph.constant("one", np.array([1]))])  # 7: int64
    return graph.op("Slice", [table, graph.op("Sub", [end, n_tokens]), end, graph.constant("zero", np.array([0]))])


def linear(graph: GraphWriter, name: str, inputs: str, weights: Mapping[str, np.ndarray], *, out: str | None = None) -> str:
    """``inputs @ weight.T + bias`` of torch's nn.Linear `name`; the result is called `out` if that is given."""
    weight = graph.constant(f"{name}.weight.T", weights[f"{name}.weight"].T)
    bias = graph.constant(f"{name}.bias", weights[f"{name}.bias"])
    return graph.op("Add", [graph.op("MatMul", [inputs, weight]), bias], [out] if out else None)
