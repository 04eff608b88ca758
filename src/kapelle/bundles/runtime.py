"""The border to onnxruntime: checked bytes in, a running graph out, foreign errors translated.

Takes the bytes of a graph that `kapelle.bundles.load` has checked; gives `Graph`, which knows its inputs and outputs by name. Runs on the
CPU. It knows nothing of kinds, states or families.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from kapelle.errors import BundleError, KapelleError, NotEnoughMemory, UsageError

DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(bool)": "bool",
}
"""onnxruntime's names of the types that a graph may take and give -> numpy's."""

_SILENT = 4
"""Log level: what goes wrong is raised, and must not be printed as well."""


@dataclass(frozen=True)
class Port:
    """An input or output of a graph.

    Args:
        dtype: numpy name.
        shape: Sizes; a text or None stands for one known only at run time.
    """

    dtype: str
    shape: tuple[int | str | None, ...]

    def accepts(self, array: np.ndarray) -> bool:
        """Whether `array` has this rank and the sizes that are fixed."""
        return array.ndim == len(self.shape) and all(
            not isinstance(side, int) or side == given for side, given in zip(self.shape, array.shape, strict=True)
        )


@dataclass(frozen=True)
class Graph:
    """A graph ready to run.

    Args:
        session: onnxruntime's InferenceSession.
        name: What an error calls it.
        inputs: By name, in the graph's order.
        outputs: By name, in the graph's order.
    """

    session: Any
    name: str
    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All outputs for one set of inputs.

        Raises:
            UsageError: A name is unknown or missing, or a shape does not fit.
        """
        made = self.session.run(list(self.outputs), self.fitted(arrays)) if self.outputs else []
        return dict(zip(self.outputs, made, strict=True))

    def fitted(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """`arrays` in the types that the graph takes, checked against its inputs."""
        if set(arrays) != set(self.inputs):
            raise UsageError(
                "{graph} takes the inputs {known}, not {given}",
                graph=self.name,
                known=", ".join(self.inputs),
                given=", ".join(arrays) or "none",
            )
        out = {}
        for name, port in self.inputs.items():
            array = np.ascontiguousarray(arrays[name], dtype=port.dtype)
            if not port.accepts(array):
                raise UsageError(
                    "{graph}: the input {name} has the shape {shape}, not {given}",
                    graph=self.name,
                    name=name,
                    shape=tuple(port.shape),
                    given=array.shape,
                )
            out[name] = array
        return out


def open_graph(data: bytes, name: str, *, threads: int) -> Graph:
    """The graph in `data`, on `threads` threads of the CPU.

    Raises:
        BundleError: onnxruntime cannot run it.
        NotEnoughMemory: It does not fit.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _SILENT
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base
        raise translated(error, name) from error
    return Graph(session, name, _ports(session.get_inputs(), name), _ports(session.get_outputs(), name))


def version() -> str:
    """Name and version of what runs the graphs; results carry it, since another version may round differently."""
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"


def translated(error: Exception, name: str) -> KapelleError:
    """An error of onnxruntime as one of ours: out of memory, or else a graph that cannot be run."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "bad_alloc" in text or "bad allocation" in text or "Failed to allocate memory" in text:
        return NotEnoughMemory("{graph} does not fit into memory", graph=name, hint="close other programs, or take a smaller model")
    return BundleError("{graph} cannot be run: {why}", graph=name, why=text[:200], hint="export the model again")


def _ports(values: Any, name: str) -> dict[str, Port]:
    for value in values:
        if value.type not in DTYPES:
            _unknown_type(name, value)
    return {value.name: Port(DTYPES[value.type], tuple(value.shape)) for value in values}


def _unknown_type(name: str, value: Any) -> NoReturn:
    raise BundleError("{graph}: {port} is of the unknown type {kind}", graph=name, port=value.name, kind=value.type)
