"""What became of every file that was read for training: kept, or left out and why.

Takes the results of reading in a fixed order, and a function that takes what is fit; keeps counts by source and by reason. Every way of
preparing has one, so a report of any shards tells the same things in the same words.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.data.clean import Rejected
from kapelle.data.split import PARTS
from kapelle.errors import UsageError

if TYPE_CHECKING:
    from kapelle.data.cleaning import File


class Ledger:
    """The files of one preparation: how many were `seen`; by source, how many `files` there were; by reason, how many were `rejected`."""

    def __init__(self) -> None:
        self.seen = self.kept = 0
        self.files, self.rejected = Counter[int](), Counter[str]()
        self._fates: list[tuple[Path, str]] = []  # every file, and why it was left out; "" if it was kept
        self._known: set[bytes] = set()

    def take_all(
        self,
        batches: Iterable[tuple[Sequence[File], Sequence[Any]]],
        n_files: int,
        take: Callable[[File, Any], str],
        progress: Callable[[int, int], None],
    ) -> None:
        """Go through the results of reading.

        Args:
            batches: Files and their results, side by side.
            n_files: Files in all.
            take: Keeps a result that is fit, and gives ""; or gives why it is left out.
            progress: Called with (files done, in all) after each batch.

        Raises:
            UsageError: Nothing was kept.
        """
        for files, results in batches:
            for file, result in zip(files, results, strict=True):
                self._enter(file, result.reason if isinstance(result, Rejected) else take(file, result))
            progress(self.seen, n_files)
        if not self.kept:
            why = ", ".join(f"{n} {reason}" for reason, n in self.rejected.most_common())
            hint = "the limits are in [preprocessing] of the recipe, the metres in [tokenizer]"
            raise UsageError("none of {n} files is fit for training: {why}", n=n_files, why=why, hint=hint)

    def _enter(self, file: File, why: str) -> None:
        self.seen += 1
        self.files[file.source] += 1
        self._fates.append((file.path, why))
        if why:
            self.rejected[why] += 1
        else:
            self.kept += 1

    def is_new(self, data: bytes) -> bool:
        """Whether these bytes were not asked about before."""
        digest = hashlib.sha256(data).digest()
        new = digest not in self._known
        self._known.add(digest)
        return new

    def dropped(self) -> dict[str, int]:
        """Reason -> files that were left out for it, by name."""
        return dict(sorted(self.rejected.items()))

    def files_under(self, folder: Path, kept: Iterable[dict[str, str]]) -> list[dict[str, str]]:
        """Every file by its name below `folder`, with why it was left out, or what `kept` says of each that was kept, in order."""
        each = iter(kept)
        return [{"file": path.relative_to(folder).as_posix(), **({"dropped": why} if why else next(each))} for path, why in self._fates]


def in_parts(parts: Iterable[int]) -> Iterable[dict[str, str]]:
    """What a report says of kept files that went to `parts`."""
    return ({"part": PARTS[part]} for part in parts)
