"""Token shards: pieces as packed, memory-mapped arrays that training reads without knowing what the ids mean.

A folder of::

    shards.json      vocabulary size, context, ids of PAD BOS EOS, genre names, counts, sources with licences, what was dropped,
                     a fingerprint of the arrays; written last
    tokenizer.json   vocabulary and tokenizer spec
    tokens.npy       (N,) uint16: the bars of all pieces, one after the other
    pieces.npy       (P,) structured: where a piece stands, its part (train, validation, test), genre, transposition range, notes
    prefixes.npy     (P, 8) uint16: the control ids that stand before every block of the piece, PAD on the right
    bars.npy         (M,) int64: where every bar starts in tokens.npy
    blocks.npy       (B,) structured: piece and first bar of every block; overlapping, by the recipe
    transpose.npy, velocity.npy   tables of `augment`
    digests.npy      (P,) the first 16 hexadecimal digits of the SHA-256 of each piece's file

A block of n ids is: prefix, BOS if it opens its piece, bars from its first bar on, EOS if it reaches the end, PAD. Every block
starts with its genre; n includes all of them.

This file needs numpy alone: it travels to training machines that have no music libraries.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapelle.data import shard_folder
from kapelle.errors import Missing, ShardError

Ids = NDArray[np.int64]

PREFIX_WIDTH = 8
PIECE = np.dtype([("start", "<i8"), ("stop", "<i8"), ("first_bar", "<i8"), ("n_bars", "<i4"), ("n_notes", "<i4"),
                  ("part", "u1"), ("genre", "u1"), ("down", "i1"), ("up", "i1")])  # fmt: skip
BLOCK = np.dtype([("piece", "<i4"), ("bar", "<i4")])  # bar: counted within the piece
INFO = shard_folder.INFO
ARRAYS = ("tokens", "pieces", "prefixes", "bars", "blocks", "transpose", "velocity", "digests")


@dataclass(frozen=True)
class Shards:
    """An opened folder of shards; arrays are memory-mapped and read-only."""

    path: Path
    info: dict[str, Any]
    tokens: NDArray[np.uint16]
    pieces: NDArray[Any]
    prefixes: NDArray[np.uint16]
    bars: NDArray[np.int64]
    blocks: NDArray[Any]
    transpose: NDArray[np.uint16]
    velocity: NDArray[np.uint16]
    digests: NDArray[np.bytes_]

    @property
    def vocabulary_size(self) -> int:
        """Number of ids."""
        return int(self.info["vocabulary_size"])

    @property
    def context_len(self) -> int:
        """Ids in a block, specials included."""
        return int(self.info["context_len"])

    @property
    def genres(self) -> list[str]:
        """Genre names, in the order of `pieces["genre"]`."""
        return list(self.info["genres"])

    @cached_property
    def block_parts(self) -> NDArray[np.uint8]:
        """(B,) the part of every block."""
        return np.asarray(self.pieces["part"][self.blocks["piece"]])

    def block(self, index: int, length: int) -> Ids:
        """(length,) the ids of a block, PAD on the right.

        Args:
            index: Place in `blocks`.
            length: The block's fixed length, all specials included.
        """
        piece_index, bar = (int(x) for x in self.blocks[index])
        return self.cut(piece_index, bar, length)

    def whole(self, piece_index: int) -> tuple[Ids, int]:
        """A piece from its controls to EOS in one row, and how many ids at its head are given: controls and BOS."""
        piece = self.pieces[piece_index]
        n_given = int((self.prefixes[piece_index] != int(self.info["pad"])).sum()) + 1
        return self.cut(piece_index, 0, n_given + int(piece["stop"] - piece["start"]) + 1), n_given

    def cut(self, piece_index: int, bar: int, length: int, *, opening: bool = False, prefix: Ids | None = None) -> Ids:
        """(length,) a block of a piece from a bar on.

        Args:
            piece_index: Place in `pieces`.
            bar: First bar of the block.
            length: Ids in the block.
            opening: BOS stands before the bar though the piece began earlier; its countdown stays true.
            prefix: Control ids in place of the piece's own.
        """
        piece = self.pieces[piece_index]
        pad, bos, eos = (int(self.info[name]) for name in ("pad", "bos", "eos"))
        if prefix is None:
            row = self.prefixes[piece_index]
            prefix = row[row != pad].astype(np.int64)
        head = [*prefix.tolist(), *([bos] if bar == 0 or opening else [])]
        start = int(self.bars[int(piece["first_bar"]) + bar])
        body = self.tokens[start : min(int(piece["stop"]), start + length - len(head))].astype(np.int64)
        out = np.full(length, pad, np.int64)
        out[: len(head)] = head
        out[len(head) : len(head) + len(body)] = body
        end = len(head) + len(body)
        if start + len(body) == int(piece["stop"]) and end < length:
            out[end] = eos
        return out


def write(path: Path, info: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Write a folder of shards and return what ``shards.json`` says: `info` and a fingerprint of the arrays.

    Whoever reads older shards there keeps them; a kill in between leaves a folder that `read` calls none.

    Args:
        path: The folder; made if need be.
        info: See the head of this file.
        arrays: The names of `ARRAYS`.

    Raises:
        StorageError: The disk is full or not writable.
    """
    return shard_folder.write(path, info, {name: arrays[name] for name in ARRAYS})


