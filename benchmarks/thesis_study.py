"""The thesis' experiments on our models, counted: what goes with the stages of training, and whether the bridge is the more diverse.

    python benchmarks/thesis_study.py --bands DIR --bridge DIR --theme DIR --songs DIR --grid DIR --real DIR [--json FILE]

Reads folders of studies that were carried out before: `kapelle study musegan-samples`, `bridge-samples`, one theme by stages of a run of
the Theme Transformer, that model on many songs' themes, the grid of bands by latents by such stages, and a study whose models are folders
of real music. A spread is the thesis' figure of diversity: the standard deviation of each class's probability, averaged over the classes.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import _bands
import numpy as np

from kapelle.metrics import bootstrap
from kapelle.metrics.bootstrap import Estimate
from kapelle.study import effects, opinions

CLASSIFIERS = ("genre-midi", "genre-judge")
FIGURES = ("notes", "pitch classes", "repeated bars", "pitch_class_entropy", "scale_consistency", "groove_consistency", "polyphony",
           "empty_beat_rate", "structureness", "compression_ratio")  # fmt: skip
SPACE = ("pitch_class_entropy", "scale_consistency", "pitch_range", "groove_consistency", "polyphony", "notes_per_bar", "empty_beat_rate",
         "compression_ratio", "n_pitches")  # fmt: skip
"""Metrics in which pieces have a distance; the unit of each is its deviation over real music."""

Rows = list[dict[str, Any]]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("bands", "bridge", "theme", "songs", "grid", "real"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--unit", default="real pop", help="the folder of real music whose deviations are the unit of distance")
    parser.add_argument("--json", type=Path, default=None, help="where to write the result")
    given = parser.parse_args(arguments)
    bands, bridge, theme, songs, grid, real = (
        rows_of(folder) for folder in (given.bands, given.bridge, given.theme, given.songs, given.grid, given.real)
    )
    stages = [row for row in bands if row["values"]["model"].startswith("band-tutorial")]
    given_to_bridge = [row for row in stages if row["values"]["model"] != "band-tutorial"]
    sets = by(bands, "model") | {"bridge": bridge, "theme on many songs": songs} | by(theme, "model") | by(real, "model")
    report = {
        "effects": {
            "bands": goes_with(stages, ("model",)), "theme": goes_with(theme, ("model",)),
            "grid": goes_with(grid, ("theme", "band", "latents")), "bridge": goes_with(bridge, ("band", "latents")),
            "songs": goes_with(songs, ("model", "seed")),
        },
        "means": {
            "bands": means(by(stages, "model")), "theme": means(by(theme, "model")), "grid": means(by(grid, "theme")),
            "bridge": means(by(bridge, "band")),
        },
        "opinions": {name: {label: opinion(rows, name) for label, rows in sets.items()} for name in CLASSIFIERS},
        "ratios": {name: ratios(bridge, sets | {"five stages of the band": given_to_bridge}, name) for name in CLASSIFIERS},
        "distances": distances(sets, given.unit),
    }  # fmt: skip
    text = json.dumps(_bands.plain(report), indent=1) + "\n"
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(text, encoding="utf-8")
    print(text, end="")
    return 0


def rows_of(folder: Path) -> Rows:
    """The pieces of a study."""
    return [row for row in json.loads((folder / "results.json").read_bytes())["cells"] if row["measures"]]


def by(rows: Rows, axis: str) -> dict[str, Rows]:
    """The rows of each value of an axis."""
    out: dict[str, Rows] = {}
    for row in rows:
        out.setdefault(row["values"][axis], []).append(row)
    return out


def figure(row: dict[str, Any], name: str) -> float:
    value = row["measures"].get(name)
    return float("nan") if value is None else float(value)


def goes_with(rows: Rows, axes: tuple[str, ...]) -> dict[str, Any]:
    """Axis -> figure -> share of its variance, and the chance of as much."""
    out: dict[str, Any] = {"n": len(rows)}
    for axis in axes:
        groups = [row["values"][axis] for row in rows]
        out[axis] = {
            name: [round(effects.eta_squared(values, groups), 3), effects.chance(values, groups)]
            for name in FIGURES
            if not np.isnan(effects.eta_squared(values := [figure(row, name) for row in rows], groups))
        }
    return out


def means(groups: dict[str, Rows]) -> dict[str, Any]:
    """Group -> figure -> its mean with its interval."""
    return {
        label: {"n": len(rows)} | {name: told(bootstrap.mean([figure(row, name) for row in rows])) for name in FIGURES}
        for label, rows in groups.items()
    }


def told(one: Estimate) -> list[float]:
    return [round(value, 4) for value in (one.value, one.low, one.high)]


def vectors(rows: Rows, classifier: str) -> np.ndarray:
    return np.array(list(opinions.probabilities(rows, classifier).values())).T


def opinion(rows: Rows, classifier: str) -> dict[str, Any]:
    """How many, mean probabilities, most probable classes, spread, and how many are unlike what the classifier learned from."""
    table = opinions.probabilities(rows, classifier)
    if not table:
        return {"n": 0}
    said = [row["verdicts"][classifier] for row in rows if classifier in row["verdicts"]]
    return {
        "n": len(said), "warned": sum(bool(one["warnings"]) for one in said),
        "mean": {label: round(float(np.mean(values)), 3) for label, values in table.items()},
        "winners": {label: count for label, count in opinions.winners(rows, classifier).items() if count},
        "spread": told(effects.spread(vectors(rows, classifier))),
    }  # fmt: skip


def ratios(ours: Rows, sets: dict[str, Rows], classifier: str) -> dict[str, list[float]]:
    """The spread of the bridge over that of every other set."""
    mine = vectors(ours, classifier)
    others = {label: vectors(rows, classifier) for label, rows in sets.items() if label != "bridge"}
    return {label: told(effects.ratio_of_spreads(mine, held)) for label, held in others.items() if len(held) > 1}


def distances(sets: dict[str, Rows], unit: str) -> dict[str, Any]:
    """The mean distance of two pieces of each set, in deviations of real music, and how far its mean is from that music's."""
    tables = {label: np.array([[figure(row, name) for name in SPACE] for row in rows]) for label, rows in sets.items()}
    centre, scale = np.nanmean(tables[unit], axis=0), np.nanstd(tables[unit], axis=0)
    out = {}
    for label, table in tables.items():
        whole = ((table - centre) / scale)[~np.isnan(table).any(axis=1)]
        if len(whole) > 1:
            away = float(np.abs(whole.mean(axis=0)).mean())
            out[label] = {"n": len(whole), "distance": told(effects.mean_distance(whole)), "away": round(away, 3)}
    return out


if __name__ == "__main__":
    sys.exit(main())
