"""Files, one after the other, to a feature table and its report: what trees learn from.

Takes results of a `Measure` in a fixed order; pieces of which every row is equal are kept once, the first one. What a row measures, the
`Measure` knows, which is handed in from above: data knows no classifier. Parts are dealt by artist before anything is cut: the artists and
songs that the recipe names go to the test, the others as `split.assign` says; of the training part, the half that belongs to another
classifier is left out.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from kapelle import config
from kapelle.config import setting
from kapelle.data import feature_tables
from kapelle.data.clean import Rejected
from kapelle.data.cleaning import read_all
from kapelle.data.collect import nothing_fit
from kapelle.data.feature_tables import ROW
from kapelle.data.split import PARTS, TEST, TRAIN, assign, half
from kapelle.errors import KapelleError, UsageError
from kapelle.score.read import read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from symusic import Score

    from kapelle.data.cleaning import Arrays, File
    from kapelle.data.recipe import FeaturePreparation, RenderPreparation

EDITION = 1
"""Raise it when the same file gives other rows for the same measure: older cache entries are then not used."""


@dataclass(frozen=True)
class FeatureSource:
    """One row of [[data.sources]] of a recipe of codec ``features``."""

    folder: str = setting(help="folder below the data folder")
    genre: str = setting(help="what its pieces are held out by, in shares; their class too unless one is named")
    label: str = setting("", help="class of everything in it, if that is not the genre")
    group: str = setting(
        "parent",
        help="what must not be split: files of one parent folder, files of one name, or each file alone",
        choices=("parent", "file", "path"),
    )
    licence: str = setting("not stated", help="licence of the music, for the card")
    tracks: int = setting(0, help="keep so many tracks from the first on; 0: all", min=0)
    at_most: int = setting(0, help="take so many files, chosen by a hash of their names; 0: all", min=0)
    align: ClassVar[str] = ""  # files stand on their own bars

    @property
    def of(self) -> str:
        """Its class."""
        return self.label or self.genre


@dataclass(frozen=True)
class FeatureSection:
    """The [data] section of a recipe of codec ``features``."""

    sources: tuple[FeatureSource, ...] = setting(help="folders and their classes")
    validation: float = setting(0.06, help="share of every genre for validation", min=0.0, max=0.5)
    test: float = setting(0.08, help="share of every genre for the test, beside those named", min=0.0, max=0.5)
    held_out: tuple[str, ...] = setting((), help="artists (last word of the name, lower case) and songs that are the test wherever met")
    half: int = setting(-1, help="which half of the artists is for training; -1: both", min=-1, max=1)


@dataclass(frozen=True)
class FeatureSpec:
    """The [tokenizer] section of a recipe of codec ``features``: there are no tokens, but classes and what is measured."""

    classes: tuple[str, ...] = setting(help="the classes, in the order of the probabilities")
    inputs: str = setting("midi_features", help="what is measured", choices=("midi_features", "audio_features"))


@dataclass(frozen=True)
class FeatureRules:
    """The [preprocessing] section of a recipe of codec ``features``: what a piece must be, and what of it is measured."""

    bars: int = setting(16, help="bars of an excerpt", unit="bars", min=1)
    most: int = setting(4, help="excerpts of a piece, at most", min=1)
    min_bars: int = setting(8, help="shorter pieces are left out", min=1)
    min_notes: int = setting(50, help="pieces with fewer notes are left out", min=1)
    through_tokens: bool = setting(False, help="pieces are heard as the REMI tokens of the language models leave them")


class Measure(Protocol):
    """What makes rows of a piece. It travels to other processes: a frozen dataclass of a module."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features, in the order of the columns."""

    def settings(self) -> list[Any]:
        """All that decides the rows of a piece, fit for JSON."""

    def rows(self, score: Score, digest: str) -> NDArray[np.float32]:
        """The rows (n, F) of a piece, n at least 1; `digest` tells pieces apart, where chance plays a part.

        Raises:
            KapelleError: It is not fit; the message says why, without values, in the same words for all such pieces.
        """


@dataclass(frozen=True)
class FeaturePiece:
    """A file's rows, and whose they are."""

    rows: NDArray[np.float32]
    digest: str


@dataclass(frozen=True)
class FeatureReading:
    """Files as rows, for `cleaning.read_all`.

    Args:
        measure: What makes the rows.
        tracks: Of every source, so many tracks from the first on; 0: all.
    """

    measure: Measure
    tracks: tuple[int, ...]
    arrays: ClassVar[tuple[str, ...]] = ("rows",)

    def settings(self, files: Sequence[File]) -> list[Any]:
        """See `cleaning.Reading`."""
        return [EDITION, self.measure.settings(), [self.tracks[file.source] for file in files]]

    def read(self, data: bytes, file: File, grid: bytes | None) -> FeaturePiece | Rejected:
        """See `cleaning.Reading`."""
        digest = hashlib.sha256(data).hexdigest()[:16]
        try:
            score = read(data)
        except KapelleError:
            return Rejected("not readable as MIDI")
        if self.tracks[file.source]:
            del score.tracks[self.tracks[file.source] :]
        try:
            return FeaturePiece(self.measure.rows(score, digest), digest)
        except KapelleError as error:
            return Rejected(error.template if not error.values else "cannot be measured")  # reasons are few, and are counted
        except Exception:  # a fault of ours is counted, but one file must not end the preparation of thousands
            return Rejected("cannot be measured")

    def taken_apart(self, result: FeaturePiece) -> tuple[dict[str, Any], Arrays]:
        """See `cleaning.Reading`."""
        return {"digest": result.digest}, {"rows": result.rows}

    def put_together(self, facts: Mapping[str, Any], arrays: Arrays) -> FeaturePiece:
        """See `cleaning.Reading`."""
        return FeaturePiece(arrays["rows"], facts["digest"])


