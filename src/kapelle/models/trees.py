"""Oblivious trees: many small tables, each looked up by a few yes-or-no questions; their values add up to the logits of classes.

Takes rows of features (B, F) in their own units, gives probabilities (B, C). All leaves of a tree lie at one depth, and all nodes of one
level ask the same question, "is feature f greater than t?". So a tree is a row of features, a row of thresholds and a table of 2 ** depth
rows of logits, and a whole forest is arrays; nothing branches. The answer to the question of level d is bit d of the row looked up.

The features come raw. Thresholds are in their units, so scaling has no place here or before: there is nothing that could be fitted to one
set of rows and forgotten for another.

A missing value (NaN) counts as less than every threshold, whatever the feature: every question about it is answered with no. That is the
rule by which the trees were grown (nan_mode Min of CatBoost), and it is written into the graph, not left to how a processor compares.

It grows nothing: see `kapelle.training.trees`. Source of the method: Prokhorenkova et al. 2018, "CatBoost: unbiased boosting with
categorical features", NeurIPS.
Known differences: leaves are kept in 16 bits, which moves a probability by less than 1e-3; trees of less than full depth are filled up
with questions that are always answered with no.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kapelle.config import setting
from kapelle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    import torch
    from numpy.typing import NDArray

    from kapelle.models import Kind, StateSpec

KIND: Kind = "classifier"

PRECISION = "fp16"
"""What its leaves are kept in, whichever precision an export asks for: there are no products to round."""

MAX_DEPTH = 10
MAX_LEAVES = 4_000_000
"""Numbers in the leaves of a forest, at most: 8 MB."""

NEVER = float(np.finfo(np.float32).max)
"""A threshold that no finite feature is greater than."""

ARRAYS = ("features", "thresholds", "leaves", "bias")


@dataclass(frozen=True)
class Config:
    """The shape of a forest; how many trees it has, its arrays tell."""

    features: int = setting(help="features of a row", min=1)
    classes: int = setting(help="classes", min=2)
    depth: int = setting(6, help="questions of a tree", min=1, max=MAX_DEPTH)


def build(config: Config) -> torch.nn.Module:
    """Nothing: trees are grown, not trained by descent.

    Raises:
        UsageError: Always.
    """
    raise UsageError("trees are no network", hint="recipes of family trees have objective trees")


def check(config: Config, weights: Mapping[str, NDArray[np.generic]]) -> None:
    """Raise ValueError unless the arrays are a forest of this shape.

    Args:
        config: The shape.
        weights: ``features`` int (N, D), ``thresholds`` float (N, D), ``leaves`` float (N, 2 ** D, C), ``bias`` float (C,).
    """
    features, thresholds, leaves, bias = (weights[name] for name in ARRAYS)
    n_trees = len(features)
    shapes = [(n_trees, config.depth)] * 2 + [(n_trees, 2**config.depth, config.classes), (config.classes,)]
    for name, array, shape in zip(ARRAYS, (features, thresholds, leaves, bias), shapes, strict=True):
        if array.shape != shape:
            raise ValueError(f"{name} has the shape {array.shape}, not {shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinite values")
    if not n_trees or leaves.size > MAX_LEAVES:
        raise ValueError(f"{n_trees} trees have {leaves.size} numbers in their leaves, not 1 to {MAX_LEAVES}")
    if features.min() < 0 or features.max() >= config.features:
        raise ValueError(f"a tree asks for a feature that is none of {config.features}")


def evaluate(config: Config, weights: Mapping[str, NDArray[np.generic]], rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities (B, C) of rows (B, F): what the graph gives, in numpy and in 64-bit floats.

    Raises:
        UsageError: The rows have another number of features.
        ValueError: The arrays are no forest of this shape.
    """
    check(config, weights)
    if rows.ndim != 2 or rows.shape[1] != config.features:
        raise UsageError("rows must have {features} features, not {shape}", features=config.features, shape=rows.shape)
    features, thresholds, leaves, bias = (np.asarray(weights[name]) for name in ARRAYS)
    rows = rows.astype(np.float32)  # as the graph takes them: thresholds are compared in this precision
    finite = np.where(np.isnan(rows), np.float32(-NEVER), rows)
    answers = finite[:, features] > thresholds.astype(np.float32)  # (B, N, D)
    places = (answers * (1 << np.arange(config.depth))).sum(2)  # (B, N)
    logits = leaves[np.arange(len(features)), places].astype(np.float64).sum(1) + bias  # (B, C)
    powers = np.exp(logits - logits.max(1, keepdims=True))
    out: NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
    return out


def graphs(config: Config, weights: Mapping[str, NDArray[np.generic]]) -> dict[str, onnx.ModelProto]:
    """The predict graph: ``features`` float32 (B, F) -> ``probabilities`` float32 (B, C)."""
    from kapelle.models.trees_onnx import predict

    check(config, weights)
    return {"predict": predict(config, weights)}


def weights(config: Config, constants: Mapping[str, Mapping[str, NDArray[np.generic]]]) -> dict[str, NDArray[np.generic]]:
    """The arrays that `graphs` wrote; leaves as rounded to 16 bits."""
    held = constants["predict"]
    n_trees = held["features.asked"].size // config.depth
    return {
        "features": held["features.asked"].reshape(n_trees, config.depth),
        "thresholds": held["thresholds"].reshape(n_trees, config.depth),
        "leaves": held["leaves"].reshape(n_trees, 2**config.depth, config.classes),
        "bias": held["bias"],
    }


def states(config: Config) -> tuple[StateSpec, ...]:
    """None: it goes in one go."""
    return ()
