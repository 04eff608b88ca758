"""The step graph at work: its memory is bound once, each step changes three small arrays in place and runs.

Takes ids (B, T) by input name, gives logits by output name. States of kind kv are one buffer each, input and output at once, so a step
copies nothing; recurrent states are two buffers each, read and written in turn. All rows of a batch are of one length.
It does not know what a token means, nor which family wrote the graph.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.bundles.runtime import Graph, translated
from kapelle.errors import BundleError, NotEnoughMemory, UsageError

if TYPE_CHECKING:
    from kapelle.bundles.manifest import Manifest
    from kapelle.models import StateSpec

MAX_STATE_BYTES = 2**32

KEPT_TOKENS = 16
"""Portions up to this length keep their arrays: decoding feeds one token, or a few where the grammar leaves no choice."""

_LAST, _ALL = -1, 0
"""What ``logits_from`` says: the last position only, or every one."""


@dataclass(frozen=True)
class _Binding:
    """Arrays of one shape bound to the graph; writing into `inputs`, running and reading `logits` is one step."""

    io: Any
    inputs: Mapping[str, np.ndarray]
    logits: Mapping[str, np.ndarray]
    values: tuple[Any, ...]  # the OrtValues over those arrays, which must live as long as the binding


class Stepper:
    """One memory and the graph that extends it.

    Args:
        graph: The step graph.
        manifest: Its states and options.
        batch: Rows.
        context: Room for kv states in tokens; None for all that the model has.
    """

    def __init__(self, graph: Graph, manifest: Manifest, batch: int, context: int | None) -> None:
        self.batch = batch
        self.context = _room(manifest, batch, context)
        self.position = 0
        self._graph = graph
        self._states = manifest.states
        self._has_kv = any(state.kind == "kv" for state in manifest.states)
        self._has_recurrent = any(state.kind == "recurrent" for state in manifest.states)
        self.memories = {name for name in graph.inputs if name.startswith("memory.")}
        self.id_names = [name for name in graph.inputs if name == "ids" or name.startswith("ids.")]
        self.widths = {name: _width(graph, name) for name in graph.outputs if name == "logits" or name.startswith("logits.")}
        self._check_ports()
        self._sides = self._buffers()
        self._side = 0  # the one of the two that is read next; kv states are the same buffer on both
        self._memory: dict[str, Any] = {}
        self._bound: dict[tuple[int, int], _Binding] = {}  # by number of tokens and side

    def another(self) -> Stepper:
        """An empty memory of the same size for the same graph, which may be at work with both."""
        made = copy(self)
        made.position = made._side = 0
        made._sides, made._memory, made._bound = self._buffers(), {}, {}
        return made

    def reset(self) -> None:
        """Forget all tokens; what was encoded stays."""
        self.position = 0
        for state in self._states:
            if state.kind == "recurrent":  # a kv buffer is only read up to the position
                self._sides[self._side][state.name][0][...] = 0

    def set_memories(self, arrays: Mapping[str, np.ndarray], *, keep: bool = False) -> None:
        """Take `arrays` as inputs of every step to come, and forget all tokens unless they are to be kept."""
        rows = {len(array) for array in arrays.values()}
        if rows != {self.batch}:
            raise UsageError("{batch} rows are to be encoded, not {given}", batch=self.batch, given=", ".join(map(str, sorted(rows))))
        self._memory = {name: (array, _value(array)) for name, array in arrays.items()}
        self._bound = {}
        if not keep:
            self.reset()

    def feed(self, ids: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Logits (B, V) of the last position by output name: read-only, overwritten by the next call."""
        n_tokens = self._check_ids(ids)
        if n_tokens > 1 and self._in_portions():
            for at in range(n_tokens):
                logits = self._run(self._binding(1), {name: array[:, at : at + 1] for name, array in ids.items()}, 1)
        else:
            logits = self._run(self._binding(n_tokens), ids, n_tokens)
        return {name: array[:, 0] for name, array in logits.items()}

    def score(self, ids: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Logits (B, T, V) of all positions by output name."""
        n_tokens = self._check_ids(ids)
        if self._in_portions():
            out = {name: np.empty((self.batch, n_tokens, width), np.float32) for name, width in self.widths.items()}
            for at in range(n_tokens):
                logits = self._run(self._binding(1), {name: array[:, at : at + 1] for name, array in ids.items()}, 1)
                for name, array in out.items():
                    array[:, at] = logits[name][:, 0]
            return out
        return dict(self._run(self._bind(n_tokens, _ALL), ids, n_tokens))

    def _in_portions(self) -> bool:
        """Whether several tokens must go one by one: the attention operator appends them at once only to an empty memory or one row."""
        return self._has_kv and self.batch > 1 and self.position > 0

    def _binding(self, n_tokens: int) -> _Binding:
        """A binding for portions of `n_tokens` that reads the side which is next, kept for the next time if it is a short one."""
        key = n_tokens, self._side
        found = self._bound.get(key)
        if found is None:
            found = self._bind(n_tokens, _LAST)
            if n_tokens <= KEPT_TOKENS:
                self._bound[key] = found
        return found

    def _run(self, binding: _Binding, ids: Mapping[str, np.ndarray], n_tokens: int) -> Mapping[str, np.ndarray]:
        inputs = binding.inputs
        for name in self.id_names:
            inputs[name][...] = ids[name]
        total = self.position + n_tokens
        if self._has_kv:
            inputs["seqlens_k"].fill(total - 1)
            inputs["total_sequence_length"].fill(total)
        try:
            self._graph.session.run_with_iobinding(binding.io)
        except Exception as error:  # onnxruntime's errors have no common base
            raise translated(error, self._graph.name) from error
        self.position = total
        if self._has_recurrent:
            self._side = 1 - self._side
        return binding.logits

    def _bind(self, n_tokens: int, kept: int) -> _Binding:
        """Fresh arrays for portions of `n_tokens`, bound to the graph together with the memory as it stands."""
        inputs: dict[str, np.ndarray] = {name: np.zeros((self.batch, n_tokens), np.int64) for name in self.id_names}
        inputs["logits_from"] = np.array([kept], np.int64)
        if self._has_kv:
            inputs["seqlens_k"] = np.zeros(self.batch, np.int32)
            inputs["total_sequence_length"] = np.zeros((), np.int32)
        n_kept = 1 if kept == _LAST else n_tokens
        logits = {name: np.zeros((self.batch, n_kept, width), np.float32) for name, width in self.widths.items()}
        values = {name: _value(array) for name, array in (inputs | logits).items()}
        io = self._graph.session.io_binding()
        for name in inputs:
            io.bind_ortvalue_input(name, values[name])
        for name, array in logits.items():
            io.bind_ortvalue_output(name, values[name])
            array.setflags(write=kept == _ALL)
        for name, (_, value) in self._memory.items():
            io.bind_ortvalue_input(name, value)
        past, present = self._sides[self._side], self._sides[1 - self._side]
        for state in self._states:
            io.bind_ortvalue_input(f"past.{state.name}", past[state.name][1])
            io.bind_ortvalue_output(f"present.{state.name}", present[state.name][1])
        return _Binding(io, inputs, logits, tuple(values.values()))

    def _buffers(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Arrays of zeros and the OrtValues over them, on two sides that are read and written in turn."""
        past, present = {}, {}
        for state in self._states:
            try:
                past[state.name] = self._buffer(state)
                present[state.name] = past[state.name] if state.kind == "kv" else self._buffer(state)
            except MemoryError as error:
                raise _no_room(self.batch, self.context) from error
        return past, present

    def _buffer(self, state: StateSpec) -> tuple[np.ndarray, Any]:
        array = np.zeros(_shape(state, self.batch, self.context), state.dtype)
        return array, _value(array)

    def _check_ids(self, ids: Mapping[str, np.ndarray]) -> int:
        """The number of tokens in `ids`; everything that could make the graph fail is refused here."""
        if self.memories and not self._memory:
            raise UsageError("nothing has been encoded yet", hint="call encode before feed")
        if list(ids) != self.id_names and set(ids) != set(self.id_names):
            raise UsageError("the model takes {known}, not {given}", known=", ".join(self.id_names), given=", ".join(ids))
        lengths = {array.shape[1] for array in ids.values()}
        if len(lengths) != 1:
            raise UsageError("the inputs {names} must be of one length, not {lengths}", names=", ".join(ids), lengths=sorted(lengths))
        n_tokens: int = lengths.pop()
        if self.context is not None and self.position + n_tokens > self.context:
            raise UsageError(
                "{n_tokens} tokens after {position} are more than the context of {context}",
                n_tokens=n_tokens,
                position=self.position,
                context=self.context,
                hint="reset and feed the newest tokens again",
            )
        for name, array in ids.items():
            limit = self.widths.get(name.replace("ids", "logits", 1))
            given = array.ravel().tolist()
            if limit is not None and not 0 <= min(given) <= max(given) < limit:
                raise UsageError("ids must be 0 to {limit}, found {low} to {high}", limit=limit - 1, low=min(given), high=max(given))
            if min(given) < 0:
                raise UsageError("{name} must be 0 or more, found {low}", name=name, low=min(given))
        return n_tokens

    def _check_ports(self) -> None:
        """Raise BundleError unless the graph has the inputs and outputs that its states ask for, and no others."""
        inputs = {"logits_from", *self.id_names, *self.memories, *(f"past.{state.name}" for state in self._states)}
        inputs |= {"seqlens_k", "total_sequence_length"} if self._has_kv else set()
        outputs = {*self.widths, *(f"present.{state.name}" for state in self._states)}
        for found, expected in ((set(self._graph.inputs), inputs), (set(self._graph.outputs), outputs)):
            if found != expected or not self.id_names or not self.widths:
                raise _misfit(self._graph, ", ".join(sorted(found ^ expected)) or "no ids or no logits")
        for state in self._states:
            shape = _shape(state, self.batch, self.context)
            for port in (self._graph.inputs[f"past.{state.name}"], self._graph.outputs[f"present.{state.name}"]):
                if port.dtype != state.dtype or not port.accepts(np.broadcast_to(np.int8(0), shape)):
                    raise _misfit(self._graph, state.name)


def _misfit(graph: Graph, names: str) -> BundleError:
    return BundleError("{graph} does not fit its manifest: {names}", graph=graph.name, names=names, hint="export the model again")


def _room(manifest: Manifest, batch: int, context: int | None) -> int | None:
    """The context that a session gets, after all its numbers have been checked."""
    most = manifest.context
    if batch < 1:
        raise UsageError("batch must be at least 1, not {batch}", batch=batch)
    room = None if most is None else most if context is None else context
    if most is not None and room is not None and not 1 <= room <= most:
        raise UsageError("the context of {name} is 1 to {most} tokens, not {context}", name=manifest.name, most=most, context=context)
    if sum(math.prod(_shape(state, batch, room)) * np.dtype(state.dtype).itemsize for state in manifest.states) > MAX_STATE_BYTES:
        raise _no_room(batch, room)
    return room


def _no_room(batch: int, context: int | None) -> NotEnoughMemory:
    return NotEnoughMemory(
        "the memory of a model with {batch} rows and a context of {context} does not fit",
        batch=batch,
        context=context or "any length",
        hint="take fewer rows or a shorter context",
    )


def _shape(state: StateSpec, batch: int, context: int | None) -> tuple[int, ...]:
    sizes = {"batch": batch, "context": context}
    return tuple(sizes[side] or 0 if isinstance(side, str) else side for side in state.shape)


def _width(graph: Graph, name: str) -> int:
    """Number of logits of the output `name`, whose shape is (batch, kept, V)."""
    shape = graph.outputs[name].shape
    if len(shape) != 3 or not isinstance(shape[2], int):
        raise BundleError("{graph}: {name} must be of the shape (batch, kept, V), not {shape}", graph=graph.name, name=name, shape=shape)
    return shape[2]


def _value(array: np.ndarray) -> Any:
    """An OrtValue over the memory of `array`, not a copy: writing into the array is writing into the value."""
    import onnxruntime

    return onnxruntime.OrtValue.ortvalue_from_numpy(array)
