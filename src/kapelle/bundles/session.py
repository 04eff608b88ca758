"""Running a bundle: one class for each way of being run, over onnxruntime. It knows states, never families, and nothing of music.

Takes a checked `Bundle`, gives a session: `Decoder` (kind autoregressive), `SymbolDecoder` (symbols), `Translator` (encoder_decoder),
`Generator` (one_shot), `Classifier` or `Embedder` (encoder). A session holds one memory and is not shared between threads; same inputs
in the same portions give the same bytes, whatever the number of threads. It does not sample: that is the business of `kapelle.sampling`.
The names that graphs use are described in docs/reference/bundle.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.bundles.runtime import Graph, Port, open_graph
from kapelle.bundles.stepping import Stepper
from kapelle.errors import BundleError, KapelleError, UsageError

if TYPE_CHECKING:
    from typing import Self

    from kapelle.bundles.load import Bundle

Ids = Sequence[int] | np.ndarray


class Decoder:
    """A bundle that gives, token after token, the logits of the next one (kind autoregressive).

    Args:
        bundle: Of that kind.
        threads: Threads of the CPU.
        batch: Rows that run side by side, in step: all of one length.
        context: Room for the memory in tokens; None for all that the model has. Less takes less memory; recurrent models have no limit.

    Raises:
        UsageError: `context` is more than the model has, or a number is below 1.
        BundleError: The graph has not the inputs and outputs that the manifest tells.
        NotEnoughMemory: The memory does not fit.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1, batch: int = 1, context: int | None = None) -> None:
        self._stepper = Stepper(_graph(bundle, "step", threads), bundle.manifest, batch, context)
        self._check_outputs(bundle)

    def another(self) -> Self:
        """A session of the same network with an empty memory of its own: both may be at work at once, in threads or step by step.

        Raises:
            NotEnoughMemory: The memory does not fit.
        """
        made = copy(self)
        made._stepper = self._stepper.another()
        return made

    @property
    def position(self) -> int:
        """Tokens in memory."""
        return self._stepper.position

    @property
    def context(self) -> int | None:
        """The most tokens that the memory holds; None for a recurrent model, which has no limit."""
        return self._stepper.context

    @property
    def vocabulary(self) -> int:
        """Number of logits of a position."""
        return self._stepper.widths["logits"]

    def reset(self) -> None:
        """Forget everything: the next token is the first."""
        self._stepper.reset()

    def feed(self, ids: Ids) -> np.ndarray:
        """Logits float32 of the token after `ids`, which are appended to the memory: (V,) for ids (T,), (B, V) for ids (B, T).

        The array is read-only and is overwritten by the next call. How a sequence is cut into calls may move logits by rounding.

        Raises:
            UsageError: No ids, ids out of range, a wrong shape, or more tokens than the context has room for.
        """
        ids = np.asarray(ids)
        logits = self._stepper.feed(_rows(ids, self._stepper.batch))["logits"]
        return logits[0] if ids.ndim == 1 else logits

    def score(self, ids: Ids) -> np.ndarray:
        """Logits float32 after every one of `ids`, which are appended to the memory: (T, V) for ids (T,), (B, T, V) for ids (B, T).

        Raises:
            UsageError: As for `feed`.
        """
        ids = np.asarray(ids)
        logits = self._stepper.score(_rows(ids, self._stepper.batch))["logits"]
        return logits[0] if ids.ndim == 1 else logits

    def _check_outputs(self, bundle: Bundle) -> None:
        if set(self._stepper.widths) != {"logits"}:
            raise _wrong(bundle, "step", "one output logits", sorted(self._stepper.widths))


