"""What was measured so far, in a file beside the report, so that an interrupted evaluation goes on.

One line of JSON for each piece, under a hash of its bytes and of all that decides its figures: length, seed, bundles, version. Lines that
cannot be read are measured again. Whoever named the file takes it away when the report is written.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.errors import StorageError
from kapelle.judging.excerpts import Found, Job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kapelle.workers import Workers

EDITION = 1
"""Raise it when `excerpts.measure` gives other figures for the same bytes."""


class Kept:
    """Pieces by their keys; without a file they are kept nowhere.

    Args:
        path: Where they are; made when the first piece is there.
        hashes: Of the bundles that have a say, and the version of the program.
    """

    def __init__(self, path: Path | None, hashes: Sequence[str] = ()) -> None:
        self._path = path
        self._hashes = [str(EDITION), *hashes]
        self._known: dict[str, Found] = {}
        if path is not None and path.is_file():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    key, table = json.loads(line)
                    self._known[str(key)] = found_of(table)
                except (ValueError, TypeError, KeyError):
                    continue

    def all_of(
        self, work: Callable[[Job], Found], jobs: Sequence[Job], workers: Workers, progress: Callable[[int, int], None]
    ) -> list[Found]:
        """What became of every job, in order; those that are known are not measured again.

        Raises:
            StorageError: The file cannot be written.
        """
        keys = [self._key(job) for job in jobs]
        missing = [place for place, key in enumerate(keys) if key not in self._known]
        found = {place: replace(self._known[key], name=jobs[place].name) for place, key in enumerate(keys) if key in self._known}
        done = len(found)
        for place, one in zip(missing, workers.map(work, [jobs[place] for place in missing]), strict=True):
            found[place] = one
            self._keep(keys[place], one)
            done += 1
            progress(done, len(jobs))
        return [found[place] for place in range(len(jobs))]

    def _keep(self, key: str, one: Found) -> None:
        if self._path is None:
            return
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([key, asdict(one)]) + "\n")
        except OSError as error:
            raise StorageError("{path} cannot be written: {why}", path=self._path, why=error.strerror or str(error)) from error

    def _key(self, job: Job) -> str:
        parts = [*self._hashes, repr(job.how), str(job.shuffled)]
        if isinstance(job.source, bytes):
            parts.append(hashlib.sha256(job.source).hexdigest())
        else:
            parts += [_digest(job.source), _digest(job.source.with_suffix(".json"))]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def found_of(table: dict[str, Any]) -> Found:
    """The `Found` in a table made by `dataclasses.asdict`, also after a way through JSON."""
    rows = {name: tuple(table[name]) for name in ("broken", "vector", "warnings")}
    return Found(**{**table, **rows})


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    except OSError:
        return ""
