"""Roll shards: the notes of many pieces in steps, with the class of each, for networks that look at pieces through windows.

A folder of::

    shards.json     classes, counts, what was dropped, sources with licences, a fingerprint of the arrays; written last
    notes.npy       (N,) roll_windows.NOTE: all pieces, one after the other
    lines.npy       (M,) int32: the bar lines of all pieces, one after the other
    pieces.npy      (P,) structured, see `PIECE`
    digests.npy     (P,) the first 16 hexadecimal digits of the SHA-256 of each piece's file

This file needs numpy alone. It augments nothing: who reads does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kapelle.data import shard_folder
from kapelle.data.roll_windows import NOTE
from kapelle.data.split import PARTS
from kapelle.errors import Missing, ShardError

if TYPE_CHECKING:
    from pathlib import Path

    from kapelle.data.roll_windows import Lines, Notes

PIECE = np.dtype([("start", "<i8"), ("stop", "<i8"), ("first_line", "<i8"), ("last_line", "<i8"), ("label", "u1"), ("part", "u1"),
                  ("half", "u1"), ("source", "u1"), ("group", "<i4")])  # fmt: skip
"""start, stop: slice of the notes; first_line, last_line: slice of the lines; label: row of info["classes"]; part: as `split.PARTS`;
half: as `split.half`; source: row of info["sources"]; group: equal for pieces that must not be split."""

INFO = shard_folder.INFO
ARRAYS = ("notes", "lines", "pieces", "digests")
CODEC = "rolls"


@dataclass(frozen=True)
class Rolls:
    """An opened folder of roll shards; arrays are memory-mapped and read-only."""

    path: Path
    info: dict[str, Any]
    all_notes: NDArray[Any]
    all_lines: NDArray[np.int32]
    pieces: NDArray[Any]
    digests: NDArray[np.bytes_]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the labels."""
        return tuple(self.info["classes"])

    @property
    def half(self) -> int:
        """The half of the artists whose music is for training, as `split.half`; -1: both are."""
        return int(self.info["half"])

    def of(self, part: str) -> NDArray[np.int64]:
        """The places of the pieces of a part: "train", "validation", "test", or "other": training music of the half that is not learned."""
        other = (self.pieces["half"] != self.half) & (self.pieces["part"] == PARTS.index("train")) & (self.half >= 0)
        wanted = other if part == "other" else (self.pieces["part"] == PARTS.index(part)) & ~other
        return np.flatnonzero(wanted).astype(np.int64)

    def notes(self, place: int) -> Notes:
        """The notes of a piece."""
        row = self.pieces[place]
        return np.asarray(self.all_notes[int(row["start"]) : int(row["stop"])])

    def lines(self, place: int) -> Lines:
        """The bar lines of a piece."""
        row = self.pieces[place]
        return np.asarray(self.all_lines[int(row["first_line"]) : int(row["last_line"])])


def write(path: Path, info: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Write a folder of roll shards and return what ``shards.json`` says: `info` and a fingerprint of the arrays.

    Args:
        path: The folder; made if need be.
        info: At least ``classes``, ``half`` and ``sources``.
        arrays: The names of `ARRAYS`.

    Raises:
        StorageError: The disk is full or not writable.
    """
    return shard_folder.write(path, {"codec": CODEC, **info}, {name: arrays[name] for name in ARRAYS})


def read(path: Path) -> Rolls:
    """An opened folder of roll shards.

    Raises:
        Missing: There is no such folder.
        ShardError: It holds shards of another codec, lacks a file, or a file does not fit the others.
    """
    if not (path / INFO).is_file():
        raise Missing("no rolls in {path}", path=path, hint="make them with `kapelle data prepare FOLDER --recipe RECIPE -o {path}`")
    with shard_folder.reading(path) as info:
        if info.get("codec") != CODEC:
            hint = "prepare them with the recipe of a classifier of rolls"
            raise ShardError("the shards in {path} hold no rolls with classes", path=path, hint=hint)
        held = shard_folder.mapped(path, ARRAYS)
        made = Rolls(path, info, held["notes"], held["lines"], held["pieces"], held["digests"])
        _check(made)
        return made


def _check(held: Rolls) -> None:
    """Raise ValueError unless the arrays belong together: training reads without looking."""
    table = held.pieces
    if held.all_notes.dtype != NOTE or table.dtype != PIECE or held.all_lines.dtype != np.int32:
        raise ValueError("an array is of the wrong type")
    for first, last, whole in (("start", "stop", held.all_notes), ("first_line", "last_line", held.all_lines)):
        if bool((table[first] >= table[last]).any() or (table[first] < 0).any()) or int(table[last].max(initial=0)) > len(whole):
            raise ValueError("the arrays do not belong together")
    if int(table["label"].max(initial=0)) >= len(held.classes) or int(table["source"].max(initial=0)) >= max(1, len(held.info["sources"])):
        raise ValueError("a piece is of no class or no source")
    if int(table["part"].max(initial=0)) >= len(PARTS) or held.half not in (-1, 0, 1) or len(held.digests) != len(table):
        raise ValueError("a piece is of no part")
