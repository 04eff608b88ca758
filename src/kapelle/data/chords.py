"""Folders of MIDI as items of notes and chords, and items as shards: data preparation for the codec ``chords``.

Takes files in a fixed order, gives the arrays and the report of the shards. Files are parsed over processes, each once: what music21
read of a file is kept under a hash of its contents. When all are there, the pieces are dealt to the parts, the vocabulary is counted
on the training pieces alone, and only then are ids written; training pieces may be there again in other keys. A "bar" of the shards is
an item here, so that a block may begin with any.

The split is by piece. The split by windows deals the overlapping windows of a piece to both sides, as the notebooks do that this model
comes from: what is then called held out has been seen but for one item. It is there to be compared with, and says what it is.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle import config
from kapelle.config import setting
from kapelle.data import augment
from kapelle.data.clean import Rejected
from kapelle.data.cleaning import File, over_processes
from kapelle.data.collect import write_tokens
from kapelle.data.ledger import Ledger, in_parts
from kapelle.data.shards import BLOCK, PIECE, PREFIX_WIDTH, cut_blocks
from kapelle.data.split import PARTS, TEST, TRAIN, VALIDATION, assign
from kapelle.data.storage import put
from kapelle.errors import KapelleError
from kapelle.score import limits
from kapelle.tokens import chords
from kapelle.tokens.chords import Item
from kapelle.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from kapelle.data.recipe import ChordPreparation

EDITION = 1
"""Raise it when `chords.items` gives other results for the same bytes: older cache entries are then not used."""

LOWEST, HIGHEST = 21, 108
"""A copy in another key is left out if it leaves the piano."""


@dataclass(frozen=True)
class ChordRules:
    """The [preprocessing] section of a recipe of codec ``chords``."""

    context_len: int = setting(512, help="ids in a block, specials included", min=16)
    overlap: float = setting(0.25, help="share of a block that the next one repeats", min=0.0, max=0.9)
    min_notes: int = setting(50, help="pieces with fewer notes are left out", min=1)
    transpositions: int = setting(0, help="training pieces are also there moved by up to so far each way", unit="semitones", min=0, max=6)
    split: str = setting(
        "piece", help="what is held out: pieces, or single windows of all pieces, which leaks", choices=("piece", "windows")
    )
    window: int = setting(40, help="items in a window of the split by windows", min=1)


@dataclass(frozen=True)
class Parsed:
    """One file as items."""

    items: list[Item]
    digest: str  # first 16 hexadecimal digits of the file's SHA-256


@dataclass(frozen=True)
class _Job:
    """One file for one worker."""

    path: Path
    positions_per_beat: int
    cache: Path


@dataclass(frozen=True)
class _Kept:
    """A piece that is in the shards, in one key."""

    source: Parsed
    name: str  # of its composer or genre
    part: int
    shift: int = 0  # semitones from the key of the file

    @property
    def items(self) -> list[Item]:
        """Made anew each time: copies of a large collection would not fit into memory."""
        return [_moved(item, self.shift) for item in self.source.items] if self.shift else self.source.items


def parse_all(files: Sequence[File], positions_per_beat: int, cache: Path, processes: int) -> Iterator[Parsed | Rejected]:
    """The items of all files, in order.

    Raises:
        NotEnoughMemory: The system ended a worker.
    """
    cache.mkdir(parents=True, exist_ok=True)
    for leftover in cache.glob(".*.npz"):
        leftover.unlink(missing_ok=True)
    with closing(over_processes(_parse, [_Job(file.path, positions_per_beat, cache) for file in files], processes)) as parsed:
        yield from parsed


def _parse(job: _Job) -> Parsed | Rejected:
    try:
        with job.path.open("rb") as file:
            data = file.read(limits.DEFAULT.bytes + 1)
    except OSError:
        return Rejected("cannot be opened")
    digest = hashlib.sha256(data).hexdigest()
    key = json.dumps([EDITION, version("music21"), job.positions_per_beat, digest])
    place = job.cache / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    items = _load(place)
    if items is None:
        try:
            items = chords.items(data, job.positions_per_beat)
        except KapelleError:
            items = []
        put(place, lambda temporary: _save(temporary, items))
    return Parsed(items, digest[:16]) if items else Rejected("not readable as MIDI, or no notes")


def _save(place: Path, items: list[Item]) -> None:
    table = np.array([(len(item.pitches), item.duration, item.offset, item.velocity) for item in items], np.int64).reshape(-1, 4)
    with place.open("wb") as file:
        np.savez(file, table=table, pitches=np.array([pitch for item in items for pitch in item.pitches], np.int64))


def _load(place: Path) -> list[Item] | None:
    """What the cache holds; None if it holds nothing or something damaged."""
    if not place.is_file():
        return None
    try:
        with np.load(place, allow_pickle=False) as held:
            table, pitches = held["table"], held["pitches"].tolist()
        ends = np.cumsum(table[:, 0]).tolist()
        return [
            Item(tuple(pitches[end - n : end]), duration, offset, velocity)
            for end, (n, duration, offset, velocity) in zip(ends, table.tolist(), strict=True)
        ]
    except Exception:  # zip, zlib and numpy each have their own way to say it; it is parsed again in any case
        return None


class ChordCollector:
    """Gathers parsed files; `close` then makes of them all what the shards hold."""

    codec = "chords"

    def __init__(self, preparation: ChordPreparation) -> None:
        self.preparation, self.rules, self.spec = preparation, preparation.preprocessing, preparation.tokenizer
        self.pieces: list[tuple[Parsed, str, str]] = []  # with the name of its composer or genre, and its group
        self.ledger = Ledger()
        self.kept = Counter[int]()  # by source
        self.words = Vocabulary(())

    def collect(self, files: Sequence[File], cache: Path, processes: int, progress: Callable[[int, int], None]) -> None:
        """Read all files, tell the progress, and refuse if none is fit; then `close`."""
        with closing(parse_all(files, self.spec.positions_per_beat, cache, processes)) as parsed:  # type: ignore[type-var]
            self.ledger.take_all((([file], [one]) for file, one in zip(files, parsed, strict=True)), len(files), self._take, progress)
        self.close()

    def _take(self, file: File, piece: Parsed) -> str:
        """Keep a file's items, or tell why they are left out."""
        source = self.preparation.data.sources[file.source]
        name = file.path.parent.name if self.spec.composers else source.genre
        if self.spec.composers and name not in self.spec.composers:
            return "a composer without a token"
        if sum(len(item.pitches) for item in piece.items) < self.rules.min_notes:
            return "too few notes"
        if not self.ledger.is_new(repr([(item.pitches, item.offset) for item in piece.items]).encode()):
            return "the same as another piece"
        self.kept[file.source] += 1
        self.pieces.append((piece, name, f"{file.path.parent.name}/{file.path.stem}" if source.group == "file" else file.group))
        return ""

    def close(self) -> None:
        """Deal the pieces to the parts, count the vocabulary, write the ids.

        Raises:
            UsageError: No symbol is frequent enough.
        """
        data = self.preparation.data
        self.names = tuple(self.spec.composers) or tuple(dict.fromkeys(source.genre for source in data.sources))
        parts = assign([(name, group) for _, name, group in self.pieces], data.validation, data.test)
        if self.rules.split == "windows":
            parts = [TRAIN] * len(parts)  # windows are dealt later
        self.parts = parts
        kept = [_Kept(piece, name, part) for (piece, name, _), part in zip(self.pieces, parts, strict=True)]
        everything = [*kept, *(copy for piece in kept if piece.part == TRAIN for copy in self._copies(piece))]
        self.words = chords.vocabulary((piece.items for piece in everything if piece.part == TRAIN), self.spec)
        self._write(everything)

    def _copies(self, piece: _Kept) -> Iterator[_Kept]:
        """The piece in the other keys asked for, as far as it stays on the piano."""
        low = min(item.pitches[0] for item in piece.items)
        high = max(item.pitches[-1] for item in piece.items)
        for shift in range(-self.rules.transpositions, self.rules.transpositions + 1):
            if shift and low + shift >= LOWEST and high + shift <= HIGHEST:
                yield replace(piece, shift=shift)

    def _write(self, pieces: list[_Kept]) -> None:
        words, width = self.words, len(chords.order_of(self.spec))
        self.rows: list[tuple[int, ...]] = []
        self.tokens: list[NDArray[Any]] = []
        self.bars: list[NDArray[Any]] = []
        self.blocks: list[tuple[int, int]] = []
        self.digests: list[str] = []
        self.owners: list[str] = []
        self.is_copy: list[bool] = []
        self.counts = Counter[str]()
        length = n_bars = 0
        for piece in pieces:
            encoded = chords.encode(piece.items, self.spec, words)
            starts = np.arange(0, len(encoded.ids), width)
            if not len(starts):
                self.ledger.rejected["no symbol that is frequent enough"] += 1
                continue
            if not piece.shift:
                self.counts.update(notes=encoded.notes, split=encoded.split, dropped=encoded.dropped, items=len(starts))
            for first, last, part in self._spans(len(starts), piece):
                start, stop = length + first * width, length + last * width
                room = self.rules.context_len - bool(self.spec.composers)
                self.blocks += [(len(self.rows), bar) for bar in cut_blocks(starts[: last - first], stop - start, room, self.rules.overlap)]
                self.rows.append((start, stop, n_bars + first, last - first, encoded.notes * (last - first) // len(starts), part,
                                  self.names.index(piece.name), 0, 0))  # fmt: skip
                self.digests.append(piece.source.digest)
                self.owners.append(piece.name)
                self.is_copy.append(piece.shift != 0)
            self.tokens.append(encoded.ids.astype(np.uint16))
            self.bars.append(starts + length)
            length, n_bars = length + len(encoded.ids), n_bars + len(starts)

    def _spans(self, n_items: int, piece: _Kept) -> Iterator[tuple[int, int, int]]:
        """First item, end and part of what is dealt as one: the whole piece, or every window of it; copies are for training alone."""
        if self.rules.split == "piece":
            yield 0, n_items, piece.part
            return
        size, data = self.rules.window + 1, self.preparation.data
        shares = [1 - data.validation - data.test, data.validation, data.test]
        draw = np.random.default_rng(len(self.rows))
        for first in range(max(1, n_items - size + 1)):
            part = TRAIN if piece.shift else int(draw.choice([TRAIN, VALIDATION, TEST], p=shares))
            yield first, min(n_items, first + size), part

    def files_under(self, folder: Path) -> list[dict[str, str]]:
        """Every file by its name below `folder`, with the part it went to or why it was left out."""
        windows = self.rules.split == "windows"
        return self.ledger.files_under(folder, ({"part": "windows"} for _ in self.parts) if windows else in_parts(self.parts))

    def write(self, out: Path) -> dict[str, Any]:
        """Write the shards, and return what ``shards.json`` says."""
        return write_tokens(out, self.codec, self.spec, self.words, (self.info(), self.arrays()))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of `shards.ARRAYS`."""
        words = self.words
        prefixes = np.full((len(self.rows), PREFIX_WIDTH), words["PAD_None"], np.uint16)
        if self.spec.composers:
            prefixes[:, 0] = [words[f"Composer_{name}"] for name in self.owners]
        return {
            "tokens": np.concatenate(self.tokens),
            "pieces": np.array(self.rows, PIECE),
            "prefixes": prefixes,
            "bars": np.concatenate(self.bars).astype(np.int64),
            "blocks": np.array(self.blocks, BLOCK),
            "transpose": np.arange(len(words), dtype=np.uint16)[None],  # other keys are pieces of their own: chords have no table
            "velocity": augment.velocity_table(words),
            "digests": np.array(self.digests, "S16"),
        }

    def info(self) -> dict[str, Any]:
        """What `shards.json` says."""
        words, table = self.words, np.array(self.rows, PIECE)[~np.array(self.is_copy)]
        counts = {
            name: {part: int(((table["genre"] == g) & (table["part"] == p)).sum()) for p, part in enumerate(PARTS)}
            for g, name in enumerate(self.names)
        }
        symbols = words.ids("Symbol")
        return {
            "format": 1,
            "vocabulary_size": len(words),
            "context_len": self.rules.context_len,
            "pad": words["PAD_None"], "bos": words["BOS_None"], "eos": words["EOS_None"],
            "note_ids": [int(symbols[0]), int(symbols[-1]) + 1],
            "notes_per_id": chords.notes_per_id(words),
            "genre_ids": [words[f"Composer_{name}"] for name in self.spec.composers],
            "genres": list(self.names),
            "split": self.rules.split, "window": self.rules.window,
            "pieces": counts, "copies_in_other_keys": sum(self.is_copy),
            "tokens": int(sum(map(len, self.tokens))), "bars": self.counts["items"], "notes": self.counts["notes"],
            "blocks": len(self.blocks),
            "symbols": len(symbols), "chords_split": self.counts["split"], "notes_left_out": self.counts["dropped"],
            "files": self.ledger.seen, "kept": len(self.pieces), "dropped": self.ledger.dropped(),
            "sources": [
                {**config.plain(source), "files": self.ledger.files[number], "kept": self.kept[number]}
                for number, source in enumerate(self.preparation.data.sources)
            ],
        }  # fmt: skip


def _moved(item: Item, shift: int) -> Item:
    return Item(tuple(pitch + shift for pitch in item.pitches), item.duration, item.offset, item.velocity)