def read(path: Path) -> Shards:
    """An opened folder of shards.

    Raises:
        Missing: There is no such folder.
        ShardError: It lacks a file, or a file does not fit the others.
    """
    if not (path / INFO).is_file():
        raise Missing("no token shards in {path}", path=path, hint="make them with `kapelle data prepare FOLDER --recipe RECIPE -o {path}`")
    with shard_folder.reading(path) as info:
        if info.get("codec") == "roll":
            raise ShardError("the shards in {path} hold phrases, not tokens", path=path, hint="train the recipe of a band on them")
        arrays = shard_folder.mapped(path, ARRAYS)
        made = Shards(path, info, **arrays)
        _check(made)
        return made


def _check(shards: Shards) -> None:
    """Raise ValueError unless every index points somewhere: training reads without looking."""
    pieces, bars, blocks, n_ids = shards.pieces, shards.bars, shards.blocks, shards.vocabulary_size
    kinds = {
        "tokens": np.uint16,
        "pieces": PIECE,
        "prefixes": np.uint16,
        "bars": np.int64,
        "blocks": BLOCK,
        "transpose": np.uint16,
        "velocity": np.uint16,
    }
    for name, kind in kinds.items():
        if getattr(shards, name).dtype != kind:
            raise ValueError(f"{name} is of the wrong type")
    whole = [
        shards.prefixes.shape == (len(pieces), PREFIX_WIDTH),
        shards.transpose.ndim == shards.velocity.ndim == 2,
        shards.transpose.shape[1:] == shards.velocity.shape[1:] == (n_ids,),
        shards.context_len > PREFIX_WIDTH + 2,
        bool((pieces["start"] >= 0).all() and (pieces["start"] <= pieces["stop"]).all() and (pieces["genre"] < len(shards.genres)).all()),
        bool((pieces["first_bar"] >= 0).all() and (pieces["n_bars"] > 0).all()),
        int(pieces["stop"].max(initial=0)) <= len(shards.tokens),
        int((pieces["first_bar"] + pieces["n_bars"]).max(initial=0)) <= len(bars),
        int(bars.min(initial=0)) >= 0 and int(bars.max(initial=0)) <= len(shards.tokens),
        bool(((blocks["piece"] >= 0) & (blocks["piece"] < len(pieces)) & (blocks["bar"] >= 0)).all()),
    ]
    if not all(whole) or not bool((blocks["bar"] < pieces["n_bars"][blocks["piece"]]).all()):
        raise ValueError("the arrays do not belong together")
    if max(int(array.max(initial=0)) for array in (shards.tokens, shards.prefixes, shards.transpose, shards.velocity)) >= n_ids:
        raise ValueError("an id is outside the vocabulary")


def cut_blocks(bar_starts: NDArray[np.int64], stop: int, room: int, overlap: float) -> list[int]:
    """The bars at which the blocks of one piece start.

    Args:
        bar_starts: (n_bars,) where each bar starts, in ids.
        stop: Where the piece ends, in ids.
        room: Ids that a block holds after its controls: BOS, music, EOS. No bar may be longer than ``room - 2``.
        overlap: Share of a block that the next one repeats, 0 to 0.9; less where a bar is longer than the rest.

    Returns:
        Bar numbers, ascending, the first one 0. The last block, and no other, holds the end of the piece and EOS.
    """
    starts, bar, stride = [0], 0, max(1, int((room - 2) * (1 - overlap)))
    while (bar == 0) + stop - int(bar_starts[bar]) + 1 > room:
        following = int(np.searchsorted(bar_starts, int(bar_starts[bar]) + stride, side="right")) - 1
        bar = max(bar + 1, following)
        starts.append(bar)
    return starts
