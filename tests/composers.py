"""A small language model of REMI that composes lively nonsense: enough notes, many bar lines, any genre. For tests of composing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

import fakes
from kapelle import config
from kapelle.tokens import remi, vocabulary

if TYPE_CHECKING:
    from pathlib import Path

SPEC = remi.RemiSpec(genres=("pop", "jazz", "edm", "classical"), normalise_key=True)


def build(folder: Path, spec: remi.RemiSpec = SPEC, families: int = 0) -> Path:
    """Write the bundle and return its path. About eight notes fill a bar; melodies stay in the middle of the range."""
    words = remi.vocabulary(spec)
    table = np.zeros((len(words), len(words)), np.float32)
    after_note = table[words.ids("Duration")]
    after_note[:, words["Bar_None"]] = 2.0
    after_note[:, words["EOS_None"]] = 2.0
    after_note[:, words.ids("Position")] = -1.0
    table[words.ids("Duration")] = after_note
    pitches = words.ids("Pitch")
    heights = np.array([int(words.value(int(i))) for i in pitches])
    table[:, pitches] -= ((heights - 64) / 12.0) ** 2
    tokenizer = json.dumps({"codec": "remi", "spec": config.plain(spec), "tokens": list(words.names)}).encode()
    return fakes.markov(folder, table, codec="remi", files={"tokenizer.json": tokenizer}, generation={"top_p": 1.0}, families=families)


def words_of(spec: remi.RemiSpec = SPEC) -> vocabulary.Vocabulary:
    """The vocabulary of such a bundle."""
    return remi.vocabulary(spec)
