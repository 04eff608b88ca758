"""Feature tables that somebody else measured: a CSV file with a header to a table to grow trees from.

Takes files with a row for each recording, a column of labels and columns of numbers, which are taken as they are; gives the arrays of
`kapelle.data.feature_tables`. Rows are dealt as scikit-learn's ``train_test_split(rows, test_size=..., random_state=seed)`` deals them,
so that figures stand beside those of others. Nothing is known of artists: a test row may be the neighbour of a training row, or the same
again; how many are the same, ``shards.json`` says (``twins``).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.config import setting
from kapelle.data import feature_tables
from kapelle.data.cleaning import File
from kapelle.data.feature_tables import ROW
from kapelle.data.split import PARTS, TEST, TRAIN
from kapelle.errors import Missing, UnreadableInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from kapelle.data.recipe import TablePreparation

MAX_BYTES = 1 << 28


@dataclass(frozen=True)
class TableSource:
    """One row of [[data.sources]] of a recipe of codec ``table``."""

    folder: str = setting(help="folder below the data folder")
    file: str = setting(help="name of the CSV file in it")
    licence: str = setting("not stated", help="licence of the table, for the card")


@dataclass(frozen=True)
class TableSection:
    """The [data] section of a recipe of codec ``table``."""

    sources: tuple[TableSource, ...] = setting(help="tables, all with the same columns")
    test: float = setting(0.3, help="share of the rows for the test", min=0.0, max=0.9)
    seed: int = setting(42, help="of the split", min=0)
    label: str = setting("label", help="the column that tells the class")
    leave_out: tuple[str, ...] = setting((), help="columns that are not features")


@dataclass(frozen=True)
class TableRules:
    """The [preprocessing] section of a recipe of codec ``table``: numbers are taken as they are."""


class TableCollector:
    """Gathers tables into one."""

    def __init__(self, preparation: TablePreparation) -> None:
        self.preparation = preparation
        self.seen = 0
        self.names: tuple[str, ...] = ()
        self.rows: list[list[float]] = []
        self.labels: list[int] = []
        self.sources: list[int] = []
        self.paths: list[Path] = []

    def collect(self, files: Sequence[File], cache: Path, processes: int, progress: Callable[[int, int], None]) -> None:
        """Read all tables; there is nothing worth being kept in `cache`."""
        cache.parent.mkdir(parents=True, exist_ok=True)
        for file in files:
            self._read(file)
            self.seen += 1
            progress(self.seen, len(files))

    def _read(self, file: File) -> None:
        data = self.preparation.data
        try:
            if file.path.stat().st_size > MAX_BYTES:
                raise ValueError("it is too large")
            with file.path.open(encoding="utf-8", newline="") as lines:
                table = csv.DictReader(lines)
                names = tuple(name for name in table.fieldnames or () if name not in (data.label, *data.leave_out))
                if self.names not in ((), names):
                    raise ValueError("its columns are not those of the first table")
                for row in table:
                    self.labels.append(self.preparation.tokenizer.classes.index(row[data.label]))
                    self.rows.append([float(row[name]) for name in names])
                    self.sources.append(file.source)
        except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
            raise UnreadableInput("{path} is not such a table: {why}", path=file.path, why=error) from error
        self.names = names
        self.paths.append(file.path)

    def files_under(self, folder: Path) -> list[dict[str, str]]:
        """The tables by their names below `folder`."""
        return [{"file": path.relative_to(folder).as_posix(), "part": PARTS[TRAIN]} for path in self.paths]

    def write(self, out: Path) -> dict[str, Any]:
        """Write the table, and return what ``shards.json`` says."""
        rows = np.array(self.rows, np.float32).reshape(len(self.rows), len(self.names))
        table = np.zeros(len(rows), ROW)
        table["label"], table["source"] = self.labels, self.sources
        table["piece"] = np.arange(len(rows))
        _, table["group"] = np.unique(rows, axis=0, return_inverse=True)
        table["part"] = split(len(rows), self.preparation.data.test, self.preparation.data.seed)
        return feature_tables.write(out, self._info(table), rows, table)

    def _info(self, table: NDArray[Any]) -> dict[str, Any]:
        data, spec = self.preparation.data, self.preparation.tokenizer
        train, test = (table["group"][table["part"] == part] for part in (TRAIN, TEST))
        sources = [
            {"name": f"{s.folder}/{s.file}", "licence": s.licence, "kept": int((table["source"] == i).sum())}
            for i, s in enumerate(data.sources)
        ]
        return {
            "classes": list(spec.classes), "features": list(self.names), "inputs": spec.inputs, "files": self.seen, "kept": len(table),
            "twins": int(np.isin(test, train).sum()), "dropped": {}, "left_out": list(data.leave_out), "sources": sources,
        }  # fmt: skip


def find_tables(folder: Path, preparation: TablePreparation) -> list[File]:
    """The tables of all sources.

    Raises:
        Missing: One is not there.
    """
    found = [File(folder / source.folder / source.file, number, source.file) for number, source in enumerate(preparation.data.sources)]
    for file in found:
        if not file.path.is_file():
            raise Missing("no table at {path}", path=file.path, hint="`kapelle data list` names the tables that can be fetched")
    return found


def split(n_rows: int, test: float, seed: int) -> NDArray[np.uint8]:
    """TRAIN or TEST for each of `n_rows`, as scikit-learn's ``train_test_split`` with ``random_state=seed`` and no strata has it."""
    parts = np.full(n_rows, TRAIN, np.uint8)
    order = np.random.RandomState(seed).permutation(n_rows)  # the generator that this well-known split is made with
    parts[order[: int(np.ceil(test * n_rows))]] = TEST
    return parts
