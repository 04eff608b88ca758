"""A piece as a row of numbers with names: pitch, intervals, harmony, rhythm, density, register, polyphony, repetition, instruments.

Takes a `symusic.Score`, or a `Grid` of one; gives `NAMES` and float32 (F,). Every number means something to a musician and is in its own
unit (shares from 0 to 1, semitones, quarter notes, bits): they are for trees, which need no scale, and whoever measures distances scales
them himself. NaN stands where there is nothing to measure, such as intervals of a single note.

Unchanged by: the file's resolution (where both hold its notes), the order of tracks, loudness, tempo, names; and, but for the features of
group ``register``, by transposition. What is cut and rounded first: see `note_grid`. Lengths of pieces do not matter to first order, but
repetition is rarer in short ones: compare excerpts of one length.

The key is estimated (`score.keys`); degrees count from the tonic of the major key with the same signature, so that a piece in A minor and
one in C major share a frame, and ``minor`` tells them apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kapelle.classifiers import harmony_features
from kapelle.classifiers.note_grid import GROUPS, STEPS, Grid, grid
from kapelle.score import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from symusic import Score

Row = NDArray[np.float32]
Table = dict[str, float]

EDITION = 1
"""Raise it when a feature of the same score changes: prepared tables are then made again."""

IOI_EDGES = np.array([0, 2.5, 3.5, 4.5, 7.5, 13.5, 26.5, np.inf])
IOI_NAMES = ("shorter", "sixteenth", "triplet", "eighth", "quarter", "half", "longer")
"""Lengths in steps, and what they are called."""

_SCALES = np.array([[(pc - tonic) % 12 in steps for pc in range(12)] for steps in (keys.MAJOR_STEPS, keys.MINOR_STEPS)
                    for tonic in range(12)], np.float64)  # fmt: skip


def features(score: Score) -> Row:
    """The features of a score, (F,) in the order of `NAMES`.

    Raises:
        UnreadableInput: It has no pitched note.
    """
    return measure(grid(score))


def measure(held: Grid) -> Row:
    """The features of a grid, (F,) in the order of `NAMES`; NaN throughout if it has no note."""
    if not len(held.start):
        return np.full(len(NAMES), np.nan, np.float32)
    return np.array([*_table(held).values()], np.float32)


def _table(held: Grid) -> Table:
    durations = np.bincount(held.pitch % 12, weights=held.end - held.start, minlength=12).astype(np.float64)
    found = keys.key_correlations(durations)
    key = keys.ALL_KEYS[int(np.argmax(found))]
    tonic = key.tonic if key.mode == "major" else key.relative.tonic
    out = _pitch(held, durations, found, tonic)
    for group in _GROUPS:
        out |= group(held)
    return out | harmony_features.harmony(held, tonic)


def _pitch(held: Grid, durations: NDArray[np.float64], found: NDArray[np.float64], tonic: int) -> Table:
    """Which pitch classes there are, and how far they are of one key."""
    counts = np.bincount(held.pitch % 12, minlength=12).astype(np.float64)
    shares = durations / durations.sum()
    ranked = np.sort(found)
    out = {
        "pitch_class_entropy": entropy(counts),
        "pitch_classes": float((counts > 0).sum()),
        "scale_share": float((_SCALES @ shares).max()),
        "key_fit": float(ranked[-1]),
        "key_lead": float(ranked[-1] - ranked[-2]),
        "minor": float(found[12:].max() - found[:12].max()),
    }
    turned = np.roll(shares, -tonic)
    return out | {f"degree_{name}": float(value) for name, value in zip(_DEGREES, turned, strict=True)}


_DEGREES = ("1", "1sharp", "2", "2sharp", "3", "4", "4sharp", "5", "5sharp", "6", "6sharp", "7")


def _register(held: Grid) -> Table:
    """Where on the keyboard it lies. The only features that move with transposition."""
    pitch = held.pitch
    low, middle, high = np.quantile(pitch, (0.05, 0.5, 0.95)).tolist()
    return {
        "register_mean": float(pitch.mean()),
        "register_low": low,
        "register_middle": middle,
        "register_high": high,
        "register_below_48": share(pitch < 48),
        "register_below_60": share(pitch < 60),
        "register_above_72": share(pitch >= 72),
        "register_above_84": share(pitch >= 84),
    }


def _spread(held: Grid) -> Table:
    """How far pitches lie apart."""
    pitch = held.pitch
    low, high = np.quantile(pitch, (0.05, 0.95)).tolist()
    apart = float(pitch.max() - pitch.min())
    return {
        "pitch_range": apart,
        "pitch_range_inner": high - low,
        "pitch_deviation": float(pitch.std()),
        "pitches_used": len(np.unique(pitch)) / (apart + 1),
    }


def _melody(held: Grid) -> Table:
    """Intervals of the top line: the highest note of every onset."""
    last = np.append(held.start[1:] != held.start[:-1], True)
    return _intervals("top", np.diff(held.pitch[last]))


def _bass(held: Grid) -> Table:
    """Intervals of the bass: the lowest note that begins in each half note."""
    half = held.start // (2 * STEPS)
    order = np.lexsort((held.pitch, half))
    first = np.append(True, half[order][1:] != half[order][:-1])
    line = held.pitch[order][first]
    near = held.pitch <= np.quantile(held.pitch, 0.05) + 12
    return {**_intervals("bass", np.diff(line)), "bass_per_quarter": float(near.sum() / _quarters(held))}


def _intervals(name: str, moves: NDArray[np.int64]) -> Table:
    """How a line moves: shares by size, and its turns."""
    size = np.abs(moves)
    turns = np.sign(moves[moves != 0])
    counts = np.bincount(np.minimum(size, 13), minlength=14)
    shares = counts / max(len(moves), 1) if len(moves) else np.full(14, np.nan)
    return {
        f"{name}_repeated": float(shares[0]),
        f"{name}_semitone": float(shares[1]),
        f"{name}_tone": float(shares[2]),
        f"{name}_third": float(shares[3:5].sum()),
        f"{name}_fourth": float(shares[5]),
        f"{name}_tritone": float(shares[6]),
        f"{name}_fifth": float(shares[7]),
        f"{name}_sixth": float(shares[8:12].sum()),
        f"{name}_octave": float(shares[12]),
        f"{name}_wider": float(shares[13]),
        f"{name}_mean": mean(size),
        f"{name}_entropy": entropy(counts),
        f"{name}_up": share(turns > 0),
        f"{name}_turns": share(turns[1:] != turns[:-1]),
    }


def _onsets(held: Grid) -> Table:
    """Where in the quarter and in the bar notes begin."""
    inside = held.start % STEPS
    at = np.unique(held.start)
    counts = np.bincount(inside, minlength=STEPS)
    shares = counts / counts.sum()
    firsts = np.isin(held.lines[:-1], at)
    swung, straight = counts[8], counts[6]
    return {
        "on_beat": float(shares[0]),
        "on_eighth": float(shares[6]),
        "on_sixteenth": float(shares[[3, 9]].sum()),
        "on_triplet": float(shares[[4, 8]].sum()),
        "on_sextuplet": float(shares[[2, 10]].sum()),
        "off_grid": float(shares[[1, 5, 7, 11]].sum()),
        "position_entropy": entropy(counts),
        "swing": float(swung / (swung + straight)) if swung + straight else np.nan,
        "downbeats": share(firsts),
        "on_downbeat": share(np.isin(held.start, held.lines)),
        "syncopation": _syncopation(held, at),
        "bar_quarters": float(np.diff(held.lines).mean() / STEPS),
        "triple": share(np.diff(held.lines) % (3 * STEPS) == 0) if held.n_bars else np.nan,
    }


def _syncopation(held: Grid, at: NDArray[np.int64]) -> float:
    """Share of notes that begin off the beat and sound over the next one, on which nothing begins."""
    following = (held.start // STEPS + 1) * STEPS
    return share((held.start % STEPS != 0) & (held.end > following) & ~np.isin(following, at))


def _lengths(held: Grid) -> Table:
    """Times between onsets, and how long notes last."""
    at, first = np.unique(held.start, return_index=True)
    gaps, lasts = np.diff(at), held.end - held.start
    out = _named("gap", gaps) | _named("note", lasts)
    top = np.append(first[1:], len(held.start)) - 1  # of every onset, the highest
    ratio = np.minimum(lasts[top][:-1] / np.maximum(gaps, 1), 4.0)
    return out | {
        "gap_mean": mean(gaps) / STEPS,
        "gap_spread": float(np.log2(gaps).std()) if len(gaps) else np.nan,
        "gap_entropy": entropy(np.bincount(np.minimum(gaps, 96))),
        "note_mean": mean(lasts) / STEPS,
        "note_spread": float(np.log2(lasts).std()),
        "legato": mean(ratio),
        "staccato": share(ratio < 0.75),
    }


def _named(name: str, lengths: NDArray[np.int64]) -> Table:
    counts = np.histogram(lengths, IOI_EDGES)[0]
    shares = counts / len(lengths) if len(lengths) else np.full(len(IOI_NAMES), np.nan)
    return {f"{name}_{length}": float(value) for length, value in zip(IOI_NAMES, shares, strict=True)}


def _density(held: Grid) -> Table:
    """How much happens."""
    at = np.unique(held.start)
    by_bar = np.bincount(held.bar, minlength=held.n_bars) / np.maximum(np.diff(held.lines) / STEPS, 1e-9)
    per_quarter = np.bincount(held.start // STEPS, minlength=int(_quarters(held)))
    return {
        "notes_per_quarter": len(held.start) / _quarters(held),
        "onsets_per_quarter": len(at) / _quarters(held),
        "density_spread": float(by_bar.std() / max(by_bar.mean(), 1e-9)),
        "density_peak": float(by_bar.max() / max(by_bar.mean(), 1e-9)),
        "quarters_without_onset": share(per_quarter == 0),
    }


def _polyphony(held: Grid) -> Table:
    """How many notes sound at once, and how many begin together."""
    steps = int(max(held.lines[-1], held.end.max()))
    change = np.bincount(held.start, minlength=steps + 1) - np.bincount(held.end, minlength=steps + 1)
    voices = np.cumsum(change)[:steps]
    sounding = voices[voices > 0]
    _, first, sizes = np.unique(held.start, return_index=True, return_counts=True)
    gap = (held.pitch[first + sizes - 1] - held.pitch[first])[sizes > 1]
    return {
        "voices": mean(sounding),
        "voices_2": share(sounding >= 2),
        "voices_3": share(sounding >= 3),
        "voices_4": share(sounding >= 4),
        "voices_6": share(sounding >= 6),
        "silence": share(voices == 0),
        "struck_1": share(sizes == 1),
        "struck_2": share(sizes == 2),
        "struck_3": share(sizes == 3),
        "struck_4": share(sizes == 4),
        "struck_more": share(sizes >= 5),
        "struck_mean": mean(sizes),
        "hands_apart": mean(gap),
        "octaves": share(gap % 12 == 0),
    }


LAGS = (1, 2, 4, 8)
PLACES = 4096
"""Places that a bar may have, more than any metre asks for."""


def _repetition(held: Grid) -> Table:
    """How much of a bar comes back so many bars later, in the same place of the bar: shares of what either has (Jaccard)."""
    inside = np.minimum(held.start - held.lines[held.bar], PLACES - 1)
    place = held.bar * PLACES + inside
    exact, rhythm = np.unique(place * 128 + held.pitch), np.unique(place)
    out = {}
    for lag in LAGS:
        out[f"again_{lag}"] = _alike(exact, PLACES * 128, lag, held.n_bars)
        out[f"rhythm_again_{lag}"] = _alike(rhythm, PLACES, lag, held.n_bars)
    bar, what = np.divmod(exact, PLACES * 128)
    bars = [part.tobytes() for part in np.split(what, np.flatnonzero(np.diff(bar)) + 1)]
    return out | {"bars_before": 1 - len(set(bars)) / len(bars), "beat_again": _beat_again(held)}


def _alike(codes: NDArray[np.int64], size: int, lag: int, n_bars: int) -> float:
    """The Jaccard index of bars from `lag` on and of those so far before; NaN where no bar is.

    Args:
        codes: What bars hold, ascending, each once; `size` codes belong to each bar.
        size: See `codes`.
        lag: In bars.
        n_bars: How many there are.
    """
    moved, later = codes[codes < (n_bars - lag) * size] + lag * size, codes[codes >= lag * size]
    both = int(np.isin(moved, later, assume_unique=True).sum())
    either = len(moved) + len(later) - both
    return both / either if either else float("nan")


def _beat_again(held: Grid) -> float:
    """The same of the rhythm of neighbouring quarters."""
    at = np.unique(held.start)
    both = np.isin(at + STEPS, at, assume_unique=True).sum()
    return float(both / max(2 * len(at) - both, 1))


def _instruments(held: Grid) -> Table:
    """Who plays: shares of the notes. How many tracks and programs there are is not among them, since that says how a file was made."""
    shares = {f"plays_{name}": value for (name, _), value in zip(GROUPS, held.groups, strict=True)}
    return {**shares, "plays_drums": held.drums}


def entropy(counts: NDArray[np.number]) -> float:
    """Entropy of counts, in bits; NaN of none."""
    total = counts.sum()
    if not total:
        return float("nan")
    shares = counts[counts > 0] / total
    return float(-(shares * np.log2(shares)).sum()) + 0.0


def share(found: NDArray[np.bool_]) -> float:
    """The share that is true; NaN of none."""
    return float(found.mean()) if len(found) else float("nan")


def mean(values: NDArray[np.number]) -> float:
    """The mean; NaN of none."""
    return float(values.mean()) if len(values) else float("nan")


def _quarters(held: Grid) -> float:
    return max(float(held.lines[-1]) / STEPS, 1.0)


_GROUPS: tuple[Callable[[Grid], Table], ...] = (
    _register, _spread, _melody, _bass, _onsets, _lengths, _density, _polyphony, _repetition, _instruments,
)  # fmt: skip

_SAMPLE = Grid(np.array([0, 12]), np.array([12, 24]), np.array([60, 64]), np.array([0, 48]), (0.0,) * len(GROUPS), 0.0)
NAMES: tuple[str, ...] = tuple(_table(_SAMPLE))
"""The names of the features."""