class SymbolDecoder:
    """A bundle whose step gives logits of several things at once, such as pitch and length (kind symbols).

    Args and errors: as for `Decoder`. Inputs are ``ids`` alone, or several ``ids.NAME``.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1, batch: int = 1, context: int | None = None) -> None:
        self._stepper = Stepper(_graph(bundle, "step", threads), bundle.manifest, batch, context)

    @property
    def position(self) -> int:
        """Symbols in memory."""
        return self._stepper.position

    @property
    def context(self) -> int | None:
        """The most symbols that the memory holds; None for a recurrent model."""
        return self._stepper.context

    def reset(self) -> None:
        """Forget everything: the next symbol is the first."""
        self._stepper.reset()

    def feed(self, ids: Ids | Mapping[str, Ids]) -> dict[str, np.ndarray]:
        """Logits (B, V) by name of the symbol after `ids`: one array (T,) or (B, T), or one for each input by its NAME.

        The arrays are read-only and are overwritten by the next call.

        Raises:
            UsageError: As for `Decoder.feed`.
        """
        made = self._stepper.feed(_inputs(ids if isinstance(ids, Mapping) else {"ids": ids}, self._stepper.batch))
        return {name.removeprefix("logits."): array for name, array in made.items()}


class Translator(Decoder):
    """A decoder that listens to something encoded beforehand, such as a theme (kind encoder_decoder).

    Args and errors: as for `Decoder`. Inputs are ``ids`` alone, or ``ids`` and several ``ids.NAME``.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1, batch: int = 1, context: int | None = None) -> None:
        super().__init__(bundle, threads=threads, batch=batch, context=context)
        self._encoder = _graph(bundle, "encode", threads)
        missing = self._stepper.memories - set(self._encoder.outputs)
        if missing or not self._stepper.memories:
            raise _wrong(bundle, "encode", f"the outputs {sorted(self._stepper.memories)}", sorted(self._encoder.outputs))

    @property
    def inputs(self) -> Mapping[str, Port]:
        """What `encode` takes, with types and shapes."""
        return self._encoder.inputs

    @property
    def takes(self) -> tuple[str, ...]:
        """The names of what `feed` takes, ``ids`` among them."""
        return tuple(name.removeprefix("ids.") for name in self._stepper.id_names)

    def encode(self, inputs: Mapping[str, np.ndarray], *, keep: bool = False) -> dict[str, np.ndarray]:
        """Encode `inputs`, and listen to what comes out from now on; returns what the graph gives beside that.

        Args:
            inputs: Arrays by the names of `inputs`.
            keep: Do not forget the tokens fed so far; they stay as they heard what was encoded before.

        Raises:
            UsageError: A name, a shape or a value is not what the graph takes.
        """
        try:
            made = self._encoder.run(inputs)
        except KapelleError:
            raise
        except Exception as error:  # onnxruntime's errors have no common base; the graph ran before, so it is what was given
            why = " ".join(str(error).split())[:200]
            raise UsageError("{graph} cannot take these inputs: {why}", graph=self._encoder.name, why=why) from error
        self._stepper.set_memories({name: made.pop(name) for name in self._stepper.memories}, keep=keep)
        return made

    def feed(self, ids: Ids | Mapping[str, Ids]) -> np.ndarray:
        """As `Decoder.feed`, of one array, or of one for each input by its NAME, ``ids`` among them."""
        rows, single = self._named(ids)
        logits = self._stepper.feed(rows)["logits"]
        return logits[0] if single else logits

    def score(self, ids: Ids | Mapping[str, Ids]) -> np.ndarray:
        """As `Decoder.score`, of one array, or of one for each input by its NAME, ``ids`` among them."""
        rows, single = self._named(ids)
        logits = self._stepper.score(rows)["logits"]
        return logits[0] if single else logits

    def _named(self, ids: Ids | Mapping[str, Ids]) -> tuple[dict[str, np.ndarray], bool]:
        """Rows (B, T) by the names of the step graph, and whether they were given as (T,)."""
        if not isinstance(ids, Mapping):
            ids = {"ids": ids}
        return _inputs(ids, self._stepper.batch), all(np.ndim(values) == 1 for values in ids.values())


class Generator:
    """A bundle that makes everything in one go, from latents to the whole (kind one_shot).

    Args:
        bundle: Of that kind.
        threads: Threads of the CPU.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        self._graph = _graph(bundle, "generate", threads)

    @property
    def inputs(self) -> Mapping[str, Port]:
        """What `generate` takes, with types and shapes."""
        return self._graph.inputs

    def generate(self, latents: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Every output of the graph, by name.

        Raises:
            UsageError: A name or a shape is not what the graph takes.
        """
        return self._graph.run(latents)


