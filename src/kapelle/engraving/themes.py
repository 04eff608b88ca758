"""A picture of a melody with its theme: a piano roll with the returns coloured, and below it how alike all its fragments are.

Takes a melody, regions of bars and distances between fragments as arrays; gives an SVG string, or a file as SVG or PNG. In the matrix the
fragment that begins in a bar is compared with that of every other bar: dark is alike, and the frames are the theme against its returns.
Diagonals are passages that come back as a whole. It finds nothing itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapelle.engraving import picture_files
from kapelle.engraving.canvas import Canvas, shorten
from kapelle.engraving.palette import Palette, palette

WIDTH, LEFT, RIGHT = 1200, 56, 24
TOP = 92
MOST_IN_A_ROW, LEAST_IN_A_ROW = 32, 8
ROLL, GAP, NUMBERS = 108, 12, 18
MATRIX, LEGEND_GAP = 560, 40
MOST_CELLS = 128
LEVELS = 12
STEPS_PER_BAR = 16
LISTED = 24


@dataclass(frozen=True)
class Picture:
    """What is drawn.

    Args:
        melody: MELODY_NOTE.
        n_bars: Of the piece.
        regions: (first bar, bar after the last, distance from the theme), the theme first; empty if there is none.
        bars: (F,) bars in which the compared fragments begin.
        distances: (F, F) between them, 0 to 2.
        title: Above it.
        summary: Below the title.
    """

    melody: NDArray[Any]
    n_bars: int
    regions: Sequence[tuple[int, int, float]]
    bars: NDArray[np.int64]
    distances: NDArray[np.float64]
    title: str = ""
    summary: str = ""


def draw(picture: Picture, path: Path, *, theme: str = "light") -> Path:
    """`path`, after drawing into it; the suffix, .svg or .png, chooses the format. An existing file is replaced.

    Raises:
        UnknownName: The suffix is neither .svg nor .png, or there is no such colour theme.
        StorageError: The disk is full, or writing is not allowed there.
    """
    picture_files.check_suffix(path)
    return picture_files.write(path, svg(picture, theme=theme))


def svg(picture: Picture, *, theme: str = "light") -> str:
    """The picture as SVG; see `draw`."""
    colours = palette(theme)
    in_a_row = min(max(-(-picture.n_bars // 8) * 4, LEAST_IN_A_ROW), MOST_IN_A_ROW)
    n_rows = max(-(-picture.n_bars // in_a_row), 1)
    below = TOP + n_rows * (ROLL + NUMBERS + GAP) + 34
    canvas = Canvas(WIDTH, below + MATRIX + 44 if len(picture.bars) else below, colours.ground)
    title = picture.title or "Theme"
    canvas.text(LEFT, 40, shorten(title, 24, WIDTH - LEFT - RIGHT), colours.text, size=24, bold=True)
    canvas.text(LEFT, 66, shorten(picture.summary, 15, WIDTH - LEFT - RIGHT), colours.muted, size=15)
    for row in range(n_rows):
        _draw_row(canvas, colours, picture, _Row(row * in_a_row, in_a_row, TOP + NUMBERS + row * (ROLL + NUMBERS + GAP)))
    if len(picture.bars):
        _draw_matrix(canvas, colours, picture, below)
        _draw_list(canvas, colours, picture, below)
    return canvas.to_svg(title, picture.summary)


@dataclass(frozen=True)
class _Row:
    """One line of the roll: `n_bars` bars from `first` on, its upper edge at `top`."""

    first: int
    n_bars: int
    top: float

    @property
    def bar_width(self) -> float:
        return (WIDTH - LEFT - RIGHT) / self.n_bars

    def x(self, bar: float) -> float:
        return LEFT + (min(max(bar, self.first), self.first + self.n_bars) - self.first) * self.bar_width


def _colour(colours: Palette, place: int) -> str:
    """Of the theme, and of its returns."""
    return colours.tracks[1] if place == 0 else colours.tracks[0]


def _draw_row(canvas: Canvas, colours: Palette, picture: Picture, row: _Row) -> None:
    end = min(row.first + row.n_bars, picture.n_bars)
    canvas.rect(LEFT, row.top, row.x(end) - LEFT, ROLL, colours.panel)
    for place, (first, stop, _) in enumerate(picture.regions):
        if first < end and stop > row.first:
            x, width = row.x(first), row.x(min(stop, end)) - row.x(first)
            canvas.rect(x, row.top, width, ROLL, _colour(colours, place), opacity=0.14)
            canvas.rect(x + 0.5, row.top - 3, width - 1, 3, _colour(colours, place))
    lines = [row.x(bar) for bar in range(row.first, end + 1)]
    canvas.lines([(x, row.top, x, row.top + ROLL) for x in lines], colours.bar, width=0.7)
    for bar in range(row.first, end, 4):
        canvas.text(row.x(bar), row.top - 7, str(bar + 1), colours.muted, size=11)
    if not len(picture.melody):
        return
    low, high = int(picture.melody["pitch"].min()) - 1, int(picture.melody["pitch"].max()) + 1
    height = ROLL / (high - low + 1)
    for group, colour in _coloured(colours, picture):
        notes = picture.melody[group]
        start, stop = notes["start"] / STEPS_PER_BAR, (notes["start"] + notes["duration"]) / STEPS_PER_BAR
        seen = (start < end) & (stop > row.first)
        boxes = [
            (row.x(first), row.top + (high - pitch) * height, max(row.x(min(last, end)) - row.x(first) - 0.6, 1.2), max(height - 0.4, 2.0))
            for first, last, pitch in zip(start[seen], stop[seen], notes["pitch"][seen].tolist(), strict=True)
        ]
        canvas.rects(boxes, colour, radius=1)


def _coloured(colours: Palette, picture: Picture) -> list[tuple[NDArray[np.bool_], str]]:
    """Which notes have which colour: those of the theme, of its returns, and the others."""
    bar = picture.melody["start"] // STEPS_PER_BAR
    out, free = [], np.ones(len(bar), np.bool_)
    for place, (first, stop, _) in enumerate(picture.regions):
        inside = (bar >= first) & (bar < stop)
        out.append((inside, _colour(colours, place)))
        free &= ~inside
    return [(free, colours.muted), *out]


def _draw_matrix(canvas: Canvas, colours: Palette, picture: Picture, top: float) -> None:
    """Squares of bars: how far the fragment of one is from that of another; bars without a fragment stay empty."""
    n_bars = picture.n_bars
    whole = np.full((n_bars, n_bars), np.nan)
    whole[np.ix_(picture.bars, picture.bars)] = picture.distances
    step = -(-n_bars // MOST_CELLS)
    size = MATRIX / n_bars
    canvas.text(LEFT, top - 10, "how alike the two bars from each bar on are: dark is alike", colours.text, size=13)
    canvas.rect(LEFT, top, MATRIX, MATRIX, colours.panel)
    boxes: dict[int, list[tuple[float, float, float, float]]] = {}
    for row in range(0, n_bars, step):
        levels = _levels(whole[row : row + step], step)
        starts = [0, *(np.flatnonzero(levels[1:] != levels[:-1]) + 1).tolist()]
        for first, last in zip(starts, [*starts[1:], len(levels)], strict=True):
            if levels[first] > 0:
                x, width = LEFT + first * step * size, (min(last * step, n_bars) - first * step) * size
                boxes.setdefault(int(levels[first]), []).append((x, top + row * size, width, min(step, n_bars - row) * size))
    for level, group in boxes.items():
        canvas.rects(group, colours.text, opacity=level / LEVELS * 0.9)
    _draw_frames(canvas, colours, picture, top)
    number = next((one for one in (4, 8, 16, 32, 64, 128) if one * size >= 26), 256)
    for bar in range(0, n_bars, number):
        canvas.text(LEFT + bar * size, top + MATRIX + 20, str(bar + 1), colours.muted, size=11)
        canvas.text(LEFT - 10, top + bar * size + 10, str(bar + 1), colours.muted, size=11, anchor="end")


def _draw_frames(canvas: Canvas, colours: Palette, picture: Picture, top: float) -> None:
    """Frames around the theme against its returns, and where these stand along both sides."""
    size = MATRIX / picture.n_bars
    side = max(size, 4.0)
    for place, (first, _, _) in enumerate(picture.regions):
        theme = picture.regions[0][0]
        for column, line in {(first, theme), (theme, first)}:
            left, upper = LEFT + column * size + (size - side) / 2, top + line * size + (size - side) / 2
            edges = [(left, upper, left + side, upper), (left, upper + side, left + side, upper + side)]
            edges += [(left, upper, left, upper + side), (left + side, upper, left + side, upper + side)]
            canvas.lines(edges, _colour(colours, place), width=1.6)
        canvas.rect(LEFT + first * size, top + MATRIX + 2, 2 * size, 4, _colour(colours, place))
        canvas.rect(LEFT - 6, top + first * size, 4, 2 * size, _colour(colours, place))


def _levels(rows: NDArray[np.float64], step: int) -> NDArray[np.int64]:
    """0 (empty, or as far apart as can be) to `LEVELS` (equal) for each group of `step` bars of some rows: the nearest of them counts."""
    missing = -(-rows.shape[1] // step) * step - rows.shape[1]
    padded = np.pad(rows, ((0, 0), (0, missing)), constant_values=np.nan)
    nearest = np.nan_to_num(padded, nan=2.0).min(axis=0).reshape(-1, step).min(axis=1)
    found: NDArray[np.int64] = np.rint((1.0 - np.clip(nearest / np.sqrt(2.0), 0.0, 1.0)) * LEVELS).astype(np.int64)
    return found


def _draw_list(canvas: Canvas, colours: Palette, picture: Picture, top: float) -> None:
    """The regions as a table beside the matrix."""
    x, y = LEFT + MATRIX + LEGEND_GAP, top + 14.0
    if not picture.regions:
        canvas.text(x, y, "no two bars come back", colours.muted, size=14)
        return
    canvas.text(x, y, "bars", colours.muted, size=13)
    canvas.text(x + 150, y, "distance from the theme", colours.muted, size=13)
    for place, (first, stop, distance) in enumerate(picture.regions[:LISTED]):
        y += 22
        canvas.rect(x, y - 11, 12, 12, _colour(colours, place), radius=2)
        canvas.text(x + 20, y, f"{first + 1}–{stop}", colours.text, size=14, bold=place == 0)
        canvas.text(x + 150, y, "the theme" if place == 0 else f"{distance:.2f}", colours.text, size=14, bold=place == 0)
    if len(picture.regions) > LISTED:
        canvas.text(x + 20, y + 22, f"and {len(picture.regions) - LISTED} more", colours.muted, size=13)
