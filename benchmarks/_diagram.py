"""A kit for diagrams of networks: boxes with text, arrows, groups, rows of cells, in one look, measured before they are written.

Takes places in pixels of a picture 900 wide, x to the right and y down; gives a PNG file of twice as many. What a box is (data, frozen,
trained, fixed, a loss) decides its colour, and the legend names the kinds in use. Every text is measured: `Diagram.faults` tells of text
that leaves its box, of boxes and texts that overlap and of arrows that cross them, and `save` refuses to write such a picture.
It lays nothing out by itself: where things stand is part of what a diagram says.

    picture = Diagram(200)
    words = picture.box((20, 60, 150, 60), "T5", note="109 M", kind="frozen")
    net = picture.box((300, 60, 150, 60), "transformer", kind="trained", copies=24)
    picture.arrow(words.right, net.left, label="768 wide")
    picture.save(Path("t5.png"))
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.engraving.palette import LIGHT

if TYPE_CHECKING:
    from matplotlib.text import Text

WIDTH = 900
SHARPNESS = 2
LARGE, MIDDLE, SMALL = 10.0, 8.2, 7.6
"""Sizes of text in points, of 100 to the inch: 14, 11 and 10.5 pixels of the 900."""

LEGEND = 26  # height of its line
MARGIN = 3.0  # of a text within its box
COPY = 5.0  # a copy behind a box stands this far up and to the right

Point = tuple[float, float]


@dataclass(frozen=True)
class Kind:
    """How a kind of box looks, and what the legend calls it."""

    name: str
    fill: str
    edge: str
    dashed: bool = False
    round: bool = False


KINDS = {
    "data": Kind("data", "#ffffff", LIGHT.muted, round=True),
    "frozen": Kind("frozen: taken from elsewhere, not trained on", "#e3e7ef", LIGHT.drums),
    "trained": Kind("trained", "#dbe7fb", LIGHT.tracks[0]),
    "before": Kind("trained before, then kept", "#dcf1e8", LIGHT.tracks[2]),
    "fixed": Kind("computed: no weights", "#fff3d6", LIGHT.tracks[6]),
    "loss": Kind("in training only", "#fbe3ee", LIGHT.tracks[3], dashed=True),
}


@dataclass(frozen=True)
class Box:
    """Where a box stands, in pixels; its sides are where arrows begin and end."""

    x: float
    y: float
    width: float
    height: float
    name: str = ""

    @property
    def left(self) -> Point:
        return self.x, self.y + self.height / 2

    @property
    def right(self) -> Point:
        return self.x + self.width, self.y + self.height / 2

    @property
    def top(self) -> Point:
        return self.x + self.width / 2, self.y

    @property
    def bottom(self) -> Point:
        return self.x + self.width / 2, self.y + self.height

    def on(self, side: str, at: float) -> Point:
        """A point of a side, ``left``, ``right``, ``top`` or ``bottom``: at this y, or this x, of the picture."""
        if side in ("top", "bottom"):
            return at, (self.y if side == "top" else self.y + self.height)
        return (self.x if side == "left" else self.x + self.width), at

    def within(self, other: Box) -> bool:
        """Whether it lies inside another."""
        ends = (self.x + self.width, self.y + self.height)
        return self.x >= other.x and self.y >= other.y and ends[0] <= other.x + other.width and ends[1] <= other.y + other.height

    def meets(self, other: Box) -> bool:
        """Whether the insides have a point in common."""
        across = self.x < other.x + other.width and other.x < self.x + self.width
        return across and self.y < other.y + other.height and other.y < self.y + self.height

    def shrunk(self, by: float) -> Box:
        """The box without a rim."""
        return Box(self.x + by, self.y + by, self.width - 2 * by, self.height - 2 * by, self.name)

    def crossed(self, start: Point, end: Point) -> bool:
        """Whether a straight line has points inside (Liang and Barsky: the part of the line within each pair of sides)."""
        first, last = 0.0, 1.0
        for axis, (low, size) in enumerate(((self.x, self.width), (self.y, self.height))):
            step, begin = end[axis] - start[axis], start[axis]
            if abs(step) < 1e-9:
                if not low < begin < low + size:
                    return False
                continue
            one, other = sorted(((low - begin) / step, (low + size - begin) / step))
            first, last = max(first, one), min(last, other)
        return first < last


@dataclass
class Diagram:
    """A picture in the making.

    Args:
        height: In pixels, the legend's line not counted.
        width: In pixels.
    """

    height: float
    width: float = WIDTH
    boxes: list[Box] = field(default_factory=list)
    _texts: list[tuple[Text, Box | None]] = field(default_factory=list)
    _lines: list[list[Point]] = field(default_factory=list)
    _kinds: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=(self.width / 100, (self.height + LEGEND) / 100), dpi=100, facecolor=LIGHT.ground)
        FigureCanvasAgg(self.figure)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, self.width), ylim=(self.height + LEGEND, 0))
        self.axes.set_axis_off()

    # --- what can be drawn ----------------------------------------------------------------------------------------------------

    def box(self, place: tuple[float, float, float, float], text: str, *, note: str = "", kind: str = "fixed", copies: int = 1) -> Box:
        """A box with a text, and under it a smaller note.

        Args:
            place: Left, top, width and height in pixels.
            text: A line or more.
            note: Below it: sizes, widths.
            kind: One of `KINDS`.
            copies: Of layers one after another; more than 1 shows boxes behind it, and "×24" in the corner.
        """
        box = Box(*place, name=text.replace("\n", " "))
        self._kinds.add(kind)
        for behind in range(min(copies, 3) - 1, -1, -1):
            self._rectangle(box, KINDS[kind], behind * COPY)
        self.boxes.append(box)
        x, y = box.x + box.width / 2, box.y + box.height / 2
        high, low = LARGE * 1.7 * (text.count("\n") + 1), SMALL * 1.7 * (note.count("\n") + 1) if note else 0
        self._text((x, y - low / 2), text, LARGE, box)
        if note:
            self._text((x, y + high / 2), note, SMALL, box, LIGHT.drums)
        if copies > 1:
            self._text((box.x + box.width - 5, box.y + 11), f"×{copies}", SMALL, box, KINDS[kind].edge, "right")
        return box

    def joint(self, at: Point, text: str, *, radius: float = 13) -> Box:
        """A small circle where streams meet: "+", "×", "‖"."""
        from matplotlib.patches import Circle

        self.axes.add_patch(Circle(at, radius, facecolor=KINDS["fixed"].fill, edgecolor=KINDS["fixed"].edge, linewidth=1.2, zorder=2))
        box = Box(at[0] - radius, at[1] - radius, 2 * radius, 2 * radius, text)
        self.boxes.append(box)
        self._text(at, text, LARGE, box)
        return box

    def arrow(self, *points: Point, label: str = "", at: Point | None = None, dashed: bool = False, head: bool = True) -> None:
        """An arrow through points, from the first to the last.

        Args:
            points: Two or more; corners are drawn as they are.
            label: A small text, above the middle of the longest part.
            at: Where the label's middle is, if not there.
            dashed: For what happens in training alone.
            head: Without it, a line.
        """
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path as Outline

        colour = KINDS["loss"].edge if dashed else LIGHT.drums
        self.axes.add_patch(FancyArrowPatch(
            path=Outline(points), arrowstyle="-|>" if head else "-", mutation_scale=11, color=colour, linewidth=1.3, zorder=1.5,
            linestyle=(0, (4, 2)) if dashed else "solid", joinstyle="miter", capstyle="butt",
        ))  # fmt: skip
        self._lines.append(list(points))
        if label:
            place = at or _above(points, label.count("\n") + 1)
            self._text(place, label, SMALL, colour=colour)

    def group(self, boxes: Iterable[Box], title: str, *, rim: float = 12, kind: str = "") -> Box:
        """A frame around boxes, with a title within, above them; 18 pixels are needed there. With a kind it has its colour."""
        from matplotlib.patches import FancyBboxPatch

        boxes = list(boxes)
        x, y = min(box.x for box in boxes) - rim, min(box.y for box in boxes) - rim - 16
        right, low = max(box.x + box.width for box in boxes) + rim, max(box.y + box.height for box in boxes) + rim
        frame = Box(x, y, right - x, low - y, title)
        fill, edge = (KINDS[kind].fill, KINDS[kind].edge) if kind else (LIGHT.shade, LIGHT.bar)
        self._kinds.update([kind] if kind else [])
        self.axes.add_patch(FancyBboxPatch(
            (x, y), frame.width, frame.height, boxstyle="round,pad=0,rounding_size=8", facecolor=_tint(fill, 0.5) if kind else fill,
            edgecolor=edge, linewidth=1.1, zorder=0.5,
        ))  # fmt: skip
        self._text((x + 9, y + 12), title, MIDDLE, frame, side="left")
        return frame

    def note(self, at: Point, text: str, *, side: str = "center", strong: bool = False, colour: str = LIGHT.muted) -> None:
        """A free text; `at` is its middle, or the middle of its left or right end."""
        self._text(at, text, MIDDLE, colour=LIGHT.text if strong else colour, side=side)

    def cells(self, at: Point, rows: Sequence[Sequence[str]], *, size: Point = (26, 22), colours: dict[str, int] | None = None) -> Box:
        """A table of small squares, such as tokens of parallel streams; an empty text is a gap.

        Args:
            at: Left and top.
            rows: Texts.
            size: Width and height of a square.
            colours: Which colour of the palette's tracks a text has, by its text.
        """
        from matplotlib.patches import Rectangle

        for r, row in enumerate(rows):
            for c, text in enumerate(row):
                if not text:
                    continue
                square = Box(at[0] + c * size[0], at[1] + r * size[1], *size, name=text)
                tint = LIGHT.tracks[(colours or {})[text] % len(LIGHT.tracks)] if text in (colours or {}) else LIGHT.muted
                place = Rectangle((square.x, square.y), *size, facecolor=_tint(tint), edgecolor=tint, linewidth=0.9, zorder=2)
                self.axes.add_patch(place)
                self._text((square.x + size[0] / 2, square.y + size[1] / 2), text, SMALL, square)
        table = Box(*at, size[0] * max(len(row) for row in rows), size[1] * len(rows), "cells")
        self.boxes.append(table)
        return table

    # --- what may be wrong ----------------------------------------------------------------------------------------------------

    def faults(self) -> list[str]:
        """What a reader would stumble over; empty for a good picture."""
        placed = [(text.get_text().replace("\n", " "), self._extent(text), box) for text, box in self._texts]
        page = Box(0, 0, self.width, self.height + LEGEND)
        found = [f"{name!r} leaves the picture" for name, extent, _ in placed if not extent.within(page)]
        found += [f"{name!r} leaves its box" for name, extent, box in placed if box and not extent.within(box.shrunk(MARGIN - 1))]
        free = [(name, extent) for name, extent, box in placed if box is None]
        found += [f"{name!r} lies on {box.name!r}" for name, extent in free for box in self.boxes if extent.meets(box)]
        found += [f"{one[0]!r} lies on {two[0]!r}" for one, two in combinations(placed, 2) if one[1].meets(two[1])]
        found += [f"{one.name!r} overlaps {two.name!r}" for one, two in combinations(self.boxes, 2) if one.meets(two)]
        parts = [part for line in self._lines for part in pairwise(line)]
        found += [f"an arrow leans from {part[0]} to {part[1]}" for part in parts if _leans(*part)]
        found += [f"an arrow crosses {box.name!r}" for box in self.boxes if any(box.shrunk(1.5).crossed(*part) for part in parts)]
        return found + [f"an arrow crosses {name!r}" for name, extent in free if any(extent.crossed(*part) for part in parts)]

    def save(self, path: Path) -> None:
        """Write the picture, with a legend of the kinds of boxes in it.

        Raises:
            ValueError: It has faults, which are told.
        """
        self._legend()
        if found := self.faults():
            raise ValueError(f"{path.name}: " + "; ".join(found))
        path.parent.mkdir(parents=True, exist_ok=True)
        self.figure.savefig(path, dpi=100 * SHARPNESS, metadata={"Software": None}, pil_kwargs={"optimize": True})

    # --- within ---------------------------------------------------------------------------------------------------------------

    def _legend(self) -> None:
        from matplotlib.patches import Rectangle

        x, y = 20.0, self.height + LEGEND / 2 - 3
        for kind in (kind for name, kind in KINDS.items() if name in self._kinds):
            line = "--" if kind.dashed else "-"
            self.axes.add_patch(Rectangle((x, y - 6), 18, 12, facecolor=kind.fill, edgecolor=kind.edge, linewidth=1, linestyle=line))
            text = self._text((x + 25, y), kind.name, SMALL, colour=LIGHT.muted, side="left")
            extent = self._extent(text)
            x = extent.x + extent.width + 22

    def _rectangle(self, box: Box, kind: Kind, shift: float) -> None:
        from matplotlib.patches import FancyBboxPatch

        style = f"round,pad=0,rounding_size={min(box.height / 2, 16) if kind.round else 4}"
        self.axes.add_patch(FancyBboxPatch(
            (box.x + shift, box.y - shift), box.width, box.height, boxstyle=style, facecolor=kind.fill, edgecolor=kind.edge,
            linewidth=1.2, linestyle="--" if kind.dashed else "-", zorder=2 - shift / 100,
        ))  # fmt: skip

    def _text(self, at: Point, text: str, size: float, box: Box | None = None, colour: str = LIGHT.text, side: str = "center") -> Text:
        drawn = self.axes.text(
            *at, text, fontsize=size, color=colour, ha=side, va="center", zorder=3, family="DejaVu Sans", linespacing=1.2
        )
        self._texts.append((drawn, box))
        return drawn

    def _extent(self, text: Text) -> Box:
        """Where a text stands."""
        ends = text.get_window_extent(self.figure.canvas.get_renderer())  # type: ignore[attr-defined]
        return Box(ends.x0, self.height + LEGEND - ends.y1, ends.width, ends.height, text.get_text())


def _above(points: Sequence[Point], lines: int) -> Point:
    """Where a label of so many lines stands over the longest level part, or beside the longest upright one."""
    start, end = max(pairwise(points), key=lambda part: abs(part[1][0] - part[0][0]) + abs(part[1][1] - part[0][1]))
    return (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 - 3 - 7 * lines


def _leans(start: Point, end: Point) -> bool:
    """Whether a line looks as if it had been meant to be level or upright, and is not."""
    short, long = sorted((abs(end[0] - start[0]), abs(end[1] - start[1])))
    return 0.4 < short < long / 6


def _tint(colour: str, much: float = 0.16) -> tuple[float, ...]:
    """A colour, mixed with white: so much of it."""
    from matplotlib.colors import to_rgb

    return tuple(1 - much + much * part for part in to_rgb(colour))