class Classifier:
    """A bundle that gives the probability of each class (kind classifier).

    Args:
        bundle: Of that kind.
        threads: Threads of the CPU.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        self._graph = _graph(bundle, "predict", threads)
        if set(self._graph.inputs) != {"features"} or "probabilities" not in self._graph.outputs:
            found = [*self._graph.inputs, *self._graph.outputs]
            raise _wrong(bundle, "predict", "the input features and the output probabilities", found)

    @property
    def embeds(self) -> bool:
        """Whether the graph gives points beside probabilities."""
        return "embedding" in self._graph.outputs

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Probabilities float32 (B, classes) of `features` (B, ...).

        Raises:
            UsageError: The shape is not what the graph takes.
        """
        return self._graph.run({"features": features})["probabilities"]

    def embed(self, features: np.ndarray) -> np.ndarray:
        """Points float32 (B, D) of `features` (B, ...), so that what is alike lies near.

        Raises:
            UsageError: The shape is not what the graph takes, or the graph gives no points.
        """
        made = self._graph.run({"features": features})
        if "embedding" not in made:
            raise UsageError("{graph} gives probabilities alone, no points", graph=self._graph.name)
        return made["embedding"]


class Embedder:
    """A bundle that makes a point of something, so that what is alike lies near (kind encoder).

    Args:
        bundle: Of that kind.
        threads: Threads of the CPU.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        self._graph = _graph(bundle, "encode", threads)
        if bundle.manifest.kind != "encoder" or "embedding" not in self._graph.outputs:
            raise _wrong(bundle, "encode", "the output embedding", [*self._graph.outputs])

    @property
    def inputs(self) -> Mapping[str, Port]:
        """What `embed` takes, with types and shapes."""
        return self._graph.inputs

    def embed(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Points float32 (B, D) of inputs by the names of the graph, one row of each for one point.

        Raises:
            UsageError: A name or a shape is not what the graph takes.
        """
        return self._graph.run(inputs)["embedding"]


Session = Decoder | SymbolDecoder | Generator | Classifier | Embedder


def open_session(bundle: Bundle, *, threads: int = 1, batch: int = 1, context: int | None = None) -> Session:
    """The session that the bundle's kind asks for; `batch` and `context` matter only to those that go step by step."""
    match bundle.manifest.kind:
        case "autoregressive":
            return Decoder(bundle, threads=threads, batch=batch, context=context)
        case "encoder_decoder":
            return Translator(bundle, threads=threads, batch=batch, context=context)
        case "symbols":
            return SymbolDecoder(bundle, threads=threads, batch=batch, context=context)
        case "one_shot":
            return Generator(bundle, threads=threads)
        case "classifier":
            return Classifier(bundle, threads=threads)
        case "encoder":
            return Embedder(bundle, threads=threads)


def _graph(bundle: Bundle, role: str, threads: int) -> Graph:
    """The graph `role`, opened; a bundle of another kind has none."""
    if threads < 1:
        raise UsageError("threads must be at least 1, not {threads}", threads=threads)
    if role not in bundle.manifest.graphs:
        raise UsageError(
            "the bundle {name} is of kind {kind}: it has no graph {role!r}", name=bundle.name, kind=bundle.manifest.kind, role=role
        )
    return open_graph(bundle.graph(role), str(bundle.path / bundle.manifest.graphs[role]), threads=threads)


def _rows(ids: np.ndarray, batch: int) -> dict[str, np.ndarray]:
    """Ids as the step graph takes them, (B, T)."""
    rows = ids[None] if ids.ndim == 1 else ids
    if rows.ndim != 2 or rows.shape[0] != batch or rows.shape[1] == 0 or rows.dtype.kind not in "iu":
        raise UsageError(
            "ids must be whole numbers of the shape (tokens) or ({batch}, tokens), not {dtype} of shape {shape}",
            batch=batch,
            dtype=ids.dtype,
            shape=ids.shape,
        )
    return {"ids": rows}


def _inputs(given: Mapping[str, Ids], batch: int) -> dict[str, np.ndarray]:
    """Rows (B, T) by the names of the step graph: NAME is its ``ids.NAME``, but for ``ids`` itself."""
    return {name if name == "ids" else f"ids.{name}": _rows(np.asarray(values), batch)["ids"] for name, values in given.items()}


def _wrong(bundle: Bundle, role: str, expected: str, found: Any) -> BundleError:
    return BundleError(
        "the graph {role!r} of the bundle {name} must have {expected}, not {found}",
        role=role,
        name=bundle.name,
        expected=expected,
        found=found,
        hint="export the model again",
    )
