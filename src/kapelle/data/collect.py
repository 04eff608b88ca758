"""Cleaned pieces, one after the other, to the arrays and the report of the shards.

Takes results of `clean` in a fixed order; equal pieces are kept once, the first one. Parts are dealt when all are there, before
anything is cut that could leak from one to another: the blocks of a piece are all of its part.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle import config
from kapelle.data import augment
from kapelle.data.clean import CleanPiece, Rejected
from kapelle.data.cleaning import clean_all
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


def nothing_fit(rejected: Counter[str], n_files: int) -> UsageError:
    """The refusal of a folder of which nothing was kept."""
    why = ", ".join(f"{n} {reason}" for reason, n in rejected.most_common())
    hint = "the limits are in [preprocessing] of the recipe, the metres in [tokenizer]"
    return UsageError("none of {n} files is fit for training: {why}", n=n_files, why=why, hint=hint)


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
        self.rejected: Counter[str] = Counter()
        self.fingerprints: set[bytes] = set()
        self.files, self.kept = Counter[int](), Counter[int]()  # by source
        self.seen = self.length = self.n_bars = self.n_left_out = 0
        self.fates: list[tuple[Path, str]] = []  # every file, and why it was left out; "" if it was kept

    def collect(self, files: Sequence[File], cache: Path, processes: int, progress: Callable[[int, int], None]) -> None:
        """Clean all files, tell the progress, and refuse if none is fit."""
        rules = self.preparation
        with closing(clean_all(files, rules.tokenizer, rules.preprocessing, cache, processes)) as cleaned:
            for batch, results in cleaned:
                for file, result in zip(batch, results, strict=True):
                    self.add(file, result)
                progress(self.seen, len(files))
        if not self.pieces:
            raise nothing_fit(self.rejected, len(files))

    def add(self, file: File, result: CleanPiece | Rejected) -> None:
        """Take one file's result."""
        self.seen += 1
        self.files[file.source] += 1
        if isinstance(result, Rejected):
            self._leave_out(file, result.reason)
            return
        fingerprint = hashlib.sha256(result.ids.tobytes()).digest()
        if fingerprint in self.fingerprints:
            self._leave_out(file, "the same as another piece")
            return
        self.fingerprints.add(fingerprint)
        self.fates.append((file.path, ""))
        self.kept[file.source] += 1
        self.n_left_out += result.n_left_out
        self._append(file, result)

    def _leave_out(self, file: File, why: str) -> None:
        self.rejected[why] += 1
        self.fates.append((file.path, why))

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
        parts = iter(self.piece_table()["part"])
        return [
            {"file": path.relative_to(folder).as_posix(), **({"dropped": why} if why else {"part": PARTS[next(parts)]})}
            for path, why in self.fates
        ]

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
            "files": self.seen, "kept": len(self.pieces), "dropped": dict(sorted(self.rejected.items())),
            "sources": [
                {**config.plain(source), "files": self.files[number], "kept": self.kept[number]}
                for number, source in enumerate(self.preparation.data.sources)
            ],
        }  # fmt: skip
