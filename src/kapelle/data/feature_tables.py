"""Feature tables: rows of numbers with names and labels, in their own units, from which a classifier is grown.

A folder of::

    shards.json     classes, names of the features, what they are of, quantiles, counts, sources with licences; written last
    rows.npy        (N, F) float32: features as they are measured, never scaled; NaN where there was nothing to measure
    table.npy       (N,) structured, see `ROW`: what each row is, of which piece it is, which part

This file needs numpy alone. It measures nothing: who makes rows (`kapelle.classifiers`) names them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kapelle.data import shard_folder
from kapelle.data.split import PARTS, TRAIN
from kapelle.errors import Missing, ShardError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ROW = np.dtype([("label", "u1"), ("part", "u1"), ("source", "u1"), ("group", "<i4"), ("piece", "<i4"), ("digest", "S16")])
"""label: row of info["classes"]; part: as `split.PARTS`; source: row of info["sources"]; group: what was not split, such as an artist;
piece: rows of one piece share it; digest: first 16 hexadecimal digits of the SHA-256 of its file, empty if unknown."""

INFO = shard_folder.INFO
ARRAYS = ("rows", "table")
CODEC = "features"
LOW, HIGH = 0.005, 0.995
"""Quantiles of the training rows outside which a feature is out of the ordinary."""


@dataclass(frozen=True)
class FeatureTable:
    """An opened folder; arrays are memory-mapped and read-only."""

    path: Path
    info: dict[str, Any]
    rows: NDArray[np.float32]
    table: NDArray[Any]

    def __len__(self) -> int:
        """Number of rows of all parts."""
        return len(self.rows)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the labels."""
        return tuple(self.info["classes"])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in the order of the columns."""
        return tuple(self.info["features"])

    def places(self, part: str) -> NDArray[np.int64]:
        """The rows of a part: "train", "validation" or "test"."""
        return np.flatnonzero(self.table["part"] == PARTS.index(part)).astype(np.int64)


def write(path: Path, info: Mapping[str, Any], rows: NDArray[np.float32], table: NDArray[Any]) -> dict[str, Any]:
    """Write a folder and return what ``shards.json`` says: `info`, sizes, counts, the quantiles ``low`` and ``high`` of the training rows.

    Args:
        path: The folder; made if need be.
        info: At least ``classes``, ``features`` (names), ``inputs`` (what they are of, such as "midi_features") and ``sources`` (tables
            with ``name`` and ``licence``).
        rows: (N, F).
        table: (N,) of `ROW`.

    Raises:
        ShardError: The arrays do not fit one another or `info`.
        StorageError: The disk is full or not writable.
    """
    held = FeatureTable(path, dict(info), np.ascontiguousarray(rows, np.float32), np.ascontiguousarray(table))
    try:
        _check(held)
    except (ValueError, KeyError) as error:
        raise ShardError("the rows for {path} do not belong together: {why}", path=path, why=error) from error
    low, high = quantiles(held.rows[held.places(PARTS[TRAIN])])
    made = {
        "codec": CODEC,
        "format": 1,
        **info,
        "sizes": {"features": len(held.names), "classes": len(held.classes)},
        "rows": len(rows),
        "pieces": counts(held.classes, held.table),
        "low": low,
        "high": high,
    }
    return shard_folder.write(path, made, {"rows": held.rows, "table": held.table})


def quantiles(rows: NDArray[np.float32]) -> tuple[list[float], list[float]]:
    """For every feature the `LOW` and `HIGH` quantile of rows (N, F), missing values left out; 0 and 0 where all are missing."""
    low, high = [], []
    for column in rows.T:
        there = column[np.isfinite(column)].astype(np.float64)
        ends = np.quantile(there, (LOW, HIGH)) if len(there) else np.zeros(2)
        low.append(float(ends[0]))
        high.append(float(ends[1]))
    return low, high


def counts(classes: Sequence[str], table: NDArray[Any]) -> dict[str, dict[str, int]]:
    """Class -> part -> number of pieces."""
    pieces = table[np.unique(table["piece"], return_index=True)[1]] if len(table) else table
    return {
        name: {part: int(((pieces["label"] == c) & (pieces["part"] == p)).sum()) for p, part in enumerate(PARTS)}
        for c, name in enumerate(classes)
    }


def read(path: Path) -> FeatureTable:
    """An opened folder.

    Raises:
        Missing: There is no such folder.
        ShardError: It holds shards of another codec, lacks a file, or a file does not fit the others.
    """
    if not (path / INFO).is_file():
        hint = "make them with `kapelle data prepare FOLDER --recipe RECIPE -o {path}`"
        raise Missing("no feature table in {path}", path=path, hint=hint)
    with shard_folder.reading(path) as info:
        if info.get("codec") != CODEC:
            hint = "prepare them with the recipe of a classifier of features"
            raise ShardError("the shards in {path} hold no features", path=path, hint=hint)
        arrays = shard_folder.mapped(path, ARRAYS)
        made = FeatureTable(path, info, arrays["rows"], arrays["table"])
        _check(made)
        return made


def _check(held: FeatureTable) -> None:
    """Raise ValueError unless the arrays belong together: training reads without looking."""
    rows, table = held.rows, held.table
    if rows.dtype != np.float32 or table.dtype != ROW:
        raise ValueError("an array is of the wrong type")
    if rows.shape != (len(table), len(held.names)) or not len(set(held.names)) == len(held.names) > 0:
        raise ValueError(f"{rows.shape} rows for {len(table)} labels and {len(held.names)} names")
    if int(table["label"].max(initial=0)) >= len(held.classes) or int(table["part"].max(initial=0)) >= len(PARTS):
        raise ValueError("a row is of no class or no part")
    if int(table["source"].max(initial=0)) >= max(1, len(held.info["sources"])):
        raise ValueError("a row is of no source")
