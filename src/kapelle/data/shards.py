"""Token shards: pieces as packed, memory-mapped arrays that training reads without knowing what the ids mean.

A folder of::

    shards.json      vocabulary size, context, ids of PAD BOS EOS, genre names, counts, sources with licences, what was dropped
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

This file imports numpy alone: it travels to training machines that have no music libraries.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapelle.errors import Missing, ShardError

Ids = NDArray[np.int64]

PREFIX_WIDTH = 8
PIECE = np.dtype([("start", "<i8"), ("stop", "<i8"), ("first_bar", "<i8"), ("n_bars", "<i4"), ("n_notes", "<i4"),
                  ("part", "u1"), ("genre", "u1"), ("down", "i1"), ("up", "i1")])  # fmt: skip
BLOCK = np.dtype([("piece", "<i4"), ("bar", "<i4")])  # bar: counted within the piece
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


def write(path: Path, info: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Write a folder of shards; `arrays` holds the names of `ARRAYS`."""
    path.mkdir(parents=True, exist_ok=True)
    for name in ARRAYS:
        np.save(path / f"{name}.npy", arrays[name], allow_pickle=False)
    (path / "shards.json").write_text(json.dumps(info, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(path: Path) -> Shards:
    """An opened folder of shards.

    Raises:
        Missing: There is no such folder.
        ShardError: It lacks a file, or a file does not fit the others.
    """
    if not (path / "shards.json").is_file():
        raise Missing("no token shards in {path}", path=path, hint="make them with `kapelle data prepare FOLDER --recipe RECIPE -o {path}`")
    try:
        info = json.loads((path / "shards.json").read_text(encoding="utf-8"))
        arrays = {name: np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS}
        made = Shards(path, info, **arrays)
        _check(made)
        return made
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ShardError("the shards in {path} are damaged: {why}", path=path, why=error, hint="prepare them again") from error


def _check(shards: Shards) -> None:
    pieces = shards.pieces
    if pieces.dtype != PIECE or shards.blocks.dtype != BLOCK or shards.tokens.dtype != np.uint16:
        raise ValueError("an array is of the wrong type")
    if len(pieces) and (int(pieces["stop"].max()) > len(shards.tokens) or int(shards.blocks["piece"].max(initial=0)) >= len(pieces)):
        raise ValueError("an index points past the end")
    if shards.transpose.shape[1] != shards.vocabulary_size or len(shards.prefixes) != len(pieces):
        raise ValueError("the arrays do not belong together")


def cut_blocks(bar_starts: NDArray[np.int64], stop: int, room: int, overlap: float) -> list[int]:
    """The bars at which the blocks of one piece start.

    Args:
        bar_starts: (n_bars,) where each bar starts, in ids.
        stop: Where the piece ends, in ids.
        room: Ids of music that a block holds, specials aside.
        overlap: Share of a block that the next one repeats, 0 to 0.9.

    Returns:
        Bar numbers, ascending, the first one 0; the last block reaches the end of the piece unless a single bar is longer than a block.
    """
    starts, bar, stride = [0], 0, max(1, int(room * (1 - overlap)))
    while int(bar_starts[bar]) + room < stop:
        following = int(np.searchsorted(bar_starts, int(bar_starts[bar]) + stride, side="right")) - 1
        bar = max(bar + 1, following)
        if bar >= len(bar_starts):
            break
        starts.append(bar)
    return starts
