"""Rules that make the cells of a band cleaner music, each a function of its own; how many cells each one changed is counted.

Takes scores (M, T, P) of a whole piece, T steps in a row, a cell sounding where its score is above 0; gives cells of the same shape.
In this order, with their reasons:

1. *Drums*: a number that no drum kit of General MIDI has is left out; nobody would hear it, or a file player would make a noise of its own.
2. *Range*: what an instrument does not play (`RANGES`) it plays an octave or more nearer: a bass that strays into the treble is a guitar.
3. *Holes*: one silent step inside a note is filled, unless the note goes on at an eighth (in a fine grid: at a sixteenth or a third of a
   quarter): there it is struck again. A network that hesitates for a step leaves a stutter that no player would play.
4. *Blips*: a sixteenth is left out if it is alone, nothing of its track sounding within a fourth of it from a quarter before to a quarter
   after; or if it lies between two such places and is less sure (its score) than half of what is usual in its track. In a fine grid, every
   note shorter than a 32nd goes. They are the specks at the edge of a decision; of the notes of the training music, 1 in 300 is alone.
5. *Scale*: a note outside of the scale is left out where others of its track sound with it, and is otherwise moved by a semitone to the
   neighbour that scores higher. A chord keeps its clear notes, a line its rhythm.
6. *Thinning*: at most so many notes of a track sound at once: 1 of the bass, 4 of the others, `MOST`. Notes are taken in order of their
   strength, the sum of their scores, and a note sounds up to the first step that is full; one that could not even begin is left out.
   So no note is cut in its middle, and what is sustained comes before what is chopped. Too many notes at once are the first defect that
   is told of such networks.
7. *Agreement*: a note shorter than a quarter gives way where it begins a semitone (whatever the octave) from a longer or stronger note
   that sounds then in any track, the lead's included. Tracks that do not agree are the second defect that is told of them; a seventh
   that is held is no clash, and stays.
8. *Holding*: where more than half of a track's notes are shorter than an eighth, these are held to the next onset of the track, a quarter
   at most. Fragments instead of notes are what hard thresholds make; in a track that is not chopped nothing changes.
9. *Phrases*: a note that is tied over the line between two phrases ends a step before it, since the next phrase begins anew.
10. *Rest*: in the last bar nothing begins after its middle, and each track's last notes are held to the final bar line; if nothing begins
   in it at all, what sounds over its bar line is struck again. So a piece stops because it ends.

It looks at cells alone: velocities, programs and keys are others' business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.bool_]
Floats = NDArray[np.float32]

DRUMS = "drums"
DRUM_NUMBERS = (35, 81)
"""What a drum kit of General MIDI has, first and last."""

MOST: Mapping[str, int] = {"drums": 4, "piano": 4, "guitar": 4, "bass": 1, "strings": 4}
"""Notes of a track that sound at once."""

RANGES: Mapping[str, tuple[int, int]] = {"bass": (28, 55), "guitar": (40, 88), "strings": (36, 96)}
"""MIDI numbers that a track plays, lowest and highest, in the model's key: an octave at least."""

FINE = 48
"""From so many steps a bar on, a grid is fine."""

FOURTH = 5
"""Semitones."""

SURE = 0.5
"""A blip stays if its score is at least this share of the usual one."""


@dataclass(frozen=True)
class Changed:
    """How many cells each rule changed."""

    drums: int = 0
    range: int = 0
    holes: int = 0
    blips: int = 0
    scale: int = 0
    thinned: int = 0
    clashes: int = 0
    held: int = 0
    phrases: int = 0
    ending: int = 0

    def counts(self) -> dict[str, int]:
        """The rules that changed something."""
        return {item.name: getattr(self, item.name) for item in fields(self) if getattr(self, item.name)}


@dataclass(frozen=True)
class Rules:
    """What the rules need to know.

    Args:
        tracks: Names of the M tracks.
        steps_per_bar: S.
        lowest_pitch: MIDI number of row 0, a C.
        phrase_bars: Bars of a phrase.
        scale: Pitch classes allowed in the model's own key; None for all.
        most: Notes at once, by track; no limit where a track is not named.
    """

    tracks: Sequence[str]
    steps_per_bar: int
    lowest_pitch: int
    phrase_bars: int = 4
    scale: tuple[int, ...] | None = None
    most: Mapping[str, int] | None = None


