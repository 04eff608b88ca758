"""Pieces of two kinds that nobody could mistake: high and quick, low and slow; as MIDI folders and as shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import symusic

from kapelle.data.prepare import preparation, prepare
from kapelle.score import write
from pieces import score, track

Q = 480

RECIPE = """
name = "tiny-judge"
family = "genre_judge"
codec = "rolls"
objective = "classifier"

[data]
validation = 0.25
test = 0.2
held_out = ["zed", "song3"]
half = {half}
sources = [
  {{ folder = "quick", genre = "edm", licence = "CC0" }},
  {{ folder = "slow", genre = "jazz", group = "file", licence = "CC0" }},
]

[tokenizer]
classes = ["edm", "jazz"]

[preprocessing]
min_bars = 4
min_notes = 20

[model]
channels = [4, 6, 6, 8]
d_model = 12
d_embed = 6
dropout = 0.0

[training]
steps = 60
batch_size = 8
learning_rate = 1e-2
warmup_steps = 4
precision = "32-true"
balance = 1.0
semitones = 2
validate_every = 20
"""


def piece(kind: str, seed: int, bars: int = 8) -> symusic.Score:
    """Eighths from the fifth octave up ("quick"), or halves from the second ("slow")."""
    draw = np.random.default_rng(seed)
    quick = kind == "quick"
    step, low = (Q // 2, 72) if quick else (2 * Q, 36)
    times = np.arange(0, bars * 4 * Q, step)
    notes = [(int(at), step, int(low + pitch), 80) for at in times for pitch in draw.choice(12, 1 if quick else 3, replace=False)]
    return score(track(*notes))


def write_folder(folder: Path, n: int = 8) -> Path:
    """`n` pieces of each kind; the quick ones by artists of one song each."""
    for kind in ("quick", "slow"):
        for number in range(n):
            artist = ("zed" if number == 0 else f"artist{number}") if kind == "quick" else "all"
            place = folder / kind / artist / f"song{number}.mid"
            place.parent.mkdir(parents=True, exist_ok=True)
            write.write(piece(kind, 10 * number + len(kind)), place)
    return folder


def write_shards(folder: Path, half: int = -1, n: int = 8) -> Path:
    """Shards of such a folder, prepared by the recipe, which lies beside them as ``recipe.toml``."""
    midi, recipe, out = write_folder(folder / "midi", n), folder / "recipe.toml", folder / "shards"
    recipe.write_text(RECIPE.format(half=half), encoding="utf-8")
    prepare(midi, preparation(recipe), out)
    return out


def options(**more: Any) -> dict[str, Any]:
    """What a bundle of such a judge says."""
    return {"classes": ["edm", "jazz"], "inputs": "roll", **more}
