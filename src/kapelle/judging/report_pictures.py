"""Pictures of an evaluation as SVG: distributions, intervals, piano rolls, self-similarity.

Takes numbers and scores; gives markup whose colours are those of the page, light or dark. Nothing is loaded from elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kapelle.engraving.palette import DARK, LIGHT
from kapelle.judging.report import number
from kapelle.metrics import structure
from kapelle.metrics.excerpt import excerpt
from kapelle.pages.markup import text
from kapelle.score import units
from kapelle.score.edit import note_arrays

if TYPE_CHECKING:
    from symusic import Score

    from kapelle.metrics.bootstrap import Estimate

BINS = 24
LEVELS = 8
N_COLOURS = len(LIGHT.tracks)
GREY = "grey"
"""The class of the colour of real music."""

WIDTH, HEIGHT = 300, 96
ROLL_WIDTH, ROLL_HEIGHT = 480, 150
SQUARE = 150

STYLE = (
    "<style>svg { display: block; max-width: 100%; height: auto; } svg text { fill: var(--muted); font-size: 11px; } "
    "svg .edge { stroke: var(--line); fill: none; } .real { fill: var(--muted); opacity: .35; } .panel { fill: var(--panel); } "
    ".grey { --c: var(--muted); } .plots { margin-top: 1.2rem; display: grid; "
    "grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); gap: 1.2rem; } "
    ".plots h3 { margin: 0 0 .2rem; font-size: .875rem; } .legend span { margin-right: 1.2rem; white-space: nowrap; } "
    ".legend i { display: inline-block; width: 1rem; height: .7rem; margin-right: .35rem; } "
    ".samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr)); gap: 1.2rem; } "
    ".pair { display: flex; gap: .6rem; align-items: start; } .pair svg { flex: 1; min-width: 0; } "
    ".pair svg:first-child { flex: 3.2; } "
    + " ".join(f".c{place} {{ --c: {colour}; }}" for place, colour in enumerate(LIGHT.tracks))
    + " @media (prefers-color-scheme: dark) { "
    + " ".join(f".c{place} {{ --c: {colour}; }}" for place, colour in enumerate(DARK.tracks))
    + " } .mark { fill: var(--c); } .line { stroke: var(--c); fill: none; stroke-width: 1.8; } .dashed { stroke-dasharray: 4 3; }</style>"
)


def colour(place: int) -> str:
    """The class of a row's colour."""
    return f"c{place % N_COLOURS}"


