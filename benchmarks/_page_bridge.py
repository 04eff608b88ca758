"""The section of docs/reference/figures.md about the bridge: see `_page.py`, which puts it on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import _texts

FIGURES = ("notes per bar", "pitch classes", "pitch-class consistency", "grooving consistency", "returns", "repeated bars")


def bridge(found: dict[str, Any]) -> str:
    """The grid of the thesis, and the default way of composing."""
    grid, default = found["grid"], found["default"]
    design = " x ".join(f"{n} ({axis})" for axis, n in grid["axes"].items())
    counts, counted = grid["counts"], default["counts"]
    kinds = ("cells", "made", "empty", "short", "degenerate")
    rows = [("grid", *(counts[kind] for kind in kinds)), ("default way", *(counted[kind] for kind in kinds))]
    out = (
        f"## The bridge\n\n`python benchmarks/bridge.py`; {found['bars']} bars, seed {found['seed']}. Grid: {design}, first tries. Default "
        f"way: `kapelle compose --model bridge`, as many seeds; its shortest piece has {default['shortest_s']:.1f} s. "
        f"{default['first_try']} were taken at the first try, {default['first_phrase']} have the band's first phrase, in "
        f"{default['guitar']} the guitar leads, {default['thinned']} openings were thinned. Short: under 30 s.\n\n"
        + _texts.table(("what", *kinds), rows)
    )
    for axis, values in grid["by_axis"].items():
        if len(values) > 1:
            lines = [
                (_name(value), *(f"{one[kind]:g}" for kind in kinds[2:]), *(_figure(one[name]) for name in FIGURES))
                for value, one in values.items()
            ]
            out += "\n" + _texts.table((f"grid, means by {axis}", "empty", "short", "degenerate", *FIGURES), lines)
    shares = [(axis, *(_figure(values[name]) for name in FIGURES)) for axis, values in grid["eta_squared"].items()]
    return out + "\nHow much of the spread goes with each axis (eta squared):\n\n" + _texts.table(("axis", *FIGURES), shares)


def _name(value: str) -> str:
    return Path(value).name


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


SECTIONS = {"bridge": bridge}