def chosen(files: Sequence[File], sources: Sequence[FeatureSource]) -> list[File]:
    """The files, of each source `at_most` so many; where any source has fewer than all, in the order of a hash of their names."""
    if not any(source.at_most for source in sources):
        return list(files)
    taken, out = Counter[int](), []
    for file in sorted(files, key=lambda file: hashlib.sha256("/".join((file.group, *file.path.parts[-2:])).encode()).digest()):
        taken[file.source] += 1
        if taken[file.source] <= (sources[file.source].at_most or len(files)):
            out.append(file)
    return out


class FeatureCollector:
    """Gathers rows into the arrays of a feature table.

    Args:
        preparation: The recipe's sections.
        measure: What makes rows, as its [tokenizer] asks.
    """

    def __init__(self, preparation: FeaturePreparation | RenderPreparation, measure: Measure) -> None:
        self.preparation, self.measure = preparation, measure
        self.classes = preparation.tokenizer.classes
        for source in preparation.data.sources:
            if source.of not in self.classes:
                hint = "add it to tokenizer.classes in the recipe"
                raise UsageError("source {folder!r} is of no class: {genre!r}", genre=source.of, folder=source.folder, hint=hint)
        self.pieces: list[tuple[File, FeaturePiece]] = []
        self.fates: list[tuple[Path, str]] = []  # every file, and why it was left out; "" if it was kept
        self.rejected, self.files = Counter[str](), Counter[int]()
        self.known: set[bytes] = set()
        self.seen = 0

    def collect(self, files: Sequence[File], cache: Path, processes: int, progress: Callable[[int, int], None]) -> None:
        """Read all files, tell the progress, and refuse if none is fit."""
        sources = self.preparation.data.sources
        files = chosen(files, sources)
        reading = FeatureReading(self.measure, tuple(source.tracks for source in sources))
        with closing(read_all(files, reading, cache, processes)) as results:
            for batch, found in results:
                for file, result in zip(batch, found, strict=True):
                    self.add(file, result)
                progress(self.seen, len(files))
        if not self.pieces:
            raise nothing_fit(self.rejected, len(files))
        self.parts = self._dealt()

    def add(self, file: File, result: FeaturePiece | Rejected) -> None:
        """Take one file's result."""
        self.seen += 1
        self.files[file.source] += 1
        if isinstance(result, FeaturePiece):
            digest = hashlib.sha256(result.rows.tobytes()).digest()
            result = Rejected("the same as another piece") if digest in self.known else result
            self.known.add(digest)
        self.fates.append((file.path, result.reason if isinstance(result, Rejected) else ""))
        if isinstance(result, Rejected):
            self.rejected[result.reason] += 1
        else:
            self.pieces.append((file, result))

    def _dealt(self) -> list[int]:
        """The part of every piece; -1 where another classifier learns from it."""
        data = self.preparation.data
        named = {*data.held_out}
        held = [bool(named & {file.group, file.group.rsplit("/", 1)[-1]}) for file, _ in self.pieces]
        free = [(data.sources[file.source].genre, file.group) for (file, _), out in zip(self.pieces, held, strict=True) if not out]
        dealt = iter(assign(free, data.validation, data.test))
        parts = [TEST if out else next(dealt) for out in held]
        others = [part == TRAIN and data.half not in (-1, half(file.group)) for part, (file, _) in zip(parts, self.pieces, strict=True)]
        return [-1 if other else part for part, other in zip(parts, others, strict=True)]

    def write(self, out: Path) -> dict[str, Any]:
        """Write the table, and return what ``shards.json`` says."""
        sources, groups = self.preparation.data.sources, dict[str, int]()
        rows: list[NDArray[np.float32]] = []
        table: list[tuple[Any, ...]] = []
        for number, ((file, piece), part) in enumerate(zip(self.pieces, self.parts, strict=True)):
            if part >= 0:
                label, group = self.classes.index(sources[file.source].of), groups.setdefault(file.group, len(groups))
                table += [(label, part, file.source, group, number, piece.digest)] * len(piece.rows)
                rows.append(piece.rows)
        return feature_tables.write(out, self.info(len(groups)), np.concatenate(rows), np.array(table, ROW))

    def files_under(self, folder: Path) -> list[dict[str, str]]:
        """Every file by its name below `folder`, with the part it went to or why it was left out."""
        parts = iter(self.parts)
        told = ((path.relative_to(folder).as_posix(), why, -1 if why else next(parts)) for path, why in self.fates)
        other = "of the half of the artists that another classifier learns from"
        return [{"file": name, **({"part": PARTS[part]} if part >= 0 else {"dropped": why or other})} for name, why, part in told]

    def info(self, n_groups: int) -> dict[str, Any]:
        """What ``shards.json`` says, but for what `feature_tables.write` adds."""
        data, rules = self.preparation.data, self.preparation.preprocessing
        kept = Counter(file.source for (file, _), part in zip(self.pieces, self.parts, strict=True) if part >= 0)
        other = self.parts.count(-1)
        return {
            "classes": list(self.classes), "features": list(self.measure.names), "inputs": self.preparation.tokenizer.inputs,
            "excerpts": config.plain(rules), "half": data.half, "files": self.seen, "kept": sum(kept.values()), "artists": n_groups,
            "dropped": dict(sorted({**self.rejected, **({"another classifier learns from it": other} if other else {})}.items())),
            "sources": [
                {**config.plain(source), "name": source.folder, "files": self.files[s], "kept": kept[s]}
                for s, source in enumerate(data.sources)
            ],
        }  # fmt: skip
