"""Where the sections of a piece begin, found in its bars; and the phrases that respect them.

Takes the cells of a piece, (M, L, S, P), gives bar numbers. A bar is described, track by track, by what pitch classes sound in it and
when notes begin. All bars are compared two by two; what repeats at which distance is then known for every bar (the time-lag matrix), and a
section may begin where that changes: where a verse, which came back 16 bars later, gives way to a chorus, which came back 24 bars later.
Silence and the start of the drums are changes too. Of all ways to place borders that one is taken where they see the most change; a
border costs something, more where the section that it ends has not 4, 8, 12 ... bars. Phrases begin at the borders and follow one
another within a section; none reaches over a border, and a section shorter than a phrase has none.

It names no sections, and it does not look inside a bar. Where a piece repeats nothing, or one bar only, it finds no border, and phrases
are counted from the first bar that sounds.

Source: Serra, Mueller, Grosche and Arcos 2012, "Unsupervised detection of music boundaries by time series structure features", AAAI.
Differences: bars instead of frames of sound, degrees of likeness instead of nearest neighbours, three bars on either side compared instead
of a smoothed slope, and borders chosen together instead of one by one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Cells = NDArray[np.bool_]

ONSETS = 16
"""Parts of a bar that onsets are told apart by."""

SHARPNESS = 4
"""Likeness, beyond what any two bars of the piece have, is raised to this power, so that the same counts and the akin does not."""

SPAN = 3
"""Bars before and after a border whose repetitions are compared."""

LAG_SMOOTHING_BARS = 0.6

WHOLE_CHANGE = 0.8
"""What `novelty` calls 1 in a piece that never changes more: about what it is where one exact repetition ends and another begins."""

COST = 0.25
"""What a border costs, in the unit of `novelty`."""

ODD_COST = 0.15
"""What it costs beside that to end a section whose length is no multiple of `GROUP`."""

GROUP = 4
"""Bars that go together."""

SHORTEST = 2
"""Bars of the shortest section."""

MOST_BARS = 1024
"""Longer pieces are compared in stretches of so many bars: the matrix grows with the square."""


def features(cells: Cells) -> Floats:
    """(L, F) descriptions of the bars: for every track its pitch classes and its onsets, each of length 1, or 0 in silence.

    Args:
        cells: (M, L, S, P); row p of P is of pitch class p % 12.
    """
    n_tracks, n_bars, n_steps, n_pitches = cells.shape
    padded = np.zeros((n_tracks, n_bars, n_steps, -(-n_pitches // 12) * 12), np.bool_)
    padded[..., :n_pitches] = cells
    chroma = padded.reshape(n_tracks, n_bars, n_steps, -1, 12).sum((2, 3), dtype=np.float64)  # (M, L, 12)
    flat = cells.reshape(n_tracks, n_bars * n_steps, n_pitches)
    begins = flat.copy()
    begins[:, 1:] &= ~flat[:, :-1]
    counts = begins.reshape(n_tracks, n_bars, n_steps, n_pitches).sum(-1, dtype=np.float64)  # (M, L, S)
    places = np.arange(n_steps) * ONSETS // n_steps
    onsets = counts @ (places[:, None] == np.arange(ONSETS))
    both = np.concatenate([_unit(chroma), _unit(onsets)], axis=-1)
    return np.ascontiguousarray(both.transpose(1, 0, 2).reshape(n_bars, -1))


def _unit(rows: Floats) -> Floats:
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    out: Floats = rows / np.where(norms > 0, norms, 1)
    return out


def novelty(described: Floats) -> Floats:
    """(L,) how much what repeats changes at the beginning of each bar, 0 to 1; 0 for the first.

    Args:
        described: (L, F) as `features` gives them.
    """
    n_bars = len(described)
    out = np.zeros(n_bars)
    if n_bars < 2:
        return out
    likeness = np.clip(_unit(described) @ _unit(described).T, 0, 1)
    usual = (likeness.sum() - np.trace(likeness)) / (n_bars * (n_bars - 1))
    repeats = np.clip((likeness - usual) / max(1 - usual, 1e-9), 0, 1) ** SHARPNESS
    lags = (np.arange(n_bars)[:, None] + np.arange(n_bars)[None]) % n_bars
    by_lag = np.take_along_axis(repeats, lags, axis=1)  # (L, lag)
    by_lag[:, 0] = 0  # every bar is like itself
    by_lag = by_lag @ _blur(n_bars, LAG_SMOOTHING_BARS).T
    sums = np.concatenate([np.zeros((1, n_bars)), np.cumsum(by_lag, axis=0)])
    for bar in range(1, n_bars):
        first, last = max(0, bar - SPAN), min(n_bars, bar + SPAN)
        before, after = (sums[bar] - sums[first]) / (bar - first), (sums[last] - sums[bar]) / (last - bar)
        out[bar] = ((after - before) ** 2).sum() * min(bar - first, last - bar) / SPAN
    scaled: Floats = out / max(float(out.max()), WHOLE_CHANGE)
    return scaled


def _blur(n: int, deviation: float) -> Floats:
    """(n, n) the matrix that smooths rows by a bell, round the corner; each row adds up to 1."""
    distance = np.abs(np.arange(n)[:, None] - np.arange(n)[None]).astype(np.float64)
    bell = np.exp(-0.5 * (np.minimum(distance, n - distance) / deviation) ** 2)
    out: Floats = bell / bell.sum(axis=1, keepdims=True)
    return out


def borders(cells: Cells) -> list[int]:
    """The bars at which the sections begin, ascending; the first is the first bar that sounds. Empty for silence.

    Args:
        cells: (M, L, S, P) of a whole piece.
    """
    sounding = np.flatnonzero(cells.any((0, 2, 3)))
    if not len(sounding):
        return []
    first, stop = int(sounding[0]), int(sounding[-1]) + 1
    out: list[int] = []
    for start in range(first, stop, MOST_BARS):
        new = novelty(features(cells[:, start : min(stop, start + MOST_BARS)]))
        out += [start + bar for bar in chosen(new)]
    return out


def chosen(new: Floats) -> list[int]:
    """The borders that together see the most change for their cost, ascending, the first of them 0.

    Args:
        new: (L,) as `novelty` gives it.
    """
    n_bars = len(new)
    best, before = np.full(n_bars + 1, -np.inf), np.zeros(n_bars + 1, np.int64)
    best[0] = 0.0
    for bar in range(1, n_bars + 1):  # best[bar]: the worth of all borders up to and with the one at `bar`
        starts = np.arange(0, max(bar - SHORTEST, 0) + 1)
        lengths = bar - starts
        gain = best[starts] - ODD_COST * (lengths % GROUP > 0) if bar < n_bars else best[starts].copy()
        before[bar] = starts[int(np.argmax(gain))]
        worth = float(gain.max()) + (float(new[bar]) - COST if bar < n_bars else 0.0)
        best[bar] = worth if bar >= SHORTEST or bar == n_bars else -np.inf
    out = [int(before[n_bars])]
    while out[-1] > 0:
        out.append(int(before[out[-1]]))
    return out[::-1]


def phrase_starts(starts: list[int], stop: int, n_bars: int, hop: int) -> list[int]:
    """The first bars of phrases of `n_bars`, every `hop` bars from each border on, none over the next border.

    Args:
        starts: Borders, ascending.
        stop: Where the last section ends.
        n_bars: Length of a phrase.
        hop: Bars from one phrase to the next.
    """
    ends = [*starts[1:], stop]
    return [bar for start, end in zip(starts, ends, strict=True) for bar in range(start, end - n_bars + 1, hop)]
