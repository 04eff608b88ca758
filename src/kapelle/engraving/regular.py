"""Voices whose every beat is divided in one way, straight or by three, so that it can be written.

Takes the voices that `voices` made; gives the same with ends, and where need be onsets, moved to one division per beat.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from kapelle.engraving.timeline import QUARTER
from kapelle.engraving.voices import Chord

_STEPS: dict[int, tuple[int, ...]] = {QUARTER: (12, 6, 16, 8), QUARTER // 2: (12, 6, 8)}
_FINEST = {QUARTER: 4, QUARTER // 2: 4}
_PLAIN = (12, 6)
_MANY = 4
"""Twelve in a beat are read where they run, not where two of them stand crosswise to the beat."""


def regular(chords: Sequence[Chord], edges: Sequence[int]) -> list[Chord]:
    """`chords` on one division per beat; those that fall together become one.

    Args:
        chords: Of one voice, in order, not overlapping.
        edges: Of the divided beats, and the end of the piece, in units.
    """
    moved: dict[int, int] = {}
    onsets = [chord.start for chord in chords]
    joined = {*onsets}
    for left, right in pairwise(edges):
        inside = onsets[bisect_left(onsets, left) : bisect_left(onsets, right)]
        step = _step_of([place - left for place in inside], right - left)
        for place in inside:
            moved[place] = left + _nearest(place - left, step)
        _move_ends(chords, joined, moved, left, right, step)
    out: list[Chord] = []
    for i, chord in enumerate(chords):
        start = moved.get(chord.start, chord.start)
        end = moved.get(chord.end, chord.end)
        following = moved.get(chords[i + 1].start, chords[i + 1].start) if i + 1 < len(chords) else max(end, edges[-1])
        if out and out[-1].start == start:
            pitches = tuple(sorted({*out[-1].pitches, *chord.pitches}))
            out[-1] = Chord(start, max(out[-1].end, min(end, following)), pitches)
            continue
        if end <= start:
            end = following
        out.append(replace(chord, start=start, end=min(end, following)))
    return [chord for chord in out if chord.end > chord.start]


def _move_ends(chords: Sequence[Chord], joined: set[int], moved: dict[int, int], left: int, right: int, step: int) -> None:
    """Move the ends of chords that fall into silence within a beat."""
    starts = [chord.start for chord in chords]
    first = max(bisect_left(starts, left) - 1, 0)
    for chord in chords[first : bisect_left(starts, right)]:
        if left < chord.end < right and chord.end not in joined:
            moved[chord.end] = left + _nearest(chord.end - left, step if chord.start > left or step % 3 else 12)


def _step_of(places: list[int], length: int) -> int:
    """The widest division that holds all `places`, else the one that moves them least."""
    steps = _STEPS.get(length, _PLAIN)
    finest = _FINEST.get(length, 6)
    tried = (*steps, finest) if len(places) >= _MANY else steps
    for step in tried:
        if all(place % step == 0 for place in places):
            return step
    fine = [step for step in steps if step <= 8]
    lost = [len(places) - len({_nearest(place, step) for place in places}) for step in fine]
    moved = [sum(abs(place - _nearest(place, step)) for place in places) for step in fine]
    return fine[min(range(len(fine)), key=lambda i: (lost[i], moved[i]))]


def _nearest(place: int, step: int) -> int:
    return (place + step // 2) // step * step
