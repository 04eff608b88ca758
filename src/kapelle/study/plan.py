"""What a study asks: axes with names and values, whose combinations are its cells.

Takes plain values, gives cells in a fixed order, each with a name that is also that of its files. It makes no music.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

from kapelle.errors import UsageError

MAX_CELLS = 10_000


@dataclass(frozen=True)
class Axis:
    """What is varied.

    Args:
        name: A word or two, such as "band".
        values: Each once, at least one.
        told: What is shown in place of each value; the values themselves if left out.
        paged: Every value has a page of its own.
    """

    name: str
    values: tuple[str, ...]
    told: tuple[str, ...] = ()
    paged: bool = False

    def __post_init__(self) -> None:
        if not self.values or len(set(self.values)) < len(self.values):
            raise UsageError(
                "the axis {name} needs values, each once, not {values}", name=self.name, values=", ".join(self.values) or "none"
            )

    @cached_property
    def slugs(self) -> dict[str, str]:
        """Value -> its part of the names of files, no two alike."""
        out: dict[str, str] = {}
        for value in self.values:
            name, number = slug(self.label(value)), 2
            while name in out.values():
                name, number = f"{slug(self.label(value))}-{number}", number + 1
            out[value] = name
        return out

    def label(self, value: str) -> str:
        """What is shown for a value."""
        return self.told[self.values.index(value)] if self.told else value


@dataclass(frozen=True)
class Cell:
    """One combination.

    Args:
        values: Axis -> value.
        name: Of its files, without suffix.
    """

    values: Mapping[str, str]
    name: str


@dataclass(frozen=True)
class Plan:
    """A study.

    Args:
        name: Of the kind of study, such as "bridge".
        title: For people.
        axes: The first varies slowest.
        settings: Whatever else the cells depend on, ready for JSON: seed, bars, hashes of bundles ...
        note: A paragraph for people: what is compared, and what to listen for.
        least_s: Pieces shorter than so many seconds are counted as short.
        figures: Which are shown, by their names in `figures.known`; all if empty.
        classifiers: Names of bundles that say which genre each piece is; those that are not installed are left out, and told.
    """

    name: str
    title: str
    axes: tuple[Axis, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    least_s: float = 30.0
    figures: tuple[str, ...] = ()
    classifiers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n_cells = self.n_cells
        if n_cells > MAX_CELLS:
            raise UsageError("a study has at most {most} cells, not {cells}", most=MAX_CELLS, cells=n_cells)

    @property
    def n_cells(self) -> int:
        """Combinations."""
        out = 1
        for axis in self.axes:
            out *= len(axis.values)
        return out

    def cells(self) -> Iterator[Cell]:
        """All combinations, the last axis varying fastest."""
        for values in product(*(axis.values for axis in self.axes)):
            name = "_".join(f"{slug(axis.name)}-{axis.slugs[value]}" for axis, value in zip(self.axes, values, strict=True))
            yield Cell(dict(zip((axis.name for axis in self.axes), values, strict=True)), name)

    @property
    def fingerprint(self) -> str:
        """The same for the same axes and settings: what is in a folder of another study is not of this one."""
        text = json.dumps(
            [self.name, [[axis.name, axis.values] for axis in self.axes], dict(self.settings), self.least_s], sort_keys=True, default=str
        )
        return hashlib.sha256(text.encode()).hexdigest()


def slug(text: str) -> str:
    """`text` as part of the name of a file: small letters, figures, points and hyphens."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.") or "x"
