"""The five metrics of MuseGAN on rolls of a band, as they are defined, and as the released code computes them.

Takes truth values (N, M, L, S, P): phrases, tracks, bars, steps of a bar in 4/4, pitches, the first of which is a C; and the names of
the M tracks. Gives one number per metric and track or pair of tracks, NaN where there is nothing to measure:

=====  ===============================================================================================  =========================
key    what it is                                                                                       of
=====  ===============================================================================================  =========================
EB     percent of bars in which nothing sounds                                                          every track
UPC    pitch classes that sound in a bar, 0 to 12, mean over bars that are not empty                    pitched tracks
QN     percent of notes of at least ceil(S / 32) steps, a 32nd note                                     pitched tracks
QN8    percent of notes of at least S / 8 steps, an eighth; a step less from 48 steps a bar on          pitched tracks
DP     percent of drum onsets in the pattern of `DRUM_PATTERNS`, those beside it counting 0.1           drums
TD     tonal distance, 0 to 2.83: mean over beats in which both sound                                   pairs of pitched tracks
=====  ===============================================================================================  =========================

With 16 steps a bar a 32nd note is shorter than a step: QN is then 100 by definition and tells nothing, QN8 takes its place. It is ours.
From 48 steps a bar on it allows for the step of silence with which every note ends in such rolls.

Conventions. A note is a run of cells of one pitch of one track, and runs go on over the bar lines inside a phrase, not over its ends;
every cell of the drums is an onset, as the rolls are made. Percentages of notes are over all notes, tonal distance over all
beats, so that a bar with few notes weighs little.

With `legacy`, the definitions that the published figures were made with: (1) "pitch classes" are twelve bands of neighbouring pitches
(row // 7 of 84), in UPC and TD; (2) a note counts from 2 steps on, whatever the resolution, and ends at the bar line; (3) neighbouring
cells of the drums are one onset, those beside the pattern count 0.3, and the pattern is shifted to where it fits each bar best;
(4) QN and DP are means over bars, and TD leaves out a bar in which any beat of either track is silent. EB is the same.

It knows neither scores nor networks, and draws no random number but those of a seed.

Source: Dong et al. 2018, "MuseGAN", AAAI, section 5.1, and its released code, version 1; tonal distance: Harte, Sandler and Gasser 2006,
"Detecting harmonic change in musical audio".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from kapelle.errors import UsageError

Cells = NDArray[np.bool_]
Floats = NDArray[np.float64]
_Part = dict[str, tuple[Floats, Floats]]
"""Key -> sums and counts of each phrase, (n,) each."""

DRUMS = "drums"
PAIR_ORDER = ("bass", "guitar", "strings", "piano")
"""Pairs are named and listed in this order, that of the published table; tracks unknown to it follow in theirs."""

DRUM_PATTERNS: Mapping[int, tuple[str, int]] = {
    96: ("1t000t", 16), 48: ("1tt", 16), 24: ("1tt", 8), 72: ("1t000t", 12), 36: ("1tt", 12),
    64: ("1t0t", 16), 32: ("1t", 16), 16: ("1t", 8),
}  # fmt: skip
"""Steps a bar -> a cell of the pattern (1 in it, t beside it, 0 out of it) and how often it is repeated."""

BESIDE, LEGACY_BESIDE = 0.1, 0.3
"""What a drum onset counts that lies beside the pattern."""

LEGACY_STEPS = 2
FINE = 48
"""From so many steps a bar on, rolls take the last step of every note."""

BEATS = 4
C_MAJOR = np.array([1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1], np.bool_)
_AT_ONCE = 512
"""Phrases that are measured together: memory stays small whatever N."""

_CLASSES = np.arange(12) * np.pi
TONAL_MATRIX: Floats = np.stack(
    [
        radius * wave(_CLASSES * turn)
        for radius, turn in ((1.0, 7 / 6), (1.0, 3 / 2), (0.5, 2 / 3))  # circles of fifths, minor and major thirds
        for wave in (np.sin, np.cos)
    ]
)
"""(6, 12): where each pitch class lies in the tonal space."""


@dataclass(frozen=True)
class Tally:
    """What each phrase adds to each metric: sums over counts are the metrics, and phrases can be drawn anew.

    Args:
        sums: Key -> (N,).
        counts: Key -> (N,): bars, notes, onsets or beats.
        certain: Keys that have one value by definition.
    """

    sums: Mapping[str, Floats]
    counts: Mapping[str, Floats]
    certain: frozenset[str] = frozenset()

    def means(self) -> dict[str, float]:
        """The metrics; NaN where nothing was counted."""
        return {key: float(_over(self.sums[key].sum(), self.counts[key].sum())) for key in self.sums}

    def deviations(self, *, draws: int = 200, seed: int = 0) -> dict[str, float]:
        """The standard deviation of each metric over `draws` bootstrap resamples of the phrases.

        At least 1 / count (100 / count of a percentage), the least by which the metric can move. NaN where nothing was counted or the
        metric has one value by definition.
        """
        n = len(next(iter(self.sums.values()), ()))
        draw = np.random.Generator(np.random.Philox(seed))
        times = draw.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64) if n else np.zeros((draws, 0))  # (draws, N)
        out = {}
        for key, counts in self.counts.items():
            total = counts.sum()
            values = _over(times @ self.sums[key], times @ counts)
            values = values[~np.isnan(values)]
            least = (100 if key.startswith(PERCENT) else 1) / max(total, 1)
            known = len(values) > 0 and key not in self.certain
            out[key] = float(max(np.std(values), least)) if known else float("nan")
        return out


PERCENT = ("EB", "QN", "DP", "PR", "IS")
"""What the keys begin with whose unit is a percent."""


def measure(cells: Cells, tracks: Sequence[str], *, legacy: bool = False, qualified_steps: int | None = None) -> dict[str, float]:
    """The metrics of a set of phrases: "EB/bass", "UPC/guitar", "QN/piano", "QN8/piano", "DP/drums", "TD/bass-guitar" ...

    Args:
        cells: (N, M, L, S, P), S divided by 4.
        tracks: Names of the M tracks; "drums" has onsets, all others have pitches.
        legacy: By the definitions of the published figures.
        qualified_steps: The shortest note that QN counts, in steps; ceil(S / 32) if left out, 2 with `legacy`.

    Returns:
        NaN where nothing can be measured: no phrase, no note, never two tracks in one beat, no pattern for S.

    Raises:
        UsageError: The cells have another shape or type, or a name stands twice.
    """
    return tally(cells, tracks, legacy=legacy, qualified_steps=qualified_steps).means()


def deviations(cells: Cells, tracks: Sequence[str], *, draws: int = 200, seed: int = 0, legacy: bool = False) -> dict[str, float]:
    """How far each metric of `measure` would move with other phrases of the same kind; see `Tally.deviations`."""
    return tally(cells, tracks, legacy=legacy).deviations(draws=draws, seed=seed)


def distance(found: Mapping[str, float], data: Mapping[str, float], deviations: Mapping[str, float]) -> dict[str, float]:
    """|found - data| / deviation of each metric of `data`, and their "mean".

    Returns:
        NaN for a metric that one of the three lacks, which the mean passes over: a silent track shows in its EB.
    """
    none = float("nan")
    out = {key: abs(found.get(key, none) - value) / deviations.get(key, none) for key, value in data.items()}
    return {**out, "mean": _mean(out.values())}


def by_kind(distances: Mapping[str, float]) -> dict[str, float]:
    """The mean of the distances of each metric over its tracks or pairs: "EB", "UPC", "QN", "QN8", "DP", "TD"."""
    kinds = dict.fromkeys(key.split("/")[0] for key in distances if "/" in key)
    return {kind: _mean(value for key, value in distances.items() if key.startswith(kind + "/")) for kind in kinds}


def shuffle_bars(cells: Cells, seed: int) -> Cells:
    """`cells` (N, M, L, S, P) with the bars of every track, over all phrases, in an order of their own.

    Each track keeps its bars and loses its company: what tonal distance is by chance.
    """
    draw = np.random.Generator(np.random.Philox(seed))
    out = np.empty_like(cells)
    n, n_tracks, n_bars = cells.shape[:3]
    for m in range(n_tracks):
        bars = cells[:, m].reshape(n * n_bars, *cells.shape[3:])
        out[:, m] = bars[draw.permutation(n * n_bars)].reshape(n, *cells.shape[2:])
    return out


def extras(cells: Cells, tracks: Sequence[str]) -> dict[str, float]:
    """What the released code computes beside the five, of pitched tracks, over bars that are not empty.

    Returns:
        "PR/name", percent of steps with two pitches or more; "IS/name", percent of cells in C major (or A minor); "UP/name", pitches
        that sound in a bar. NaN for a silent track.
    """
    _check(cells, tracks)
    out: dict[str, float] = {}
    for name, rows in zip(tracks, np.moveaxis(cells, 1, 0), strict=True):
        if name != DRUMS:
            bars = rows.reshape(-1, *rows.shape[2:])  # (N * L, S, P)
            bars = bars[bars.any(axis=(1, 2))]
            chroma = _fold(bars.sum(axis=1)).sum(axis=0)
            out[f"PR/{name}"] = float(_over(100 * (bars.sum(axis=2) >= 2).sum(), bars.shape[0] * bars.shape[1]))
            out[f"IS/{name}"] = float(_over(100 * chroma[C_MAJOR].sum(), chroma.sum()))
            out[f"UP/{name}"] = float(_over(bars.any(axis=1).sum(), len(bars)))
    return out


def tally(cells: Cells, tracks: Sequence[str], *, legacy: bool = False, qualified_steps: int | None = None) -> Tally:
    """The sums and counts behind `measure`, phrase by phrase: for metrics and deviations of one set, or of parts of it."""
    _check(cells, tracks)
    n_steps = cells.shape[3]
    if qualified_steps is None:
        qualified_steps = LEGACY_STEPS if legacy else -(-n_steps // 32)
    parts = [_part(cells[i : i + _AT_ONCE], tracks, legacy, qualified_steps) for i in range(0, max(len(cells), 1), _AT_ONCE)]
    sums = {key: np.concatenate([part[key][0] for part in parts]) for key in parts[0]}
    counts = {key: np.concatenate([part[key][1] for part in parts]) for key in parts[0]}
    shortest = {"QN": qualified_steps, "QN8": _eighth(n_steps)}
    return Tally(sums, counts, frozenset(key for key in sums if shortest.get(key.split("/")[0], 2) <= 1))


def _eighth(n_steps: int) -> int:
    """The cells of an eighth note."""
    return -(-n_steps // 8) - (n_steps >= FINE)


def _check(cells: Cells, tracks: Sequence[str]) -> None:
    if cells.ndim != 5 or cells.dtype != np.bool_ or cells.shape[1] != len(tracks) or cells.shape[3] % BEATS or not cells.shape[3]:
        raise UsageError(
            "phrases are bool (phrases, {tracks}, bars, steps, pitches) with a number of steps divided by 4, not {kind} {shape}",
            tracks=len(tracks),
            kind=cells.dtype,
            shape=cells.shape,
        )
    if len(set(tracks)) < len(tracks):
        raise UsageError("a track is named twice: {names}", names=", ".join(tracks))


def _part(cells: Cells, tracks: Sequence[str], legacy: bool, qualified_steps: int) -> _Part:
    """Sums and counts of a few phrases (n, M, L, S, P)."""
    out: _Part = {}
    chroma: dict[str, Floats] = {}
    n, _, n_bars, n_steps, n_pitches = cells.shape
    for name, rows in zip(tracks, np.moveaxis(cells, 1, 0), strict=True):
        beats = rows.reshape(n, n_bars, BEATS, n_steps // BEATS, n_pitches).sum(axis=3, dtype=np.uint16)  # (n, L, beats, P)
        sounds = beats.any(axis=(2, 3))  # (n, L)
        out[f"EB/{name}"] = 100.0 * (~sounds).sum(axis=1), np.full(n, n_bars, np.float64)
        if name == DRUMS:
            out[f"DP/{name}"] = _pattern_by_bars(rows) if legacy else _pattern(rows)
            continue
        chroma[name] = _bands(beats) if legacy else _fold(beats)  # (n, L, beats, 12)
        out[f"UPC/{name}"] = chroma[name].any(axis=2).sum(axis=(1, 2)).astype(np.float64), sounds.sum(axis=1).astype(np.float64)
        for key, steps in (("QN", qualified_steps), ("QN8", _eighth(n_steps))):
            out[f"{key}/{name}"] = _long_notes(rows, steps, by_bars=legacy)
    for (first, one), (second, other) in _pairs(chroma):
        out[f"TD/{first}-{second}"] = _tonal(one, other, by_bars=legacy)
    kinds = ("EB", "UPC", "QN", "QN8", "DP", "TD")
    return {key: out[key] for kind in kinds for key in out if key.split("/")[0] == kind}


def _fold(counts: NDArray[np.integer]) -> Floats:
    """(..., P) -> (..., 12) by pitch class."""
    octaves = -(-counts.shape[-1] // 12)
    whole = np.zeros((*counts.shape[:-1], octaves * 12), np.float64)
    whole[..., : counts.shape[-1]] = counts
    out: Floats = whole.reshape(*counts.shape[:-1], octaves, 12).sum(axis=-2)
    return out


def _bands(counts: NDArray[np.integer]) -> Floats:
    """(..., P) -> (..., 12) as the released code does: twelve bands of neighbouring pitches."""
    width = -(-counts.shape[-1] // 12)
    whole = np.zeros((*counts.shape[:-1], width * 12), np.float64)
    whole[..., : counts.shape[-1]] = counts
    out: Floats = whole.reshape(*counts.shape[:-1], 12, width).sum(axis=-1)
    return out


def _long_notes(rows: Cells, steps: int, *, by_bars: bool) -> tuple[Floats, Floats]:
    """Of the notes of a track (n, L, S, P), 100 for each of at least `steps`, and all; or means and counts of bars that are not empty."""
    n, n_bars, n_steps, n_pitches = rows.shape
    lines = rows.reshape(n * n_bars, n_steps, n_pitches) if by_bars else rows.reshape(n, n_bars * n_steps, n_pitches)
    begins = lines.copy()
    begins[:, 1:] &= ~lines[:, :-1]
    notes = np.count_nonzero(begins, axis=(1, 2)).astype(np.float64)
    for more in range(1, steps):
        begins[:, :-more] &= lines[:, more:]
        begins[:, -more:] = False
    long = 100.0 * np.count_nonzero(begins, axis=(1, 2))
    return _by_bars(long, notes, n) if by_bars else (long, notes)


def _by_bars(sums: Floats, counts: Floats, n: int) -> tuple[Floats, Floats]:
    """Ratios of bars (n * L,) as sums and counts of phrases (n,); bars without a count are left out."""
    held = (counts > 0).reshape(n, -1)
    ratios = np.where(held, (sums / np.maximum(counts, 1)).reshape(n, -1), 0.0)
    return ratios.sum(axis=1), held.sum(axis=1).astype(np.float64)


def _mask(n_steps: int, beside: float) -> Floats | None:
    """The drum pattern of a bar, (S,); None if there is none for this number of steps."""
    if n_steps not in DRUM_PATTERNS:
        return None
    cell, times = DRUM_PATTERNS[n_steps]
    return np.tile([{"1": 1.0, "t": beside, "0": 0.0}[sign] for sign in cell], times)


def _pattern(rows: Cells) -> tuple[Floats, Floats]:
    """Of the onsets (n, L, S, P) of the drums, 100 for each in the pattern, and all."""
    mask = _mask(rows.shape[2], BESIDE)
    onsets = np.count_nonzero(rows, axis=(1, 3)).astype(np.float64)  # (n, S)
    if mask is None:
        return np.zeros(len(rows)), np.zeros(len(rows))
    return 100 * onsets @ mask, onsets.sum(axis=1)


def _pattern_by_bars(rows: Cells) -> tuple[Floats, Floats]:
    """The same as the released code does it: rising edges, and the pattern where it fits each bar best."""
    n, n_bars, n_steps, n_pitches = rows.shape
    mask = _mask(n_steps, LEGACY_BESIDE)
    if mask is None:
        return np.zeros(n), np.zeros(n)
    begins = rows.reshape(n * n_bars, n_steps, n_pitches).copy()
    begins[:, 1:] &= ~rows.reshape(n * n_bars, n_steps, n_pitches)[:, :-1]
    onsets = np.count_nonzero(begins, axis=2).astype(np.float64)  # (n * L, S)
    turns = np.stack([np.roll(mask, turn) for turn in range(len(DRUM_PATTERNS[n_steps][0]))])
    return _by_bars(100 * (onsets @ turns.T).max(axis=1), onsets.sum(axis=1), n)


def _pairs(chroma: Mapping[str, Floats]) -> Iterator[tuple[tuple[str, Floats], tuple[str, Floats]]]:
    known = [name for name in PAIR_ORDER if name in chroma]
    names = known + [name for name in chroma if name not in known]
    return combinations([(name, chroma[name]) for name in names], 2)


def _tonal(one: Floats, other: Floats, *, by_bars: bool) -> tuple[Floats, Floats]:
    """The tonal distances of two tracks (n, L, beats, 12), summed over the beats in which both sound, and how many these are."""
    mass_one, mass_other = one.sum(axis=3), other.sum(axis=3)
    both = (mass_one > 0) & (mass_other > 0)  # (n, L, beats)
    apart = tonal_centroid(one[both]) - tonal_centroid(other[both])
    distances = np.zeros(both.shape)
    distances[both] = np.linalg.norm(apart, axis=-1)
    if not by_bars:
        return distances.sum(axis=(1, 2)), both.sum(axis=(1, 2)).astype(np.float64)
    whole = both.all(axis=2)
    return (distances.mean(axis=2) * whole).sum(axis=1), whole.sum(axis=1).astype(np.float64)


def tonal_centroid(chroma: Floats) -> Floats:
    """Where sounds lie in the tonal space, (..., 6), from how much of each pitch class sounds, (..., 12), none of them silent."""
    out: Floats = (chroma / chroma.sum(axis=-1, keepdims=True)) @ TONAL_MATRIX.T
    return out


def _over(sums: NDArray[np.generic] | float, counts: NDArray[np.generic] | float) -> Floats:
    """Sums over counts; NaN where nothing was counted."""
    over, under = np.asarray(sums, np.float64), np.asarray(counts, np.float64)
    return np.where(under > 0, over / np.where(under > 0, under, 1.0), np.nan)


def _mean(values: Iterable[float]) -> float:
    held = [value for value in values if not np.isnan(value)]
    return float(np.mean(held)) if held else float("nan")
