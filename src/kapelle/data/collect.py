"""Cleaned pieces, one after the other, to the arrays and the report of the shards.

Takes results of `clean` in a fixed order; equal pieces are kept once, the first one. Parts are dealt when all are there, before
anything is cut that could leak from one to another: the blocks of a piece are all of its part.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle import config
from kapelle.data import augment
from kapelle.data.clean import CleanPiece
from kapelle.data.cleaning import clean_all
from kapelle.data.ledger import Ledger, in_parts
from kapelle.data.shards import BLOCK, PIECE, PREFIX_WIDTH, cut_blocks, write
from kapelle.data.split import PARTS, assign
from kapelle.errors import UsageError
from kapelle.tokens import controls, remi, vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from kapelle.data.cleaning import Arrays, File
    from kapelle.data.recipe import Preparation


def write_tokens(out: Path, codec: str, spec: object, words: vocabulary.Vocabulary, held: tuple[dict[str, Any], Arrays]) -> dict[str, Any]:
    """Write shards of tokens, with their vocabulary, and return what ``shards.json`` says.

    Args:
        out: The folder.
        codec: Who made tokens of music.
        spec: With which settings.
        words: The vocabulary.
        held: What ``shards.json`` says, and the arrays of `shards.ARRAYS`.
    """
    vocabulary.save(words, out / "tokenizer.json", {"codec": codec, "spec": config.plain(spec)})
    return write(out, *held)


class Collector:
    """Gathers cleaned pieces into the arrays of the shards."""

    codec = "remi"

    def __init__(self, preparation: Preparation) -> None:
        for source in preparation.data.sources:
            if source.genre not in preparation.tokenizer.genres:
                hint = "add it to tokenizer.genres in the recipe"
                raise UsageError("genre {genre!r} of source {folder!r} has no token", genre=source.genre, folder=source.folder, hint=hint)
        self.preparation, self.words = preparation, remi.vocabulary(preparation.tokenizer)
        self.pieces: list[tuple[int, ...]] = []
        self.tokens: list[NDArray[Any]] = []
        self.prefixes: list[list[int]] = []
        self.bars: list[NDArray[Any]] = []
        self.blocks: list[tuple[int, int]] = []
        self.digests: list[str] = []
        self.groups: list[tuple[str, str]] = []
        self.ledger = Ledger()
        self.kept = Counter[int]()  # by source
        self.length = self.n_bars = self.n_left_out = 0

    def collect(self, files: Sequence[File], cache: Path, processes: int, progress: Callable[[int, int], None]) -> None:
        """Clean all files, tell the progress, and refuse if none is fit."""
        rules = self.preparation
        with closing(clean_all(files, rules.tokenizer, rules.preprocessing, cache, processes)) as cleaned:
            self.ledger.take_all(cleaned, len(files), self._take, progress)

    def _take(self, file: File, piece: CleanPiece) -> str:
        if not self.ledger.is_new(piece.ids.tobytes()):
            return "the same as another piece"
        self.kept[file.source] += 1
        self.n_left_out += piece.n_left_out
        self._append(file, piece)
        return ""

    def _append(self, file: File, piece: CleanPiece) -> None:
        rules = self.preparation.preprocessing
        source = self.preparation.data.sources[file.source]
        wish = controls.Controls(source.genre, file.composer if file.composer >= 0 else None, piece.key, piece.bpm, piece.instruments)
        prefix = controls.prefix(wish, self.words)
        starts = np.flatnonzero(piece.ids == self.words["Bar_None"])
        room = rules.context_len - len(prefix)
        first_bars = cut_blocks(starts, len(piece.ids), room, rules.overlap)
        self.blocks += [(len(self.pieces), bar) for bar in first_bars]
        down, up = augment.shift_range(piece.ids, self.words)
        genre = self.preparation.tokenizer.genres.index(source.genre)
        stop = self.length + len(piece.ids)
        self.pieces.append((self.length, stop, self.n_bars, len(starts), piece.n_notes, 0, genre, down, up))
        self.groups.append((source.genre, file.group))
        self.digests.append(piece.digest)
        self.prefixes.append(prefix)
        self.bars.append(starts + self.length)
        self.tokens.append(piece.ids.astype(np.uint16))
        self.length, self.n_bars = stop, self.n_bars + len(starts)

    def piece_table(self) -> NDArray[Any]:
        """The pieces with their parts."""
        table = np.array(self.pieces, PIECE)
        table["part"] = assign(self.groups, self.preparation.data.validation, self.preparation.data.test)
        return table

    def write(self, out: Path) -> dict[str, Any]:
        """Write the shards, and return what ``shards.json`` says."""
        return write_tokens(out, self.codec, self.preparation.tokenizer, self.words, (self.info(), self.arrays()))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of `shards.ARRAYS`."""
        prefixes = np.full((len(self.pieces), PREFIX_WIDTH), self.words["PAD_None"], np.uint16)
        for row, ids in zip(prefixes, self.prefixes, strict=True):
            row[: len(ids)] = ids
        return {
            "tokens": np.concatenate(self.tokens),
            "pieces": self.piece_table(),
            "prefixes": prefixes,
            "bars": np.concatenate(self.bars).astype(np.int64),
            "blocks": np.array(self.blocks, BLOCK),
            "transpose": augment.transposition_table(self.words),
            "velocity": augment.velocity_table(self.words),
            "digests": np.array(self.digests, "S16"),
        }

    def files_under(self, folder: Path) -> list[dict[str, str]]:
        """Every file by its name below `folder`, with the part it went to or why it was left out."""
        return self.ledger.files_under(folder, in_parts(self.piece_table()["part"]))

    def info(self) -> dict[str, Any]:
        """What `shards.json` says."""
        genres, table = self.preparation.tokenizer.genres, self.piece_table()
        counts = {
            genre: {part: int(((table["genre"] == g) & (table["part"] == p)).sum()) for p, part in enumerate(PARTS)}
            for g, genre in enumerate(genres)
        }
        words = self.words
        return {
            "format": 1,
            "vocabulary_size": len(words),
            "context_len": self.preparation.preprocessing.context_len,
            "families": self.preparation.preprocessing.families,
            "pad": words["PAD_None"], "bos": words["BOS_None"], "eos": words["EOS_None"],
            "note_ids": [int(words.ids("Duration")[0]), int(words.ids("Duration")[-1]) + 1],
            "genre_ids": [words[f"Genre_{genre}"] for genre in genres],
            "genres": list(genres),
            "pieces": counts,
            "tokens": self.length, "bars": self.n_bars, "notes": int(table["n_notes"].sum()), "blocks": len(self.blocks),
            "notes_left_out": self.n_left_out,
            "files": self.ledger.seen, "kept": len(self.pieces), "dropped": self.ledger.dropped(),
            "sources": [
                {**config.plain(source), "files": self.ledger.files[number], "kept": self.kept[number]}
                for number, source in enumerate(self.preparation.data.sources)
            ],
        }  # fmt: skip
