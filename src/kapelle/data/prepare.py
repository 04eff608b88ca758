"""Folders of MIDI to token shards: in parallel, resumable, deterministic, with a report of what was kept and why the rest was not.

Takes a folder and the [data], [tokenizer] and [preprocessing] sections of a recipe; gives a folder of shards. Files are read in
sorted order; what was read is kept in ``.cache`` inside the output folder, so that an interrupted run goes on where it was. The
cache may be deleted at any time. Beside the shards lies ``files.json``: every file, with its part or the reason why it was left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from kapelle import config
from kapelle.data import shards
from kapelle.data.cleaning import File, clean_all, interruptible
from kapelle.data.collect import Collector
from kapelle.data.recipe import DataSection, Preparation, Source, preparation
from kapelle.data.split import group_key
from kapelle.data.storage import put_text, writing
from kapelle.errors import Interrupted, Missing, UsageError
from kapelle.tokens import remi, vocabulary

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DataSection", "Preparation", "Progress", "Source", "find_files", "preparation", "prepare"]

CACHE = ".cache"
FILES = "files.json"
SUFFIXES = (".mid", ".midi", ".kar", ".rmi")

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
                composer = source.composers.index(parent) if parent in source.composers else -1
                found.append(File(path, number, group, composer, source.tracks))
    if not found:
        raise Missing(
            "no MIDI files in {folder}", folder=folder, hint="the recipe looks in: {looked}", looked=", ".join(s.folder for s in sources)
        )
    return found


def prepare(
    folder: Path, preparation: Preparation, out: Path, *, processes: int = 1, progress: Progress = lambda done, total: None
) -> dict[str, Any]:
    """Write the shards of a folder to `out` and return the report that is also its ``shards.json``.

    Args:
        folder: Where the folders of the sources are.
        preparation: The recipe's sections.
        out: The folder to write; what an interrupted run left there is used.
        processes: How many to read files with; the result does not depend on it.
        progress: Called with (files done, files in all), first with 0.

    Raises:
        Missing: No MIDI files.
        UsageError: No file was fit for training, or a genre of a source has no token.
        StorageError: `out` cannot be written.
        Interrupted: Ctrl-C or SIGTERM; what was read is kept in `out`.
        NotEnoughMemory: The system ended a process that was reading.
    """
    for source in preparation.data.sources:
        if source.genre not in preparation.tokenizer.genres:
            hint = "add it to tokenizer.genres in the recipe"
            raise UsageError("genre {genre!r} of source {folder!r} has no token", genre=source.genre, folder=source.folder, hint=hint)
    files = find_files(folder, preparation.data.sources)
    collected = Collector(preparation, remi.vocabulary(preparation.tokenizer))
    try:
        with writing(out), interruptible():
            _collect(files, collected, out / CACHE, processes, progress)
            (out / shards.INFO).unlink(missing_ok=True)  # from here on, until all is written, these are no shards
            tokenizer: dict[str, object] = {"codec": "remi", "spec": config.plain(preparation.tokenizer)}
            vocabulary.save(collected.words, out / "tokenizer.json", tokenizer)
            put_text(out / FILES, json.dumps(collected.files_under(folder), indent=0, ensure_ascii=False) + "\n")
            return shards.write(out, collected.info(), collected.arrays())
    except KeyboardInterrupt as error:
        hint = "the same command goes on from there"
        done, total = collected.seen, len(files)
        raise Interrupted(
            "stopped after {done} of {total} files; they are kept in {out}", done=done, total=total, out=out, hint=hint
        ) from error


def _collect(files: Sequence[File], collected: Collector, cache: Path, processes: int, progress: Progress) -> None:
    rules = collected.preparation
    progress(0, len(files))
    with closing(clean_all(files, rules.tokenizer, rules.preprocessing, cache, processes)) as cleaned:
        for batch, results in cleaned:
            for file, result in zip(batch, results, strict=True):
                collected.add(file, result)
            progress(collected.seen, len(files))
    if not collected.pieces:
        why = ", ".join(f"{n} {reason}" for reason, n in collected.rejected.most_common())
        hint = "the limits are in [preprocessing] of the recipe, the metres in [tokenizer]"
        raise UsageError("none of {n} files is fit for training: {why}", n=len(files), why=why, hint=hint)
