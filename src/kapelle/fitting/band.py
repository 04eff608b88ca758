"""What `measure` is for a band: music counted in phrases, and held-out figures that compare the metrics of phrases.

A band foretells nothing, so there are no bits. The figure is the distance of training: how far the five MuseGAN metrics of made phrases
are from those of held-out songs, in bootstrap deviations. Beside it stand that of the phrases that were learned from, which is what
other songs of the same kind reach, and that of the model before, if training began with one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle import models
from kapelle.data import phrase_shards
from kapelle.errors import UsageError
from kapelle.fitting.measure import network_before
from kapelle.fitting.schedule import Amount
from kapelle.training import recipe as recipes
from kapelle.training import run_folder

if TYPE_CHECKING:
    from pathlib import Path

    from kapelle.data.phrase_shards import Phrases
    from kapelle.training.adversarial import Adversarial

FEWEST_PHRASES = 64
"""On so many the loop was seen to learn (benchmarks/band_overfit.py); on fewer a critic knows each of them by heart at once."""


def amount(data: Path) -> Amount:
    """How much there is to learn from.

    Raises:
        UsageError: Too little.
    """
    phrases = phrase_shards.read(data)
    n, held_out = len(phrases.of("train")), len(phrases.of("validation"))
    if n < FEWEST_PHRASES:
        raise _too_few(phrases, n)
    return Amount(n, held_out, "phrases")


def _too_few(phrases: Phrases, n: int) -> UsageError:
    told = phrases.info
    dropped = {**told.get("dropped", {}), **told.get("phrases_dropped", {})}
    why = ", ".join(f"{number} {reason}" for reason, number in dropped.items() if number) or "0"
    hint = "add songs in 4/4 of three instruments or more (a song has some ten phrases); left out: {why}"
    return UsageError("{n} phrases are too few to train a band, which takes {fewest}", n=n, fewest=FEWEST_PHRASES, why=why, hint=hint)


def music(data: Path) -> dict[str, Any]:
    """How much music shards hold: phrases, their bars, and the share of phrases in which each track sounds."""
    told = phrase_shards.read(data).info
    return {"phrases": int(told["phrases"]), "bars": int(told["bars"]), "tracks": dict(told["sounding"])}


def held_out(data: Path, run: Path, start: Path | None) -> dict[str, Any]:
    """Distances from held-out songs: of the phrases learned from, of the start if there is one, of the run's best weights.

    Args:
        data: Folder of phrase shards.
        run: Folder of the run.
        start: What training began with, as the run was told.

    Returns:
        {} if no song was held out.

    Raises:
        CheckpointError: Weights do not fit.
    """
    import torch

    from kapelle.training.adversarial import Adversarial
    from kapelle.training.objectives import Turn

    phrases, recipe = phrase_shards.read(data), recipes.read_again(run / "recipe.toml")
    validation = phrases.of("validation")
    best = json.loads((run / run_folder.FIGURES).read_text(encoding="utf-8"))["best"]
    if not len(validation) or "distance" not in best:
        return {}
    objective = Adversarial(phrases, recipe.training, models.family(recipe.family), recipe.model)
    found = {"pieces": len(np.unique(phrases.phrases["song"][validation])), "phrases": len(validation), "music": _of_music(objective)}
    if start is not None:
        network = network_before(run, phrases.sizes, data, start)
        turn = Turn(network, torch.device("cpu"), 0, 0, 1, lambda loss: None, lambda name: 0.0, lambda: None)
        found["before"] = objective.validate(turn)["distance"]
    rounded = {name: round(value, 3) for name, value in found.items()}
    return {**rounded, "after": round(best["distance"], 3), "variety": round(best["variety"], 3)}


def _of_music(objective: Adversarial) -> float:
    """The distance of as many phrases of training as validation makes; as there, of songs with the most tracks."""
    phrases, places = objective.phrases, objective.training
    n_tracks = phrases.present(places).sum(axis=1)
    whole = places[n_tracks == n_tracks.max()]
    n = min(len(whole), objective.rules.validation_phrases)
    return objective.judged(phrases.cells(whole[np.linspace(0, len(whole) - 1, n).astype(int)]))["distance"]


def markdown(figures: dict[str, Any], name: str, start: str) -> str:
    """The figures of `held_out` as a table for the card."""
    rows = {"phrases of the music that it learned from": "music", f"{start}, before": "before", name: "after"}
    lines = [f"| {label} | {figures[key]:.2f} |" for label, key in rows.items() if key in figures]
    about = (
        f"Compared with {figures['phrases']:,} phrases of {figures['pieces']} songs that training never saw: how far the metrics of "
        "phrases are from theirs, as a mean over all metrics, in bootstrap deviations. They also chose the best weights, so that the last "
        f"line is a little too good. Variety: {figures['variety']:.2f} (held-out phrases: 1)."
    )
    return "\n".join(["### Held-out music", "", about, "", "| phrases | distance |", "|---|---|", *lines])
