"""What `measure` is for songs with themes: how much of them there is, and bits per note of held-out songs, beside an n-gram.

The n-gram counts the songs of training and is charged for the same ids of the same windows; it knows of no theme. Beside the bits stands
what hearing the theme saves inside themes, against hearing that of another song: near 0 the network does not listen.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle import models
from kapelle.data import theme_shards
from kapelle.data.split import PARTS
from kapelle.errors import UsageError
from kapelle.fitting.measure import ORDER, network_before
from kapelle.fitting.schedule import Amount
from kapelle.models import ngram
from kapelle.training import recipe as recipes
from kapelle.training import run_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from kapelle.data.theme_shards import ThemeShards

FEWEST_WINDOWS = 16
"""Two batches of the recipes: on fewer nothing is learned but themselves."""


def amount(data: Path) -> Amount:
    """How much there is to learn from.

    Raises:
        UsageError: Too little.
    """
    shards = theme_shards.read(data)
    n = len(shards.of("train"))
    if n < FEWEST_WINDOWS:
        why = ", ".join(f"{number} {reason}" for reason, number in shards.info.get("dropped", {}).items()) or "0"
        hint = "add songs in 4/4 whose melody comes back (a song has some five windows); left out: {why}"
        raise UsageError("{n} windows are too few to learn from, which takes {fewest}", n=n, fewest=FEWEST_WINDOWS, why=why, hint=hint)
    return Amount(n, len(shards.of("validation")), "windows")


def music(data: Path) -> dict[str, Any]:
    """How much music shards hold: songs, notes, bars, ids."""
    told = theme_shards.read(data).info
    return {name: int(told[name]) for name in ("songs", "notes", "bars", "tokens")}


def held_out(data: Path, run: Path, start: Path | None) -> dict[str, Any]:
    """Bits per note of held-out songs: of the n-gram, of the start if there is one, of the run's best weights; {} without songs.

    Args:
        data: Folder of theme shards.
        run: Folder of the run.
        start: What training began with, as the run was told.

    Raises:
        CheckpointError: Weights do not fit.
    """
    shards, recipe = theme_shards.read(data), recipes.read_again(run / "recipe.toml")
    chosen = shards.of("validation")
    best = json.loads((run / run_folder.FIGURES).read_text(encoding="utf-8"))["best"]
    if not len(chosen) or "bits_per_note" not in best:
        return {}
    limit = recipe.training.validation_blocks
    chosen = chosen[np.linspace(0, len(chosen) - 1, limit).astype(int)] if 0 < limit < len(chosen) else chosen
    bits, notes = _ngram(shards, chosen)
    found: dict[str, Any] = {"pieces": len(np.unique(shards.windows["song"][chosen])), "notes": notes, "n-gram": bits / max(notes, 1)}
    if start is not None:
        found["before"] = _before(data, run, start)
    found |= {"after": best["bits_per_note"], "theme_gain": best.get("theme_gain", 0.0)}
    return {name: value if isinstance(value, int) else round(value, 3) for name, value in found.items()}


def _before(data: Path, run: Path, start: Path) -> float:
    """Bits per note before the first step, by the objective's own rule."""
    import torch

    from kapelle.training.objectives import Turn, make

    recipe = recipes.read_again(run / "recipe.toml")
    objective = make(data, recipe, models.family(recipe.family))
    network = network_before(run, objective.sizes, data, start)
    turn = Turn(network, torch.device("cpu"), 0, 0, 1, lambda loss: None, lambda name: 0.0, lambda: None)
    return objective.validate(turn)["bits_per_note"]


def _ngram(shards: ThemeShards, chosen: NDArray[np.int64]) -> tuple[float, int]:
    """Bits of the ids that windows foretell, under the n-gram of training's songs, and how many of these ids are notes."""
    order = ORDER
    while (shards.vocabulary_size + 1) ** order >= 2**63:
        order -= 1
    model = ngram.train(_songs(shards), shards.vocabulary_size, order)
    bits, notes = 0.0, 0
    for window in shards.windows[chosen]:
        ids = shards.ids[int(window["start"]) : int(window["stop"])].astype(np.int64)
        bits += float(ngram.bits(model, ids)[1:].sum())
        notes += sum(int(((ids[1:] >= first) & (ids[1:] < end)).sum()) for first, end in shards.info["note_ids"])
    return bits, notes


def _songs(shards: ThemeShards) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """Every song of training, all of whose ids are foretold."""
    for song in shards.songs[shards.songs["part"] == PARTS.index("train")]:
        ids = shards.ids[int(song["start"]) : int(song["stop"])].astype(np.int64)
        yield ids, np.ones(len(ids), np.bool_)


def markdown(figures: dict[str, Any], name: str, start: str) -> str:
    """The figures of `held_out` as a table for the card."""
    rows = {"n-gram of the same music": "n-gram", f"{start}, before": "before", name: "after"}
    lines = [f"| {label} | {figures[key]:.2f} |" for label, key in rows.items() if key in figures]
    about = (
        f"On {figures['pieces']} songs ({figures['notes']:,} notes of the windows in which themes begin or end) that training never saw. "
        "They also chose the best weights, so that the last line is a little too good. Inside themes, hearing the theme of the song "
        f"instead of another song's saves {figures['theme_gain']:.2f} bits per id."
    )
    return "\n".join(["### Held-out music", "", about, "", "| model | bits per note |", "|---|---|", *lines])