def finished(scores: Floats, rules: Rules, heard: Cells | None = None) -> tuple[Cells, Changed]:
    """The cells of a piece and what was changed in them.

    Args:
        scores: (M, T, P); T is whole bars.
        rules: See `Rules`.
        heard: (T, 12) pitch classes of a lead that sounds with it, in the model's key.
    """
    cells, counts = scores > 0, Counter[str]()
    strikes = strike_places(cells.shape[1], rules.steps_per_bar)
    for m, name in enumerate(rules.tracks):
        steps = _drums(cells[m], scores[m], rules) if name == DRUMS else _cleaned(cells[m], scores[m], rules, strikes, name)
        cells[m] = _counted(cells[m], steps, counts)
    cells = _counted(cells, {"clashes": agreeing(cells, scores, rules, heard)}, counts)
    for m, name in enumerate(rules.tracks):
        if name != DRUMS:
            longer = held(cells[m], rules.steps_per_bar)
            steps = {"held": longer, "phrases": begun_anew(longer, rules.phrase_bars * rules.steps_per_bar)}
            cells[m] = _counted(cells[m], steps, counts)
    cells = _counted(cells, {"ending": at_rest(cells, rules.tracks, rules.steps_per_bar)}, counts)
    return cells, Changed(**counts)


def _drums(cells: Cells, scores: Floats, rules: Rules) -> dict[str, Cells]:
    """The cells (T, P) of the drums after each of their rules."""
    known = known_drums(cells, rules.lowest_pitch)
    return {"drums": known, "thinned": strongest_hits(known, scores, _most(rules, DRUMS, cells))}


def _cleaned(cells: Cells, scores: Floats, rules: Rules, strikes: NDArray[np.bool_], name: str) -> dict[str, Cells]:
    """The cells (T, P) of a pitched track after each of the rules for one track."""
    inside, scores = in_range(cells, scores, rules.lowest_pitch, RANGES.get(name))
    out = {"range": inside, "holes": without_holes(inside, strikes)}
    out["blips"] = without_blips(out["holes"], scores, strikes, rules.steps_per_bar)
    out["scale"] = out["blips"] if rules.scale is None else in_scale(out["blips"], scores, rules.scale, rules.lowest_pitch)
    out["thinned"] = thinned(out["scale"], scores, _most(rules, name, cells))
    return out


def _most(rules: Rules, name: str, cells: Cells) -> int:
    return (MOST if rules.most is None else rules.most).get(name, cells.shape[1])


def _counted(before: Cells, steps: Mapping[str, Cells], counts: Counter[str]) -> Cells:
    """The last of `steps`, after counting how many cells each one changed."""
    for rule, after in steps.items():
        counts[rule] += int((after != before).sum())
        before = after
    return before


def strike_places(n_steps: int, steps_per_bar: int) -> NDArray[np.bool_]:
    """(T,) true where a note may well be struck: eighths; in a fine grid sixteenths and thirds of a quarter."""
    places = np.arange(n_steps) % steps_per_bar
    if steps_per_bar < FINE:
        out: NDArray[np.bool_] = places * 8 % steps_per_bar == 0
    else:
        out = (places * 16 % steps_per_bar == 0) | (places * 12 % steps_per_bar == 0)
    return out


def notes_of(cells: Cells) -> NDArray[np.int64]:
    """(N, 3) first step, step after the last, and row of every run of `cells` (T, P), by first step, then row."""
    edges = np.diff(np.pad(cells.astype(np.int8), ((1, 1), (0, 0))), axis=0)  # (T + 1, P)
    row, start = np.nonzero((edges == 1).T)
    _, end = np.nonzero((edges == -1).T)
    order = np.lexsort((row, start))
    return np.stack([start, end, row], axis=1)[order].astype(np.int64)


def known_drums(cells: Cells, lowest_pitch: int) -> Cells:
    """Cells (T, P) without the numbers that no drum kit has."""
    numbers = np.arange(cells.shape[1]) + lowest_pitch
    out: Cells = cells & ((numbers >= DRUM_NUMBERS[0]) & (numbers <= DRUM_NUMBERS[1]))
    return out


