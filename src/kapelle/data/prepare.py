"""Folders of MIDI to shards: in parallel, resumable, deterministic, with a report of what was kept and why the rest was not.

Takes a folder and the [data], [tokenizer] and [preprocessing] sections of a recipe; gives a folder of shards. Files are read in
sorted order; what was read is kept in ``.cache`` inside the output folder, so that an interrupted run goes on where it was. The
cache may be deleted at any time. Beside the shards lies ``files.json``: every file, with its part or the reason why it was left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from kapelle.data import shards
from kapelle.data.chords import ChordCollector
from kapelle.data.clean import ALL, Take
from kapelle.data.cleaning import File, interruptible
from kapelle.data.collect import Collector
from kapelle.data.feature_collect import FeatureCollector
from kapelle.data.fragment_collect import FragmentCollector
from kapelle.data.labelled import LabelledSource
from kapelle.data.phrase_collect import PhraseCollector
from kapelle.data.recipe import (
    AnyPreparation,
    BandSource,
    ChordPreparation,
    DataSection,
    FeaturePreparation,
    FragmentPreparation,
    PhrasePreparation,
    Preparation,
    RenderPreparation,
    RollPreparation,
    Source,
    TablePreparation,
    ThemePreparation,
    ThemeSource,
    preparation,
)
from kapelle.data.roll_collect import RollCollector
from kapelle.data.split import group_key
from kapelle.data.storage import put_text, writing
from kapelle.data.table_collect import TableCollector, find_tables
from kapelle.data.theme_collect import ThemeCollector
from kapelle.errors import Interrupted, Missing
from kapelle.score.folders import MIDI_SUFFIXES

if TYPE_CHECKING:
    from pathlib import Path

    from kapelle.data.feature_collect import Measure
    from kapelle.data.themes import Embed

__all__ = ["DataSection", "Preparation", "Progress", "Source", "find_files", "preparation", "prepare"]

CACHE = ".cache"
FILES = "files.json"

Progress = Callable[[int, int], None]
AnySource = Source | BandSource | ThemeSource | LabelledSource


class Collecting(Protocol):
    """Gathers files into shards, in the way of one codec."""

    def collect(self, files: Sequence[File], cache: Path, processes: int, progress: Progress) -> None:
        """Read all files, tell the progress, and refuse if none is fit."""

    def files_under(self, folder: Path) -> list[dict[str, str]]:
        """Every file by its name below `folder`, with the part it went to or why it was left out."""

    def write(self, out: Path) -> dict[str, Any]:
        """Write the shards to `out`, ``shards.json`` last, and return what that says."""


COLLECTORS: dict[type, Callable[[Any, Path, Embed | None], Collecting]] = {
    Preparation: lambda sections, folder, embed: Collector(sections),
    ChordPreparation: lambda sections, folder, embed: ChordCollector(sections),
    PhrasePreparation: lambda sections, folder, embed: PhraseCollector(sections, folder),
    ThemePreparation: lambda sections, folder, embed: ThemeCollector(sections, embed),
    FragmentPreparation: lambda sections, folder, embed: FragmentCollector(sections),
    RollPreparation: lambda sections, folder, embed: RollCollector(sections),
    TablePreparation: lambda sections, folder, embed: TableCollector(sections),
}
"""Sections of a recipe -> what gathers files so, given the sections, the folder of the data and an embedding of melodies."""


def find_files(folder: Path, sources: Sequence[AnySource]) -> list[File]:
    """The MIDI files of all sources, sorted.

    Raises:
        Missing: None of the folders holds one.
    """
    if not folder.is_dir():
        raise Missing("no folder {folder}", folder=folder)
    found = []
    for number, source in enumerate(sources):
        grids = {path.stem: path for path in sorted((folder / source.align).rglob("*.mid"))} if source.align else {}
        for path in sorted((folder / source.folder).rglob("*")):
            if path.suffix.lower() in MIDI_SUFFIXES and path.is_file():
                group = group_of(path, folder, source)
                composer, take = _named(path.parent.name, source) if isinstance(source, Source) else (-1, ALL)
                found.append(File(path, number, group, composer, take, grids.get(path.stem)))
    if not found:
        raise Missing(
            "no MIDI files in {folder}", folder=folder, hint="the recipe looks in: {looked}", looked=", ".join(s.folder for s in sources)
        )
    return found


def _named(parent: str, source: Source) -> tuple[int, Take]:
    """The number of the composer after whom a folder is named, -1 if none, and what is taken of its files."""
    composer = source.composers.index(parent) if parent in source.composers else -1
    return composer, Take(source.tracks, source.programs)


def group_of(path: Path, folder: Path, source: AnySource) -> str:
    """What keeps a file of a source together with others."""
    match source.group:
        case "parent":
            return group_key(path.parent.name)
        case "file":
            return f"{source.folder}/{path.stem}"
    return path.relative_to(folder).as_posix()


def prepare(
    folder: Path,
    preparation: AnyPreparation,
    out: Path,
    *,
    processes: int = 1,
    progress: Progress = lambda done, total: None,
    embed: Embed | None = None,
    measure: Measure | None = None,
) -> dict[str, Any]:
    """Write the shards of a folder to `out` and return the report that is also its ``shards.json``.

    Args:
        folder: Where the folders of the sources are.
        preparation: The recipe's sections.
        out: The folder to write; what an interrupted run left there is used.
        processes: How many to read files with; the result does not depend on it.
        progress: Called with (files done, files in all), first with 0.
        embed: What makes points of fragments of melodies; recipes of codec ``theme`` need it.
        measure: What makes rows of features; recipes of codec ``features`` and ``renderings`` need it.

    Raises:
        Missing: No MIDI files, or no `embed` where it is needed.
        UsageError: No file was fit for training, a genre of a source has no token, or no symbol is frequent enough.
        StorageError: `out` cannot be written.
        Interrupted: Ctrl-C or SIGTERM; what was read is kept in `out`.
        NotEnoughMemory: The system ended a process that was reading.
    """
    collected: Collecting
    if measure is not None and isinstance(preparation, FeaturePreparation | RenderPreparation):
        collected = FeatureCollector(preparation, measure)
    else:
        collected = COLLECTORS[type(preparation)](preparation, folder, embed)
    files = find_tables(folder, preparation) if isinstance(preparation, TablePreparation) else find_files(folder, preparation.data.sources)
    seen = 0

    def tell(done: int, total: int) -> None:
        nonlocal seen
        seen = done
        progress(done, total)

    try:
        with writing(out), interruptible():
            progress(0, len(files))
            collected.collect(files, out / CACHE, processes, tell)
            (out / shards.INFO).unlink(missing_ok=True)  # from here on, until all is written, these are no shards
            put_text(out / FILES, json.dumps(collected.files_under(folder), indent=0, ensure_ascii=False) + "\n")
            return collected.write(out)
    except KeyboardInterrupt as error:
        hint = "the same command goes on from there"
        raise Interrupted(
            "stopped after {done} of {total} files; they are kept in {out}", done=seen, total=len(files), out=out, hint=hint
        ) from error
