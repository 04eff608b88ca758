"""The control tokens that stand before every block: genre first, then composer, key, tempo and instruments.

Takes what is known or wished for, gives ids. What is not known is left out; a model trained so composes without it too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kapelle.score.families import NAMES

if TYPE_CHECKING:
    from kapelle.tokens.vocabulary import Vocabulary


@dataclass(frozen=True)
class Controls:
    """What can be told to a language model before the first bar. Empty values are not told."""

    genre: str = ""
    composer: int | None = None
    key: str = ""  # "C-major", as in the vocabulary
    bpm: float | None = None
    instruments: tuple[str, ...] = ()  # families of score.families.NAMES


def prefix(controls: Controls, words: Vocabulary) -> list[int]:
    """The ids of the controls, in their fixed order."""
    names = [f"Genre_{controls.genre}"] if controls.genre else []
    if controls.composer is not None:
        names.append(f"Composer_{controls.composer}")
    if controls.key:
        names.append(f"Key_{controls.key}")
    ids = [words[name] for name in names]
    if controls.bpm is not None:
        ids.append(nearest_bpm(controls.bpm, words))
    ids += [words[f"Instrument_{name}"] for name in NAMES if name in controls.instruments]
    return ids


def nearest_bpm(bpm: float, words: Vocabulary) -> int:
    """The id of the tempo token nearest to `bpm`, by ratio."""
    ids = words.ids("Bpm")
    levels = np.log([float(words.value(int(i))) for i in ids])
    return int(ids[np.argmin(np.abs(levels - math.log(max(bpm, 1.0))))])
