"""Many small piano rolls in one picture: phrases side by side, the tracks of each below one another.

Takes cells, gives pixels, quickly enough for a look at every validation of a training. Time goes right, a pixel column or more for each
step; pitch goes up, one pixel row each; lines mark bars and part tracks. It draws no names and no numbers: for those there is `pianoroll`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kapelle.engraving.palette import palette

Pixels = NDArray[np.uint8]

MARGIN = 8
PHRASE_WIDTH = 192
"""Pixels that a phrase is wide, or the next multiple of its steps."""


def mosaic(cells: NDArray[np.bool_], tracks: Sequence[str], *, columns: int = 4, theme: str = "light") -> Pixels:
    """(height, width, 3) a picture of some phrases, row by row.

    Args:
        cells: (N, M, L, S, P) N phrases of M tracks, L bars, S steps, P pitches.
        tracks: Names of the M tracks; drums have a colour of their own.
        columns: Phrases side by side.
        theme: "light" or "dark".
    """
    colours = palette(theme)
    tiles = [_phrase(phrase, tracks, theme) for phrase in cells]
    height, width, _ = tiles[0].shape
    n_rows = -(-len(tiles) // columns)
    out = np.empty((n_rows * (height + MARGIN) + MARGIN, min(columns, len(tiles)) * (width + MARGIN) + MARGIN, 3), np.uint8)
    out[:] = _rgb(colours.ground)
    for place, tile in enumerate(tiles):
        top, left = (MARGIN + number * (size + MARGIN) for number, size in zip(divmod(place, columns), (height, width), strict=True))
        out[top : top + height, left : left + width] = tile
    return out


def _phrase(phrase: NDArray[np.bool_], tracks: Sequence[str], theme: str) -> Pixels:
    """One phrase (M, L, S, P) as pixels: a strip for each track, highest pitch on top, a line below it."""
    colours = palette(theme)
    n_tracks, n_bars, n_steps, n_pitches = phrase.shape
    stretch = max(1, -(-PHRASE_WIDTH // (n_bars * n_steps)))
    out = np.empty((n_tracks * (n_pitches + 1), n_bars * n_steps * stretch, 3), np.uint8)
    out[:] = _rgb(colours.panel)
    out[:, :: n_steps * stretch] = _rgb(colours.bar)
    for place, track in enumerate(tracks):
        strip = out[place * (n_pitches + 1) : (place + 1) * (n_pitches + 1)]
        on = phrase[place].reshape(n_bars * n_steps, n_pitches).T[::-1].repeat(stretch, axis=1)
        strip[:-1][on] = _rgb(colours.drums if track == "drums" else colours.tracks[place % len(colours.tracks)])
        strip[-1] = _rgb(colours.bar)
    return out


def _rgb(colour: str) -> tuple[int, int, int]:
    """``#rrggbb`` as three numbers."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def to_png(pixels: Pixels) -> bytes:
    """A picture (height, width, 3) as a PNG file."""
    height, width, _ = pixels.shape
    lines = np.zeros((height, 1 + 3 * width), np.uint8)  # a byte before each line says that it is not filtered
    lines[:, 1:] = pixels.reshape(height, 3 * width)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
