"""The names of token ids: ``"Pitch_60"`` is id 23, is of the kind Pitch and has the value 60.

A vocabulary is a plain list of names ``Kind_value``; ids are places in the list and ids of one kind stand together, in
ascending order of value where the value is a number. It is read from and written to JSON; it holds no music and imports
nothing heavy, so that composing starts fast.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kapelle.errors import BundleError, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Vocabulary:
    """All token names, in the order of their ids."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names) or not all("_" in name for name in self.names):
            raise BundleError("a vocabulary needs distinct names of the form Kind_value")

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __getitem__(self, name: str) -> int:
        """The id of the token `name`.

        Raises:
            UnknownName: There is no such token.
        """
        try:
            return self._index[name]
        except KeyError:
            raise UnknownName("token", name, [n for n in self.names if n.startswith(name.split("_", maxsplit=1)[0] + "_")]) from None

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that occur, in the order of their first id."""
        return tuple(dict.fromkeys(name.split("_", 1)[0] for name in self.names))

    @cached_property
    def kind_of(self) -> NDArray[np.int64]:
        """(V,) the place in `kinds` of the kind of every id."""
        place = {kind: i for i, kind in enumerate(self.kinds)}
        return np.array([place[name.split("_", 1)[0]] for name in self.names], np.int64)

    def value(self, token: int) -> str:
        """What stands after the underscore."""
        return self.names[token].split("_", 1)[1]

    def values(self, kind: str) -> tuple[str, ...]:
        """All values of a kind, in the order of their ids; empty if the kind does not occur."""
        return tuple(name.split("_", 1)[1] for name in self.names if name.split("_", 1)[0] == kind)

    def ids(self, kind: str) -> NDArray[np.int64]:
        """The ids of a kind, ascending; empty if the kind does not occur."""
        if kind not in self.kinds:
            return np.zeros(0, np.int64)
        return np.flatnonzero(self.kind_of == self.kinds.index(kind))

    def mask(self, kinds: Iterable[str]) -> Mask:
        """(V,) true where the id is of one of the kinds."""
        wanted = [self.kinds.index(kind) for kind in kinds if kind in self.kinds]
        return np.isin(self.kind_of, wanted)

    def spell(self, ids: Sequence[int] | NDArray[np.integer]) -> list[str]:
        """The names of ids, for people to read."""
        return [self.names[int(i)] for i in ids]


def save(vocabulary: Vocabulary, path: Path, extra: dict[str, object] | None = None) -> None:
    """Write the vocabulary, and whatever else describes the tokenizer, as JSON."""
    path.write_text(json.dumps({**(extra or {}), "tokens": list(vocabulary.names)}, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


def parse(data: bytes, name: str = "tokenizer.json") -> tuple[Vocabulary, dict[str, object]]:
    """The vocabulary in the bytes of a JSON file, and the rest of what it says; `name` is what an error calls it.

    Raises:
        BundleError: The bytes are no tokenizer.
    """
    try:
        table = json.loads(data)
        names = table.pop("tokens")
        if not all(isinstance(item, str) for item in names):
            raise TypeError("token names are text")
        return Vocabulary(tuple(names)), table
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError("{name} is no tokenizer: {why}", name=name, why=error) from error


def load(path: Path) -> tuple[Vocabulary, dict[str, object]]:
    """The vocabulary in a JSON file, and the rest of what it says.

    Raises:
        BundleError: The file cannot be read or is no tokenizer.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BundleError("cannot read {path}: {why}", path=path, why=error.strerror) from error
    return parse(data, str(path))