def histogram(real: Sequence[float], others: Sequence[tuple[str, Sequence[float]]]) -> str:
    """The share of pieces by value: real music as bars, every other set as a line; empty if there is nothing to tell apart.

    Args:
        real: Values of real pieces.
        others: Class of the line, values; a class may add "dashed".
    """
    every = np.concatenate([np.asarray(values, np.float64) for values in (real, *(values for _, values in others))])
    if not len(every) or every.min() == every.max():
        return ""
    low, high = _range(every)
    edges = np.linspace(low, high, BINS + 1)
    shares = [_shares(values, edges) for values in (real, *(values for _, values in others))]
    top = max(float(one.max()) for one in shares) or 1.0
    step = WIDTH / BINS
    heights = [one / top * (HEIGHT - 8) for one in shares]
    bars = "".join(
        f'<rect class="real" x="{place * step:.1f}" y="{HEIGHT - size:.1f}" width="{step - 0.6:.1f}" height="{size:.1f}"/>'
        for place, size in enumerate(heights[0].tolist())
        if size > 0
    )
    lines = "".join(f'<path class="line {name}" d="{_stairs(one, step)}"/>' for (name, _), one in zip(others, heights[1:], strict=True))
    labels = (
        f'<text x="0" y="{HEIGHT + 13}">{number(low)}</text><text x="{WIDTH}" y="{HEIGHT + 13}" text-anchor="end">{number(high)}</text>'
        f'<text x="{WIDTH / 2}" y="{HEIGHT + 13}" text-anchor="middle">{number((low + high) / 2)}</text>'
    )
    ground = f'<path class="edge" d="M0 {HEIGHT}H{WIDTH}"/>'
    return f'<svg viewBox="-2 0 {WIDTH + 4} {HEIGHT + 18}" role="img" aria-label="histogram">{bars}{lines}{ground}{labels}</svg>'


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    """From the least to the largest value, the outermost hundredth aside; it goes to the outermost bins."""
    low, high = (float(end) for end in np.quantile(values, [0.005, 0.995]))
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _shares(values: Sequence[float], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(np.asarray(values, np.float64), edges[0], edges[-1])
    return np.histogram(inside, edges)[0] / max(len(inside), 1)


def _stairs(heights: NDArray[np.float64], step: float) -> str:
    path = [f"M0 {HEIGHT:.0f}"]
    path += [f"V{HEIGHT - size:.1f}H{(place + 1) * step:.1f}" for place, size in enumerate(heights.tolist())]
    return "".join([*path, f"V{HEIGHT:.0f}"])


def intervals(rows: Sequence[tuple[str, str, Estimate]]) -> str:
    """A figure of every row as a dot with its interval; empty if no row has one.

    Args:
        rows: Label, class of the colour, figure.
    """
    shown = [row for row in rows if not isnan(row[2].value)]
    if not shown:
        return ""
    ends = [end for _, _, one in shown for end in (one.low, one.high, one.value) if not isnan(end)]
    low, high = min(0.0, *ends), max(*ends, 1e-9)
    left, line = 112, 20
    scale = (WIDTH - left - 8) / (high - low)

    def x(value: float) -> float:
        return left + (value - low) * scale

    parts = []
    for place, (label, name, one) in enumerate(shown):
        y = 14 + place * line
        if not isnan(one.low):
            parts.append(f'<path class="line {name}" d="M{x(one.low):.1f} {y}H{x(one.high):.1f}"/>')
        parts.append(f'<circle class="mark {name}" cx="{x(one.value):.1f}" cy="{y}" r="4"/>')
        parts.append(f'<text x="0" y="{y + 4}">{text(label[:18])}</text>')
    bottom = 14 + len(shown) * line
    parts.append(f'<path class="edge" d="M{left} {bottom - 6}H{WIDTH - 8}"/>')
    parts.append(f'<text x="{left}" y="{bottom + 8}">{number(low)}</text>')
    parts.append(f'<text x="{WIDTH - 8}" y="{bottom + 8}" text-anchor="end">{number(high)}</text>')
    return f'<svg viewBox="-2 0 {WIDTH + 4} {bottom + 14}" role="img" aria-label="figures with intervals">{"".join(parts)}</svg>'


def roll(score: Score, n_bars: int) -> str:
    """The piano roll of an excerpt: time goes right, pitch up, a colour for each track, lines at bars."""
    lines = units.bar_starts(score, units.bars_to_ticks(score, n_bars))
    end = max(int(lines[-1]), 1)
    tracks = [(place, note_arrays(track)) for place, track in enumerate(score.tracks) if len(track.notes)]
    pitches = np.concatenate([notes["pitch"] for _, notes in tracks] or [np.array([60])])
    low, high = int(pitches.min()) - 2, int(pitches.max()) + 3
    row = ROLL_HEIGHT / (high - low)
    parts = [f'<rect class="panel" width="{ROLL_WIDTH}" height="{ROLL_HEIGHT}"/>']
    bars = "".join(f"M{at / end * ROLL_WIDTH:.1f} 0V{ROLL_HEIGHT}" for at in lines.tolist())
    parts.append(f'<path class="edge" d="{bars}"/>')
    for place, notes in tracks:
        x = notes["time"] / end * ROLL_WIDTH
        wide = np.maximum(notes["duration"] / end * ROLL_WIDTH - 0.4, 1.2)
        y = (high - 1 - notes["pitch"]) * row
        boxes = zip(x.tolist(), y.tolist(), wide.tolist(), strict=True)
        path = "".join(f"M{a:.1f} {b:.1f}h{c:.1f}v{row:.1f}h-{c:.1f}z" for a, b, c in boxes)
        parts.append(f'<path class="mark {colour(place)}" d="{path}"/>')
    return f'<svg viewBox="0 0 {ROLL_WIDTH} {ROLL_HEIGHT}" role="img" aria-label="piano roll">{"".join(parts)}</svg>'


def self_similarity(score: Score, n_bars: int) -> str:
    """How alike any two bars of an excerpt are: the darker the more, from the first bar at the upper left on."""
    table = structure.self_similarity(excerpt(score, n_bars))
    n = max(len(table), 1)
    cell = SQUARE / n
    levels = np.ceil(np.clip(table, 0, 1) * LEVELS).astype(np.int64)
    parts = [f'<rect class="panel" width="{SQUARE}" height="{SQUARE}"/>']
    for level in range(1, LEVELS + 1):
        places = np.argwhere(levels == level)
        path = "".join(f"M{x * cell:.1f} {y * cell:.1f}h{cell:.1f}v{cell:.1f}h-{cell:.1f}z" for y, x in places.tolist())
        parts.append(f'<path d="{path}" fill="var(--text)" opacity="{level / LEVELS:.2f}"/>')
    return f'<svg viewBox="0 0 {SQUARE} {SQUARE}" role="img" aria-label="self-similarity of bars">{"".join(parts)}</svg>'
