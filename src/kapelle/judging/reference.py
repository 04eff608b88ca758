"""Real music to compare candidates with: where it lies in feature space, and how surprising it is to a model.

Takes pieces of real music, or the name of a model that ships; gives a `Reference`. Those of the shipped models are in ``reference.npz``,
made by ``benchmarks/ranking.py reference`` from music that the models were trained on (where it lies) and from music that training did not
learn from (how surprising it is); none of it is music that anything is evaluated on. Plain arrays, no pickle.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from kapelle.judging.outliers import Middle

FILE = "reference.npz"
SEPARATOR = "/"
TEXTS, NUMBERS = ("names", "groups"), ("location", "scale", "centres", "typical")


@dataclass(frozen=True)
class Reference:
    """Real music.

    Args:
        middle: Where it lies; None if not known.
        bits_per_note: Genre -> mean and deviation of its pieces; "" for all music.
    """

    middle: Middle | None = None
    bits_per_note: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def bits(self, genre: str = "") -> tuple[float, float] | None:
        """Mean and deviation of the bits per note of real music of a genre, or of all of it; None if not known."""
        return self.bits_per_note.get(genre, self.bits_per_note.get(""))


NOTHING = Reference()


def of_model(name: str) -> Reference:
    """The reference of a model that ships; `NOTHING` for others, and where features have changed since it was made."""
    return _shipped().get(name, NOTHING)


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Reference]:
    place = resources.files("kapelle.judging").joinpath(FILE)
    return unpacked(place.read_bytes()) if place.is_file() else {}


def packed(references: Mapping[str, Reference]) -> bytes:
    """Bytes that hold references by name; what several have in common is there once."""
    arrays: dict[str, np.ndarray] = {}
    holders: dict[int, str] = {}
    for name, one in references.items():
        genres = sorted(one.bits_per_note)
        arrays[f"{name}/bits_genres"] = np.array(genres, np.str_)
        arrays[f"{name}/bits"] = np.array([one.bits_per_note[genre] for genre in genres], np.float64).reshape(-1, 2)
        if one.middle is None:
            continue
        holder = holders.setdefault(id(one.middle), name)
        arrays[f"{name}/middle"] = np.array(holder)
        if holder == name:
            arrays |= {f"{name}/{item}": np.array(getattr(one.middle, item), np.str_) for item in TEXTS}
            arrays |= {f"{name}/{item}": np.asarray(getattr(one.middle, item), np.float32) for item in NUMBERS}
            arrays[f"{name}/precision"] = one.middle.precision[np.triu_indices(len(one.middle.names))].astype(np.float32)
    held = io.BytesIO()
    np.savez_compressed(held, **arrays)  # type: ignore[arg-type]
    return held.getvalue()


def unpacked(data: bytes) -> dict[str, Reference]:
    """The references in bytes of `packed`."""
    with np.load(io.BytesIO(data), allow_pickle=False) as held:
        arrays: dict[str, Any] = {key: held[key] for key in held.files}
    out: dict[str, Reference] = {}
    for name in dict.fromkeys(key.rpartition(SEPARATOR)[0] for key in arrays):
        genres = arrays[f"{name}/bits_genres"].tolist()
        bits = {genre: (float(mean), float(deviation)) for genre, (mean, deviation) in zip(genres, arrays[f"{name}/bits"], strict=True)}
        holder = str(arrays.get(f"{name}/middle", ""))
        middle = out[holder].middle if holder in out else _middle(arrays, name) if holder else None
        out[name] = Reference(middle, bits)
    return out


def _middle(arrays: Mapping[str, Any], name: str) -> Middle | None:
    """The middle of a name; None if features have changed since."""
    names, groups = (tuple(arrays[f"{name}/{item}"].tolist()) for item in TEXTS)
    if not _is_current(names):
        return None
    location, scale, centres, typical = (arrays[f"{name}/{item}"].astype(np.float64) for item in NUMBERS)
    width = len(names)
    precision = np.zeros((width, width))
    precision[np.triu_indices(width)] = arrays[f"{name}/precision"]
    precision += np.triu(precision, 1).T
    return Middle(names, groups, location, scale, centres, precision, typical)


def _is_current(names: Sequence[str]) -> bool:
    """Whether features still have these names."""
    from kapelle.classifiers import midi_features

    return tuple(names) == tuple(midi_features.NAMES)


def of_folder(rows: np.ndarray, labels: Sequence[str], names: Sequence[str]) -> Reference:
    """The reference of features (N, F) of real pieces; it says nothing about bits per note."""
    from kapelle.judging.outliers import fit

    return Reference(fit(rows, labels, names))


def write(references: Mapping[str, Reference], path: Path) -> None:
    """Write references to a file."""
    path.write_bytes(packed(references))
