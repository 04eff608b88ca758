"""Transposition and loudness changes as tables from id to id, so that training needs to know nothing of music.

Takes a vocabulary, gives integer tables (K, V): row k says what every id becomes. Pitches move within their range (a piece is
only moved as far as all its notes stay inside, see `shift_range`), keys move with them, drums stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kapelle.tokens.remi import TONICS

if TYPE_CHECKING:
    from kapelle.tokens.vocabulary import Vocabulary

MAX_SEMITONES = 6
MAX_LEVELS = 2

Table = NDArray[np.uint16]


def transposition_table(words: Vocabulary) -> Table:
    """(2·6 + 1, V) ids after moving by -6 ... +6 semitones; an id that would leave its range stays what it is."""
    rows = []
    for semitones in range(-MAX_SEMITONES, MAX_SEMITONES + 1):
        row = np.arange(len(words), dtype=np.uint16)
        for i in words.ids("Pitch"):
            name = f"Pitch_{int(words.value(int(i))) + semitones}"
            if name in words:
                row[i] = words[name]
        for i in words.ids("Key"):
            tonic, mode = words.value(int(i)).split("-")
            row[i] = words[f"Key_{TONICS[(TONICS.index(tonic) + semitones) % 12]}-{mode}"]
        rows.append(row)
    return np.stack(rows)


def velocity_table(words: Vocabulary) -> Table:
    """(2·2 + 1, V) ids after making all notes softer or louder by -2 ... +2 levels, clipped at both ends."""
    levels = words.ids("Velocity")
    rows = []
    for change in range(-MAX_LEVELS, MAX_LEVELS + 1):
        row = np.arange(len(words), dtype=np.uint16)
        if len(levels):
            row[levels] = levels[np.clip(np.arange(len(levels)) + change, 0, len(levels) - 1)]
        rows.append(row)
    return np.stack(rows)


def shift_range(ids: NDArray[np.integer], words: Vocabulary) -> tuple[int, int]:
    """How far down and up a piece can move with every pitch still in range, each limited to six semitones: (-6..0, 0..6)."""
    pitch_ids = words.ids("Pitch")
    used = ids[np.isin(ids, pitch_ids)]
    if not len(used):
        return 0, 0
    pitches = np.array([int(words.value(int(i))) for i in pitch_ids])
    low, high = pitches[np.searchsorted(pitch_ids, used.min())], pitches[np.searchsorted(pitch_ids, used.max())]
    return max(-MAX_SEMITONES, int(pitches[0] - low)), min(MAX_SEMITONES, int(pitches[-1] - high))
