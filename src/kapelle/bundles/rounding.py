"""What 8 bits change: a graph in 32-bit floats beside the small one, on inputs drawn with a fixed seed.

Takes both as bytes, gives figures by name for the card. It decides nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.bundles.load import Bundle
from kapelle.bundles.manifest import Manifest
from kapelle.bundles.session import Decoder, Embedder, Generator, Translator
from kapelle.models import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kapelle.models import Family

N_IDS = 64
"""Ids that a step graph reads."""

N_ITEMS = 16
"""Items that a graph of kind one_shot makes, one at a time, as in use."""


def figures(family: Family, shape: Any, plain: Mapping[str, bytes], small: Mapping[str, bytes]) -> dict[str, float]:
    """``largest_logit_error`` of a step graph, ``cells_changed`` (share of 1) of one that makes piano-rolls, ``largest_distance`` of the
    points of an encoder; nothing for others.

    Args:
        family: The module that wrote the graphs.
        shape: Its Config.
        plain: Role -> file in 32-bit floats.
        small: Role -> file in 8 bits.
    """
    kind = kind_of(family, shape)
    if kind == "autoregressive":
        return {"largest_logit_error": _logit_error(family, shape, plain["step"], small["step"])}
    if kind == "encoder_decoder":
        return {"largest_logit_error": _listening_error(family, shape, plain, small)}
    if kind == "one_shot" and hasattr(family, "latents"):
        return {"cells_changed": _cells_changed(family, plain["generate"], small["generate"])}
    if kind == "encoder":
        return {"largest_distance": _distance(shape, plain["encode"], small["encode"])}
    return {}


def _logit_error(family: Family, shape: Any, plain: bytes, small: bytes) -> float:
    """The largest difference of a logit over `N_IDS` ids."""
    context = getattr(shape, "n_positions", None)
    ids = np.random.default_rng(0).integers(0, shape.vocabulary, min(N_IDS, context or N_IDS))
    draft = Manifest("probe", "probe", "autoregressive", {"step": "step.onnx"}, {}, "", family.states(shape), options={"context": context})
    scores = [Decoder(Bundle(Path("probe"), draft, "", {"step.onnx": data})).score(ids) for data in (plain, small)]
    return round(float(np.abs(scores[0] - scores[1]).max()), 4)


def _listening_error(family: Family, shape: Any, plain: Mapping[str, bytes], small: Mapping[str, bytes]) -> float:
    """The largest difference of a logit over `N_IDS` ids, after half as many were encoded; all else that is fed counts from 0 up twice."""
    context = shape.n_positions
    roles = {role: role for role in plain}
    draft = Manifest("probe", "probe", "encoder_decoder", roles, {}, "", family.states(shape), options={"context": context})
    draw, scores = np.random.default_rng(0), []
    ids = draw.integers(1, shape.vocabulary, min(N_IDS, context))
    heard = draw.integers(1, shape.vocabulary, (1, max(1, len(ids) // 2)))
    for files in (plain, small):
        session = Translator(Bundle(Path("probe"), draft, "", files))
        session.encode({name: heard if port.dtype == "int64" else np.zeros((1, *port.shape[1:])) for name, port in session.inputs.items()})  # type: ignore[arg-type]
        scores.append(session.score(dict.fromkeys(session.takes, np.arange(len(ids)) % heard.size) | {"ids": ids}))
    return round(float(np.abs(scores[0] - scores[1]).max()), 4)


def _distance(shape: Any, plain: bytes, small: bytes) -> float:
    """The largest distance of a point over `N_ITEMS` rows of ids of the kinds that `shape` tells, one row at a time, as in use."""
    draft = Manifest("probe", "probe", "encoder", {"encode": "encode.onnx"}, {}, "")
    sessions = [Embedder(Bundle(Path("probe"), draft, "", {"encode.onnx": data})) for data in (plain, small)]
    draw, found = np.random.default_rng(0), [0.0]
    for length in range(1, N_ITEMS + 1):
        ids = {kind: draw.integers(1, n_ids, (1, length)) for kind, n_ids in shape.kinds.items()}
        found.append(float(np.linalg.norm(sessions[0].embed(ids) - sessions[1].embed(ids))))
    return round(max(found), 4)


def _cells_changed(family: Family, plain: bytes, small: bytes) -> float:
    """The share of cells, of those that sound in either, that sound in one only; of latents from a normal distribution, nothing given."""
    draft = Manifest("probe", "probe", family.KIND, {"generate": "generate.onnx"}, {}, "")
    sessions = [Generator(Bundle(Path("probe"), draft, "", {"generate.onnx": data})) for data in (plain, small)]
    draw, either, one = np.random.default_rng(0), 0, 0
    for _ in range(N_ITEMS):
        inputs = {name: draw.standard_normal((1, *port.shape[1:]), np.float32) for name, port in sessions[0].inputs.items()}  # type: ignore[arg-type]
        if "given" in inputs:
            inputs["given"] = np.zeros_like(inputs["given"])
        on = [session.generate(inputs)["scores"] > 0 for session in sessions]
        either, one = either + int((on[0] | on[1]).sum()), one + int((on[0] ^ on[1]).sum())
    return round(one / max(1, either), 5)
