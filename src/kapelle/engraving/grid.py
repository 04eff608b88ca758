"""Played time to written time: each onset on the division of its beat, straight or in triplets, that fits best.

Takes onsets in units of written time, not rounded; gives whole units. A beat is divided in one way for all notes of a staff. The
cost of a division is how far it moves the onsets, plus what it takes to read it, plus a fine for notes that were played one
after another and would fall together. It follows the beats that the file has: it finds none in a free performance.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kapelle.engraving.timeline import QUARTER, SIXTEENTH, Timeline

# Step in units, and what it costs to read. A deviation of TOLERANCE costs 1.
_DIVISIONS = {
    QUARTER: ((12, 0.0), (16, 1.5), (6, 3.0), (8, 3.0), (4, 7.0)),
    QUARTER // 2: ((12, 0.0), (8, 2.0), (6, 3.0), (4, 6.0)),
}
_PLAIN = ((6, 0.0),)
TOLERANCE = 2.0
_COLLISION = 6.0
_TOGETHER = 2.4
"""Onsets nearer than this (a twentieth of a quarter note) are one chord."""


def cells(timeline: Timeline) -> list[int]:
    """Where the divided beats begin, in units, and at last where the piece ends."""
    out: list[int] = []
    for bar in timeline.bars:
        for place in range(bar.start - bar.shift % bar.cell, bar.end, bar.cell):
            left, right = max(place, bar.start), min(place + bar.cell, bar.end)
            # What is left of a beat is not divided by three.
            out += [left] if right - left == bar.cell else range(left, right, SIXTEENTH)
    return [*out, timeline.end]


def snap(onsets: NDArray[np.float64], edges: Sequence[int]) -> NDArray[np.int64]:
    """The written onsets of the notes of a staff, same shape and order.

    Args:
        onsets: Played onsets in units, in order of time.
        edges: Of the beats, by `cells`.
    """
    out = np.zeros(len(onsets), dtype=np.int64)
    clusters = _clusters(onsets)
    starts = [float(onsets[first]) for first, _ in clusters]
    at = 0
    for left, right in pairwise(edges):
        # An onset a little before the beat belongs to it.
        until = bisect_left(starts, right - _TOGETHER, at)
        if until == at:
            continue
        step = _division([start - left for start in starts[at:until]], right - left)
        for start, (first, last) in zip(starts[at:until], clusters[at:until], strict=True):
            out[first:last] = left + min(max(_nearest(start - left, step), 0), right - left)
        at = until
    for first, last in clusters[at:]:  # at the very end
        out[first:last] = max(edges[-1] - SIXTEENTH, 0)
    return out


def _clusters(onsets: NDArray[np.float64]) -> list[tuple[int, int]]:
    """First and last (exclusive) index of notes that begin together."""
    out: list[tuple[int, int]] = []
    for i, onset in enumerate(onsets.tolist()):
        if out and onset - float(onsets[out[-1][0]]) < _TOGETHER:
            out[-1] = (out[-1][0], i + 1)
        else:
            out.append((i, i + 1))
    return out


def _division(places: list[float], length: int) -> int:
    """The step of the division of a beat of `length` units that suits onsets at `places` best."""
    best, chosen = float("inf"), _PLAIN[0][0]
    for step, cost in _DIVISIONS.get(length, _PLAIN):
        before = None
        for place in places:
            near = _nearest(place, step)
            cost += min(((place - near) / TOLERANCE) ** 2, 40.0) + (_COLLISION if near == before else 0.0)
            before = near
        if cost < best:
            best, chosen = cost, step
    return chosen


def _nearest(place: float, step: int) -> int:
    return int(place / step + 0.5) * step if place > 0 else 0
