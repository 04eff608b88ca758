"""Degenerate output: what no listener would call a piece, told by six rules.

Takes a score in ticks and the number of bars it was to have; gives a `Degeneracy`, one truth value per rule.

Conventions. A bar is a bar of `kapelle.score.units`, so changes of metre are followed; bars are the first `n_bars` from tick 0, and the
final bar line ends the last of them. A note sounds from its onset to the end of its duration; the pedal does not lengthen it.
Loudness plays no part. Drums count where silence is asked about (empty span, ending, release: a drum break is not silent), and
do not count where pitch is (loops, pitch classes: a drum pattern repeats by nature, and its numbers are no pitches).

It does not say whether a piece is good, only that it is broken; human music is seldom, not never, degenerate by it
(docs/reference/metrics.md has the share). Duration is not compared with what was asked: see `obedience.bars`.

Source: the rules are this project's own; the same faults are counted in many papers, each in its own way.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kapelle.errors import UsageError
from kapelle.score import units

if TYPE_CHECKING:
    from symusic import Score

MAX_SILENCE_BARS = 2
"""Silence as long as this is an empty span."""

MAX_LOOP_BARS = 6
"""A cell may repeat until it has filled so many bars."""

CELL_BARS = (1, 2)
"""Lengths of a cell."""

WINDOW_BARS = 4
MIN_PITCH_CLASSES = 2

IntArray = NDArray[np.int64]

RULES = {
    "empty": "no notes",
    "empty_span": f"silence of {MAX_SILENCE_BARS} bars or more",
    "stuck_loop": f"a cell of 1 or 2 bars repeated for more than {MAX_LOOP_BARS} bars",
    "few_pitch_classes": f"fewer than {MIN_PITCH_CLASSES} pitch classes in {WINDOW_BARS} bars",
    "silent_ending": "no onset in the last bar",
    "unreleased": "a note sounds past the final bar line",
}
"""The rules by name, in words."""


@dataclass(frozen=True)
class Degeneracy:
    """Which rules a score breaks; false in a truth test if none, so ``if degeneracy(score): ...`` asks whether it is degenerate.

    Args:
        empty: No note at all; the other rules are then not asked and are False.
        empty_span: Somewhere, the beginning and the end included, nothing sounds for as long as two bars, from any beat on.
        stuck_loop: More than 6 neighbouring bars are copies of one bar, or of two bars in turn.
        few_pitch_classes: In some 4 neighbouring bars (in all, if there are fewer) less than 2 pitch classes sound.
        silent_ending: No note begins in the last bar.
        unreleased: A note ends after the final bar line.
    """

    empty: bool = False
    empty_span: bool = False
    stuck_loop: bool = False
    few_pitch_classes: bool = False
    silent_ending: bool = False
    unreleased: bool = False

    def __bool__(self) -> bool:
        return any(getattr(self, rule.name) for rule in fields(self))

    @property
    def reasons(self) -> tuple[str, ...]:
        """What is wrong, in a few words each, in the order of the fields; empty if nothing is."""
        return tuple(RULES[rule.name] for rule in fields(self) if getattr(self, rule.name))


def degeneracy(score: Score, n_bars: int | None = None) -> Degeneracy:
    """Which of the rules `score` breaks.

    Args:
        score: In ticks, of any length; it is not changed.
        n_bars: Bars that the piece is to have, 1 or more. Left out: up to the end of the last note, so that no note is unreleased
            and silence at the end cannot be seen.

    Returns:
        For a score without notes: `empty` alone.

    Raises:
        UsageError: `n_bars` is below 1.
    """
    if n_bars is not None and n_bars < 1:
        raise UsageError("bars must be 1 or more, not {bars}", bars=n_bars)
    notes = _notes(score)
    if not len(notes):
        return Degeneracy(empty=True)
    lines = _bar_lines(score, n_bars)
    last = int(lines[-1])
    inside = notes[notes[:, 0] < last]
    pitched = inside[inside[:, 3] >= 0]
    return Degeneracy(
        empty_span=_has_empty_span(inside, lines),
        stuck_loop=_is_stuck(pitched, lines),
        few_pitch_classes=_has_few_pitch_classes(pitched, lines),
        silent_ending=not bool((inside[:, 0] >= lines[-2]).any()),
        unreleased=bool((notes[:, 1] > last).any()),
    )


def _notes(score: Score) -> IntArray:
    """(N, 4) onset, end, pitch and program of every note, program -1 for drums; in ticks, in any order."""
    rows = [np.zeros((0, 4), np.int64)]
    for track in score.tracks:
        if len(track.notes):
            notes = track.notes.numpy()
            onsets = notes["time"].astype(np.int64)
            program = np.full(len(onsets), -1 if track.is_drum else track.program, np.int64)
            rows.append(np.stack([onsets, onsets + notes["duration"], notes["pitch"].astype(np.int64), program], axis=1))
    return np.concatenate(rows)


def _bar_lines(score: Score, n_bars: int | None) -> IntArray:
    """(bars + 1,) the bar lines in ticks, at least two."""
    if n_bars is not None:
        return units.bar_starts(score, units.bars_to_ticks(score, n_bars))
    return units.bar_starts(score, max(units.end_ticks(score), 1))


def _has_empty_span(notes: IntArray, lines: IntArray) -> bool:
    """Silence of two bars, wherever it begins; counted in bars, so that it is as long before and after a change of metre."""
    order = np.argsort(notes[:, 0], kind="stable")
    reached = np.maximum.accumulate(np.append(0, notes[order, 1]))  # how far what came before each onset sounds
    begins = np.append(notes[order, 0], lines[-1])
    silent = begins > reached
    numbers = np.arange(len(lines), dtype=np.float64)
    length = np.interp(begins[silent], lines, numbers) - np.interp(reached[silent], lines, numbers)
    return bool((length >= MAX_SILENCE_BARS - 1e-9).any())


def _is_stuck(notes: IntArray, lines: IntArray) -> bool:
    """A run of more than 6 bars, each equal to the bar one cell before it; a cell without an onset is none."""
    contents = _bar_contents(notes, lines)
    for cell in CELL_BARS:
        if len(contents) <= max(MAX_LOOP_BARS, cell):
            continue
        filled = np.convolve(contents >= 0, np.ones(cell, np.int64))[cell : len(contents)] > 0
        repeats = (contents[cell:] == contents[:-cell]) & filled
        breaks = np.flatnonzero(np.concatenate([[True], ~repeats, [True]]))
        if int(np.diff(breaks).max()) - 1 + cell > MAX_LOOP_BARS:
            return True
    return False


def _bar_contents(notes: IntArray, lines: IntArray) -> IntArray:
    """(bars,) a number for what each bar holds, -1 where no note begins.

    Two bars have the same number when the bars are equally long in ticks and their notes have the same onsets within the bar, pitches,
    durations and programs. Nothing is rounded.
    """
    bar = np.searchsorted(lines, notes[:, 0], side="right") - 1
    rows = np.stack([notes[:, 0] - lines[bar], notes[:, 2], notes[:, 1] - notes[:, 0], notes[:, 3]], axis=1)
    order = np.lexsort((*rows.T[::-1], bar))
    rows, stops = rows[order], np.searchsorted(bar[order], np.arange(len(lines)))
    known: dict[bytes, int] = {}
    lengths = np.diff(lines)
    out = np.full(len(lengths), -1, np.int64)
    for i in np.flatnonzero(np.diff(stops)):
        held = lengths[i].tobytes() + rows[stops[i] : stops[i + 1]].tobytes()
        out[i] = known.setdefault(held, len(known))
    return out


def _has_few_pitch_classes(notes: IntArray, lines: IntArray) -> bool:
    """Fewer than two pitch classes sounding in some window; a note held over a bar line sounds in both bars."""
    n_bars = len(lines) - 1
    first = np.searchsorted(lines, notes[:, 0], side="right") - 1
    last = np.searchsorted(lines, np.maximum(notes[:, 1] - 1, notes[:, 0]), side="right") - 1
    changes = np.zeros((n_bars + 1, 12), np.int64)
    np.add.at(changes, (first, notes[:, 2] % 12), 1)
    np.add.at(changes, (np.minimum(last, n_bars - 1) + 1, notes[:, 2] % 12), -1)
    sounds = np.cumsum(changes[:-1], axis=0) > 0  # (bars, 12)
    window = min(WINDOW_BARS, n_bars)
    so_far = np.concatenate([np.zeros((1, 12), np.int64), np.cumsum(sounds, axis=0)])
    n_classes = (so_far[window:] > so_far[:-window]).sum(axis=1)
    return bool((n_classes < MIN_PITCH_CLASSES).any())
