"""Small networks that listen to a theme: bundles of codec ``theme`` with random weights that write lively nonsense. For tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

import fakes
from kapelle import config
from kapelle.models import theme as network
from kapelle.models import theme_onnx
from kapelle.tokens import theme

if TYPE_CHECKING:
    from pathlib import Path

CENTRES = {"MELODY": 72, "PIANO": 55}


def build(folder: Path, *, mode: str = "paper", normalise_key: bool = True, n_positions: int = 512, seed: int = 0, **options: Any) -> Path:
    """Write the bundle and return its path. Some eight notes fill a bar, the melody above the piano."""
    words = theme.vocabulary(mode)
    shape = network.Config(
        vocabulary=len(words), n_positions=n_positions, d_model=32, n_head=2, d_ff=32, n_encoder=1, n_decoder=2, exclusive=(0, 1)
    )
    tokenizer = {"codec": "theme", "spec": config.plain(theme.ThemeSpec(mode, normalise_key)), "tokens": list(words.names)}
    told = {"vocabulary": len(words), "context": n_positions, "mode": mode, "theme_bars": 2, "normalised_key": normalise_key,
            "generation": {"temperature": 1.2, "top_p": 0.9}}  # fmt: skip
    return fakes.write(
        folder, "encoder_decoder", network.graphs(shape, _weights(shape, mode, seed)), network.states(shape), codec="theme", family="theme",
        files={"tokenizer.json": json.dumps(tokenizer).encode()}, **(told | options),
    )  # fmt: skip


def _weights(shape: network.Config, mode: str, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    out = {name: random.normal(0, 0.2, size).astype(np.float32) for name, size in theme_onnx.shapes(shape).items()}
    out |= {name: np.ones_like(array) for name, array in out.items() if ".norm" in name and name.endswith("weight")}
    out["output_layer.bias"] = _liking(mode)
    return out


def _liking(mode: str) -> np.ndarray:
    """(V,) what is likelier whatever was heard."""
    words = theme.vocabulary(mode)
    bias = np.zeros(len(words), np.float32)
    for track, centre in CENTRES.items():
        pitches = np.arange(1, 128)
        bias[words.ids(f"Note-On-{track}")] = 3.0 * (track == "MELODY") - ((pitches - centre) / 6.0) ** 2
        bias[words.ids(f"Note-Duration-{track}")] = -0.6 * np.arange(64)
        bias[words.ids(f"Note-Velocity-{track}")] = -(((np.arange(1, 127) - 80) / 10.0) ** 2)
    bias[words.ids("Position")] = -0.3 * np.arange(16)  # notes soon follow one another
    bias[words["Bar_None"]], bias[words["Theme_Start"]] = -3.0, -3.0
    return bias
