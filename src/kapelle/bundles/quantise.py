"""Smaller graphs: constant matrices in 8-bit blocks, tables that are only looked up in 16-bit floats.

Takes an ONNX model in 32-bit floats, gives another with the same inputs and outputs. Symmetric blocks along the inner dimension, one
32-bit scale each; activations are rounded to 8 bits by the kernel (accuracy level 4), which is where the speed comes from. Four bits
are not offered: rounding the weights of a random 6 x 512 network to four moved a logit by 0.59, to eight by 0.03 (the logits' standard
deviation is 0.46).

Source: the operators MatMulNBits and DynamicQuantizeLSTM of onnxruntime, from their schema documents; written directly, since
onnxruntime's own converter needs one package more and does not use the bias input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx

LARGEST_BLOCK = 128
SMALLEST_BLOCK = 16
ZERO_POINT = 128
"""The kernel's default for 8 bits: stored byte minus this, times the scale, is the weight."""
ACCURACY_LEVEL = 4
"""Activations in 8 bits as well."""


def quantise(model: onnx.ModelProto, *, tables: bool = True) -> onnx.ModelProto:
    """A copy of `model` whose products with constant matrices run in 8 bits.

    Args:
        model: In 32-bit floats.
        tables: Also store matrices that are only read by Gather or Slice in 16 bits (error 5e-4 of a value).
    """
    import onnx

    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    constants = {item.name: item for item in graph.initializer}
    nodes = [_smaller_lstm(node, constants) for node in _merge_products(list(graph.node), constants)]
    if tables:
        nodes = _halve_tables(nodes, constants)
    used = {name for node in nodes for name in node.input}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(item for name, item in constants.items() if name in used)
    return made


def blocks(matrix: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """`matrix` (K, N) as bytes (N, K/size, size) and scales (N, K/size); the error of a value is at most half its block's scale."""
    inner, outer = matrix.shape
    n_blocks = -(-inner // size)
    padded = np.zeros((outer, n_blocks * size), np.float32)
    padded[:, :inner] = matrix.T
    cut = padded.reshape(outer, n_blocks, size)
    scales = np.abs(cut).max(axis=2) / 127
    safe = np.where(scales == 0, 1, scales).astype(np.float32)
    levels = np.clip(np.rint(cut / safe[:, :, None]), -127, 127) + ZERO_POINT
    return levels.astype(np.uint8), safe


def block_size(inner: int) -> int:
    """The largest block (a power of two, 16 to 128) that divides `inner`; 16 where none does, the last block padded with zeros."""
    size = LARGEST_BLOCK
    while size > SMALLEST_BLOCK and inner % size:
        size //= 2
    return size


def columns(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`matrix` (K, N) as signed bytes (K, N) and scales (N,); the error of a value is at most half its column's scale."""
    scales = np.abs(matrix).max(axis=0) / 127
    safe = np.where(scales == 0, 1, scales).astype(np.float32)
    return np.clip(np.rint(matrix / safe), -127, 127).astype(np.int8), safe


def _smaller_lstm(node: Any, constants: dict[str, Any]) -> Any:
    """LSTM with constant matrices (1, 4D, K) -> DynamicQuantizeLSTM, whose matrices are (1, K, 4D); other nodes as they are."""
    from onnx import helper, numpy_helper

    if node.op_type != "LSTM" or not all(name in constants for name in node.input[1:3]):
        return node
    matrices, scales = [], []
    for name in node.input[1:3]:
        levels, scale = columns(numpy_helper.to_array(constants[name])[0].T)
        for kind, array in (("columns", levels), ("scales", scale), ("zeros", np.zeros(len(scale), np.int8))):
            constants[f"{name}.{kind}"] = numpy_helper.from_array(np.ascontiguousarray(array)[None], f"{name}.{kind}")
        matrices.append(f"{name}.columns")
        scales += [f"{name}.scales", f"{name}.zeros"]
    others = [*node.input[3:], *[""] * (8 - len(node.input))]
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    inputs = [node.input[0], *matrices, *others, *scales]
    return helper.make_node("DynamicQuantizeLSTM", inputs, list(node.output), name=node.name, domain="com.microsoft", **attributes)


def _merge_products(nodes: list[Any], constants: dict[str, Any]) -> list[Any]:
    """MatMul with a constant matrix (and an Add of a constant vector, if that is all that reads it) -> MatMulNBits."""
    from onnx import TensorProto, helper, numpy_helper

    readers: dict[str, list[Any]] = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    out, merged = [], set()
    for node in nodes:
        if id(node) in merged:
            continue
        weight = constants.get(node.input[1]) if node.op_type == "MatMul" else None
        if weight is None or len(weight.dims) != 2 or weight.data_type != TensorProto.FLOAT:
            out.append(node)
            continue
        inner, outer = weight.dims
        size = block_size(inner)
        levels, scales = blocks(numpy_helper.to_array(weight), size)
        names = [f"{weight.name}.blocks", f"{weight.name}.scales"]
        for name, array in zip(names, (levels, scales), strict=True):
            constants[name] = numpy_helper.from_array(array, name)
        inputs, result = [node.input[0], *names], node.output[0]
        follower = readers.get(result, [])
        bias = _bias_of(follower[0], result, outer, constants) if len(follower) == 1 else None
        if bias is not None:
            merged.add(id(follower[0]))
            inputs += ["", "", bias]
            result = follower[0].output[0]
        shape = {"K": inner, "N": outer, "bits": 8, "block_size": size, "accuracy_level": ACCURACY_LEVEL}
        out.append(helper.make_node("MatMulNBits", inputs, [result], name=node.name, domain="com.microsoft", **shape))
    return out


def _bias_of(node: Any, value: str, outer: int, constants: dict[str, Any]) -> str | None:
    """The constant vector that the Add `node` adds to `value`; None if it does something else."""
    if node.op_type != "Add":
        return None
    other = node.input[1] if node.input[0] == value else node.input[0]
    return other if other in constants and list(constants[other].dims) == [outer] else None


def _halve_tables(nodes: list[Any], constants: dict[str, Any]) -> list[Any]:
    """Gather and Slice of a constant matrix -> the same from 16-bit floats, then a cast of what was read."""
    from onnx import TensorProto, helper, numpy_helper

    readers: dict[str, set[str]] = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, set()).add(node.op_type)
    halved: dict[str, str] = {}
    out = []
    for node in nodes:
        table = constants.get(node.input[0]) if node.op_type in ("Gather", "Slice") else None
        if table is None or table.data_type != TensorProto.FLOAT or len(table.dims) != 2 or readers[table.name] - {"Gather", "Slice"}:
            out.append(node)
            continue
        if table.name not in halved:
            halved[table.name] = f"{table.name}.half"
            constants[halved[table.name]] = numpy_helper.from_array(numpy_helper.to_array(table).astype(np.float16), halved[table.name])
        result = node.output[0]
        node.input[0], node.output[0] = halved[table.name], f"{result}.half"
        out += [node, helper.make_node("Cast", [f"{result}.half"], [result], name=f"{node.name}.cast", to=TensorProto.FLOAT)]
    return out
