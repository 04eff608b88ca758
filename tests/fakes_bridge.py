"""A small band and songs in its kind of tokens: what training both together needs, in two bars of four steps and twelve pitches."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from kapelle.data import phrase_shards, theme_shards
from kapelle.models.soft_bridge import soft_theme
from kapelle.training import bridge_joint

if TYPE_CHECKING:
    from pathlib import Path

STEPS, PITCHES, LOWEST = 4, 12, 48
TRACKS = ("piano", "guitar")
NAMES = [
    "PAD_None",
    *(f"Note-On-{track}_{pitch}" for track in ("MELODY", "PIANO") for pitch in range(LOWEST, LOWEST + PITCHES)),
    *(f"Note-Duration-{track}_{steps}" for track in ("MELODY", "PIANO") for steps in range(1, 9)),
    *(f"Note-Velocity-{track}_80" for track in ("MELODY", "PIANO")),
    *(f"Position_{step}" for step in range(STEPS)),
    "Bar_None", "Theme_Start", "Theme_End",
]  # fmt: skip
SHAPE = {"d_model": 16, "n_head": 2, "d_ff": 32, "n_encoder": 1, "n_decoder": 2, "exclusive": [0, 1], "n_positions": 256, "dropout": 0.0}
RECIPE = """
name = "tiny-joint"
family = "bridge_joint"
codec = "roll"
objective = "bridge_joint"
[model]
model = "composer"
width = 0.05
latent_std = 1.0
[model.transformer]
vocabulary = 1
{shape}
[training]
steps = 4
batch_size = 8
learning_rate = 0.002
warmup_steps = 0
beta1 = 0.5
clip_norm = 0.0
precision = "32-true"
validate_every = 2
validation_blocks = 4
log_every = 1
[training.adversarial]
critic_steps = 1
validation_phrases = 8
[training.bridge]
judged = 4
songs = 2
validation_themes = 4
"""


def write_data(path: Path) -> Path:
    """Phrases of a band, with songs of the same kind inside their folder."""
    draw = np.random.default_rng(0)
    cells = draw.random((32, 2, 2, STEPS, PITCHES)) < 0.15
    write_phrases(path, cells)
    write_songs(path / "themes", soft_theme(torch.from_numpy(np.where(cells, 1.0, -1.0)), places(path)).ids)
    return path


def write_phrases(path: Path, cells: np.ndarray, tracks: tuple[str, ...] = TRACKS) -> None:
    phrases = np.zeros(len(cells), phrase_shards.PHRASE)
    phrases["song"], phrases["present"] = np.arange(len(cells)), 0b11
    phrases["part"][: len(cells) // 4] = 1
    info: dict[str, Any] = {
        "tracks": list(tracks),
        "sizes": {"n_tracks": 2, "n_bars": 2, "n_steps": cells.shape[3], "n_pitches": PITCHES},
        "form": {"name": "tiny", "steps_per_bar": cells.shape[3], "n_pitches": PITCHES, "lowest_pitch": LOWEST},
        "sources": [{"name": "made", "licence": "ours"}],
    }
    phrase_shards.write(path, info, {"cells": phrase_shards.pack(cells), "phrases": phrases})


def write_songs(path: Path, themes: torch.Tensor) -> None:
    """Songs that are a theme and the same again."""
    ids, songs, windows = [], [], []
    for number, row in enumerate(themes.numpy()):
        one, start = row[row > 0], sum(map(len, ids))
        ids.append(np.tile(one, 2))
        songs.append((start, start + 2 * len(one), start, start + len(one), 8, 4, number < 8, 0, 0, 0))
        windows.append((number, start, min(start + 65, start + 2 * len(one))))
    every = np.concatenate(ids).astype(np.uint16)
    labels = np.concatenate([np.tile(np.append(np.arange(1, len(one) // 2), 0), 2) for one in ids]).astype(np.uint16)
    pitches = [[1, 1 + PITCHES], [1 + PITCHES, 1 + 2 * PITCHES]]
    info = {
        "mode": "paper", "vocabulary": len(NAMES), "pad": 0, "context_len": 64, "pitch_ids": pitches, "note_ids": pitches,
        "normalised_key": True, "theme_start": len(NAMES) - 2, "theme_end": len(NAMES) - 1, "bar": len(NAMES) - 3, "sources": [{}],
    }  # fmt: skip
    made = {"songs": np.array(songs, theme_shards.SONG), "windows": np.array(windows, theme_shards.WINDOW)}
    theme_shards.write(path, info, {"ids": every, "labels": labels, **made})
    (path / "tokenizer.json").write_text(json.dumps({"codec": "theme", "tokens": NAMES}))


def places(path: Path) -> Any:
    return bridge_joint.places_of(NAMES, phrase_shards.read(path))


def recipe_in(folder: Path, text: str = RECIPE) -> Path:
    path = folder / "recipe.toml"
    lines = (f"{key} = {str(value).lower()}" for key, value in SHAPE.items())
    path.write_text(text.replace("{shape}", "\n".join(lines)))
    return path
