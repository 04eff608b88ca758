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
from kapelle.data.feature_tables import ROW
from kapelle.data.ledger import Ledger
from kapelle.data.split import PARTS, TRAIN, half
from kapelle.errors import KapelleError
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


class FeatureCollector:
    """Gathers rows into the arrays of a feature table.

    Args:
        preparation: The recipe's sections.
        measure: What makes rows, as its [tokenizer] asks.
    """

    def __init__(self, preparation: FeaturePreparation | RenderPreparation, measure: Measure) -> None:
        self.preparation, self.measure = preparation, measure
        self.classes = preparation.tokenizer.classes
        preparation.data.check(self.classes)
        self.ledger = Ledger()
        self.pieces: list[tuple[File, FeaturePiece]] = []

    def collect(self, files: Sequence[File], cache: Path, processes: int, progress: Callable[[int, int], None]) -> None:
        """Read all files, tell the progress, and refuse if none is fit."""
        data = self.preparation.data
        files = data.chosen(files)
        reading = FeatureReading(self.measure, tuple(source.tracks for source in data.sources))
        with closing(read_all(files, reading, cache, processes)) as results:
            self.ledger.take_all(results, len(files), self._take, progress)
        self.parts = self._dealt()

    def _take(self, file: File, piece: FeaturePiece) -> str:
        if not self.ledger.is_new(piece.rows.tobytes()):
            return "the same as another piece"
        self.pieces.append((file, piece))
        return ""

    def _dealt(self) -> list[int]:
        """The part of every piece; -1 where another classifier learns from it."""
        data = self.preparation.data
        parts = data.dealt(file for file, _ in self.pieces)
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
        other = "of the half of the artists that another classifier learns from"
        kept = ({"part": PARTS[part]} if part >= 0 else {"dropped": other} for part in self.parts)
        return self.ledger.files_under(folder, kept)

    def info(self, n_groups: int) -> dict[str, Any]:
        """What ``shards.json`` says, but for what `feature_tables.write` adds."""
        data, rules = self.preparation.data, self.preparation.preprocessing
        kept = Counter(file.source for (file, _), part in zip(self.pieces, self.parts, strict=True) if part >= 0)
        other = self.parts.count(-1)
        return {
            "classes": list(self.classes), "features": list(self.measure.names), "inputs": self.preparation.tokenizer.inputs,
            "excerpts": config.plain(rules), "half": data.half, "files": self.ledger.seen, "kept": sum(kept.values()), "artists": n_groups,
            "dropped": dict(sorted({**self.ledger.rejected, **({"another classifier learns from it": other} if other else {})}.items())),
            "sources": [
                {**config.plain(source), "name": source.folder, "files": self.ledger.files[s], "kept": kept[s]}
                for s, source in enumerate(data.sources)
            ],
        }  # fmt: skip
