"""Folders of music with a class each: what a recipe of a classifier says of them, which files are taken, and the part each goes to.

Parts are dealt by artist before anything is cut: the artists and songs that the recipe names go to the test, the others as
`split.assign` says.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from kapelle.config import setting
from kapelle.data.split import TEST, assign
from kapelle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kapelle.data.cleaning import File


@dataclass(frozen=True)
class LabelledSource:
    """One row of [[data.sources]] of a recipe of codec ``features`` or ``rolls``."""

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
class LabelledSection:
    """The [data] section of such a recipe."""

    sources: tuple[LabelledSource, ...] = setting(help="folders and their classes")
    validation: float = setting(0.06, help="share of every genre for validation", min=0.0, max=0.5)
    test: float = setting(0.08, help="share of every genre for the test, beside those named", min=0.0, max=0.5)
    held_out: tuple[str, ...] = setting((), help="artists (last word of the name, lower case) and songs that are the test wherever met")
    half: int = setting(-1, help="which half of the artists is for training; -1: both", min=-1, max=1)

    def check(self, classes: Sequence[str]) -> None:
        """Refuse sources of no class among `classes`."""
        for source in self.sources:
            if source.of not in classes:
                hint = "add it to tokenizer.classes in the recipe"
                raise UsageError("source {folder!r} is of no class: {genre!r}", genre=source.of, folder=source.folder, hint=hint)

    def chosen(self, files: Sequence[File]) -> list[File]:
        """The files, of each source `at_most` so many; where any source has fewer than all, in the order of a hash of their names."""
        if not any(source.at_most for source in self.sources):
            return list(files)
        taken, out = Counter[int](), []
        for file in sorted(files, key=lambda file: hashlib.sha256("/".join((file.group, *file.path.parts[-2:])).encode()).digest()):
            taken[file.source] += 1
            if taken[file.source] <= (self.sources[file.source].at_most or len(files)):
                out.append(file)
        return out

    def dealt(self, files: Iterable[File]) -> list[int]:
        """The part of every file."""
        files = list(files)
        named = {*self.held_out}
        held = [bool(named & {file.group, file.group.rsplit("/", 1)[-1]}) for file in files]
        free = [(self.sources[file.source].genre, file.group) for file, out in zip(files, held, strict=True) if not out]
        parts = iter(assign(free, self.validation, self.test))
        return [TEST if out else next(parts) for out in held]
