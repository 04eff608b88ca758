"""The index of the music that a model learned from: fingerprints of its lines, and of which piece each one is.

Takes scores with names; gives the bytes of an ``originality.idx``; takes such bytes, which may be anything, gives an `Index` over them
without copying. From an index no music can be read back: it holds winnowed hashes, names, and figures of held-out music.

The file: 8 bytes `MAGIC`; the length of the head (uint32, as all numbers little endian); the head, JSON; zeros to a multiple of 4; the
offsets of the buckets and where the last one ends (uint32); the records (uint32), those of a bucket together and ascending; the names, one
per line, compressed by zlib. A fingerprint of 64 bits is kept by its first bits: some (`bucket_bits` of the head, at most 16) are its
bucket, and of a record the upper bits are those that follow, the lower ones the number of the piece. With 3,000 pieces and a million
records that is 36 bits of a fingerprint; smaller sets have as many or more.

What counts as shared, and how long, says `originality`.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kapelle.errors import BundleError, UsageError
from kapelle.metrics import fingerprints

if TYPE_CHECKING:
    from symusic import Score

FILE_NAME = "originality.idx"
MAGIC = b"KAPORIG1"
MAX_BUCKET_BITS = 16
_PER_BUCKET = 16
"""Records of a bucket, about."""
MAX_HEAD = 1_000_000
MAX_PIECES = 1 << 16
MAX_NAMES = 8_000_000
"""Bytes of the names, unpacked."""
MAX_HITS = 4_000_000
"""Records that one piece may hit; an honest index of thousands of pieces stays far below."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Human:
    """The same figures of human music that the model did not learn from.

    Args:
        longest: The longest shared run of every excerpt, ascending.
        shares: The share of its notes inside shared runs of every excerpt, ascending.
        n_pieces: Pieces that the excerpts are from.
        n_bars: Bars of an excerpt.
    """

    longest: tuple[int, ...] = ()
    shares: tuple[float, ...] = ()
    n_pieces: int = 0
    n_bars: int = 16

    def quantile(self, share: float) -> int | None:
        """The length that this share of the excerpts does not pass; None without excerpts."""
        if not self.longest:
            return None
        return self.longest[max(0, int(np.ceil(share * len(self.longest))) - 1)]

    def mean_share(self) -> float | None:
        """The mean share of notes inside shared runs; None without excerpts."""
        return float(np.mean(self.shares)) if self.shares else None

    def longer(self, run: int) -> float | None:
        """The share of excerpts whose longest run is longer than `run`; None without excerpts."""
        return float(np.mean(np.array(self.longest) > run)) if self.longest else None

    def as_dict(self) -> dict[str, Any]:
        """A table for JSON: how many, and quantiles."""
        runs = {f"{share:.0%}": self.quantile(share) for share in (0.5, 0.75, 0.9, 0.95, 0.99, 1.0)}
        without = float(np.mean(np.array(self.longest) == 0)) if self.longest else None
        return {
            "excerpts": len(self.longest), "pieces": self.n_pieces, "bars": self.n_bars,
            "longest_run": runs, "without": without, "share_copied": self.mean_share(),
        }  # fmt: skip


