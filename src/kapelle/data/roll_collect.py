"""Views of files, one after the other, to roll shards and their report: what a classifier of rolls learns from.

Takes results of `roll_reading` in a fixed order; pieces with equal notes are kept once, the first one. Parts are dealt by artist before
anything is cut: the artists and songs that the recipe names go to the test, the others as `split.assign` says. Every piece also tells the
half that its artist is in, so that two classifiers can learn from different artists.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kapelle import config
from kapelle.config import setting
from kapelle.data import roll_shards
from kapelle.data.clean import Rejected
from kapelle.data.cleaning import read_all
from kapelle.data.collect import nothing_fit
from kapelle.data.roll_reading import RollPiece, RollReading
from kapelle.data.roll_shards import PIECE
from kapelle.data.split import PARTS, TEST, TRAIN, assign, half
from kapelle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from kapelle.data.cleaning import File
    from kapelle.data.recipe import RollPreparation


@dataclass(frozen=True)
class RollSource:
    """One row of [[data.sources]] of a recipe of codec ``rolls``."""

    folder: str = setting(help="folder below the data folder")
    genre: str = setting(help="class of everything in it")
    group: str = setting(
        "parent",
        help="what must not be split: files of one parent folder, files of one name, or each file alone",
        choices=("parent", "file", "path"),
    )
    licence: str = setting("not stated", help="licence of the music, for the card")
    tracks: int = setting(0, help="keep so many tracks from the first on; 0: all", min=0)
    align: ClassVar[str] = ""  # files stand on their own bars


@dataclass(frozen=True)
class RollSection:
    """The [data] section of a recipe of codec ``rolls``."""

    sources: tuple[RollSource, ...] = setting(help="folders and their classes")
    validation: float = setting(0.06, help="share of every class for validation", min=0.0, max=0.5)
    test: float = setting(0.08, help="share of every class for the test, beside those named", min=0.0, max=0.5)
    held_out: tuple[str, ...] = setting((), help="artists (last word of the name, lower case) and songs that are the test wherever met")
    half: int = setting(-1, help="which half of the artists is for training; -1: both", min=-1, max=1)


class RollCollector:
    """Gathers views into the arrays of the roll shards."""

    def __init__(self, preparation: RollPreparation) -> None:
        self.preparation = preparation
        self.classes = preparation.tokenizer.classes
        for source in preparation.data.sources:
            if source.genre not in self.classes:
                hint = "add it to tokenizer.classes in the recipe"
                raise UsageError("source {folder!r} is of no class: {genre!r}", genre=source.genre, folder=source.folder, hint=hint)
        self.pieces: list[tuple[File, RollPiece]] = []
        self.fates: list[tuple[Path, str]] = []  # every file, and why it was left out; "" if it was kept
        self.rejected, self.files = Counter[str](), Counter[int]()
        self.known: set[bytes] = set()
        self.seen = 0

    def collect(self, files: Sequence[File], cache: Path, processes: int, progress: Callable[[int, int], None]) -> None:
        """Read all files, tell the progress, and refuse if none is fit."""
        reading = RollReading(self.preparation.preprocessing, tuple(source.tracks for source in self.preparation.data.sources))
        with closing(read_all(files, reading, cache, processes)) as results:
            for batch, found in results:
                for file, result in zip(batch, found, strict=True):
                    self.add(file, result)
                progress(self.seen, len(files))
        if not self.pieces:
            raise nothing_fit(self.rejected, len(files))
        self.parts = self._dealt()

    def add(self, file: File, result: RollPiece | Rejected) -> None:
        """Take one file's result."""
        self.seen += 1
        self.files[file.source] += 1
        if isinstance(result, RollPiece):
            digest = hashlib.sha256(result.view.notes.tobytes()).digest()
            result = Rejected("the same as another piece") if digest in self.known else result
            self.known.add(digest)
        self.fates.append((file.path, result.reason if isinstance(result, Rejected) else ""))
        if isinstance(result, Rejected):
            self.rejected[result.reason] += 1
        else:
            self.pieces.append((file, result))

    def _dealt(self) -> list[int]:
        """The part of every piece."""
        data = self.preparation.data
        named = {*data.held_out}
        held = [bool(named & {file.group, file.group.rsplit("/", 1)[-1]}) for file, _ in self.pieces]
        free = [(data.sources[file.source].genre, file.group) for (file, _), out in zip(self.pieces, held, strict=True) if not out]
        parts = iter(assign(free, data.validation, data.test))
        return [TEST if out else next(parts) for out in held]

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
            label = self.classes.index(sources[file.source].genre)
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
        parts = iter(self.parts)
        return [
            {"file": path.relative_to(folder).as_posix(), **({"dropped": why} if why else {"part": PARTS[next(parts)]})}
            for path, why in self.fates
        ]

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
            "files": self.seen, "kept": len(self.pieces), "notes": len(arrays["notes"]), "pieces": counts,
            "artists": len(set(table["group"].tolist())),
            "dropped": dict(sorted(self.rejected.items())),
            "sources": [
                {**config.plain(source), "name": source.folder, "files": self.files[s], "kept": kept[s]}
                for s, source in enumerate(data.sources)
            ],
        }  # fmt: skip
