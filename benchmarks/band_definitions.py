"""What the definition of a metric does to its value: bands' music by MuseGAN's published definitions and by those that hold.

    python benchmarks/band_definitions.py FOLDER [--pieces 400] [--json PATH]

FOLDER holds MIDI files of bands. Up to `--pieces` of them, spread evenly over the sorted names, become cells of the paper's form
(96 steps, 84 pitches); what is not in 4/4 is left out. Of each, up to 6 phrases of 4 bars in whose every bar three tracks sound are
measured, and once more with the bars of every track shuffled over all phrases.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.errors import KapelleError
from kapelle.metrics import musegan
from kapelle.score.read import read
from kapelle.score.roll import FORMS, TRACKS, from_score

if TYPE_CHECKING:
    from kapelle.score.roll import Cells

BARS, MOST, TOGETHER = 4, 6, 3
PUBLISHED = {
    "data": {"TD/bass-guitar": 1.57, "TD/bass-strings": 1.58, "TD/bass-piano": 1.51,
             "TD/guitar-strings": 1.10, "TD/guitar-piano": 1.02, "TD/strings-piano": 1.04},
    "shuffled": {"TD/bass-guitar": 1.59, "TD/bass-strings": 1.59, "TD/bass-piano": 1.56,
                 "TD/guitar-strings": 1.14, "TD/guitar-piano": 1.12, "TD/strings-piano": 1.13},
}  # fmt: skip
"""Of the training data of Dong et al. 2018, table 2."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pieces", type=int, default=400)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    paths = sorted(path for path in options.folder.rglob("*") if path.suffix.lower() in (".mid", ".midi"))
    paths = paths[:: max(1, -(-len(paths) // options.pieces))]
    found = [cells for cells in map(phrases, paths) if len(cells)]
    if not found:
        print(f"no phrases of a band in {options.folder}", file=sys.stderr)
        return 2
    cells = np.concatenate(found)
    sets = {"data": cells, "shuffled": musegan.shuffle_bars(cells, 0)}
    report: dict[str, Any] = {
        "folder": options.folder.name,
        "pieces": len(found),
        "phrases": len(cells),
        "legacy": {name: rounded(held, legacy=True) for name, held in sets.items()},
        "defined": {name: rounded(held, legacy=False) for name, held in sets.items()},
        "published": PUBLISHED,
    }
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    kinds = [(way, name) for way in ("published", "legacy", "defined") for name in sets]
    print("| metric |" + "|".join(f" {way}: {name} " for way, name in kinds) + "|\n|" + "---|" * (len(kinds) + 1))
    for key in report["defined"]["data"]:
        print(f"| {key} |" + "|".join(f" {report[way][name].get(key, '')} " for way, name in kinds) + "|")
    print(f"\n{len(cells)} phrases of {len(found)} pieces of {len(paths)}.")
    return 0


def phrases(path: Path) -> Cells:
    """Some phrases of a piece, (n, M, L, S, P); none if it is no piece of a band in 4/4."""
    form = FORMS["paper"]
    try:
        cells = from_score(read(path), form)[0].cells
    except KapelleError:
        return np.zeros((0, len(TRACKS), BARS, form.steps_per_bar, form.n_pitches), np.bool_)
    n = cells.shape[1] // BARS
    whole = cells[:, : n * BARS].reshape(len(TRACKS), n, BARS, *cells.shape[2:]).swapaxes(0, 1)
    dense = whole.any(axis=(3, 4)).sum(axis=1).min(axis=1) >= TOGETHER
    return whole[dense][:MOST]


def rounded(cells: Cells, *, legacy: bool) -> dict[str, float]:
    return {key: round(value, 2) for key, value in musegan.measure(cells, TRACKS, legacy=legacy).items()}


if __name__ == "__main__":
    sys.exit(main())
