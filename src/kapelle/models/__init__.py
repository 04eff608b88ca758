"""Networks, and nothing of music: each family is one file, read from top to bottom.

A family is a module with the names of `Family`; the table below is the only place that lists them. Adding a network is one
file here and one row in the table.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from kapelle.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import onnx
    import torch

Kind = Literal["autoregressive", "encoder_decoder", "one_shot", "symbols", "classifier", "encoder"]

FAMILIES = {
    "bridge_joint": "kapelle.models.bridge_joint",
    "chord_lstm": "kapelle.models.chord_lstm",
    "genre_judge": "kapelle.models.genre_judge",
    "gpt": "kapelle.models.gpt",
    "lstm": "kapelle.models.lstm",
    "musegan": "kapelle.models.musegan",
    "musegan_tutorial": "kapelle.models.musegan_tutorial",
    "theme": "kapelle.models.theme",
    "theme_encoder": "kapelle.models.theme_encoder",
    "theme_variational": "kapelle.models.theme_variational",
    "trees": "kapelle.models.trees",
}
"""Family name -> module."""


@dataclass(frozen=True)
class StateSpec:
    """One tensor that a step graph carries from token to token.

    Args:
        name: Graph input ``past.NAME`` and output ``present.NAME``.
        shape: Sizes; ``"batch"`` and ``"context"`` stand for the two that the caller chooses.
        dtype: numpy name: ``"float32"``.
        kind: ``"kv"``: one preallocated buffer bound as input and output at once, written in place;
            ``"recurrent"``: replaced at every step.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str
    kind: Literal["kv", "recurrent"]


class Family(Protocol):
    """What the module of a family offers. Weights are plain numpy arrays, so that exporting needs no torch."""

    KIND: Kind
    Config: type[Any]  # a frozen dataclass; (vocabulary size and context included)

    def build(self, config: Any) -> torch.nn.Module:
        """A fresh network."""

    def graphs(self, config: Any, weights: Mapping[str, np.ndarray]) -> dict[str, onnx.ModelProto]:
        """ONNX graphs in 32-bit floats, written directly from the weights: ``{"step": ...}``, ``{"generate": ...}`` ..."""

    def weights(self, config: Any, constants: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """What `graphs` was given, from the constants by name of every graph by role: so a bundle can be trained on."""

    def states(self, config: Any) -> tuple[StateSpec, ...]:
        """The tensors that the step graph carries; empty for graphs without a memory."""


def family(name: str) -> Family:
    """The module of the family `name`.

    Raises:
        UnknownName: The table has no such row.
    """
    if name not in FAMILIES:
        raise UnknownName("model family", name, FAMILIES)
    return cast("Family", importlib.import_module(FAMILIES[name]))


def kind_of(family: Family, config: Any) -> Kind:
    """How a network of the shape `config` is run: the family's KIND, unless the family has a function ``kind`` that says otherwise."""
    own = getattr(family, "kind", None)
    return cast("Kind", own(config)) if own else family.KIND
