"""Rules that make the cells of a band cleaner music, each a function of its own; how many cells each one changed is counted.

Takes scores (M, T, P) of a whole piece, T steps in a row, a cell sounding where its score is above 0; gives cells of the same shape.
In this order, with their reasons:

1. *Drums*: a number that no drum kit of General MIDI has is left out; nobody would hear it, or a file player would make a noise of its own.
2. *Holes*: one silent step inside a note is filled, unless the note goes on at an eighth (in a fine grid: at a sixteenth or a third of a
   quarter): there it is struck again. A network that hesitates for a step leaves a stutter that no player would play.
3. *Blips*: a note of one step between two such places is left out if it is less sure (its score) than half of what is usual in its track;
   in a fine grid, every note shorter than a 32nd. They are the specks at the edge of a decision.
4. *Scale*: a note outside of the scale is left out where others of its track sound with it, and is otherwise moved by a semitone to the
   neighbour that scores higher. A chord keeps its clear notes, a line its rhythm.
5. *Thinning*: at most so many notes of a track sound at once: 1 of the bass, 4 of the others, `MOST`. Notes are taken in order of their
   strength, the sum of their scores, and a note sounds up to the first step that is full; one that could not even begin is left out.
   So no note is cut in its middle, and what is sustained comes before what is chopped: too many notes at once are what listeners and the
   model's own authors found wanting first.
6. *Phrases*: a note that is tied over the line between two phrases ends a step before it, since the next phrase begins anew.
7. *Rest*: in the last bar nothing begins after its middle, and each track's last notes are held to the final bar line; if nothing begins
   in it at all, what sounds over its bar line is struck again. So a piece stops because it ends.

It looks at cells alone: velocities, programs and keys are others' business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.bool_]
Floats = NDArray[np.float32]

DRUMS = "drums"
DRUM_NUMBERS = (35, 81)
"""What a drum kit of General MIDI has, first and last."""

MOST: Mapping[str, int] = {"drums": 4, "piano": 4, "guitar": 4, "bass": 1, "strings": 4}
"""Notes of a track that sound at once."""

FINE = 48
"""From so many steps a bar on, a grid is fine."""

SURE = 0.5
"""A blip stays if its score is at least this share of the usual one."""


@dataclass(frozen=True)
class Changed:
    """How many cells each rule changed."""

    drums: int = 0
    holes: int = 0
    blips: int = 0
    scale: int = 0
    thinned: int = 0
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


def finished(scores: Floats, rules: Rules) -> tuple[Cells, Changed]:
    """The cells of a piece and what was changed in them.

    Args:
        scores: (M, T, P); T is whole bars.
        rules: See `Rules`.
    """
    cells = scores > 0
    strikes = strike_places(cells.shape[1], rules.steps_per_bar)
    most = MOST if rules.most is None else rules.most
    changed = Changed()
    for m, name in enumerate(rules.tracks):
        own, sure = cells[m], scores[m]
        steps = [own]
        if name == DRUMS:
            steps.append(known_drums(own, rules.lowest_pitch))
            steps.append(strongest_hits(steps[-1], sure, most.get(name, own.shape[1])))
            changed = _added(changed, steps, ("drums", "thinned"))
        else:
            steps.append(without_holes(own, strikes))
            steps.append(without_blips(steps[-1], sure, strikes, rules.steps_per_bar))
            steps.append(steps[-1] if rules.scale is None else in_scale(steps[-1], sure, rules.scale, rules.lowest_pitch))
            steps.append(thinned(steps[-1], sure, most.get(name, own.shape[1])))
            steps.append(begun_anew(steps[-1], rules.phrase_bars * rules.steps_per_bar))
            changed = _added(changed, steps, ("holes", "blips", "scale", "thinned", "phrases"))
        cells[m] = steps[-1]
    ended = at_rest(cells, rules.tracks, rules.steps_per_bar)
    return ended, replace(changed, ending=int((ended != cells).sum()))


def _added(changed: Changed, steps: list[Cells], names: Sequence[str]) -> Changed:
    """The counts with the differences between `steps` added to the rules `names`."""
    more = {name: int((after != before).sum()) for name, before, after in zip(names, steps, steps[1:], strict=False)}
    return replace(changed, **{name: getattr(changed, name) + count for name, count in more.items()})


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


def without_holes(cells: Cells, strikes: NDArray[np.bool_]) -> Cells:
    """Cells (T, P) with one silent step inside a note filled, unless what follows it is a place where notes are struck."""
    out = cells.copy()
    if len(cells) > 2:
        out[1:-1] |= cells[:-2] & cells[2:] & ~strikes[2:, None]
    return out


def without_blips(cells: Cells, scores: Floats, strikes: NDArray[np.bool_], steps_per_bar: int) -> Cells:
    """Cells (T, P) without notes of a step between the places of striking that are unsure; in a fine grid, without those under a 32nd."""
    notes = notes_of(cells)
    length = notes[:, 1] - notes[:, 0]
    if steps_per_bar >= FINE:
        gone = length + 1 < -(-steps_per_bar // 32)  # a detached note sounds a step longer than its cells
    else:
        usual = float(np.median(scores[cells])) if cells.any() else 0.0
        gone = (length == 1) & ~strikes[notes[:, 0]] & (scores[notes[:, 0], notes[:, 2]] < SURE * usual)
    out = cells.copy()
    for start, end, row in notes[gone]:
        out[start:end, row] = False
    return out


def in_scale(cells: Cells, scores: Floats, scale: Sequence[int], lowest_pitch: int) -> Cells:
    """Cells (T, P) within a scale: a note outside is left out if its track has others, else moved to the better neighbour."""
    inside = np.asarray(np.isin((np.arange(cells.shape[1]) + lowest_pitch) % 12, scale))
    out: Cells = cells & inside
    filled = out.any(axis=1)
    for start, end, row in notes_of(cells & ~inside):
        if filled[start:end].any():
            continue
        near = [other for other in (row - 1, row + 1) if 0 <= other < len(inside) and inside[other]]
        if near:
            out[start:end, max(near, key=lambda other: float(scores[start:end, other].sum()))] = True
    return out


def thinned(cells: Cells, scores: Floats, most: int) -> Cells:
    """Cells (T, P) with at most so many notes at once; see rule 5."""
    if most >= cells.shape[1] or int(cells.sum(axis=1).max(initial=0)) <= most:
        return cells.copy()
    notes = notes_of(cells)
    totals = np.concatenate([np.zeros((1, cells.shape[1])), np.cumsum(np.where(cells, np.maximum(scores, 0), 0), axis=0, dtype=np.float64)])
    strength = totals[notes[:, 1], notes[:, 2]] - totals[notes[:, 0], notes[:, 2]]
    out, sounding = np.zeros_like(cells), np.zeros(len(cells), np.int64)
    for start, end, row in notes[np.argsort(-strength, kind="stable")].tolist():
        full = np.flatnonzero(sounding[start:end] >= most)
        stop = end if not len(full) else start + int(full[0])
        out[start:stop, row] = True
        sounding[start:stop] += 1
    return out


def begun_anew(cells: Cells, phrase_steps: int) -> Cells:
    """Cells (T, P) in which no note of two steps or more is tied over the line between two phrases."""
    out = cells.copy()
    lines = np.arange(phrase_steps, len(cells), phrase_steps)
    if len(lines) and phrase_steps > 1:
        out[lines - 1] &= ~(cells[lines] & cells[lines - 2])
    return out


def at_rest(cells: Cells, tracks: Sequence[str], steps_per_bar: int) -> Cells:
    """Cells (M, T, P) whose last bar comes to rest; see rule 7."""
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
