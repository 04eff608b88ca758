"""Views of files, one after the other, to roll shards and their report: what a classifier of rolls learns from.

Takes results of `roll_reading` in a fixed order; pieces with equal notes are kept once, the first one. Parts are dealt by artist before
anything is cut: the artists and songs that the recipe names go to the test, the others as `split.assign` says. Every piece also tells the
half that its artist is in, so that two classifiers can learn from different artists.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle import config
from kapelle.data import roll_shards
from kapelle.data.cleaning import read_all
from kapelle.data.ledger import Ledger, in_parts
from kapelle.data.roll_reading import RollPiece, RollReading
from kapelle.data.roll_shards import PIECE
from kapelle.data.split import PARTS, TRAIN, half

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from kapelle.data.cleaning import File
    from kapelle.data.recipe import RollPreparation


class RollCollector:
    """Gathers views into the arrays of the roll shards."""

    def __init__(self, preparation: RollPreparation) -> None:
        self.preparation = preparation
        self.classes = preparation.tokenizer.classes
        preparation.data.check(self.classes)
        self.ledger = Ledger()
        self.pieces: list[tuple[File, RollPiece]] = []

    def collect(self, files: Sequence[File], cache: Path, processes: int, progress: Callable[[int, int], None]) -> None:
        """Read all files, tell the progress, and refuse if none is fit."""
        data = self.preparation.data
        files = data.chosen(files)
        reading = RollReading(self.preparation.preprocessing, tuple(source.tracks for source in data.sources))
        with closing(read_all(files, reading, cache, processes)) as results:
            self.ledger.take_all(results, len(files), self._take, progress)
        self.parts = data.dealt(file for file, _ in self.pieces)

    def _take(self, file: File, piece: RollPiece) -> str:
        if not self.ledger.is_new(piece.view.notes.tobytes()):
            return "the same as another piece"
        self.pieces.append((file, piece))
        return ""

    def write(self, out: Path) -> dict[str, Any]:
        """Write the shards, and return what ``shards.json`` says."""
        arrays = self.arrays()
        return roll_shards.write(out, self.info(arrays), arrays)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of `roll_shards.ARRAYS`."""
        sources = self.preparation.data.sources
        numbers: dict[str, int] = {}
        rows, at, line = [], 0, 0
        for (file, piece), part in zip(self.pieces, self.parts, strict=True):
            stop, last = at + len(piece.view.notes), line + len(piece.view.lines)
            group = numbers.setdefault(file.group, len(numbers))
            label = self.classes.index(sources[file.source].of)
            rows.append((at, stop, line, last, label, part, half(file.group), file.source, group))
            at, line = stop, last
        return {
            "notes": np.concatenate([piece.view.notes for _, piece in self.pieces]),
            "lines": np.concatenate([piece.view.lines for _, piece in self.pieces]).astype(np.int32),
            "pieces": np.array(rows, PIECE),
            "digests": np.array([piece.digest for _, piece in self.pieces], "S16"),
        }

    def files_under(self, folder: Path) -> list[dict[str, str]]:
        """Every file by its name below `folder`, with the part it went to or why it was left out."""
        return self.ledger.files_under(folder, in_parts(self.parts))

    def info(self, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
        """What `shards.json` says."""
        data, table = self.preparation.data, arrays["pieces"]
        kept = Counter(file.source for file, _ in self.pieces)
        other = (table["part"] == TRAIN) & (table["half"] != data.half) & (data.half >= 0)
        counts = {}
        for label, name in enumerate(self.classes):
            own = table["label"] == label
            counts[name] = {part: int((own & (table["part"] == p) & ~other).sum()) for p, part in enumerate(PARTS)}
            counts[name] |= {"other half": int((own & other).sum())} if data.half >= 0 else {}
        return {
            "format": 1,
            "classes": list(self.classes), "inputs": "roll", "sizes": {"classes": len(self.classes)}, "half": data.half,
            "files": self.ledger.seen, "kept": len(self.pieces), "notes": len(arrays["notes"]), "pieces": counts,
            "artists": len(set(table["group"].tolist())),
            "dropped": self.ledger.dropped(),
            "sources": [
                {**config.plain(source), "name": source.folder, "files": self.ledger.files[s], "kept": kept[s]}
                for s, source in enumerate(data.sources)
            ],
        }  # fmt: skip
