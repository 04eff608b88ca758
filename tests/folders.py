"""Folders of small pieces: music of a kind, by seed."""

from __future__ import annotations

import numpy as np

import pieces
from kapelle.score.write import write

Q = 480
MAJOR = (0, 2, 4, 5, 7, 9, 11)


def tune(seed, n_bars=16, low=60, spread=8):
    """A melody of quarters and eighths over a bass, in a major key."""
    draw = np.random.default_rng(seed)
    notes, bass = [], []
    for bar in range(n_bars):
        bass.append((bar * 4 * Q, 4 * Q, low - 24 + MAJOR[int(draw.integers(7))], 70))
        at = 0
        while at < 4 * Q:
            length = int(draw.choice([Q, Q // 2]))
            length = min(length, 4 * Q - at)
            step = int(draw.integers(spread))
            notes.append((bar * 4 * Q + at, length, low + MAJOR[step % 7] + 12 * (step // 7), 80))
            at += length
    return pieces.score(pieces.track(*notes), pieces.track(*bass, program=32))


def fill(folder, n, first_seed=0, **how):
    """`n` files in a new folder, which is returned."""
    folder.mkdir(parents=True)
    for number in range(n):
        write(tune(first_seed + number, **how), folder / f"piece-{number:03}.mid")
    return folder
