"""A part as written: for every staff its voices bar by bar, its clefs, and the letters of its notes.

Takes parts with played notes and the bars; gives `Staff`s of written ones. This is where quantising, voices, rhythm, spelling and
clefs come together.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kapelle.engraving.clefs import BASS, PERCUSSION, TREBLE, Clef, clefs
from kapelle.engraving.drumset import stroke_of
from kapelle.engraving.grid import cells, snap
from kapelle.engraving.parts import Notes, Part
from kapelle.engraving.regular import regular
from kapelle.engraving.rhythm import Piece, Span, write_bar
from kapelle.engraving.spelling import lowest_fifths, spell_chord
from kapelle.engraving.timeline import QUARTER, SIXTEENTH, Timeline
from kapelle.engraving.voices import Chord, StaffNote, voices

_CATCH = 5
"""Units within which the end of a note is taken for the beginning of the next."""


@dataclass(frozen=True)
class Voice:
    """A voice of a staff: its chords, and in each bar the written values; an empty list is a bar in which the voice is silent."""

    chords: list[Chord]
    bars: list[list[Piece]]


@dataclass(frozen=True)
class Staff:
    """A written staff.

    Args:
        voices: One or two, the upper first.
        clefs: For each bar.
        is_drum: Its pitches are percussion.
    """

    voices: list[Voice]
    clefs: list[Clef]
    is_drum: bool = False


def write_part(part: Part, timeline: Timeline, fifths: Sequence[int]) -> list[Staff]:
    """The written staves of a part.

    Args:
        part: Its notes as played.
        timeline: The bars.
        fifths: For each bar, where its names begin on the line of fifths, by `name_ranges`.
    """
    edges = cells(timeline)
    if part.is_drum:
        return [_drum_staff(part.staves[0], timeline, edges)]
    wanted: tuple[Clef | None, ...] = (None,) if len(part.staves) == 1 else (TREBLE, BASS)
    return [_pitched_staff(notes, clef, part.program, timeline, edges, fifths) for notes, clef in zip(part.staves, wanted, strict=True)]


def name_ranges(found: Sequence[Part], timeline: Timeline) -> list[int]:
    """For each bar, where the names of its notes begin on the line of fifths, from all pitched parts together."""
    durations = np.zeros((len(timeline.bars), 12))
    starts = np.array([bar.start for bar in timeline.bars])
    for part in found:
        for notes in part.staves if not part.is_drum else ():
            begins, ends = timeline.to_units(notes.starts), timeline.to_units(notes.ends)
            bar = np.clip(np.searchsorted(starts, begins + 2, side="right") - 1, 0, len(starts) - 1)
            np.add.at(durations, (bar, notes.pitches % 12), np.minimum(ends - begins, 4.0 * QUARTER))
    return lowest_fifths(durations, [(bar.sharps, bar.minor) for bar in timeline.bars])


def _pitched_staff(notes: Notes, wanted: Clef | None, program: int, timeline: Timeline, edges: list[int], fifths: Sequence[int]) -> Staff:
    bar_starts = [*(bar.start for bar in timeline.bars), timeline.end]
    upper, lower = voices(_quantised(notes, timeline, edges), bar_starts)
    rows = [_spelled(regular(row, edges), bar_starts, fifths) for row in (upper, lower)]
    heights: list[list[int]] = [[] for _ in timeline.bars]
    for chord in (chord for row in rows for chord in row):
        heights[bisect_right(bar_starts, chord.start) - 1] += [name.line for name in chord.names]
    flat = [height for bar in heights for height in bar]
    wide = wanted is not None or (len(flat) > 8 and float(np.percentile(flat, 90) - np.percentile(flat, 10)) > 17)
    found = clefs(heights, program, may_change=wide, wanted=wanted)
    return Staff(_written(rows, timeline), found)


def _spelled(row: list[Chord], bar_starts: list[int], fifths: Sequence[int]) -> list[Chord]:
    """The chords of a voice with the names of their notes."""
    out = []
    for i, chord in enumerate(row):
        lowest = fifths[bisect_right(bar_starts, chord.start) - 1]
        following = row[i + 1].pitches if i + 1 < len(row) else ()
        out.append(replace(chord, names=spell_chord(chord.pitches, following, lowest)))
    return out


def _quantised(notes: Notes, timeline: Timeline, edges: list[int]) -> list[StaffNote]:
    """Notes on the grid; ends on a beginning nearby, else on a sixteenth, or on a third of a beat that is played in thirds."""
    starts = snap(timeline.to_units(notes.starts), edges)
    starts = np.minimum(starts, max(timeline.end - 6, 0))
    played = timeline.to_units(notes.ends)
    onsets = np.unique(starts)
    thirds = _thirds(onsets, edges)
    out = []
    for start, end, pitch, voice in zip(starts.tolist(), played.tolist(), notes.pitches.tolist(), notes.voices.tolist(), strict=True):
        out.append(StaffNote(start, max(_end(end, onsets, edges, thirds), start + 3), pitch, voice))
    return out


def _thirds(onsets: NDArray[np.int64], edges: list[int]) -> set[int]:
    """The beats that some onset divides by three."""
    out = set()
    for onset in onsets.tolist():
        at = bisect_right(edges, onset) - 1
        if (onset - edges[at]) % 3:
            out.add(edges[at])
    return out


def _end(end: float, onsets: NDArray[np.int64], edges: list[int], thirds: set[int]) -> int:
    near = int(np.searchsorted(onsets, end))
    for i in (near - 1, near):
        if 0 <= i < len(onsets) and abs(int(onsets[i]) - end) <= _CATCH:
            return int(onsets[i])
    left = edges[max(min(bisect_right(edges, end) - 1, len(edges) - 2), 0)]
    step = QUARTER // 3 if left in thirds else SIXTEENTH
    return left + round((end - left) / step) * step


def _drum_staff(notes: Notes, timeline: Timeline, edges: list[int]) -> Staff:
    """Hands above, feet below; what has no length is written up to the next stroke or beat."""
    starts = np.minimum(snap(timeline.to_units(notes.starts), edges), max(timeline.end - 6, 0))
    bar_starts = [*(bar.start for bar in timeline.bars), timeline.end]
    rows: list[dict[int, set[int]]] = [{}, {}]
    for start, pitch in zip(starts.tolist(), notes.pitches.tolist(), strict=True):
        rows[stroke_of(pitch).foot].setdefault(start, set()).add(pitch)
    rows = _without_lonely_feet(rows, bar_starts)
    chords = [
        [Chord(start, edges[bisect_right(edges, start)], _strokes(pitches)) for start, pitches in sorted(row.items())] for row in rows
    ]
    ends = [[replace(chord, end=min(chord.end, following)) for chord, following in _followed(row, timeline.end)] for row in chords]
    found = [regular(row, edges) for row in ends]
    return Staff(_written(found, timeline), [PERCUSSION] * len(timeline.bars), is_drum=True)


def _strokes(pitches: set[int]) -> tuple[int, ...]:
    """One pitch for each place and head."""
    return tuple(sorted({stroke_of(pitch): pitch for pitch in sorted(pitches)}.values()))


def _followed(row: list[Chord], end: int) -> list[tuple[Chord, int]]:
    return [(chord, row[i + 1].start if i + 1 < len(row) else end) for i, chord in enumerate(row)]


def _without_lonely_feet(rows: list[dict[int, set[int]]], bar_starts: list[int]) -> list[dict[int, set[int]]]:
    """Where only the feet play in a bar, they are the upper voice."""
    hands = {bisect_right(bar_starts, start) for start in rows[0]}
    for start in list(rows[1]):
        if bisect_right(bar_starts, start) not in hands:
            rows[0][start] = rows[1].pop(start)
    return rows


def _written(rows: Sequence[list[Chord]], timeline: Timeline) -> list[Voice]:
    """The voices cut into bars and values; a second voice that never sounds is left out."""
    out = []
    for number, row in enumerate(rows):
        if number and not row:
            continue
        starts = [chord.start for chord in row]
        bars = []
        for bar in timeline.bars:
            first = bisect_left(starts, bar.start)
            if first and row[first - 1].end > bar.start:
                first -= 1
            spans: list[Span] = []
            place = 0
            for i in range(first, bisect_left(starts, bar.end)):
                left, right = max(row[i].start - bar.start, 0), min(row[i].end - bar.start, bar.length)
                if left > place:
                    spans.append(Span(place, left, -1))
                spans.append(Span(left, right, i, tied=row[i].start < bar.start, ties=row[i].end > bar.end))
                place = right
            if place < bar.length:
                spans.append(Span(place, bar.length, -1))
            silent = number and all(span.chord < 0 for span in spans)
            bars.append([] if silent else write_bar(spans, bar))
        out.append(Voice(row, bars))
    return out
