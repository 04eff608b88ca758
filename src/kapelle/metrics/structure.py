"""How much of a piece comes back, and whether it comes back in order: self-similarity, structureness, compression ratio.

Takes an `Excerpt`; gives a matrix, or one number. Drums count nowhere, loudness plays no part.

===================  =====================================================================  ================  ==================
function             what it is                                                             range             nothing to measure
===================  =====================================================================  ================  ==================
`self_similarity`    how alike any two bars are in what sounds when                         0-1               zeros
`bar_recurrence`     how alike a bar is to the other that is most like it, mean             0-1               NaN
`structureness`      how alike each two bars are to their nearest like, above what the      up to 1; 0 is     NaN
                     same bars in any order have, over what it could be above it            chance
`compression_ratio`  notes over the phrases of a Lempel-Ziv parse                           1 on              NaN
===================  =====================================================================  ================  ==================

**Self-similarity.** A bar is cut into 16 slices of equal length, whatever its metre; it is what each pitch class sounds in each slice (192
numbers, in ticks), and two bars are as alike as the cosine between them. Octaves and instruments make no difference; transposition does.
A bar in which nothing sounds is like nothing, not even itself: its row and column are 0. The first 512 bars at most.

**Bar recurrence** asks whether bars come back, in whatever order: of each bar with notes the likeness to its nearest like, and the mean of
these. It grows with the number of bars, as there are more to choose from. NaN with fewer than two bars with notes.

**Structureness** asks whether they come back in order. A phrase is two neighbouring bars; two phrases are as alike as their first and their
second bars are on average, and do not overlap. Of each phrase the nearest like is taken, and the mean of these is set against the mean of
the same figure over 32 shuffles of the bars, drawn from a fixed seed: (found - shuffled) / (1 - shuffled). Shuffling keeps every bar and
every likeness of two bars, and breaks what runs over more than one bar. So 0 is what bars have that know nothing of their order, and a
piece that repeats one bar throughout has 0 as well: all orders of it are one. NaN with fewer than four bars, or without notes.

**Compression ratio.** Notes in order of onset, then pitch, are symbols: the pitch, and the steps of a twelfth of a quarter since the note
before. The sequence is parsed from left to right into phrases, each the longest that also begins earlier (overlaps allowed, among the last
8,192 notes), or one symbol not met there. 1 says that no symbol comes twice; a bar of 8 notes 16 times over has 12.8. It grows with
the length of a piece: compare pieces of one length. NaN without notes.

Source: self-similarity, Foote 1999, "Visualizing music and audio using self-similarity", ACM Multimedia. Structureness: the name of SI in
Wu and Yang 2020, "The Jazz Transformer on the front line", ISMIR; the definition is ours. Lempel and Ziv 1976, "On the complexity of
finite sequences", IEEE Transactions on Information Theory 22.

Known differences.

1. MusDr's SI is the highest fitness (Müller, Jiang and Grosche 2013) of a repeated segment, of a length in seconds, in the audio of a
   piece; values do not compare.
2. Ratios of general compressors count bytes of a file, headers among them, and differ from version to version; ours counts phrases.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kapelle.metrics.excerpt import Excerpt
from kapelle.score import harmony

MAX_BARS = 512
SLICES = 16
PHRASE_BARS = 2
SHUFFLES = 32
WINDOW_NOTES = 8192
STEPS_PER_QUARTER = 12

_AT_ONCE = 1 << 21
"""Cells of shuffled matrices held at one time."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def self_similarity(notes: Excerpt) -> Floats:
    """(bars, bars) how alike two bars are, 0 to 1: symmetric, 1 on the diagonal; 0 in rows and columns of bars without notes.

    Returns:
        Of the first 512 bars at most; (0, 0) of a piece without bars.
    """
    lines = notes.lines[: MAX_BARS + 1]
    n = len(lines) - 1
    if not n or not len(notes.onset):
        return np.zeros((n, n))
    cuts = lines[:-1, None] + np.diff(lines)[:, None] * np.arange(SLICES) / SLICES
    fine = np.append(np.rint(cuts).astype(np.int64).ravel(), lines[-1])
    chroma = harmony.sounding_between((notes.onset, notes.end, notes.pitch % 12), fine)[:, :12]
    bars = chroma.astype(np.float64).reshape(n, -1)
    norm = np.linalg.norm(bars, axis=1, keepdims=True)
    unit = bars / np.where(norm > 0, norm, 1.0)
    out: Floats = np.clip(unit @ unit.T, 0.0, 1.0)
    return out


