"""The notes of a staff as one or two voices, each a row of chords that do not overlap.

Takes notes in whole units of written time; gives voices. How the notes are dealt is chosen for the whole staff by a beam search over
what a reader minds: notes cut short because their voice moves on, notes of unlike lengths in one chord, voices that cross, and a
second voice where one would do. Then gaps are closed: a note that was played short, or ends a little early, is written up to the next
one, so that rests stand where there is silence and not where a finger left a key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from kapelle.engraving.spelling import Name
from kapelle.engraving.timeline import QUARTER, SIXTEENTH

_BEAM = 8
_CUT, _CUT_ONCE, _UNLIKE, _CROSSED = 0.9, 0.3, 0.35, 2.5
_SECOND_BAR, _SECOND_CHORD, _SPLIT, _ALONE_BELOW = 1.2, 0.15, 0.25, 1.6
_NO_PITCH = -1


@dataclass(frozen=True)
class StaffNote:
    """A note on a staff, `start` to `end` in whole units; `voice` is 0 or 1 where it is known beforehand, else -1."""

    start: int
    end: int
    pitch: int
    voice: int = -1


@dataclass(frozen=True)
class Chord:
    """Notes of one voice that are written as one: `pitches` rising, `start` to `end` in whole units; their names once they are known."""

    start: int
    end: int
    pitches: tuple[int, ...]
    names: tuple[Name, ...] = ()


class _State(NamedTuple):
    """After some onsets: where each voice's chord ends, the lowest of the upper and the highest of the lower one, and the way here."""

    cost: float
    starts: tuple[int, int]
    ends: tuple[int, int]
    low: int
    high: int
    second_bar: int
    cut: int
    before: _State | None


def voices(notes: Sequence[StaffNote], bar_starts: Sequence[int]) -> tuple[list[Chord], list[Chord]]:
    """The upper and the lower voice of a staff; the lower one is empty where the staff never needs it.

    Args:
        notes: In any order; of two of one onset and pitch, the longer counts.
        bar_starts: In units, rising.
    """
    groups = _groups(notes)
    cuts = _cuts(groups, bar_starts) if not any(note.voice >= 0 for note in notes) else [_given(group) for group in groups]
    upper: list[Chord] = []
    lower: list[Chord] = []
    for group, cut in zip(groups, cuts, strict=True):
        for voice, members in ((upper, group[:cut]), (lower, group[cut:])):
            if members:
                voice.append(Chord(members[0].start, max(note.end for note in members), tuple(sorted(note.pitch for note in members))))
    return close_gaps(upper, bar_starts), close_gaps(lower, bar_starts)


