"""Which hand plays what: the notes of one keyboard track dealt to two staves.

Takes onsets, ends and pitches; gives a hand for each note. Every chord is cut once: what lies above goes to the right hand. The cuts
of the whole piece are chosen together, by a shortest path: a hand spans little more than an octave, moves little, stays on its side
of what the other holds, and middle C is where the hands like to part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

MIDDLE = 60
_WIDEST = 14
"""Semitones that a hand spans without effort."""

_SPAN_COST, _MOVE_COST, _SIDE_COST, _CROSSING_COST = 1.2, 0.12, 0.05, 1.5
_FOLLOW = 0.5
"""How far the place of a hand moves towards what it plays."""

_BEAM = 6

RIGHT, LEFT = 0, 1


class _State(NamedTuple):
    """What is known after a chord: the places of both hands, what they hold, the cost so far, and the way here."""

    right: float
    left: float
    right_held: tuple[tuple[float, int], ...]
    left_held: tuple[tuple[float, int], ...]
    cost: float
    cut: int
    before: _State | None


def split_hands(onsets: Sequence[float], ends: Sequence[float], pitches: Sequence[int]) -> list[int]:
    """`RIGHT` or `LEFT` for each note.

    Args:
        onsets: In order of time, chords exactly together.
        ends: Where each note ends, in the same unit.
        pitches: MIDI numbers.
    """
    chords: list[list[int]] = []
    for i, onset in enumerate(onsets):
        if chords and onsets[chords[-1][0]] == onset:
            chords[-1].append(i)
        else:
            chords.append([i])
    for chord in chords:
        chord.sort(key=lambda i: pitches[i])
    states = [_State(MIDDLE + 7.0, MIDDLE - 12.0, (), (), 0.0, 0, None)]
    for chord in chords:
        notes = [(ends[i], pitches[i]) for i in chord]
        onset = onsets[chord[0]]
        found = [_step(state, notes, cut, onset) for state in states for cut in range(len(chord) + 1)]
        found.sort(key=lambda state: state.cost)
        alike: dict[tuple[object, ...], _State] = {}
        for state in found:  # of states with the same future the cheapest goes on
            alike.setdefault((state.right_held, state.left_held, round(state.right), round(state.left)), state)
        states = list(alike.values())[:_BEAM]
    out = [RIGHT] * len(pitches)
    last: _State | None = states[0]
    for chord in reversed(chords):
        assert last is not None
        for i in chord[: last.cut]:
            out[i] = LEFT
        last = last.before
    return out


def _step(state: _State, notes: Sequence[tuple[float, int]], cut: int, onset: float) -> _State:
    """The state after a chord whose lowest `cut` notes go to the left hand."""
    low, high = notes[:cut], notes[cut:]
    left_held = (*(note for note in state.left_held if note[0] > onset), *low)
    right_held = (*(note for note in state.right_held if note[0] > onset), *high)
    cost = state.cost
    left = right = 0.0
    if low:
        left = sum(pitch for _, pitch in low) / len(low)
        cost += _MOVE_COST * min(abs(left - state.left), 14) + _span(left_held)
        cost += _SIDE_COST * sum(max(pitch - MIDDLE, 0) for _, pitch in low)
    if high:
        right = sum(pitch for _, pitch in high) / len(high)
        cost += _MOVE_COST * min(abs(right - state.right), 14) + _span(right_held)
        cost += _SIDE_COST * sum(max(MIDDLE - pitch, 0) for _, pitch in high)
    if left_held and right_held:
        cost += _CROSSING_COST * max(max(pitch for _, pitch in left_held) - min(pitch for _, pitch in right_held), 0) ** 0.5
    return _State(
        state.right + _FOLLOW * (right - state.right) if high else state.right,
        state.left + _FOLLOW * (left - state.left) if low else state.left,
        right_held,
        left_held,
        cost,
        cut,
        state,
    )


def _span(held: Sequence[tuple[float, int]]) -> float:
    pitches = [pitch for _, pitch in held]
    return _SPAN_COST * max(max(pitches) - min(pitches) - _WIDEST, 0)