@dataclass(frozen=True)
class Index:
    """An opened index.

    Args:
        head: What the file says of itself: ``gram``, ``window``, ``grid``, ``pieces``, ``records``, ``bucket_bits``, ``source``.
        offsets: (buckets + 1,) where the records of each bucket begin.
        records: (N,) as they stand in the file.
        human: Figures of held-out human music.
    """

    head: Mapping[str, Any]
    offsets: NDArray[np.uint32] = field(repr=False)
    records: NDArray[np.uint32] = field(repr=False)
    human: Human
    packed_names: bytes = field(repr=False, default=b"")

    @property
    def n_pieces(self) -> int:
        """Pieces that were learned from."""
        return int(self.head["pieces"])

    @property
    def grid(self) -> int:
        """Steps of a quarter note on which the model knows music."""
        return int(self.head["grid"])

    @cached_property
    def names(self) -> tuple[str, ...]:
        """A name for every piece."""
        inflater = zlib.decompressobj()
        try:
            text = inflater.decompress(self.packed_names, MAX_NAMES)
            names = tuple(text.decode().split("\n"))
        except (zlib.error, UnicodeDecodeError) as error:
            raise _damaged(f"its names cannot be read ({error})") from error
        if inflater.unconsumed_tail or len(names) != self.n_pieces:
            raise _damaged(f"it has not one name for each of {self.n_pieces} pieces")
        return names

    def find(self, hashes: NDArray[np.uint64]) -> tuple[Ints, Ints]:
        """Which of some fingerprints are in the index: their places, and the pieces, one row per place and piece, by piece, then place.

        Args:
            hashes: (Q,) of one line.
        """
        bits, bucket_bits = _piece_bits(self.n_pieces), int(self.head["bucket_bits"])
        bucket = (hashes >> np.uint64(64 - bucket_bits)).astype(np.int64)
        low, high = self.offsets[bucket].astype(np.int64), self.offsets[bucket + 1].astype(np.int64)
        count = high - low
        total = int(count.sum())
        if total > MAX_HITS:
            raise _damaged("too much falls into one bucket")
        query = np.repeat(np.arange(len(hashes)), count)
        row = np.arange(total) - np.repeat(np.cumsum(count) - count, count) + low[query]
        found = self.records[row]
        same = found >> np.uint32(bits) == _tail(hashes, bucket_bits, bits)[query]
        query, piece = query[same], (found[same] & np.uint32((1 << bits) - 1)).astype(np.int64)
        both = np.sort(piece * max(len(hashes), 1) + query)
        return both % max(len(hashes), 1), both // max(len(hashes), 1)


