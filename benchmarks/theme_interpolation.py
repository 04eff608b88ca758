"""The way from one theme to another, as a Theme Transformer with a variational encoder walks it, and as one without.

    python benchmarks/theme_interpolation.py SHARDS --plain RUN --variational RUN [--pairs 6] [--json PATH]

SHARDS is a folder of songs with themes, the runs are of the recipes theme and theme-variational. Held-out bits come first, as training
found them: what a theme of fixed size costs. Then pairs of themes of held-out songs, with eleven places on the way between them. The
variational network goes straight from one mean to the other. The plain one has no such way; the nearest thing to it is to fade from the
rows of one memory to those of the other, each row with the one of its place (a row that only the longer theme has stays as it is until the
end).

What is heard at a place is asked in two ways. Told: bits per id of either theme, as a theme region under that memory; on an even way those
of the first rise at every step and those of the second fall. Made: the region that the network makes of it, always the likeliest id, as
cells of track, step and pitch; two such are as far apart as the share of their cells that only one of them has. "jump" is the longest of
the ten steps against the way from end to end: 0.1 if all are equal, 1 if all happens at once.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _theme_torch
import numpy as np
import torch
from torch.nn import functional

from kapelle import models
from kapelle.config import build
from kapelle.data import theme_shards
from kapelle.models.theme_variational import between
from kapelle.tokens import theme as tokens
from kapelle.training import recipe as recipes
from kapelle.training import run_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kapelle.data.theme_shards import ThemeShards

PLACES = 11
LONGEST = 220
"""Ids of a made region."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("--plain", type=Path, required=True)
    parser.add_argument("--variational", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    shards = theme_shards.read(options.shards)
    pairs = chosen(shards, options.pairs)
    report: dict[str, Any] = {"pairs": len(pairs), "places": PLACES, "songs": len(shards.songs_of("validation"))}
    for name in ("plain", "variational"):
        run: Path = getattr(options, name)
        network, told, step = opened(run, shards)
        report[name] = {"steps": step, "held_out": told, **summary([walked(network, *pair, shards) for pair in pairs])}
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(told_of(report))
    return 0


def opened(run: Path, shards: ThemeShards) -> tuple[Any, dict[str, float], int]:
    """The network of a run, the figures on held-out songs that training found at its weights, and the step that they are of."""
    recipe = recipes.read_again(run / "recipe.toml")
    family = models.family(recipe.family)
    network = family.build(build(family.Config, {**recipe.model, "vocabulary": shards.vocabulary_size}))
    run_folder.begin_with(network, run)
    network.eval()
    found = json.loads((run / run_folder.FIGURES).read_text(encoding="utf-8"))["best"]
    kept = ("bits_per_token", "theme_bits_per_token", "theme_gain", "kl_bits", "silent_slots")
    return network, {name: found[name] for name in kept if name in found}, run_folder.weights_step(run)


def chosen(shards: ThemeShards, most: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of themes (S,) of different held-out songs, each song once."""
    songs = [shards.songs[place] for place in shards.songs_of("validation").tolist()]
    themes = [shards.ids[song["theme_start"] : song["theme_stop"]].astype(np.int64) for song in songs]
    half = len(themes) // 2
    return list(zip(themes[:half], themes[half:], strict=False))[:most]


@torch.no_grad()
def way(network: Any, one: np.ndarray, other: np.ndarray) -> list[torch.Tensor]:
    """What is heard at every place of the way: memories (rows, D)."""
    shares = torch.linspace(0, 1, PLACES)
    ends = [torch.from_numpy(theme)[None] for theme in (one, other)]
    if hasattr(network, "posterior"):
        first, last = (network.posterior(theme)[0][0] for theme in ends)
        return list(network.memory(between(first, last, shares)))
    first, last = (network.encode(theme)[0] for theme in ends)
    both = min(len(first), len(last))
    rest = (first if len(first) > len(last) else last)[both:]
    inner = [torch.cat([first[:both] + share * (last[:both] - first[:both]), rest]) for share in shares[1:-1]]
    return [first, *inner, last]


@torch.no_grad()
def bits(network: Any, memory: torch.Tensor, theme: np.ndarray) -> float:
    """Bits per id of a theme as a region under a memory."""
    ids = torch.from_numpy(theme)[None]
    labels = torch.arange(1, len(theme))[None]
    logits = network.decode(ids[:, :-1], labels, memory[None], None)
    return float(functional.cross_entropy(logits[0], ids[0, 1:])) / math.log(2)


class _Hearing:
    """A network that hears one memory, whatever it is given."""

    def __init__(self, network: Any, memory: torch.Tensor) -> None:
        self._network, self._memory = network, memory

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def encode(self, theme: torch.Tensor) -> torch.Tensor:
        return self._memory[None]


def made(network: Any, memory: torch.Tensor, info: dict[str, Any]) -> list[int]:
    """The region that the network makes under a memory, the likeliest id at every place."""
    loop = _theme_torch.Cached(_Hearing(network, memory), np.zeros(1, np.int64))
    ids = [int(info["theme_start"])]
    while ids[-1] != info["theme_end"] and len(ids) < LONGEST:
        scores = loop.feed(ids[-1], len(ids))
        scores[int(info["pad"])] = -np.inf
        ids.append(int(info["bar"]) if len(ids) == 1 else int(scores.argmax()))
    return ids


def cells(ids: Sequence[int], mode: str) -> set[tuple[str, int, int]]:
    """Track, step and pitch of all that sounds in two bars."""
    score = tokens.decode([int(i) for i in ids], tokens.ThemeSpec(mode)).score
    step = score.tpq // 4
    return {
        (track.name, at, note.pitch)
        for track in score.tracks
        for note in track.notes
        for at in range(note.start // step, min((note.start + note.duration) // step, 2 * tokens.STEPS))
    }


def apart(one: set[Any], other: set[Any]) -> float:
    """The share of cells that only one of two has; 0: the same, or both empty."""
    return 1 - len(one & other) / max(1, len(one | other)) if one | other else 0.0


def walked(network: Any, one: np.ndarray, other: np.ndarray, shards: ThemeShards) -> dict[str, Any]:
    """A way from end to end."""
    memories, mode = way(network, one, other), str(shards.info["mode"])
    told = np.array([[bits(network, memory, theme) for theme in (one, other)] for memory in memories])
    pieces = [made(network, memory, shards.info) for memory in memories]
    heard = [cells(piece, mode) for piece in pieces]
    steps = [apart(a, b) for a, b in pairwise(heard)]
    whole, moves = apart(heard[0], heard[-1]), np.diff(told, axis=0)
    return {
        "own_bits": (told[0, 0] + told[-1, 1]) / 2,
        "other_bits": (told[-1, 0] + told[0, 1]) / 2,
        "even_steps": float(((moves[:, 0] > 0) & (moves[:, 1] < 0)).mean()),
        "told_jump": float(
            np.abs(moves[:, 0] - moves[:, 1]).max() / max(1e-9, abs((told[-1, 0] - told[0, 0]) + (told[0, 1] - told[-1, 1])))
        ),
        "whole": whole,
        "step": float(np.mean(steps)),
        "jump": max(steps) / whole if whole else float("nan"),
        "pieces": len({tuple(piece) for piece in pieces}),
        "from_theme": (apart(heard[0], cells(one, mode)) + apart(heard[-1], cells(other, mode))) / 2,
        "from_other": (apart(heard[0], cells(other, mode)) + apart(heard[-1], cells(one, mode))) / 2,
        "closed": float(np.mean([piece[-1] == shards.info["theme_end"] for piece in pieces])),
    }


def summary(ways: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """The means over all ways; of what some do not have, over the others, and None if none has it."""
    values = {name: np.array([one[name] for one in ways], np.float64) for name in ways[0]}
    known = {name: value[np.isfinite(value)] for name, value in values.items()}
    return {name: float(value.mean()) if len(value) else None for name, value in known.items()}


def told_of(report: dict[str, Any]) -> str:
    lines = [f"{'':24}{'plain':>12}{'variational':>14}"]
    plain, other = report["plain"], report["variational"]
    for name in [*other["held_out"], *(key for key in other if key != "held_out")]:
        values = [side["held_out"].get(name, side.get(name)) for side in (plain, other)]
        lines.append(f"{name:24}" + "".join(f"{'–' if value is None else f'{value:.3f}':>13}" for value in values))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
