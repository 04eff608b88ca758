"""How much of a piece comes back: its self-similarity matrix, structureness, compression ratio.

Takes an `Excerpt`; gives a matrix, or one number. Drums count nowhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kapelle.metrics.excerpt import Excerpt
from kapelle.score import harmony

MAX_BARS = 1024
SLICES = 16
PHRASE_BARS = 2
WINDOW_NOTES = 8192
STEPS_PER_QUARTER = 12

Floats = NDArray[np.float64]


def self_similarity(notes: Excerpt) -> Floats:
    """(bars, bars) how alike two bars are, 0 to 1; symmetric, 1 on the diagonal, and 0 in rows and columns of bars without notes.

    The first 1,024 bars at most.
    """
    lines = notes.lines[: MAX_BARS + 1]
    n = len(lines) - 1
    if not n or not len(notes.onset):
        return np.zeros((n, n))
    cuts = lines[:-1, None] + np.diff(lines)[:, None] * np.arange(SLICES) / SLICES
    fine = np.append(np.rint(cuts).astype(np.int64).ravel(), lines[-1])
    time = harmony.sounding_between((notes.onset, notes.end, notes.pitch), fine)
    chroma = np.zeros((len(fine) - 1, 132), np.float64)
    chroma[:, :128] = time
    bars = chroma.reshape(n, SLICES, 11, 12).sum(axis=2).reshape(n, -1)
    norm = np.linalg.norm(bars, axis=1, keepdims=True)
    unit = bars / np.where(norm > 0, norm, 1.0)
    out: Floats = np.clip(unit @ unit.T, 0.0, 1.0)
    return out


def structureness(notes: Excerpt) -> float:
    """How much nearer the nearest phrase of two bars is than any other, 0 to 1."""
    return structureness_of(self_similarity(notes))


def structureness_of(similarity: Floats) -> float:
    """The same of a matrix (bars, bars)."""
    n = len(similarity) - PHRASE_BARS + 1
    if n <= PHRASE_BARS or not similarity.any():
        return float("nan")
    phrases = np.mean([similarity[k : k + n, k : k + n] for k in range(PHRASE_BARS)], axis=0)
    apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) >= PHRASE_BARS
    best = np.where(apart, phrases, -1.0).max(axis=1)
    reached = best >= 0
    usual, found = float(phrases[apart].mean()), float(best[reached].mean())
    return (found - usual) / (1 - usual) if usual < 1 - 1e-9 else 0.0


def compression_ratio(notes: Excerpt) -> float:
    """Notes over the phrases of a Lempel-Ziv parse, 1 on; NaN without notes."""
    if not len(notes.onset):
        return float("nan")
    onset = (2 * notes.onset * STEPS_PER_QUARTER + notes.tpq) // (2 * notes.tpq)
    words = np.diff(onset, prepend=onset[0]) * 128 + notes.pitch
    _, numbers = np.unique(words, return_inverse=True)
    return len(words) / _phrases(numbers)


def _phrases(numbers: NDArray[np.int64]) -> int:
    """Phrases of the greedy parse: each the longest that began within the window before, or one symbol not met there."""
    text = "".join(map(chr, (numbers + 0xE000 * (numbers >= 0xD800)).tolist()))
    n_phrases, place = 0, 0
    while place < len(text):
        found, length = max(0, place - WINDOW_NOTES), 0
        while place + length < len(text):
            found = text.find(text[place : place + length + 1], found, place + length)
            if found < 0:
                break
            length += 1
        place += max(length, 1)
        n_phrases += 1
    return n_phrases