def bar_recurrence(notes: Excerpt) -> float:
    """How alike a bar with notes is to the most like of the others, 0 to 1, on average.

    Returns:
        NaN with fewer than two bars with notes.
    """
    similarity = self_similarity(notes)
    held = np.flatnonzero(np.diag(similarity))
    others = similarity[np.ix_(held, held)]
    np.fill_diagonal(others, 0.0)
    return float(others.max(axis=1).mean()) if len(held) > 1 else float("nan")


def structureness(notes: Excerpt) -> float:
    """How far phrases of two bars come back in order, above what the same bars in any order do; up to 1, 0 is chance.

    Returns:
        NaN with fewer than four bars or without notes; 0 where every order is the same.
    """
    return structureness_of(self_similarity(notes))


def structureness_of(similarity: Floats) -> float:
    """The same of a matrix of `self_similarity`, (bars, bars)."""
    n = len(similarity)
    if n < 2 * PHRASE_BARS or not similarity.any():
        return float("nan")
    draw = np.random.Generator(np.random.Philox(0))
    orders = np.stack([draw.permutation(n) for _ in range(SHUFFLES)])
    at_once = max(_AT_ONCE // (n * n), 1)
    shuffled = [_recurrence(_ordered(similarity, orders[i : i + at_once])) for i in range(0, SHUFFLES, at_once)]
    chance = float(np.concatenate(shuffled).mean())
    found = float(_recurrence(similarity[None])[0])
    return (found - chance) / (1 - chance) if chance < 1 - 1e-9 else 0.0


def _ordered(similarity: Floats, orders: Ints) -> Floats:
    """(K, n, n) the matrix with its bars in each of the orders (K, n)."""
    return similarity[orders[:, :, None], orders[:, None, :]]


def _recurrence(similarity: Floats) -> Floats:
    """(K,) mean likeness of each phrase to its nearest like that does not overlap it, of matrices (K, n, n)."""
    n = similarity.shape[1] - PHRASE_BARS + 1
    phrases = np.mean([similarity[:, k : k + n, k : k + n] for k in range(PHRASE_BARS)], axis=0)
    apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) >= PHRASE_BARS
    has_like = apart.any(axis=1)  # of four bars, the phrase in the middle has none
    out: Floats = np.where(apart, phrases, 0.0).max(axis=2)[:, has_like].mean(axis=1)
    return out


def compression_ratio(notes: Excerpt) -> float:
    """Notes over the phrases of a Lempel-Ziv parse, 1 on: 1 if no note comes twice; NaN without notes."""
    if not len(notes.onset):
        return float("nan")
    step = (2 * notes.onset * STEPS_PER_QUARTER + notes.tpq) // (2 * notes.tpq)
    order = np.lexsort((notes.pitch, step))  # notes that fall on one step are one chord
    symbols = np.diff(step[order], prepend=step[order][0]) * 128 + notes.pitch[order]
    _, numbers = np.unique(symbols, return_inverse=True)
    return len(symbols) / _n_phrases(numbers)


def _n_phrases(numbers: Ints) -> int:
    """Phrases of the parse of symbols numbered from 0; strings are searched because that runs in C."""
    text = "".join(map(chr, numbers.tolist()))
    n_phrases, place = 0, 0
    while place < len(text):
        found, length = max(0, place - WINDOW_NOTES), 0
        while place + length < len(text):
            found = text.find(text[place : place + length + 1], found, place + length)  # what is longer begins no earlier
            if found < 0:
                break
            length += 1
        place += max(length, 1)
        n_phrases += 1
    return n_phrases
