"""Phrase shards: phrases of several tracks as packed, memory-mapped piano-rolls that training reads without knowing any music.

A folder of::

    shards.json    names of the tracks, form of a bar, sizes, what was kept and dropped, sources with licences, a fingerprint of the
                   arrays; written last
    cells.npy      (N, M, L, S, ceil(P / 8)) uint8: N phrases of M tracks, L bars, S steps; eight pitches to a byte, the lowest one in
                   its highest bit
    phrases.npy    (N,) structured, see `PHRASE`: where a phrase is from, its part, the tracks that its song has, how far it may be moved

This file needs numpy alone: it travels to training machines that have no music libraries. It augments nothing by itself: who reads says
by how many semitones each phrase is moved. Drums are never moved; what is moved off the range is gone, so `PHRASE` tells how far is safe.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kapelle.data import shard_folder
from kapelle.data.split import PARTS
from kapelle.errors import Missing, ShardError

Cells = NDArray[np.bool_]

PHRASE = np.dtype([("song", "<i4"), ("bar", "<i4"), ("part", "u1"), ("source", "u1"), ("present", "u1"), ("down", "i1"), ("up", "i1")])
"""song: counted over all sources; bar: of the song, from 0; part: as `split.PARTS`; source: row of info["sources"]; present: bit m is set
if the song has track m somewhere; down <= 0 <= up: semitones that the pitched tracks may be moved by."""
INFO = shard_folder.INFO
ARRAYS = ("cells", "phrases")
CODEC = "roll"
DRUMS = "drums"
SIZES = ("n_tracks", "n_bars", "n_steps", "n_pitches")


@dataclass(frozen=True)
class Phrases:
    """An opened folder of phrase shards; arrays are memory-mapped and read-only."""

    path: Path
    info: dict[str, Any]
    packed: NDArray[np.uint8]
    phrases: NDArray[Any]

    def __len__(self) -> int:
        """Number of phrases of all parts."""
        return len(self.phrases)

    @property
    def tracks(self) -> tuple[str, ...]:
        """Names of the tracks, in the order of the cells."""
        return tuple(self.info["tracks"])

    @property
    def sizes(self) -> dict[str, int]:
        """``n_tracks``, ``n_bars``, ``n_steps`` of a bar, ``n_pitches``."""
        return {name: int(self.info["sizes"][name]) for name in SIZES}

    def of(self, part: str) -> NDArray[np.int64]:
        """The indices of all phrases of a part: "train", "validation" or "test"."""
        return np.flatnonzero(self.phrases["part"] == PARTS.index(part)).astype(np.int64)

    def cells(self, indices: ArrayLike, shifts: ArrayLike | None = None) -> Cells:
        """(B, M, L, S, P) which cells sound.

        Args:
            indices: (B,) places of phrases.
            shifts: (B,) semitones by which each phrase is moved, all tracks but drums; None: nothing is moved.
        """
        rows = np.asarray(self.packed[np.asarray(indices, np.int64)])
        cells: Cells = np.unpackbits(rows, axis=-1, count=self.sizes["n_pitches"]).view(np.bool_)
        if shifts is not None:
            _move(cells, np.asarray(shifts, np.int64), np.array([m for m, name in enumerate(self.tracks) if name != DRUMS], np.int64))
        return cells

    def present(self, indices: ArrayLike) -> Cells:
        """(B, M) whether the song of each phrase has the track, in this phrase or elsewhere."""
        bits = self.phrases["present"][np.asarray(indices, np.int64)]
        found: Cells = (bits[:, None] >> np.arange(len(self.tracks)) & 1).astype(np.bool_)
        return found


def _move(cells: Cells, shifts: NDArray[np.int64], pitched: NDArray[np.int64]) -> None:
    """Move the pitched tracks of each phrase by its semitones, in place."""
    n_pitches = cells.shape[-1]
    for shift in np.unique(shifts[shifts != 0]):
        rows = np.flatnonzero(shifts == shift)
        old = cells[np.ix_(rows, pitched)]
        new = np.zeros_like(old)
        if abs(shift) < n_pitches:
            new[..., max(shift, 0) : n_pitches + min(shift, 0)] = old[..., max(-shift, 0) : n_pitches + min(-shift, 0)]
        cells[np.ix_(rows, pitched)] = new


def pack(cells: Cells) -> NDArray[np.uint8]:
    """(..., ceil(P / 8)) cells as they stand in ``cells.npy``.

    Args:
        cells: (..., P) which cells sound.
    """
    return np.packbits(cells, axis=-1)


def write(path: Path, info: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Write a folder of phrase shards and return what ``shards.json`` says: `info` and a fingerprint of the arrays.

    Whoever reads older shards there keeps them; a kill in between leaves a folder that `read` calls none.

    Args:
        path: The folder; made if need be.
        info: At least ``tracks`` and ``sizes``.
        arrays: The names of `ARRAYS`.

    Raises:
        StorageError: The disk is full or not writable.
    """
    return shard_folder.write(path, {"codec": CODEC, **info}, {name: arrays[name] for name in ARRAYS})


def read(path: Path) -> Phrases:
    """An opened folder of phrase shards.

    Raises:
        Missing: There is no such folder.
        ShardError: It holds shards of tokens, lacks a file, or a file does not fit the others.
    """
    if not (path / INFO).is_file():
        raise Missing("no phrases in {path}", path=path, hint="make them with `kapelle data prepare FOLDER --recipe RECIPE -o {path}`")
    with shard_folder.reading(path) as info:
        if info.get("codec") != CODEC:
            raise ShardError("the shards in {path} hold tokens, not phrases", path=path, hint="prepare them with the recipe of a band")
        arrays = shard_folder.mapped(path, ARRAYS)
        made = Phrases(path, info, arrays["cells"], arrays["phrases"])
        _check(made)
        return made


def _check(held: Phrases) -> None:
    """Raise ValueError unless the arrays belong together: training reads without looking."""
    if held.packed.dtype != np.uint8 or held.phrases.dtype != PHRASE:
        raise ValueError("an array is of the wrong type")
    n_tracks, n_bars, n_steps, n_pitches = held.sizes.values()
    if len(held.tracks) != n_tracks or not 1 <= n_tracks <= 8 or min(n_bars, n_steps, n_pitches) < 1:
        raise ValueError("the sizes make no sense")
    if held.packed.shape != (len(held.phrases), n_tracks, n_bars, n_steps, -(-n_pitches // 8)):
        raise ValueError("the arrays do not belong together")
    phrases = held.phrases
    if int(phrases["part"].max(initial=0)) >= len(PARTS) or int(phrases["source"].max(initial=0)) >= max(1, len(held.info["sources"])):
        raise ValueError("a phrase is of no part or no source")
    if bool((phrases["down"] > 0).any() or (phrases["up"] < 0).any()):
        raise ValueError("a range of transposition makes no sense")