def _groups(notes: Sequence[StaffNote]) -> list[list[StaffNote]]:
    """Notes that begin together, the highest first."""
    longest: dict[tuple[int, int], StaffNote] = {}
    for note in notes:
        known = longest.get((note.start, note.pitch))
        if known is None or note.end > known.end:
            longest[note.start, note.pitch] = note
    out: dict[int, list[StaffNote]] = {}
    for (start, _), note in sorted(longest.items(), key=lambda item: (item[0][0], -item[0][1])):
        out.setdefault(start, []).append(replace(note, end=max(note.end, start + SIXTEENTH // 4)))
    return list(out.values())


def _given(group: list[StaffNote]) -> int:
    """How many notes of a group go to the upper voice, where voices are known; the group is put in that order."""
    group.sort(key=lambda note: (note.voice, -note.pitch))
    return sum(note.voice <= 0 for note in group)


# Which voice -------------------------------------------------------------------------------------------------------------------


def _cuts(groups: Sequence[list[StaffNote]], bar_starts: Sequence[int]) -> list[int]:
    """For each group, how many of its notes, from the highest, go to the upper voice."""
    states = [_State(0.0, (0, 0), (0, 0), _NO_PITCH, _NO_PITCH, -1, 0, None)]
    bar = 0
    for group in groups:
        while bar + 1 < len(bar_starts) and bar_starts[bar + 1] <= group[0].start:
            bar += 1
        found: dict[tuple[int, ...], _State] = {}
        for state in states:
            for cut in _choices(group, state):
                new = _step(state, group, cut, bar)
                key = (*new.ends, new.low, new.high, new.second_bar)
                if key not in found or new.cost < found[key].cost:
                    found[key] = new
        states = sorted(found.values(), key=lambda state: state.cost)[:_BEAM]
    out: list[int] = []
    best: _State | None = states[0]
    while best is not None and best.before is not None:
        out.append(best.cut)
        best = best.before
    return out[::-1]


def _choices(group: list[StaffNote], state: _State) -> list[int]:
    """The cuts worth trying: all above, all below, and between notes of unlike lengths or where a voice still sounds."""
    busy = max(state.ends) > group[0].start
    if len(group) == 1:
        return [1, 0] if busy or group[0].end - group[0].start > QUARTER else [1]
    between = [i for i in range(1, len(group)) if busy or abs(group[i].end - group[i - 1].end) >= SIXTEENTH]
    return [len(group), *between, 0]


def _step(state: _State, group: list[StaffNote], cut: int, bar: int) -> _State:
    start = group[0].start
    cost = state.cost
    starts, ends, low, high = list(state.starts), list(state.ends), state.low, state.high
    for voice, members in ((0, group[:cut]), (1, group[cut:])):
        if not members:
            continue
        over = ends[voice] - start
        if over > 0 and over > (ends[voice] - starts[voice]) // 5:
            cost += _CUT_ONCE + _CUT * min(over / QUARTER, 4.0)
        end = max(note.end for note in members)
        cost += sum(_UNLIKE * min((end - note.end) / QUARTER, 3.0) for note in members if end - note.end >= SIXTEENTH)
        starts[voice], ends[voice] = start, end
    if group[:cut]:
        low = group[cut - 1].pitch
    if group[cut:]:
        high = group[cut].pitch
        cost += _SECOND_CHORD + (_SECOND_BAR if bar != state.second_bar else 0.0)
        if cut:
            cost += _SPLIT
        elif state.ends[0] <= start:  # the lower voice alone: it should be the upper one
            cost += _ALONE_BELOW
    if ends[0] > start and ends[1] > start and low <= high:
        cost += _CROSSED + 0.1 * (high - low)
    return _State(cost, (starts[0], starts[1]), (ends[0], ends[1]), low, high, bar if group[cut:] else state.second_bar, cut, state)


# How long ----------------------------------------------------------------------------------------------------------------------


def close_gaps(chords: Sequence[Chord], bar_starts: Sequence[int]) -> list[Chord]:
    """`chords` that end where the next begins, or a readable rest before it."""
    out = []
    bar = 0
    for i, chord in enumerate(chords):
        while bar + 1 < len(bar_starts) and bar_starts[bar + 1] <= chord.start:
            bar += 1
        bar_end = bar_starts[bar + 1] if bar + 1 < len(bar_starts) else chord.end
        following = chords[i + 1].start if i + 1 < len(chords) else max(bar_starts[-1], chord.start + SIXTEENTH // 4)
        following = max(min(following, bar_end), min(chord.end, following))  # no note grows over a bar line
        out.append(replace(chord, end=min(_written_end(chord, following, bar_starts[bar], bar_end), following)))
    return out


def _written_end(chord: Chord, following: int, bar_start: int, bar_end: int) -> int:
    gap, room, length = following - chord.end, following - chord.start, chord.end - chord.start
    if gap <= SIXTEENTH or room <= QUARTER // 2:
        return following
    on_beat = (chord.start - bar_start) % QUARTER == 0
    most = 25 if room <= QUARTER and on_beat else 45 if room <= 2 * QUARTER else 80
    if length * 100 >= room * most:
        return following
    step = QUARTER if length > QUARTER else QUARTER // 2
    place = chord.end - bar_start
    third = QUARTER // 3
    if place % third == 0 and place % SIXTEENTH:  # it ends within a triplet
        return chord.end
    end = bar_start + -(-place // step) * step
    if end - chord.end > length // 2 and step == QUARTER:
        end = bar_start + -(-place // (QUARTER // 2)) * (QUARTER // 2)
    end = min(end, max(bar_end, chord.end))
    return following if following - end < QUARTER // 2 else end
