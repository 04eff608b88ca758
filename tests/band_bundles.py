"""Small bands that play lively nonsense: bundles of codec ``roll`` with the latents, graph and manifest of the real ones. For tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import fakes
from kapelle import config
from kapelle.models.onnx_parts import GraphWriter
from kapelle.score.roll import FORMS, TRACKS, Form

if TYPE_CHECKING:
    from pathlib import Path

N_BARS = 4
WIDTH = 8
CENTRES = {"drums": 42, "piano": 64, "guitar": 57, "bass": 38, "strings": 69}
"""About where each track plays."""


def build(
    folder: Path, *, conditional: bool = False, form: Form = FORMS["tutorial"], temporal: bool = True, tracks: tuple[str, ...] = TRACKS,
    silent: tuple[str, ...] = (), seed: int = 0, **options: Any,
) -> Path:  # fmt: skip
    """Write the bundle and return its path.

    Args:
        folder: Where to.
        conditional: It hears ``given``, and likes the pitch classes that sound there.
        form: Of its cells.
        temporal: It has latents of time; else ``z`` alone.
        tracks: Its members.
        silent: Tracks that never sound.
        seed: Of its weights.
        options: More for the manifest.
    """
    n_tracks = len(tracks)
    shapes = {"z": (WIDTH,)}
    if temporal:
        shapes |= {"z_t": (WIDTH,), "z_i": (n_tracks, WIDTH), "z_it": (n_tracks, WIDTH)}
    graph = GraphWriter("band.generate")
    sizes = (n_tracks, N_BARS, form.steps_per_bar, form.n_pitches)
    found = _heard(graph, shapes, n_tracks)
    weights, bias = _weights(np.random.default_rng(seed), tracks, form, silent)
    flat = graph.op("Add", [graph.op("MatMul", [found, graph.constant("out", weights)]), graph.constant("bias", bias)])
    scores = graph.op("Reshape", [flat, graph.constant("shape", np.array([0, *sizes]))])
    if conditional:
        given = graph.input("given", "float32", ["batch", *sizes])
        heard = graph.op("ReduceMax", [given, graph.constant("tracks", np.array([1]))], keepdims=1)
        scores = graph.op("Add", [scores, graph.op("Mul", [heard, graph.constant("liking", np.float32(4.0))])])
    graph.op("Identity", [scores], ["scores"])
    graph.output("scores", "float32", ["batch", *sizes])
    told = {
        "tracks": list(tracks), "form": config.plain(form), "bars": N_BARS, "normalised_key": True, "conditional": conditional,
        "latents": {name: list(shape) for name, shape in shapes.items()},
    }  # fmt: skip
    return fakes.write(folder, "one_shot", {"generate": graph.model()}, codec="roll", **(told | options))


def _heard(graph: GraphWriter, shapes: dict[str, tuple[int, ...]], n_tracks: int) -> str:
    """The sum of the latents, (B, M, WIDTH)."""
    parts = []
    for name, shape in shapes.items():
        value = graph.input(name, "float32", ["batch", *shape])
        if len(shape) == 1:
            value = graph.op("Unsqueeze", [value, graph.constant(f"{name}.axis", np.array([1]))])
            value = graph.op("Expand", [value, graph.constant(f"{name}.shape", np.array([1, n_tracks, 1]))])
        parts.append(value)
    out = parts[0]
    for part in parts[1:]:
        out = graph.op("Add", [out, part])
    return out


def _weights(rng: np.random.Generator, tracks: tuple[str, ...], form: Form, silent: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(WIDTH, cells of a track) and (M, cells of a track): what sounds is decided anew at every eighth, near the middle of a track."""
    eighths, steps = N_BARS * 8, form.steps_per_bar // 8
    chosen = rng.normal(0, 1, (WIDTH, eighths, 1, form.n_pitches)).astype(np.float32)
    weights = np.broadcast_to(chosen, (WIDTH, eighths, steps, form.n_pitches)).reshape(WIDTH, -1)
    pitches = np.arange(form.n_pitches) + form.lowest_pitch
    home = np.where(np.isin(pitches % 12, (0, 4, 7)), 0.0, -0.5) - 0.7 * ~np.isin(pitches % 12, (0, 2, 4, 5, 7, 9, 11))
    rows = [home - 4.0 - ((pitches - CENTRES[name]) / 7.0) ** 2 - (1000.0 if name in silent else 0.0) for name in tracks]
    bias = np.stack([np.tile(row, N_BARS * form.steps_per_bar) for row in rows]).astype(np.float32)
    return np.ascontiguousarray(weights), bias
