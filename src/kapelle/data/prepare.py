"""Folders of MIDI to token shards: in parallel, resumable, deterministic, with a report of what was kept and why the rest was not.

Takes a folder and the [data], [tokenizer] and [preprocessing] sections of a recipe; gives a folder of shards. Files are read
in sorted order in batches; each finished batch is kept in ``.cache`` inside the output folder under a hash of its files and
settings, so that an interrupted run goes on where it was. Equal pieces are kept once.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from kapelle import config
from kapelle.config import setting
from kapelle.data import augment, shards
from kapelle.data.clean import CleaningRules, CleanPiece, Rejected, clean
from kapelle.data.split import PARTS, assign, group_key
from kapelle.errors import Missing, UsageError
from kapelle.tokens import controls, remi, vocabulary

BATCH = 32
SUFFIXES = (".mid", ".midi", ".kar", ".rmi")


@dataclass(frozen=True)
class Source:
    """One row of [[data.sources]]: a folder of one genre."""

    folder: str = setting(help="folder below the data folder")
    genre: str = setting(help="genre of everything in it")
    group: str = setting("parent", help="what must not be split: files of one parent folder, or each file alone", choices=("parent", "file"))
    licence: str = setting("not stated", help="licence of the music, for the card")
    tracks: int = setting(0, help="keep so many tracks from the first on; 0: all (some collections add a chord track)", min=0)
    composers: tuple[str, ...] = setting((), help="parent folders that have a composer token, in the order of their numbers")


@dataclass(frozen=True)
class DataSection:
    """The [data] section of a recipe."""

    sources: tuple[Source, ...] = setting(help="folders and their genres")
    validation: float = setting(0.04, help="share of every genre for validation", min=0.0, max=0.5)
    test: float = setting(0.08, help="share of every genre for the test", min=0.0, max=0.5)


@dataclass(frozen=True)
class Preparation:
    """What `prepare` needs of a recipe."""

    data: DataSection
    tokenizer: remi.RemiSpec
    preprocessing: CleaningRules


@dataclass(frozen=True)
class File:
    """One MIDI file and what its place says about it."""

    path: Path
    source: int
    group: str
    composer: int = -1


Progress = Callable[[int, int], None]


def find_files(folder: Path, sources: Sequence[Source]) -> list[File]:
    """The MIDI files of all sources, sorted.

    Raises:
        Missing: None of the folders holds one.
    """
    if not folder.is_dir():
        raise Missing("no folder {folder}", folder=folder)
    found = []
    for number, source in enumerate(sources):
        for path in sorted((folder / source.folder).rglob("*")):
            if path.suffix.lower() in SUFFIXES and path.is_file():
                group = group_key(path.parent.name) if source.group == "parent" else f"{source.folder}/{path.stem}"
                parent = path.parent.name
                found.append(File(path, number, group, source.composers.index(parent) if parent in source.composers else -1))
    if not found:
        raise Missing(
            "no MIDI files in {folder}", folder=folder, hint="the recipe looks in: {looked}", looked=", ".join(s.folder for s in sources)
        )
    return found


def prepare(folder: Path, preparation: Preparation, out: Path, *, processes: int = 1, progress: Progress = lambda done, total: None) -> dict[str, Any]:
    """Write the shards of a folder to `out`.

    Args:
        folder: Where the folders of the sources are.
        preparation: The recipe's sections.
        out: The folder to write; what an interrupted run left there is used.
        processes: How many to read files with; the result does not depend on it.
        progress: Called with (files done, files in all).

    Returns:
        The report that is also written to ``shards.json``.

    Raises:
        Missing: No MIDI files.
        UsageError: No file was fit for training, or a genre of a source has no token.
    """
    spec = preparation.tokenizer
    for source in preparation.data.sources:
        if source.genre not in spec.genres:
            raise UsageError("genre {genre!r} of source {folder!r} has no token", genre=source.genre, folder=source.folder)
    files = find_files(folder, preparation.data.sources)
    words = remi.vocabulary(spec)
    collected = _Collector(preparation, words)
    for batch, results in _clean_all(files, preparation, out / ".cache", processes):
        for file, result in zip(batch, results, strict=True):
            collected.add(file, result)
        progress(collected.seen, len(files))
    if not collected.pieces:
        raise UsageError("none of {n} files is fit for training: {why}", n=len(files), why=dict(collected.rejected))
    info = collected.info(len(files))
    shards.write(out, info, collected.arrays())
    vocabulary.save(words, out / "tokenizer.json", {"codec": "remi", "spec": config.plain(spec)})
    return info


def _clean_all(files: list[File], preparation: Preparation, cache: Path, processes: int) -> Iterator[tuple[list[File], list[CleanPiece | Rejected]]]:
    batches = [files[i : i + BATCH] for i in range(0, len(files), BATCH)]
    tracks = [source.tracks for source in preparation.data.sources]
    jobs = [
        ([(file.path, tracks[file.source]) for file in batch], preparation.tokenizer, preparation.preprocessing, cache) for batch in batches
    ]
    cache.mkdir(parents=True, exist_ok=True)
    if processes <= 1:
        yield from zip(batches, map(_clean_batch, jobs), strict=True)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from zip(batches, pool.map(_clean_batch, jobs), strict=True)


def _clean_batch(job: tuple[list[tuple[Path, int]], remi.RemiSpec, CleaningRules, Path]) -> list[CleanPiece | Rejected]:
    files, spec, rules, cache = job
    contents = [path.read_bytes() for path, _ in files]
    settings = [config.plain(spec), config.plain(rules), [tracks for _, tracks in files]]
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for data in contents:
        key.update(hashlib.sha256(data).digest())
    place = cache / f"{key.hexdigest()[:32]}.npz"
    if place.is_file():
        try:
            return _load_batch(place)
        except (OSError, ValueError, KeyError, EOFError):
            place.unlink(missing_ok=True)
    words = remi.vocabulary(spec)
    results = [clean(data, spec, words, rules, tracks) for data, (_, tracks) in zip(contents, files, strict=True)]
    _save_batch(place, results)
    return results


def _save_batch(place: Path, results: list[CleanPiece | Rejected]) -> None:
    facts = [
        {"reason": r.reason} if isinstance(r, Rejected) else {"key": r.key, "bpm": r.bpm, "n_notes": r.n_notes, "digest": r.digest} for r in results
    ]
    arrays = {f"ids{i}": r.ids.astype(np.uint16) for i, r in enumerate(results) if isinstance(r, CleanPiece)}
    temporary = place.with_suffix(".tmp.npz")
    np.savez(temporary, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
    temporary.replace(place)


def _load_batch(place: Path) -> list[CleanPiece | Rejected]:
    with np.load(place, allow_pickle=False) as held:
        facts = json.loads(held["facts"].tobytes())
        return [
            Rejected(fact["reason"]) if "reason" in fact else CleanPiece(held[f"ids{i}"].astype(np.int64), fact["key"], fact["bpm"], fact["n_notes"], fact["digest"])
            for i, fact in enumerate(facts)
        ]


class _Collector:
    """Gathers cleaned pieces into the arrays of the shards."""

    def __init__(self, preparation: Preparation, words: vocabulary.Vocabulary) -> None:
        self.preparation, self.words = preparation, words
        self.pieces: list[tuple[int, ...]] = []
        self.tokens: list[np.ndarray[Any, Any]] = []
        self.prefixes: list[list[int]] = []
        self.bars: list[np.ndarray[Any, Any]] = []
        self.blocks: list[tuple[int, int]] = []
        self.digests: list[str] = []
        self.groups: list[tuple[str, str]] = []
        self.rejected: Counter[str] = Counter()
        self.fingerprints: set[bytes] = set()
        self.seen = self.length = self.n_bars = 0

    def add(self, file: File, result: CleanPiece | Rejected) -> None:
        """Take one file's result."""
        self.seen += 1
        if isinstance(result, Rejected):
            self.rejected[result.reason] += 1
            return
        fingerprint = hashlib.sha256(result.ids.tobytes()).digest()
        if fingerprint in self.fingerprints:
            self.rejected["the same as another piece"] += 1
            return
        self.fingerprints.add(fingerprint)
        self._append(file, result)

    def _append(self, file: File, piece: CleanPiece) -> None:
        rules = self.preparation.preprocessing
        source = self.preparation.data.sources[file.source]
        wish = controls.Controls(source.genre, file.composer if file.composer >= 0 else None, piece.key, piece.bpm)
        prefix = controls.prefix(wish, self.words)
        starts = np.flatnonzero(piece.ids == self.words["Bar_None"])
        room = rules.context_len - len(prefix) - 2
        first_bars = shards.cut_blocks(starts, len(piece.ids), room, rules.overlap)
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

    def piece_table(self) -> np.ndarray[Any, Any]:
        """The pieces with their parts."""
        table = np.array(self.pieces, shards.PIECE)
        table["part"] = assign(self.groups, self.preparation.data.validation, self.preparation.data.test)
        return table

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """The arrays of `shards.ARRAYS`."""
        prefixes = np.full((len(self.pieces), shards.PREFIX_WIDTH), self.words["PAD_None"], np.uint16)
        for row, ids in zip(prefixes, self.prefixes, strict=True):
            row[: len(ids)] = ids
        return {
            "tokens": np.concatenate(self.tokens),
            "pieces": self.piece_table(),
            "prefixes": prefixes,
            "bars": np.concatenate(self.bars).astype(np.int64),
            "blocks": np.array(self.blocks, shards.BLOCK),
            "transpose": augment.transposition_table(self.words),
            "velocity": augment.velocity_table(self.words),
            "digests": np.array(self.digests, "S16"),
        }

    def info(self, n_files: int) -> dict[str, Any]:
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
            "pad": words["PAD_None"], "bos": words["BOS_None"], "eos": words["EOS_None"],
            "note_ids": [int(words.ids("Duration")[0]), int(words.ids("Duration")[-1]) + 1],
            "genre_ids": [words[f"Genre_{genre}"] for genre in genres],
            "genres": list(genres),
            "pieces": counts,
            "tokens": self.length, "bars": self.n_bars, "notes": int(table["n_notes"].sum()), "blocks": len(self.blocks),
            "files": n_files, "kept": len(self.pieces), "dropped": dict(sorted(self.rejected.items())),
            "sources": [config.plain(source) for source in self.preparation.data.sources],
        }  # fmt: skip
