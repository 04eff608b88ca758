"""Which chords sound and how they follow one another, as numbers with names: the harmony among `midi_features`.

Takes a `Grid` and the tonic; gives names and values. How long each pitch class sounds in each half note is set against the tones of
`KINDS` on twelve roots; the chord is the one with the greatest cosine, in doubt the root least above the tonic. That is coarser than
`kapelle.score.harmony`, which spells chords for people, and a hundred times faster: shares over a piece need no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kapelle.classifiers.note_grid import STEPS

if TYPE_CHECKING:
    from kapelle.classifiers.note_grid import Grid

KINDS = {
    "major": (0, 4, 7), "minor": (0, 3, 7), "diminished": (0, 3, 6), "augmented": (0, 4, 8), "suspended": (0, 5, 7), "fifths": (0, 7),
    "seventh": (0, 4, 7, 10), "major_seventh": (0, 4, 7, 11), "minor_seventh": (0, 3, 7, 10), "ninth": (0, 2, 4, 7, 10),
}  # fmt: skip
"""Kind of chord -> its tones, in semitones from the root."""

SPAN = 2 * STEPS
"""Steps of a half note."""

MOTIONS = {"fifth_down": (5,), "fifth_up": (7,), "step": (1, 2, 10, 11), "third": (3, 4, 8, 9), "tritone": (6,)}
"""How roots follow one another, in semitones up."""

_TONES = np.array([[(pc - root) % 12 in tones for pc in range(12)] for tones in KINDS.values() for root in range(12)], np.float64)
_TONES /= np.linalg.norm(_TONES, axis=1, keepdims=True)

_FEWEST = 2
"""Pitch classes that make a chord."""


def harmony(held: Grid, tonic: int) -> dict[str, float]:
    """The features; NaN where no half note holds two pitch classes.

    Args:
        held: A grid with notes.
        tonic: Of the major key whose signature fits, a pitch class.
    """
    sounding = np.roll(_by_span(held), -tonic, axis=1)  # (H, 12), counted from the tonic
    tones = (sounding > 0).sum(1)
    out = {"chord_tones": float(tones[tones > 0].mean()) if (tones > 0).any() else np.nan}
    out |= _interval_classes(sounding)
    some = sounding[tones >= _FEWEST]
    if not len(some):
        return out | dict.fromkeys(_CHORD_NAMES, float("nan"))
    fits = np.round(some @ _TONES.T / np.linalg.norm(some, axis=1, keepdims=True), 9)  # what is as good but for rounding is as good
    best = fits.argmax(1)
    kind, root = best // 12, best % 12
    return out | dict(zip(_CHORD_NAMES, _chords(kind, root, fits.max(1)), strict=True))


_CHORD_NAMES = (
    *(f"chord_{name}" for name in KINDS), *(f"root_{name}" for name in ("same", *MOTIONS)), "chord_changes", "chords_different",
    "chord_fit", "on_tonic", "on_fourth", "on_fifth", "on_sixth", "on_second",
)  # fmt: skip


def _chords(kind: NDArray[np.int64], root: NDArray[np.int64], fit: NDArray[np.float64]) -> list[float]:
    """The values of `_CHORD_NAMES` of chords that follow one another, roots counted from the tonic."""
    n = len(kind)
    kinds = np.bincount(kind, minlength=len(KINDS)) / n
    moves = np.bincount(np.diff(root) % 12, minlength=12) / (n - 1) if n > 1 else np.full(12, np.nan)
    both = kind * 12 + root
    changes = float((both[1:] != both[:-1]).mean()) if n > 1 else float("nan")
    degrees = np.bincount(root, minlength=12) / n
    return [
        *kinds.tolist(), float(moves[0]), *(float(moves[list(places)].sum()) for places in MOTIONS.values()), changes,
        len(np.unique(both)) / n, float(fit.mean()), *(float(degrees[place]) for place in (0, 5, 7, 9, 2)),
    ]  # fmt: skip


def _interval_classes(sounding: NDArray[np.float64]) -> dict[str, float]:
    """Of the pairs of pitch classes that sound in one half note, the shares of the six interval classes."""
    there = (sounding > 0).astype(np.float64)
    pairs = np.array([(there * np.roll(there, step, axis=1)).sum() / (1 + (step == 6)) for step in range(1, 7)])
    total = pairs.sum()
    shares = pairs / total if total else np.full(6, np.nan)
    names = ("semitones", "tones", "minor_thirds", "major_thirds", "fourths", "tritones")
    return {f"sounding_{name}": float(value) for name, value in zip(names, shares, strict=True)}


def _by_span(held: Grid) -> NDArray[np.float64]:
    """(H, 12) steps that each pitch class sounds in each half note; a note that is longer counts in all that it reaches."""
    n = -(-int(max(held.lines[-1], held.end.max())) // SPAN)
    first, last = held.start // SPAN, (held.end - 1) // SPAN
    spans = last - first + 1
    note = np.repeat(np.arange(len(first)), spans)
    span = first[note] + np.arange(len(note)) - np.repeat(np.cumsum(spans) - spans, spans)
    inside = np.minimum(held.end[note], (span + 1) * SPAN) - np.maximum(held.start[note], span * SPAN)
    found: NDArray[np.float64] = np.bincount(span * 12 + held.pitch[note] % 12, inside, minlength=n * 12).reshape(-1, 12).astype(np.float64)
    return found
