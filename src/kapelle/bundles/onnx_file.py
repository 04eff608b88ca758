"""Looking into an ONNX file before the runtime does: is it whole, self-contained and finite?

Takes bytes from outside, gives nothing or a BundleError of one line. It reads the protobuf wire format itself, because the base
install has no onnx package and because a parser that allocates first and checks later is what this is meant to avoid. It looks at tensors
and at what could reach outside the file or never end; whether the operators fit together is the runtime's to say.

Source: the protobuf encoding document; field numbers from onnx.proto of ONNX 1.17.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from kapelle.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FIELDS = 1_000_000
"""More than a hundred times what a graph of 50 blocks has; keeps a hostile file from costing minutes."""

DOMAINS = frozenset({b"", b"ai.onnx", b"com.microsoft"})
"""Operators of ONNX and of onnxruntime itself."""

DTYPES = {1: "<f4", 2: "u1", 3: "i1", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2", 11: "<f8"}
"""TensorProto.DataType -> numpy; the others are not used in bundles."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MODEL_GRAPH, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 20, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_ATTRIBUTE, _NODE_DOMAIN = 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS = 5, 10
_ATTRIBUTE_REFUSED = {6: "a subgraph", 11: "subgraphs", 22: "a sparse tensor", 23: "sparse tensors"}
_DIMS, _DTYPE, _NAME, _RAW, _EXTERNAL, _LOCATION = 1, 2, 8, 9, 13, 14
_TYPED_VALUES = {3, 4, 5, 6, 7, 10, 11}


def check_graph(data: bytes, name: str) -> None:
    """Raise BundleError unless `data` is an ONNX model that stands for itself and holds only finite numbers.

    Args:
        data: The whole file.
        name: What an error calls it.
    """
    reader = _Reader(data, name)
    graphs = [span for number, span in reader.messages(0, len(data), refused={_MODEL_TRAINING: "training", _MODEL_FUNCTIONS: "functions"})
              if number == _MODEL_GRAPH]  # fmt: skip
    if len(graphs) != 1:
        raise reader.refusal("it holds {count} graphs instead of one", count=len(graphs))
    for number, (start, end) in reader.messages(*graphs[0], refused={_GRAPH_SPARSE: "sparse tensors"}):
        if number == _GRAPH_INITIALIZER:
            reader.tensor(start, end)
        elif number == _GRAPH_NODE:
            reader.node(start, end)


@dataclass
class _Reader:
    """A walk over one file, counting the fields it has seen."""

    data: bytes
    name: str
    n_fields: int = field(default=0)

    def refusal(self, why: str, **values: object) -> BundleError:
        return BundleError("{file} is refused: {why}", file=self.name, why=why.format(**values), hint="export the model again")

    def varint(self, at: int, end: int) -> tuple[int, int]:
        """The number at `at`, and where the next thing begins."""
        value = 0
        for shift in range(0, 70, 7):
            if at >= end:
                raise self.refusal("it is cut short")
            byte = self.data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, at
        raise self.refusal("a number is too long")

    def fields(self, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """Number, wire type, value or start, and end of every field between `at` and `end`."""
        while at < end:
            self.n_fields += 1
            if self.n_fields > MAX_FIELDS:
                raise self.refusal("it has more than {limit} fields", limit=MAX_FIELDS)
            key, at = self.varint(at, end)
            number, wire = key >> 3, key & 7
            if number == 0:
                raise self.refusal("it is not an ONNX file")
            if wire == _VARINT:
                value, at = self.varint(at, end)
                yield number, wire, value, at
                continue
            if wire == _BYTES:
                size, at = self.varint(at, end)
            elif wire in (_FIXED32, _FIXED64):
                size = 4 if wire == _FIXED32 else 8
            else:
                raise self.refusal("it is not an ONNX file")
            if size > end - at:
                raise self.refusal("it is cut short")
            yield number, wire, at, at + size
            at += size

    def messages(self, at: int, end: int, refused: dict[int, str]) -> Iterator[tuple[int, tuple[int, int]]]:
        """Number and span of every field of bytes."""
        for number, wire, start, stop in self.fields(at, end):
            if number in refused:
                raise self.refusal("it contains {what}", what=refused[number])
            if wire == _BYTES:
                yield number, (start, stop)

    def node(self, at: int, end: int) -> None:
        for number, (start, stop) in self.messages(at, end, refused={}):
            if number == _NODE_DOMAIN and self.data[start:stop] not in DOMAINS:
                raise self.refusal("it uses operators of the domain {domain!r}", domain=self.data[start:stop][:60].decode(errors="replace"))
            if number == _NODE_ATTRIBUTE:
                self.attribute(start, stop)

    def attribute(self, at: int, end: int) -> None:
        tensors = 0
        for number, (start, stop) in self.messages(at, end, refused=_ATTRIBUTE_REFUSED):
            if number in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
                tensors += number == _ATTRIBUTE_TENSOR
                self.tensor(start, stop)
        if tensors > 1:  # a parser would merge them into one that was never checked
            raise self.refusal("an attribute holds {count} tensors instead of one", count=tensors)

    def tensor(self, at: int, end: int) -> None:
        """Check one TensorProto: own values, all of them, finite."""
        dims: list[int] = []
        dtype, label, raw = 0, "a tensor", []
        for number, wire, start, stop in self.fields(at, end):
            if number == _EXTERNAL or (number == _LOCATION and (wire != _VARINT or start != 0)):
                raise self.refusal("it keeps weights outside the file")
            if number in _TYPED_VALUES:
                raise self.refusal("{tensor} is not stored as raw bytes", tensor=label)
            if number == _DIMS:
                dims += [start] if wire == _VARINT else self.packed(start, stop)
            elif number == _DTYPE:
                dtype = start
            elif number == _NAME and wire == _BYTES:
                label = self.data[start:stop][:60].decode(errors="replace")
            elif number == _RAW:
                raw.append((start, stop))
        if dtype not in DTYPES:
            raise self.refusal("{tensor} has the unknown type {dtype}", tensor=label, dtype=dtype)
        kind = np.dtype(DTYPES[dtype])
        n_values = math.prod(dims)
        if len(raw) != 1 or raw[0][1] - raw[0][0] != n_values * kind.itemsize:
            raise self.refusal("{tensor} of shape {shape} has not the values for it", tensor=label, shape=dims[:8])
        if kind.kind == "f" and not np.isfinite(np.frombuffer(self.data, kind, n_values, raw[0][0])).all():
            raise self.refusal("{tensor} holds NaN or infinite values", tensor=label)

    def packed(self, at: int, end: int) -> list[int]:
        out: list[int] = []
        while at < end:
            value, at = self.varint(at, end)
            out.append(value)
            if len(out) > 8:
                raise self.refusal("a tensor has more than 8 dimensions")
        return out
