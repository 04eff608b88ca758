"""How well a run of the Theme Transformer foretells the test songs: bits per note, beside an n-gram, and what hearing the theme saves.

    python benchmarks/theme_held_out.py SHARDS RUN [--json FILE]

All windows of the test part are scored by the best weights of the run, at the arithmetic of training's validation but in 32 bits. The
n-gram (interpolated Kneser-Ney, order 5 where that fits) has counted the songs of training and knows of no theme.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--json", type=Path, default=None, help="where to write the result")
    given = parser.parse_args(arguments)
    found = measured(given.shards, given.run)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(markdown(found))
    return 0


def measured(data: Path, run: Path) -> dict[str, Any]:
    """The figures."""
    import torch
    from safetensors.torch import load_file

    from kapelle import config, models
    from kapelle.fitting import theme as fitting
    from kapelle.training import recipe as recipes
    from kapelle.training.objectives import Turn, make

    recipe = recipes.read_again(run / "recipe.toml")
    recipe = replace(recipe, training=replace(recipe.training, validation_blocks=10**6))
    family = models.family(recipe.family)
    objective: Any = make(data, recipe, family)
    network = family.build(config.build(family.Config, {**recipe.model, **objective.sizes}, "recipe: model"))
    network.load_state_dict({name: value.float() for name, value in load_file(run / "weights.safetensors").items()}, strict=False)
    shards = objective.shards
    objective.windows.validation = shards.of("test")
    turn = Turn(network.eval(), torch.device("cpu"), 0, 0, 1, lambda loss: None, lambda name: 0.0, lambda: None)
    bits, notes = fitting._ngram(shards, shards.of("test"))
    songs = len(np.unique(shards.windows["song"][shards.of("test")]))
    return {"songs": songs, "windows": len(shards.of("test")), "notes": notes, "n-gram": bits / notes, **objective.validate(turn)}


def markdown(found: dict[str, Any]) -> str:
    """The figures as the card shows them."""
    return (
        f"### The test songs\n\nAll {found['windows']} windows of the {found['songs']} songs that the published code names as its test, "
        f"{found['notes']:,} notes, on which nothing was trained or chosen "
        "(`python benchmarks/theme_held_out.py SHARDS RUN`).\n\n| model | bits per note |\n|---|---|\n"
        f"| 5-gram of the training songs | {found['n-gram']:.2f} |\n| this network | {found['bits_per_note']:.2f} |\n\n"
        f"Inside themes it needs {found['theme_bits_per_token']:.2f} bits per id when told the theme of the song, "
        f"{found['theme_bits_per_token'] + found['theme_gain']:.2f} when told another song's."
    )


if __name__ == "__main__":
    raise SystemExit(main())
