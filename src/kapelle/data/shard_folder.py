"""A folder of shards of any kind: arrays as ``NAME.npy``, and ``shards.json``, which says what they are and is written last.

Takes arrays by name and a table, gives the folder, and back. What the arrays mean, and whether they fit one another, the file of each kind
knows: `shards` (tokens), `phrase_shards`, `theme_shards`, `fragment_shards`. This file needs numpy alone.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.data.storage import put_arrays, put_text, writing
from kapelle.errors import ShardError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

INFO = "shards.json"


def write(path: Path, info: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Write a folder of shards and return what ``shards.json`` says: `info` and a fingerprint of the arrays.

    Whoever reads older shards there keeps them; a kill in between leaves a folder that is none.

    Args:
        path: The folder; made if need be.
        info: What the arrays are.
        arrays: By name.

    Raises:
        StorageError: The disk is full or not writable.
    """
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        (path / INFO).unlink(missing_ok=True)
        made = {**info, "fingerprint": put_arrays(path, arrays)}
        put_text(path / INFO, json.dumps(made, indent=1, ensure_ascii=False) + "\n")
    return made


@contextmanager
def reading(path: Path) -> Iterator[dict[str, Any]]:
    """What ``shards.json`` says; inside, whatever reading and checking damaged shards raises becomes a `ShardError`."""
    try:
        yield json.loads((path / INFO).read_text(encoding="utf-8"))
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ShardError("the shards in {path} are damaged: {why}", path=path, why=error, hint="prepare them again") from error


def mapped(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The arrays `names` of a folder, memory-mapped and read-only."""
    return {name: np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names}
