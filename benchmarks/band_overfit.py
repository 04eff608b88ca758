"""Whether the adversarial loop can learn: a band that hears 64 phrases and nothing else, and then its metrics beside theirs.

    python benchmarks/band_overfit.py SHARDS [--steps 5000] [--place FOLDER] [--json PATH]

SHARDS is a folder of phrase shards. 64 phrases of songs that have all tracks, taken evenly over the training part, become shards of their
own; a recipe (`--recipe`, by default that of the band around a lead) with the changes of `SETTINGS` is trained on them by
`kapelle.training`, exported in 32-bit floats, and asked for `--phrases` phrases from latents that training has not met; a band around a
lead is given each track of the 64 phrases in turn, and only what it makes itself is measured. Printed: every metric of both, and the
relative difference; the goal is 10 % for each of the five, as means over their tracks or pairs. Single tracks are shown too. `--smoke`:
a few steps, to see that everything works.

It needs the extra `train`. With `--place` an interrupted training goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _bands
import _texts
import numpy as np

from kapelle.data import phrase_shards
from kapelle.data.split import PARTS
from kapelle.metrics import musegan

if TYPE_CHECKING:
    from kapelle.data.phrase_shards import Phrases

GOAL = 0.10
N_PHRASES = 64
RECIPE = Path(__file__).parents[1] / "recipes" / "band-accompany.toml"
SETTINGS: dict[str, Any] = {
    "model.model": "composer", "model.width": 1.0, "training.batch_size": 16, "training.learning_rate": 1e-3, "training.final_rate": 0.02,
    "training.balance": 0.0, "training.adversarial.critic_steps": 1, "training.adversarial.generator_rate": 0.5,
    "training.adversarial.average": 0.995,
}  # fmt: skip
"""A composer that plays around a given track; narrower ones lack the channels to tell five tracks apart."""

SMOKE = {"training.batch_size": 8, "training.adversarial.critic_steps": 1, "training.adversarial.validation_phrases": 8}
SEED = 7


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("overrides", nargs="*", help="more section.key=value for the recipe")
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--phrases", type=int, default=1000, help="that the trained band makes")
    parser.add_argument("--place", type=Path, help="keep the shards, the run and the bundle here, and go on from them")
    parser.add_argument("--from", dest="start", type=Path, help="a run to begin with: a second stage with other settings")
    parser.add_argument("--max-minutes", type=float, default=0.0, help="stop training after so long, finished or not")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_intermixed_args(arguments)
    if options.smoke:
        options.steps, options.phrases = 2, 8
    with tempfile.TemporaryDirectory() as folder:
        report = measured(options, options.place or Path(folder))
    if options.json:
        options.json.write_text(json.dumps(_bands.plain(report), indent=1) + "\n", encoding="utf-8")
    print(told(report))
    return 0


def measured(options: argparse.Namespace, place: Path) -> dict[str, Any]:
    """Everything, as JSON holds it."""
    import torch

    from kapelle.bundles import export, load
    from kapelle.composing import band_model
    from kapelle.training.fit import FitOptions, fit

    torch.set_num_threads(options.threads)
    few = cut(phrase_shards.read(options.shards), place / "shards")
    changes = {**SETTINGS, **(SMOKE if options.smoke else {}), "training.steps": options.steps}
    changes["training.validate_every"] = max(1, min(250, options.steps // 2))
    overrides = [*(f"{key}={value}" for key, value in changes.items()), *options.overrides]
    way = FitOptions(overrides, accelerator="cpu", trackers=("jsonl",), max_minutes=options.max_minutes, start_from=options.start)
    figures = fit(options.recipe, few.path, place / "run", way)
    export.export(place / "run", place / "bundle", export.ExportOptions(precision="fp32", force=True))
    model = band_model.opened(load.load(place / "bundle"))
    latents, cells = _bands.draw_latents(model.latents, options.phrases, SEED), few.cells(np.arange(len(few)))
    leads = cells[np.resize(np.arange(len(cells)), options.phrases)] if model.conditional else None
    made = _bands.in_turn(partial(_bands.made_by, model), model.tracks, latents, leads)
    data, found = musegan.measure(cells, few.tracks), _bands.tally_of(made, model.tracks).means()
    return {
        "recipe": options.recipe.stem, "overrides": overrides, "phrases": len(few), "made": options.phrases,
        "conditional": model.conditional, "seconds": figures["seconds"],
        "steps": figures["step"], "step": int(figures["best"]["step"]), "data": data,
        "model": found, "goal": GOAL,
        "kinds": {"data": _bands.means_by_kind(data), "model": _bands.means_by_kind(found)},
    }  # fmt: skip


def cut(phrases: Phrases, path: Path) -> Phrases:
    """Shards of 64 phrases that are both what is trained on and what it is judged by."""
    if not (path / phrase_shards.INFO).is_file():
        places = _bands.whole_phrases(phrases, "train", N_PHRASES)
        cells, rows = phrases.packed[places], phrases.phrases[places].copy()
        rows["part"], rows["down"], rows["up"] = PARTS.index("train"), 0, 0
        info = {key: value for key, value in phrases.info.items() if key not in ("fingerprint", "parts", "pieces")}
        phrase_shards.write(path, info, {"cells": cells, "phrases": rows})
    return phrase_shards.read(path)


def apart(report: dict[str, Any]) -> dict[str, float]:
    """The relative difference of each of the five metrics."""
    data, model = report["kinds"]["data"], report["kinds"]["model"]
    return {kind: _relative(model[kind], value) for kind, value in data.items()}


def _relative(found: float, value: float) -> float:
    return 0.0 if found == value else abs(found - value) / value if value else float("inf")


def told(report: dict[str, Any]) -> str:
    """For people."""
    found = apart(report)
    figure = _texts.figure
    rows = [
        (_bands.WORDS[kind], figure(report["kinds"]["data"][kind]), figure(report["kinds"]["model"][kind]), f"{100 * value:.1f} %",
         "yes" if value <= GOAL else "no") for kind, value in found.items()
    ]  # fmt: skip
    single = [
        (key, figure(value), figure(report["model"][key]), f"{100 * (report['model'][key] / value - 1):+.1f} %" if value else "-")
        for key, value in report["data"].items()
        if key.split("/")[0] in _bands.KINDS
    ]
    n_near = sum(value <= GOAL for value in found.values())
    return (
        f"{report['recipe']}, {report['phrases']} phrases, {report['steps']} steps (weights of {report['step']}), "
        f"{report['seconds']:.0f} s; {report['made']} phrases made.\n\n"
        + _texts.table(("metric", "the phrases", "the band", "apart", "within 10 %"), rows)
        + f"\n{n_near} of {len(found)} within {GOAL:.0%}. By track or pair:\n\n"
        + _texts.table(("metric", "the phrases", "the band", "apart"), single)
    )


if __name__ == "__main__":
    sys.exit(main())
