"""The metrics of MuseGAN for a score: a piece laid out as the cells of a band.

Takes a score in ticks; gives the figures of `kapelle.metrics.musegan` by track and pair, or their means over what plays. Definitions, units
and what the released code does otherwise stand there.

Conventions. A score becomes cells by `kapelle.score.roll`, 96 steps a bar and 84 pitches from C1, the grid of the published tables: tracks
are sorted into drums, piano, guitar, bass and strings by program, what belongs to none goes to the strings, notes go to the nearest step,
and pitches outside move by octaves. The whole excerpt is one phrase, so a note goes on over bar lines. Tracks in which nothing sounds are
left out: that a piece has no bass is not an empty bass. Of a piece the first 512 bars at most are measured.

Where the excerpt is not in 4/4 throughout, or holds nothing, every figure is NaN: the metrics are of bars of four beats.

Source: as in `kapelle.metrics.musegan`.

Known differences, from pypianoroll's functions of the same names.

1. Its `qualified_note_rate` measures from a beginning to an end in cells of all pitches, so that every note qualifies, and fails on truth
   values.
2. Its `drum_in_pattern_rate` takes rolls as long as the pattern and no other: one beat at 24 steps a beat. There the values are equal.
3. Its `tonal_distance` fails unless a beat has 12 steps, and its pitch classes are bands of neighbouring pitches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kapelle.errors import UsageError
from kapelle.metrics import musegan
from kapelle.score import edit, units
from kapelle.score.roll import FORMS, TRACKS, Roll, from_score

if TYPE_CHECKING:
    from symusic import Score

FORM = FORMS["paper"]
MAX_BARS = 512
KINDS = ("EB", "UPC", "QN", "QN8", "DP", "TD")


def by_track(score: Score, n_bars: int | None = None, *, legacy: bool = False) -> dict[str, float]:
    """The figures of every track that plays and every pair of pitched ones: "EB/bass", "TD/bass-piano" ...

    Args:
        score: In ticks; it is not changed.
        n_bars: Bars to measure, from the first on, 1 or more; all if left out.
        legacy: By the definitions of the published figures.

    Returns:
        Empty for a piece that is not in 4/4 or in which nothing sounds.

    Raises:
        UsageError: `n_bars` is below 1.
    """
    roll = _roll(score, n_bars)
    if roll is None:
        return {}
    plays = [name for name in TRACKS if roll.track(name).any()]
    cells = roll.cells[[roll.tracks.index(name) for name in plays]]
    return musegan.measure(cells[None], plays, legacy=legacy)


def means(found: Mapping[str, float]) -> dict[str, float]:
    """The mean of each of the six over the tracks or pairs that have it; NaN where none has."""
    return {**dict.fromkeys(KINDS, float("nan")), **musegan.by_kind(found)}


def _roll(score: Score, n_bars: int | None) -> Roll | None:
    """The excerpt as cells; None if it is not in 4/4, or there is nothing."""
    if n_bars is not None and n_bars < 1:
        raise UsageError("bars must be 1 or more, not {bars}", bars=n_bars)
    if n_bars is not None and units.end_ticks(score) > (length := units.bars_to_ticks(score, n_bars)):
        score = edit.clip_to(score, length)  # another metre after the excerpt is no obstacle
    length, metres = units.end_ticks(score), units.metre_map(score)
    used = metres.ticks < length
    if not length or (metres.numerators[used] != 4).any() or (metres.denominators[used] != 4).any():
        return None
    bars = units.n_bars(score) if n_bars is None else n_bars
    roll, _ = from_score(score, FORM, bars=min(bars, MAX_BARS))
    return roll if roll.cells.any() else None
