"""The plots of `docs/explanation/diffusion.md`: drawn from what the code of that page computes, so that page and pictures say the same.

The page's blocks are run once; nothing is computed here but ways of points, step by step, with the page's own functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kapelle.engraving.palette import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = npt.NDArray[np.float64]

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "diffusion.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = 40  # ways in a panel


@dataclass(frozen=True)
class Plot:
    """A drawn figure."""

    figure: Figure

    def save(self, path: Path) -> None:
        """Write it, 1,800 pixels wide."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.figure.savefig(path, dpi=200, metadata={"Software": None}, pil_kwargs={"optimize": True})


@cache
def page() -> SimpleNamespace:
    """Everything that the page's code defines."""
    names: dict[str, Any] = {"__name__": "page"}
    for block in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        exec(compile(block, PAGE.name, "exec"), names)
    return SimpleNamespace(**names)


# --- ways -----------------------------------------------------------------------------------------------------------------


def ddim_way(steps: int) -> Points:
    """Where points are after each step of the page's `ddim`: (steps + 1, points, 2)."""
    here = page()
    x, stride = here.start[:SHOWN], 1000 // steps
    way = [x]
    for level in range((steps - 1) * stride + 1, 0, -stride):
        piece, noise = here.guess(x, here.A[level], here.S[level], here.MUSIC)
        less = max(level - stride, 0)
        x = here.A[less] * piece + here.S[less] * noise
        way.append(x)
    return np.array(way)


def noisy_way(steps: int) -> Points:
    """The same for `solve` with noise on the way, at the size that DDIM gives its points."""
    here = page()
    way: list[Points] = []

    def watched(x: Points, sigma: float) -> Points:
        way.append(x / np.sqrt(1 + sigma**2))
        return np.asarray(here.answer(x, sigma))

    way.append(here.solve(here.far[:SHOWN], here.levels(steps), watched, random=np.random.default_rng(4)))
    return np.array(way)


# --- pictures -------------------------------------------------------------------------------------------------------------


def diffusion() -> Plot:
    """Noise comes in; DDIM goes back in few and many steps, and once with noise on the way."""
    here = page()
    figure, panels = _panels(2, 4, 4.75)
    random = np.random.default_rng(5)
    true, noise = here.pieces(1500, here.MUSIC, random), random.standard_normal((1500, 2))
    for axes, level in zip(panels[0], (0, 60, 150, 999), strict=True):
        x = here.A[level] * true + here.S[level] * noise
        _dots(axes, x, 1.2, LIGHT.tracks[0])
        _title(axes, f"{'noise comes in: ' if level == 0 else ''}a = {here.A[level]:.2f}, s = {here.S[level]:.2f}")
    for axes, steps in zip(panels[1], (5, 20, 200, 0), strict=True):
        _ways(axes, ddim_way(steps) if steps else noisy_way(50)[:, 4:8])
        _title(axes, f"{'and goes again: ' if steps == 5 else ''}DDIM, {steps} steps" if steps else "four points, 50 steps with noise")
    return Plot(figure)


def guidance() -> Plot:
    """Where the same noise ends under guidance 1, 3 and 7."""
    here = page()
    figure, panels = _panels(1, 4, 2.6)
    wanted = here.pieces(1000, here.JAZZ, np.random.default_rng(6))
    for axes, g in zip(panels[0], (None, 1, 3, 7), strict=True):
        made = wanted if g is None else here.solve(here.many[:1000], here.levels(50), here.guided(g))
        _clouds(axes)
        _dots(axes, made, 1.5, LIGHT.tracks[1 if g is None else 0])
        _title(axes, "what is asked for" if g is None else f"guidance {g}")
    return Plot(figure)


def flow() -> Plot:
    """The ways of diffusion and flow from the same noise, and what a question to the network buys."""
    here = page()
    figure, panels = _panels(1, 3, 3.2, squares=2)
    _ways(panels[0][0], np.array(here.diffusion_way)[::10, :SHOWN], every=False)
    _title(panels[0][0], "the way of diffusion")
    _ways(panels[0][1], np.array(here.flow_way)[:, :SHOWN], every=False)
    _title(panels[0][1], "of flow, from the same noise")
    axes = panels[0][2]
    curves = {"DDIM, AudioLDM2's levels": here.ddim_errors, "second order": here.orders[2]}
    curves |= {f"flow, {name}": errors for name, errors in here.flow_errors.items()}
    for place, (name, errors) in enumerate(curves.items()):
        axes.loglog(list(errors), list(errors.values()), "o-", markersize=3, linewidth=1.2, color=LIGHT.tracks[place], label=name)
    _title(axes, "error against questions to the network")
    axes.set_xticks([8, 16, 32, 64, 128, 200], labels=["8", "16", "32", "64", "128", "200"])
    axes.set_xticks([], minor=True)
    axes.legend(frameon=False, fontsize=7, loc="lower left")
    axes.spines[["top", "right"]].set_visible(False)
    return Plot(figure)


def _panels(rows: int, columns: int, height: float, squares: int | None = None) -> tuple[Figure, Sequence[Sequence[Axes]]]:
    """A figure 9 inches wide, with a grid of panels, of which the first so many of a row show the plane."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, height), layout="constrained", facecolor=LIGHT.ground)
    FigureCanvasAgg(figure)
    wide = [1.0 if squares is None or place < squares else 1.25 for place in range(columns)]
    grid: Sequence[Sequence[Axes]] = figure.subplots(rows, columns, squeeze=False, width_ratios=wide).tolist()
    for row in grid:
        for place, axes in enumerate(row):
            axes.tick_params(labelsize=7)
            if squares is None or place < squares:
                axes.set(xlim=(-2.45, 2.45), ylim=(-2.45, 2.45), aspect="equal", xticks=[], yticks=[])
                axes.spines[:].set_color(LIGHT.bar)
    return figure, grid


def _dots(axes: Axes, points: Points, size: float, colour: str, order: float = 1) -> None:
    axes.scatter(points[:, 0], points[:, 1], s=size, color=colour, linewidths=0, zorder=order)


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, fontsize=8.5, color=LIGHT.text)


def _clouds(axes: Axes) -> None:
    here = page()
    _dots(axes, here.pieces(600, here.MUSIC, np.random.default_rng(7)), 3, LIGHT.bar)


def _ways(axes: Axes, way: Points, every: bool = True) -> None:
    """Lines of points from their noise (small, grey) to their ends (blue); with `every`, a dot at each step, if there are few."""
    _clouds(axes)
    for point in range(way.shape[1]):
        dots = "o-" if every and len(way) < 30 else "-"
        colour = LIGHT.tracks[1 + point if way.shape[1] < 8 else 1]
        axes.plot(*way[:, point].T, dots, color=colour, linewidth=0.6, markersize=1.3, alpha=0.75)
    _dots(axes, way[0], 4, LIGHT.drums, 3)
    _dots(axes, way[-1], 9, LIGHT.tracks[0], 4)


DIAGRAMS: dict[str, Callable[[], Plot]] = {"diffusion": diffusion, "diffusion-guidance": guidance, "flow": flow}
