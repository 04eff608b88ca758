"""The grid of the thesis: stages of a band by fixed latents by stages of the Theme Transformer.

Takes names of bundles; gives a plan and its maker. Each cell is a first try: the band plays the phrase of its latents, and if that has no
melody the cell is empty; what is developed from it is taken as it comes, degenerate or not. The latents of a seed are the same for every
stage of one band, since they have the same shape.

Source: the thesis had 5 stages by 3 latents by 6 stages, seed 20220529, and called a cell stuck that gave no file or less than 30 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle import workers
from kapelle.bundles import load
from kapelle.composing import bridge
from kapelle.composing.events import Done
from kapelle.composing.request import ComposeRequest, Length
from kapelle.errors import CannotObey, Interrupted
from kapelle.study.cell import Nothing
from kapelle.study.composers import held, labelled
from kapelle.study.plan import Axis, Cell, Plan

if TYPE_CHECKING:
    from kapelle.bundles.load import Bundle
    from kapelle.composing.piece import Piece

SEED = 20220529
N_LATENTS = 3
BARS = 32
BANDS = ("band-tutorial-500", "band-tutorial-1000", "band-tutorial-2000", "band-tutorial-4000", "band-tutorial-8000")
THEMES = ("theme",)

NOTE = (
    "MuseGAN at several stages of its training gives two bars, the Theme Transformer at several stages of its own develops them. "
    "The latents are the same for every stage of the band. Every cell is a first try: none was made again to come out better.\n\n"
    "To listen for: whether the opening comes back, and how changed; whether a fuller opening is repeated as it is; whether the stage of "
    "the band or that of the Theme Transformer makes more of a difference."
)


@dataclass(frozen=True)
class Asked:
    """What the grid is made of.

    Args:
        bands: Bundles of the band, by name or folder, early stages first.
        themes: Bundles of the Theme Transformer, likewise.
        latents: Seeds of the latents of each band.
        bars: Of every piece.
        theme_bars: Of the theme.
        n_samples: Pieces on each theme: the first has the seed of its latents, as all of a grid had that has one, further ones their own.
    """

    bands: tuple[str, ...] = BANDS
    themes: tuple[str, ...] = THEMES
    latents: tuple[int, ...] = tuple(range(SEED, SEED + N_LATENTS))
    bars: int = BARS
    theme_bars: int = bridge.BARS
    n_samples: int = 1


def plan(asked: Asked) -> Plan:
    """The grid: a section for each Theme Transformer, a row for each band, a column for each latent.

    Raises:
        Missing: A bundle is not installed.
        CannotObey: One is no band, or develops no themes.
    """
    bands, themes = _found(asked.bands, "roll"), _found(asked.themes, "theme")
    axes = [
        Axis("theme", tuple(themes), paged=True),
        Axis("band", tuple(bands), paged=True),
        Axis("latents", tuple(map(str, asked.latents)), tuple(str(number) for number in range(1, len(asked.latents) + 1))),
    ]
    if asked.n_samples > 1:
        axes.append(Axis("sample", tuple(str(number) for number in range(1, asked.n_samples + 1))))
    hashes = {label: bundle.hash for one in (bands, themes) for label, bundle in one.items()}
    settings = {"latents": ", ".join(map(str, asked.latents)), "bars": asked.bars, "bars of the theme": asked.theme_bars, "bundles": hashes}
    return Plan("bridge", "From MuseGAN to the Theme Transformer", tuple(axes), settings, NOTE)


@dataclass(frozen=True)
class Maker:
    """Composes the piece of a cell.

    Args:
        bands: Label -> folder and hash.
        themes: Likewise.
        bars: Of every piece.
        theme_bars: Of the theme.
    """

    bands: dict[str, tuple[Path, str]]
    themes: dict[str, tuple[Path, str]]
    bars: int
    theme_bars: int

    def __call__(self, cell: Cell) -> Piece | Nothing:
        """The piece of a cell, or why there is none."""
        seed, sample = int(cell.values["latents"]), int(cell.values.get("sample", "1"))
        band, theme = self.bands[cell.values["band"]], self.themes[cell.values["theme"]]
        given = _opening(*band, seed, self.theme_bars)
        if given is None:
            return Nothing("the phrase of the band has no melody")
        asked = {"from_band": cell.values["band"], "theme_length": self.theme_bars}
        request = ComposeRequest("bridge", Length(self.bars), seed + _APART * (sample - 1), options=asked)
        options = bridge.Options(from_band=cell.values["band"], theme_length=self.theme_bars, phrases=1)
        for event in bridge.developed(held(*theme), request, options, given, workers.stopped, most_attempts=1):
            if isinstance(event, Done):
                return event.piece
        raise Interrupted("composing ended without a piece")


_APART = 1_000_000
"""Between the seeds of two samples: more than any study has latents."""


@lru_cache(maxsize=4096)
def _opening(path: Path, digest: str, seed: int, theme_bars: int) -> bridge.Opening | None:
    """The theme that a band gives; None if it gives none."""
    options = bridge.Options(theme_length=theme_bars, phrases=1)
    return bridge.opening_of(held(path, digest), seed, options, workers.stopped, most_attempts=1)


def maker(asked: Asked) -> Maker:
    """What composes the piece of a cell."""
    bands, themes = (
        {label: (bundle.path, bundle.hash) for label, bundle in _found(names, codec).items()}
        for names, codec in ((asked.bands, "roll"), (asked.themes, "theme"))
    )
    return Maker(bands, themes, asked.bars, asked.theme_bars)


def _found(names: tuple[str, ...], codec: str) -> dict[str, Bundle]:
    """Label -> bundle."""
    return {label: _checked(name, codec) for label, name in zip(labelled(names), names, strict=True)}


def _checked(name: str, codec: str) -> Bundle:
    found = load.load(name)
    if found.manifest.codec == codec:
        return found
    if codec == "roll":
        raise CannotObey("{name} is no band", name=found.name, hint="`kapelle models` lists bands")
    raise CannotObey("{name} develops no themes", name=found.name, hint="theme does")
