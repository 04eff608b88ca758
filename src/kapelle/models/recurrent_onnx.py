"""LSTM layers for the runtime: one ONNX operator each, its memory an input and an output of the step graph.

Takes a graph that is being written and the arrays of one layer of torch's nn.LSTM, gives the layer's output. `lstm_states` says what the
step carries. Used by every family that has such layers.

Source: ONNX operator LSTM (opset 14). Known differences from torch: the gates are stored in, out, forget, cell there and
in, forget, cell, out here; rows are turned round accordingly. Results agree to rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kapelle.models import StateSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kapelle.models.onnx_parts import GraphWriter


PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
"""The arrays of a layer, in the order in which `lstm_layer` takes them."""


def lstm_states(name: str, width: int) -> tuple[StateSpec, StateSpec]:
    """The memory of the layer `name`: its output h and its cell c, each (1, B, D)."""
    h, c = (StateSpec(f"{name}.{part}", (1, "batch", width), "float32", "recurrent") for part in "hc")
    return h, c


def lstm_layer(
    graph: GraphWriter, name: str, inputs: str, weight_ih: np.ndarray, weight_hh: np.ndarray, bias_ih: np.ndarray, bias_hh: np.ndarray
) -> str:
    """The output (B, T, D) of one layer over `inputs` (B, T, E); its memory comes in as ``past.NAME.h`` and goes out as ``present.NAME.h``.

    Args:
        graph: Where it is written.
        name: Of the layer, the same as for `lstm_states`.
        inputs: Value (B, T, E).
        weight_ih: (4D, E) as in torch.
        weight_hh: (4D, D).
        bias_ih: (4D,).
        bias_hh: (4D,).
    """
    width = weight_hh.shape[1]
    arrays = {
        "weight_ih": _gates(weight_ih),
        "weight_hh": _gates(weight_hh),
        "bias": np.concatenate([_gates(bias_ih), _gates(bias_hh)]),
    }
    constants = [graph.constant(f"{name}.{part}", array[None].astype(np.float32)) for part, array in arrays.items()]
    past = [graph.input(f"past.{name}.{part}", "float32", [1, "batch", width]) for part in "hc"]
    present = [graph.output(f"present.{name}.{part}", "float32", [1, "batch", width]) for part in "hc"]
    in_time = graph.op("Transpose", [inputs], perm=[1, 0, 2])  # (T, B, E): the operator wants time first
    made = graph.op("LSTM", [in_time, *constants, "", *past], [f"{name}.all", *present], hidden_size=width)  # (T, 1, B, D)
    in_time = graph.op("Squeeze", [made, graph.constant("direction", np.array([1]))])
    return graph.op("Transpose", [in_time], perm=[1, 0, 2])


def torch_layer(name: str, constants: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The four arrays of the layer `name` that `lstm_layer` was given, from the graph's constants."""
    bias_ih, bias_hh = np.split(constants[f"{name}.bias"][0], 2)
    arrays = {"weight_ih": constants[f"{name}.weight_ih"][0], "weight_hh": constants[f"{name}.weight_hh"][0],
              "bias_ih": bias_ih, "bias_hh": bias_hh}  # fmt: skip
    return {part: torch_gates(array) for part, array in arrays.items()}


def _gates(array: np.ndarray) -> np.ndarray:
    """Rows (4D, ...) in the operator's order of gates; `torch_gates` undoes it."""
    inward, forget, cell, out = np.split(array, 4)
    return np.concatenate([inward, out, forget, cell])


def torch_gates(array: np.ndarray) -> np.ndarray:
    """Rows (4D, ...) of the operator in torch's order of gates."""
    inward, out, forget, cell = np.split(array, 4)
    return np.concatenate([inward, forget, cell, out])
