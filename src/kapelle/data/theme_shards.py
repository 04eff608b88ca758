"""Theme shards: songs as ids with the stretches that repeat a theme, cut into windows that training reads without knowing any music.

A folder of::

    shards.json      what the ids mean to training (see `NEEDED`), what was kept and dropped, statistics, sources with licences, a
                     fingerprint of the arrays; written last
    tokenizer.json   the ids by name
    ids.npy          (N,) uint16: all songs, one after the other
    labels.npy       (N,) uint16: 0 outside themes; inside one 1, 2, 3 ... from its Theme_Start on; 0 at its Theme_End
    songs.npy        (S,) `SONG`: where a song stands, where its first theme stands, its part, how far it may be moved
    windows.npy      (W,) `WINDOW`: stretches of one song of up to context + 1 ids; each one's last id is the next one's first

A window is learned with the first theme of its song, from Theme_Start to Theme_End, which is what the network's encoder hears. This file
needs numpy alone: it travels to training machines that have no music libraries. It moves nothing by itself: who reads adds to
the ids of pitches. Source: the released code of Shih et al. 2022, "Theme Transformer", IEEE Transactions on Multimedia.
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

Ids = NDArray[np.int64]

SONG = np.dtype([("start", "<i8"), ("stop", "<i8"), ("theme_start", "<i8"), ("theme_stop", "<i8"), ("n_notes", "<i4"), ("n_bars", "<i4"),
                 ("part", "u1"), ("source", "u1"), ("down", "i1"), ("up", "i1")])  # fmt: skip
"""start, stop and theme_start, theme_stop: slices of the ids, the theme's with Theme_Start and Theme_End; part: as `split.PARTS`; source:
row of info["sources"]; down <= 0 <= up: semitones by which the song may be moved."""
WINDOW = np.dtype([("song", "<i4"), ("start", "<i8"), ("stop", "<i8")])
"""song: row of the songs; start, stop: slice of the ids."""
INFO = shard_folder.INFO
ARRAYS = ("ids", "labels", "songs", "windows")
CODEC = "theme"
NEEDED = (
    "mode",
    "vocabulary",
    "pad",
    "context_len",
    "pitch_ids",
    "note_ids",
    "normalised_key",
    "theme_start",
    "theme_end",
    "bar",
    "sources",
)
"""What ``shards.json`` must say: mode of the vocabulary and its size; ids of padding, Theme_Start, Theme_End and Bar; ids before the one to
foretell; [first, end) of the ids that are pitches, for each track, a semitone apart."""

FEWEST = 64
"""A shorter end of a song is no window."""


@dataclass(frozen=True)
class ThemeShards:
    """An opened folder of theme shards; arrays are memory-mapped and read-only."""

    path: Path
    info: dict[str, Any]
    ids: NDArray[np.uint16]
    labels: NDArray[np.uint16]
    songs: NDArray[Any]
    windows: NDArray[Any]

    def __len__(self) -> int:
        """Number of windows of all parts."""
        return len(self.windows)

    @property
    def vocabulary_size(self) -> int:
        """Number of ids."""
        return int(self.info["vocabulary"])

    @property
    def context_len(self) -> int:
        """Ids that a window has before the last one that is foretold."""
        return int(self.info["context_len"])

    def of(self, part: str) -> Ids:
        """The places of all windows of a part: "train", "validation" or "test"."""
        return np.flatnonzero(self.songs["part"][self.windows["song"]] == PARTS.index(part)).astype(np.int64)

    def songs_of(self, part: str) -> Ids:
        """The places of all songs of a part."""
        return np.flatnonzero(self.songs["part"] == PARTS.index(part)).astype(np.int64)


def cut(ids: ArrayLike, context_len: int, marks: tuple[int, int] | None) -> list[tuple[int, int]]:
    """The windows of a song, as slices of its ids.

    Args:
        ids: (T,) of one song.
        context_len: Ids from one window to the next; a window has one more, the song's last one may be shorter.
        marks: Ids of Theme_Start and Theme_End, of which a window must have one; None: all windows are taken.
    """
    row = np.asarray(ids)
    starts = range(0, max(len(row) - 1, 0), context_len)
    found = [(start, min(start + context_len + 1, len(row))) for start in starts]
    return [(a, b) for a, b in found if b - a >= FEWEST and (marks is None or bool(np.isin(row[a:b], marks).any()))]


def write(path: Path, info: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Write a folder of theme shards and return what ``shards.json`` says: `info` and a fingerprint of the arrays.

    Whoever reads older shards there keeps them; a kill in between leaves a folder that `read` calls none.

    Args:
        path: The folder; made if need be.
        info: At least what `NEEDED` names.
        arrays: The names of `ARRAYS`.

    Raises:
        StorageError: The disk is full or not writable.
    """
    return shard_folder.write(path, {"codec": CODEC, **info}, {name: arrays[name] for name in ARRAYS})


def read(path: Path) -> ThemeShards:
    """An opened folder of theme shards.

    Raises:
        Missing: There is no such folder.
        ShardError: It holds shards of another codec, lacks a file, or a file does not fit the others.
    """
    if not (path / INFO).is_file():
        raise Missing(
            "no songs with themes in {path}", path=path, hint="make them with `kapelle data prepare FOLDER --recipe theme -o {path}`"
        )
    with shard_folder.reading(path) as info:
        if info.get("codec") != CODEC:
            raise ShardError("the shards in {path} hold no themes", path=path, hint="prepare them with the recipe theme")
        arrays = shard_folder.mapped(path, ARRAYS)
        made = ThemeShards(path, info, **arrays)
        _check(made)
        return made


def _check(held: ThemeShards) -> None:
    """Raise ValueError unless the arrays belong together: training reads without looking."""
    if absent := [name for name in NEEDED if name not in held.info]:
        raise ValueError(f"{INFO} does not say {absent[0]}")
    if held.songs.dtype != SONG or held.windows.dtype != WINDOW or held.ids.dtype != np.uint16 or held.labels.dtype != np.uint16:
        raise ValueError("an array is of the wrong type")
    songs, windows, n = held.songs, held.windows, len(held.ids)
    if held.ids.shape != held.labels.shape or held.ids.ndim != 1 or int(held.ids.max(initial=0)) >= held.vocabulary_size:
        raise ValueError("the ids make no sense")
    if not bool(((songs["start"] >= 0) & (songs["start"] < songs["stop"]) & (songs["stop"] <= n)).all()):
        raise ValueError("a song is outside the ids")
    if not bool(((songs["theme_start"] >= 0) & (songs["theme_start"] < songs["theme_stop"]) & (songs["theme_stop"] <= n)).all()):
        raise ValueError("a theme is outside the ids")
    if int(songs["part"].max(initial=0)) >= len(PARTS) or int(songs["source"].max(initial=0)) >= max(1, len(held.info["sources"])):
        raise ValueError("a song is of no part or no source")
    if bool((songs["down"] > 0).any() or (songs["up"] < 0).any()):
        raise ValueError("a range of transposition makes no sense")
    if len(windows) and not 0 <= int(windows["song"].min()) <= int(windows["song"].max()) < len(songs):
        raise ValueError("a window is of no song")
    own, length = songs[windows["song"]], windows["stop"] - windows["start"]
    inside = (own["start"] <= windows["start"]) & (windows["stop"] <= own["stop"])
    if not bool((inside & (length > 1) & (length <= held.context_len + 1)).all()):
        raise ValueError("a window is outside its song")