def parse(data: bytes) -> Index:
    """The index in the bytes of an ``originality.idx``, which may be anything.

    Raises:
        BundleError: It is damaged, or of a format that this Kapelle does not read.
    """
    if data[: len(MAGIC)] != MAGIC or len(data) < len(MAGIC) + 4:
        raise _damaged("it does not begin as one")
    (length,) = struct.unpack_from("<I", data, len(MAGIC))
    begin = len(MAGIC) + 4
    if length > MAX_HEAD or begin + length > len(data):
        raise _damaged("it ends early")
    head, human = _head(data[begin : begin + length])
    at = -(-(begin + length) // 4) * 4
    n_records, names_bytes = int(head["records"]), int(head["names"])
    n_offsets = (1 << int(head["bucket_bits"])) + 1
    if len(data) != at + 4 * (n_offsets + n_records) + names_bytes:
        raise _damaged(f"it has {len(data)} bytes, not what its head says")
    offsets = np.frombuffer(data, "<u4", n_offsets, at)
    records = np.frombuffer(data, "<u4", n_records, at + 4 * n_offsets)
    if int(offsets[0]) != 0 or int(offsets[-1]) != n_records or bool((offsets[1:] < offsets[:-1]).any()):
        raise _damaged("its buckets are out of order")
    mask = np.uint32((1 << _piece_bits(int(head["pieces"]))) - 1)
    if n_records and int((records & mask).max()) >= int(head["pieces"]):
        raise _damaged("it names a piece that it does not have")
    return Index(head, offsets, records, human, data[len(data) - names_bytes :])


_COUNTS = {
    "gram": (1, 64), "window": (1, 64), "grid": (1, 480), "bucket_bits": (1, MAX_BUCKET_BITS),
    "pieces": (1, MAX_PIECES), "records": (0, 1 << 28), "names": (0, MAX_NAMES),
}  # fmt: skip


def _head(text: bytes) -> tuple[dict[str, Any], Human]:
    """The head, checked, and the human figures in it."""
    try:
        head = json.loads(text.decode())
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise _damaged("its head is no JSON") from error
    if not isinstance(head, dict):
        raise _damaged("its head is no table")
    for name, (low, high) in _COUNTS.items():
        value = head.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _damaged(f"{name} is not a number from {low} to {high}")
    if (head["gram"], head["window"]) != (fingerprints.GRAM, fingerprints.WINDOW):
        raise _damaged("its fingerprints are of another length", hint="export the model again, or upgrade Kapelle")
    table: Any = head.get("human")
    try:
        human = Human(
            tuple(sorted(int(run) for run in table["longest"])), tuple(sorted(float(share) for share in table["shares"])),
            int(table["pieces"]), int(table["bars"]),
        )  # fmt: skip
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise _damaged("its figures of human music are missing") from error
    if len(human.longest) != len(human.shares) or not np.isfinite(human.shares).all():
        raise _damaged("its figures of human music do not belong together")
    return head, human


def _damaged(why: str, *, hint: str = "fetch the bundle again") -> BundleError:
    return BundleError("{file} is damaged: {why}", file=FILE_NAME, why=why, hint=hint)


def _piece_bits(n_pieces: int) -> int:
    return max(1, (n_pieces - 1).bit_length())


def _tail(hashes: NDArray[np.uint64], bucket_bits: int, piece_bits: int) -> NDArray[np.uint32]:
    """The bits of fingerprints that follow the bucket's and stand in a record above those of the piece."""
    return (hashes << np.uint64(bucket_bits) >> np.uint64(32 + piece_bits)).astype(np.uint32)


def build(pieces: Iterable[tuple[str, Score]], *, grid: int = 12, source: Mapping[str, Any] | None = None) -> bytes:
    """The bytes of an index, as yet without figures of human music; see `with_human`.

    Args:
        pieces: Name and music of what was learned from, as the model saw it. Music of one name is one piece.
        grid: Steps of a quarter note on which the model knows music.
        source: What it was built from, for the head.

    Raises:
        UsageError: There are no pieces, or too many.
    """
    names: dict[str, int] = {}
    found: list[set[int]] = []
    for name, score in pieces:
        number = names.setdefault(name.replace("\n", " "), len(names))
        if number == len(found):
            found.append(set())
        for line in fingerprints.lines(fingerprints.notes_of(score)):
            hashes = fingerprints.fingerprints(line)
            found[number].update(hashes[fingerprints.winnowed(hashes)].tolist())
    if not 0 < len(names) <= MAX_PIECES:
        raise UsageError("an index is made of 1 to {most} pieces, not {count}", most=MAX_PIECES, count=len(names))
    bits = _piece_bits(len(names))
    hashes = np.concatenate([np.array(sorted(one), np.uint64) for one in found])
    bucket_bits = min(max((len(hashes) // _PER_BUCKET).bit_length(), 1), MAX_BUCKET_BITS)
    piece = np.repeat(np.arange(len(found)), [len(one) for one in found]).astype(np.uint32)
    bucket = (hashes >> np.uint64(64 - bucket_bits)).astype(np.int64)
    records = _tail(hashes, bucket_bits, bits) << np.uint32(bits) | piece
    order = np.lexsort((records, bucket))
    offsets = np.searchsorted(bucket[order], np.arange((1 << bucket_bits) + 1)).astype("<u4")
    packed = zlib.compress("\n".join(names).encode(), 9)
    head = {
        "gram": fingerprints.GRAM, "window": fingerprints.WINDOW, "grid": grid, "pieces": len(names), "records": len(records),
        "bucket_bits": bucket_bits, "names": len(packed), "source": dict(source or {}),
    }  # fmt: skip
    return _assembled(head, Human(), offsets.tobytes() + records[order].astype("<u4").tobytes() + packed)


def with_human(data: bytes, human: Human) -> bytes:
    """An index with figures of held-out music in its head."""
    index = parse(data)
    body = index.offsets.tobytes() + index.records.tobytes() + index.packed_names
    return _assembled({name: value for name, value in index.head.items() if name != "human"}, human, body)


def _assembled(head: Mapping[str, Any], human: Human, body: bytes) -> bytes:
    shares = [round(share, 4) for share in human.shares]
    table = {"longest": list(human.longest), "shares": shares, "pieces": human.n_pieces, "bars": human.n_bars}
    text = json.dumps({**head, "human": table}, sort_keys=True, separators=(",", ":")).encode()
    start = MAGIC + struct.pack("<I", len(text)) + text
    return start + bytes(-len(start) % 4) + body
