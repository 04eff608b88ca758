"""Fragment shards: melodies as packed notes, and the fragments of two bars that an encoder learns from.

A folder of::

    shards.json     sizes, scale, what was kept and dropped, sources with licences, a fingerprint of the arrays; written last
    notes.npy       (N,) MELODY_NOTE: the melodies of all songs, one after the other, starts counted from bar 0 of each
    fragments.npy   (F,) structured, see `FRAGMENT`: which notes a fragment holds, of which song it is

This file needs numpy alone. It augments nothing: who reads does (`themes.changed`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kapelle.data import shard_folder
from kapelle.data.split import PARTS
from kapelle.data.themes import STEPS_PER_BAR, Fragment
from kapelle.errors import Missing, ShardError

if TYPE_CHECKING:
    from pathlib import Path

NOTE = np.dtype([("start", "<i4"), ("duration", "<i4"), ("pitch", "<i4"), ("velocity", "<i4")])
"""As score.melody.MELODY_NOTE, which cannot be asked where there are no music libraries."""

FRAGMENT = np.dtype([("start", "<i8"), ("stop", "<i8"), ("song", "<i4"), ("bar", "<i4"), ("part", "u1"), ("source", "u1"), ("tonic", "u1")])
"""start, stop: slice of the notes; song: counted over all sources; bar: the first, of the song, from 0; part: as `split.PARTS`;
source: row of info["sources"]; tonic: pitch class of the major scale that the song is in."""

INFO = shard_folder.INFO
ARRAYS = ("notes", "fragments")
CODEC = "fragments"


@dataclass(frozen=True)
class Fragments:
    """An opened folder of fragment shards; arrays are memory-mapped and read-only."""

    path: Path
    info: dict[str, Any]
    notes: NDArray[Any]
    table: NDArray[Any]

    def __len__(self) -> int:
        """Number of fragments of all parts."""
        return len(self.table)

    def fragment(self, index: int) -> Fragment:
        """A fragment, its notes as they are."""
        row = self.table[index]
        notes = np.array(self.notes[int(row["start"]) : int(row["stop"])])
        notes["start"] -= int(row["bar"]) * STEPS_PER_BAR
        return Fragment(int(row["bar"]), notes)

    def by_song(self, part: str) -> list[NDArray[np.int64]]:
        """The places of the fragments of every song of a part: "train", "validation" or "test"."""
        places = np.flatnonzero(self.table["part"] == PARTS.index(part)).astype(np.int64)
        songs = self.table["song"][places]
        return np.split(places, np.flatnonzero(np.diff(songs)) + 1) if len(places) else []


def write(path: Path, info: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Write a folder of fragment shards and return what ``shards.json`` says: `info` and a fingerprint of the arrays.

    Args:
        path: The folder; made if need be.
        info: At least ``sources``.
        arrays: The names of `ARRAYS`.

    Raises:
        StorageError: The disk is full or not writable.
    """
    return shard_folder.write(path, {"codec": CODEC, **info}, {name: arrays[name] for name in ARRAYS})


def read(path: Path) -> Fragments:
    """An opened folder of fragment shards.

    Raises:
        Missing: There is no such folder.
        ShardError: It holds shards of another codec, lacks a file, or a file does not fit the others.
    """
    if not (path / INFO).is_file():
        raise Missing("no fragments in {path}", path=path, hint="make them with `kapelle data prepare FOLDER --recipe RECIPE -o {path}`")
    with shard_folder.reading(path) as info:
        if info.get("codec") != CODEC:
            hint = "prepare them with the recipe of an encoder"
            raise ShardError("the shards in {path} hold no fragments of melodies", path=path, hint=hint)
        arrays = shard_folder.mapped(path, ARRAYS)
        made = Fragments(path, info, arrays["notes"], arrays["fragments"])
        _check(made)
        return made


def _check(held: Fragments) -> None:
    """Raise ValueError unless the arrays belong together: training reads without looking."""
    table = held.table
    if held.notes.dtype != NOTE or table.dtype != FRAGMENT:
        raise ValueError("an array is of the wrong type")
    if bool((table["start"] >= table["stop"]).any() or (table["start"] < 0).any()) or int(table["stop"].max(initial=0)) > len(held.notes):
        raise ValueError("the arrays do not belong together")
    if int(table["part"].max(initial=0)) >= len(PARTS) or int(table["source"].max(initial=0)) >= max(1, len(held.info["sources"])):
        raise ValueError("a fragment is of no part or no source")
    if bool((np.diff(table["song"]) < 0).any()) or int(table["tonic"].max(initial=0)) > 11:
        raise ValueError("songs or keys make no sense")
