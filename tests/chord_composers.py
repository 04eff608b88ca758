"""A small model of notes and chords that composes lively nonsense, for tests of composing. With symbols alone it is a faithful one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

import fakes
from kapelle import config
from kapelle.composing import seeds
from kapelle.score.write import to_bytes
from kapelle.tokens import chords, vocabulary

if TYPE_CHECKING:
    from pathlib import Path

SPEC = chords.ChordSpec(min_count=1)
FAITHFUL = chords.ChordSpec(min_count=1, real_pitches=False, attributes=False, velocities=0, rare="drop")
CHORDS = ((48, 52, 55), (60, 64, 67), (57, 60, 64), (62, 65, 69), (55, 59, 62), (53, 57, 60))


def words_of(spec: chords.ChordSpec) -> vocabulary.Vocabulary:
    """Notes from C2 to C7, some triads, and what the built-in seed needs."""
    music = [chords.Item((pitch,), 6, 6, 72) for pitch in range(36, 97)]
    music += [chords.Item(pitches, 12, 12, 72) for pitches in CHORDS]
    return chords.vocabulary([[*music, *chords.items(to_bytes(seeds.opening()))]], spec)


def build(folder: Path, spec: chords.ChordSpec = SPEC, **options: Any) -> Path:
    """Write the bundle and return its path. Melodies stay in the middle; most items are eighths and quarters, some begin together."""
    words = words_of(spec)
    table = np.zeros((len(words), len(words)), np.float32)
    for i in words.ids("Symbol").tolist():
        pitches = chords.pitches_of(words.value(i))
        table[:, i] -= ((np.mean(pitches) - 64) / 10.0) ** 2 + (len(pitches) > 1)
    for kind in ("Duration", "Offset"):
        table[:, words.ids(kind)] -= 5.0
        for steps in (0, 3, 6, 12):
            if f"{kind}_{steps}" in words:
                table[:, words[f"{kind}_{steps}"]] += 5.0
    tokenizer = json.dumps({"codec": "chords", "spec": config.plain(spec), "tokens": list(words.names)}).encode()
    generation = {"top_p": 1.0}
    return fakes.markov(folder, table, codec="chords", files={"tokenizer.json": tokenizer}, generation=generation, **options)