def strongest_hits(cells: Cells, scores: Floats, most: int) -> Cells:
    """Cells (T, P) with at most so many in a step: those that score highest, the lower row first among equals."""
    if most >= cells.shape[1] or int(cells.sum(axis=1).max(initial=0)) <= most:
        return cells.copy()
    order = np.argsort(np.where(cells, -scores, np.inf), axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    out: Cells = cells & (rank < most)
    return out


def in_range(cells: Cells, scores: Floats, lowest_pitch: int, played: tuple[int, int] | None) -> tuple[Cells, Floats]:
    """Cells (T, P) and their scores with what lies outside the range moved by octaves into it; where two meet, the better score counts."""
    if played is None:
        return cells, scores
    out, strength = cells.copy(), scores.copy()
    for row in np.flatnonzero(cells.any(axis=0)).tolist():
        pitch, (low, high) = row + lowest_pitch, played
        moved = low + (pitch - low) % 12 if pitch < low else high - (high - pitch) % 12 if pitch > high else pitch
        if moved != pitch:
            sounding, target = cells[:, row], moved - lowest_pitch
            strength[sounding, target] = np.maximum(strength[sounding, target], scores[sounding, row])
            out[:, row] = False
            out[sounding, target] = True
    return out, strength


def without_holes(cells: Cells, strikes: NDArray[np.bool_]) -> Cells:
    """Cells (T, P) with one silent step inside a note filled, unless what follows it is a place where notes are struck."""
    out = cells.copy()
    if len(cells) > 2:
        out[1:-1] |= cells[:-2] & cells[2:] & ~strikes[2:, None]
    return out


def without_blips(cells: Cells, scores: Floats, strikes: NDArray[np.bool_], steps_per_bar: int) -> Cells:
    """Cells (T, P) without specks; see rule 4."""
    notes = notes_of(cells)
    length = notes[:, 1] - notes[:, 0]
    if steps_per_bar >= FINE:
        gone = length + 1 < -(-steps_per_bar // 32)  # a detached note sounds a step longer than its cells
    else:
        usual = float(np.median(scores[cells])) if cells.any() else 0.0
        unsure = ~strikes[notes[:, 0]] & (scores[notes[:, 0], notes[:, 2]] < SURE * usual)
        gone = (length == 1) & (unsure | _alone(cells, notes, steps_per_bar // 4))
    out = cells.copy()
    for start, end, row in notes[gone]:
        out[start:end, row] = False
    return out


def _alone(cells: Cells, notes: NDArray[np.int64], around: int) -> NDArray[np.bool_]:
    """(N,) true for notes of one step that have no other cell within a fourth, so many steps before and after."""
    n_steps, n_rows = cells.shape
    totals = np.zeros((n_steps + 1, n_rows + 1), np.int64)
    totals[1:, 1:] = cells.cumsum(axis=0).cumsum(axis=1)
    first, last = np.maximum(notes[:, 0] - around, 0), np.minimum(notes[:, 0] + around + 1, n_steps)
    low, high = np.maximum(notes[:, 2] - FOURTH, 0), np.minimum(notes[:, 2] + FOURTH + 1, n_rows)
    out: NDArray[np.bool_] = totals[last, high] - totals[first, high] - totals[last, low] + totals[first, low] == 1
    return out


def in_scale(cells: Cells, scores: Floats, scale: Sequence[int], lowest_pitch: int) -> Cells:
    """Cells (T, P) within a scale: a note outside is left out if its track has others, else moved to the better neighbour."""
    inside = np.asarray(np.isin((np.arange(cells.shape[1]) + lowest_pitch) % 12, scale))
    out: Cells = cells & inside
    filled: NDArray[np.bool_] = np.asarray(out.any(axis=1))
    for start, end, row in notes_of(cells & ~inside):
        if filled[start:end].any():
            continue
        near = [other for other in (row - 1, row + 1) if 0 <= other < len(inside) and inside[other]]
        if near:
            out[start:end, max(near, key=lambda other: float(scores[start:end, other].sum()))] = True
    return out


def thinned(cells: Cells, scores: Floats, most: int) -> Cells:
    """Cells (T, P) with at most so many notes at once; see rule 6."""
    if most >= cells.shape[1] or int(cells.sum(axis=1).max(initial=0)) <= most:
        return cells.copy()
    notes = notes_of(cells)
    strength = _strength(cells, scores, notes)
    out, sounding = np.zeros_like(cells), np.zeros(len(cells), np.int64)
    for start, end, row in notes[np.argsort(-strength, kind="stable")].tolist():
        full = np.flatnonzero(sounding[start:end] >= most)
        stop = end if not len(full) else start + int(full[0])
        out[start:stop, row] = True
        sounding[start:stop] += 1
    return out


def agreeing(cells: Cells, scores: Floats, rules: Rules, heard: Cells | None = None) -> Cells:
    """Cells (M, T, P) without short notes that begin a semitone from a longer or stronger one; see rule 7."""
    out = cells.copy()
    sounding = np.zeros((cells.shape[1], 12), np.bool_) if heard is None else heard.copy()
    for m, start, end, row in _by_strength(cells, scores, rules):
        tone = (row + rules.lowest_pitch) % 12
        if (end - start) * 4 < rules.steps_per_bar and (sounding[start, tone - 1] or sounding[start, (tone + 1) % 12]):
            out[m, start:end, row] = False
        else:
            sounding[start:end, tone] = True
    return out


def _by_strength(cells: Cells, scores: Floats, rules: Rules) -> list[tuple[int, int, int, int]]:
    """Track, first step, step after the last and row of every pitched note: those of a quarter and more first, then by their strength."""
    found = [np.zeros((0, 5))]
    for m, name in enumerate(rules.tracks):
        if name != DRUMS:
            notes = notes_of(cells[m])
            found.append(np.column_stack([np.full(len(notes), m), notes, _strength(cells[m], scores[m], notes)]))
    rows = np.concatenate(found)
    long = (rows[:, 2] - rows[:, 1]) * 4 >= rules.steps_per_bar
    order = np.lexsort((-rows[:, 4], ~long))
    return [tuple(row) for row in rows[order, :4].astype(np.int64).tolist()]


def _strength(cells: Cells, scores: Floats, notes: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N,) the sum of the scores of each note's cells, those below 0 as 0."""
    totals = np.zeros((len(cells) + 1, cells.shape[1]))
    np.cumsum(np.where(cells, np.maximum(scores, 0), 0), axis=0, dtype=np.float64, out=totals[1:])
    out: NDArray[np.float64] = totals[notes[:, 1], notes[:, 2]] - totals[notes[:, 0], notes[:, 2]]
    return out


def held(cells: Cells, steps_per_bar: int) -> Cells:
    """Cells (T, P) with short notes held if most are short; see rule 8. Never more notes at once than before at an onset."""
    out = cells.copy()
    notes = notes_of(cells)
    sounding = notes[:, 1] - notes[:, 0] + (steps_per_bar >= FINE)  # a detached note sounds a step longer than its cells
    short = sounding < steps_per_bar // 8
    if 2 * int(short.sum()) <= len(notes):
        return out
    onsets = np.append(np.unique(notes[:, 0]), len(cells))
    following = onsets[np.searchsorted(onsets, notes[:, 0], side="right")]
    stops = np.minimum(following, notes[:, 0] + steps_per_bar // 4)
    for (start, _, row), stop in zip(notes[short].tolist(), stops[short].tolist(), strict=True):
        struck = stop < len(cells) and cells[stop, row]  # a step of silence, or it would be one note
        out[start : max(stop - struck, start + 1), row] = True
    return out


def begun_anew(cells: Cells, phrase_steps: int) -> Cells:
    """Cells (T, P) in which no note of two steps or more is tied over the line between two phrases."""
    out = cells.copy()
    lines = np.arange(phrase_steps, len(cells), phrase_steps)
    if len(lines) and phrase_steps > 1:
        out[lines - 1] &= ~(cells[lines] & cells[lines - 2])
    return out


def at_rest(cells: Cells, tracks: Sequence[str], steps_per_bar: int) -> Cells:
    """Cells (M, T, P) whose last bar comes to rest; see rule 10."""
    out = cells.copy()
    bar = len(cells[0]) - steps_per_bar
    held = [m for m, name in enumerate(tracks) if name != DRUMS]
    begins = _onsets(out, tracks)[:, bar:]  # (M, S, P)
    if not begins.any():
        if bar:
            out[held, bar - 1] &= ~out[held, bar]
        begins = _onsets(out, tracks)[:, bar:]
    steps = np.flatnonzero(begins.any(axis=(0, 2)))
    middle = max(steps_per_bar // 2, int(steps[0]) + 1) if len(steps) else steps_per_bar // 2
    for m, name in enumerate(tracks):
        if name == DRUMS:
            out[m, bar + middle :] = False
            continue
        late = begins[m, middle:]
        for step, row in zip(*np.nonzero(late), strict=True):
            first = bar + middle + step
            out[m, first : first + _length(out[m, first:, row]), row] = False
        own = np.flatnonzero(begins[m, :middle].any(axis=1))
        last = bar + (int(own[-1]) if len(own) else 0)
        out[m, last:, out[m, last]] = True
    return out


def _onsets(cells: Cells, tracks: Sequence[str]) -> Cells:
    """(M, T, P) true where a note begins; every cell of the drums is one."""
    out = cells.copy()
    out[:, 1:] &= ~cells[:, :-1]
    for m, name in enumerate(tracks):
        if name == DRUMS:
            out[m] = cells[m]
    return out


def _length(column: Cells) -> int:
    """How many cells of a column (T,) sound from its beginning on."""
    silent = np.flatnonzero(~column)
    return int(silent[0]) if len(silent) else len(column)
