"""The bridge, counted: the grid of the thesis, its cells as they come, and the default way of composing over as many seeds.

    python benchmarks/bridge.py [--theme NAME ...] [--band NAME ...] [--seeds 45] [--sound ogg] [--folder DIR] [--json FILE]

The grid is stages of a band by 3 fixed latents by stages of the Theme Transformer, each cell a first try; `kapelle study bridge` makes the
same. The default way is `kapelle compose --model bridge`, with all that it does for its user. Both leave a page to listen on. How much of
the spread of a figure goes with an axis is its eta squared: the share of the variance that lies between the means of the axis' values.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _bands

from kapelle import api
from kapelle.study import measures
from kapelle.study.bridge import BANDS, BARS, SEED, THEMES, Asked
from kapelle.study.effects import eta_squared
from kapelle.study.sound import Sound

if TYPE_CHECKING:
    from kapelle.study.run import Results

FIGURES = tuple(name for name in measures.MEASURES if name != "seconds")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--theme", action="append", help="stage of the Theme Transformer, once for each")
    parser.add_argument("--band", action="append", help="stage of the band, once for each")
    parser.add_argument("--seeds", type=int, default=45, help="of the default way")
    parser.add_argument("--bars", type=int, default=BARS)
    parser.add_argument("--sound", default="none", help="sounds for the pages")
    parser.add_argument("--folder", type=Path, default=Path("study"), help="where the pages go")
    parser.add_argument("--json", type=Path, default=None, help="where to write the result")
    given = parser.parse_args(arguments)
    asked = Asked(tuple(given.band or BANDS), tuple(given.theme or THEMES), bars=given.bars)
    sound = Sound(() if given.sound == "none" else (given.sound,), seconds=0)
    grid = api.study_bridge(given.folder / "bridge", asked, api.StudyWay(sound, progress=_told("grid")))
    default = api.study_models(
        given.folder / "default", ["bridge"], seeds=range(SEED, SEED + given.seeds), length=api.length_of(bars=given.bars),
        way=api.StudyWay(sound, progress=_told("default")),
    )  # fmt: skip
    report = {"bars": given.bars, "seed": SEED, "grid": of_grid(grid), "default": of_default(default)}
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(_bands.plain(report), indent=1) + "\n"
        for folder in (name for name in (*(given.band or ()), *(given.theme or ())) if "/" in name):
            text = text.replace(folder, Path(folder).name)  # where bundles lay is nobody's business
        given.json.write_text(text, encoding="utf-8")
    print(json.dumps(_bands.plain({"grid": report["grid"]["counts"], "default": report["default"]["counts"]}), indent=1))
    return 0


def of_grid(results: Results) -> dict[str, Any]:
    """Counts, means by the stages of each axis, and how much goes with each axis."""
    table = results.as_dict()
    return {
        "axes": {axis.name: len(axis.values) for axis in results.plan.axes},
        "bundles": results.plan.settings["bundles"],
        "counts": results.counts,
        "by_axis": {axis: {value: {name: one[name] for name in ("made", "empty", "short", "degenerate", *FIGURES)}
                           for value, one in values.items()} for axis, values in table["by_axis"].items()},
        "eta_squared": {axis.name: {name: _goes_with(results, axis.name, name) for name in FIGURES} for axis in results.plan.axes
                        if len(axis.values) > 1},
    }  # fmt: skip


def of_default(results: Results) -> dict[str, Any]:
    """Counts, what the bridge had to do, and statistics."""
    made = [row for row in results.rows if not row["empty"]]
    return {
        "counts": results.counts,
        "shortest_s": min((row["measures"]["seconds"] for row in made), default=float("nan")),
        "first_try": sum(row["attempts"] == 1 for row in made),
        "first_phrase": sum(row["facts"].get("band_phrases") == 1 for row in made),
        "guitar": sum(row["facts"].get("band_track") == "guitar" for row in made),
        "thinned": sum(row["facts"].get("thinned", 0) > 0 for row in made),
        "statistics": results.as_dict()["statistics"],
    }


def _goes_with(results: Results, axis: str, figure: str) -> float:
    """Share of the variance of a figure that lies between the values of an axis."""
    rows = [row for row in results.rows if row["measures"]]
    return eta_squared([row["measures"][figure] for row in rows], [row["values"][axis] for row in rows])


def _told(label: str) -> Callable[[int, int], None]:
    def told(done: int, total: int) -> None:
        if done % 15 == 0 or done == total:
            print(f"{label}: {done} of {total}", file=sys.stderr, flush=True)

    return told


if __name__ == "__main__":
    raise SystemExit(main())
