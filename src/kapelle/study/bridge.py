"""The grid of the thesis: stages of a band by fixed latents by stages of the Theme Transformer.

Takes names of bundles; gives a plan and its maker. Each cell is a first try: the band plays the phrase of its latents, and if that has no
melody the cell is empty; what is developed from it is taken as it comes, degenerate or not. The latents of a seed are the same for every
stage of one band, since they have the same shape.

Source: the thesis had 5 stages by 3 latents by 6 stages, seed 20220529, and called a cell stuck that gave no file or less than 30 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kapelle.bundles import load
from kapelle.bundles.load import Bundle
from kapelle.composing import bridge
from kapelle.composing.events import Done
from kapelle.composing.piece import Piece
from kapelle.composing.request import ComposeRequest, Length
from kapelle.errors import CannotObey, Interrupted
from kapelle.study.plan import Axis, Cell, Plan
from kapelle.study.run import Make, Nothing

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


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Asked:
    """What the grid is made of.

    Args:
        bands: Bundles of the band, by name or folder, early stages first.
        themes: Bundles of the Theme Transformer, likewise.
        n_latents: Latents of each band: those of the seeds `seed`, `seed` + 1 ...
        seed: Of the first.
        bars: Of every piece.
        theme_bars: Of the theme.
    """

    bands: tuple[str, ...] = BANDS
    themes: tuple[str, ...] = THEMES
    n_latents: int = N_LATENTS
    seed: int = SEED
    bars: int = BARS
    theme_bars: int = bridge.BARS


def plan(asked: Asked) -> Plan:
    """The grid: a section for each Theme Transformer, a row for each band, a column for each latent.

    Raises:
        Missing: A bundle is not installed.
        CannotObey: One is no band, or develops no themes.
    """
    hashes = {name: _checked(name, codec).hash for names, codec in ((asked.bands, "roll"), (asked.themes, "theme")) for name in names}
    seeds = [asked.seed + number for number in range(asked.n_latents)]
    axes = (
        Axis("theme", asked.themes, _short(asked.themes)),
        Axis("band", asked.bands, _short(asked.bands)),
        Axis("latents", tuple(map(str, seeds)), tuple(str(number) for number in range(1, asked.n_latents + 1))),
    )
    settings = {"seed": asked.seed, "bars": asked.bars, "bars of the theme": asked.theme_bars, "bundles": hashes}
    return Plan("bridge", "From MuseGAN to the Theme Transformer", axes, settings, NOTE)


def maker(asked: Asked) -> Make:
    """Composes the piece of a cell."""
    themes = {name: load.load(name) for name in asked.themes}
    bands = {name: load.load(name) for name in asked.bands}
    openings: dict[tuple[str, int], bridge.Opening | None] = {}

    def make(cell: Cell) -> Piece | Nothing:
        """The piece of a cell, or why there is none."""
        seed, band, theme = int(cell.values["latents"]), cell.values["band"], cell.values["theme"]
        options = bridge.Options(from_band=band, theme_length=asked.theme_bars, phrases=1)
        if (band, seed) not in openings:
            openings[band, seed] = bridge.opening_of(bands[band], seed, options, _never, most_attempts=1)
        given = openings[band, seed]
        if given is None:
            return Nothing("the phrase of the band has no melody")
        request = ComposeRequest("bridge", Length(asked.bars), seed, options={"from_band": band, "theme_length": asked.theme_bars})
        for event in bridge.developed(themes[theme], request, options, given, _never, most_attempts=1):
            if isinstance(event, Done):
                return event.piece
        raise Interrupted("composing ended without a piece")

    return make


def _checked(name: str, codec: str) -> Bundle:
    held = load.load(name)
    if held.manifest.codec == codec:
        return held
    if codec == "roll":
        raise CannotObey("{name} is no band", name=held.name, hint="`kapelle models` lists bands")
    raise CannotObey("{name} develops no themes", name=held.name, hint="theme does")


def _short(names: Sequence[str]) -> tuple[str, ...]:
    """Names of bundles without the folders that they are in, where that keeps them apart."""
    short = tuple(load.find(name).name if "/" in name else name for name in names)
    return short if len(set(short)) == len(short) else tuple(names)
