"""A picture of what a change did to a sound: spectrograms before and after, and of what was taken away.

Takes two `Waveform`s of one shape; gives an SVG string, or a file as SVG or PNG. Time runs to the right, frequency upwards in octaves,
loudness is colour, the same in all three panels. Channels are added up. It changes no sound.
"""

from __future__ import annotations

import itertools
import math
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from kapelle.audio.frames import Grid, Table
from kapelle.audio.waveform import Waveform
from kapelle.engraving import picture_files
from kapelle.engraving.canvas import Canvas, shorten
from kapelle.engraving.palette import Palette, palette

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

WIDTH, LEFT, RIGHT = 1200, 76, 110
TOP, PANEL, GAP = 84, 250, 46
COLUMNS, ROWS = 1000, 250
LOWEST_HZ = 40.0
LOUDEST_DB, QUIETEST_DB = 0.0, -90.0
"""Of the colours, relative to the loudest point of the sound as it was."""
COLOURS = ("#0b0d2a", "#2b1d6e", "#6a1f86", "#b0317b", "#e4574f", "#f79642", "#fbe08a", "#fffde8")
"""From quiet to loud; lighter all the way, so that it can be read in grey too."""
TITLES = ("before", "after", "what was taken away")


def draw(before: Waveform, after: Waveform, path: Path, *, title: str = "", theme: str = "light") -> Path:
    """`path`, after drawing both sounds into it; the suffix, .svg or .png, chooses the format. An existing file is replaced.

    Raises:
        UnknownName: The suffix is neither .svg nor .png, or there is no such theme.
        StorageError: The disk is full, or writing is not allowed there.
    """
    picture_files.check_suffix(path)
    return picture_files.write(path, svg(before, after, title=title, theme=theme), scale=1.5)


def svg(before: Waveform, after: Waveform, *, title: str = "", theme: str = "light") -> str:
    """The picture as SVG; see `draw`."""
    colours = palette(theme)
    canvas = Canvas(WIDTH, TOP + 3 * (PANEL + GAP) + 14, colours.ground)
    canvas.text(LEFT, 40, shorten(title or "Denoised", 22, WIDTH - LEFT - RIGHT), colours.text, size=22, bold=True)
    powers = [log_spectrogram(before), log_spectrogram(after), log_spectrogram(before, minus=after)]
    loudest = max(float(powers[0].max()), 1e-20)
    for number, (power, words) in enumerate(zip(powers, TITLES, strict=True)):
        top = TOP + number * (PANEL + GAP)
        level = 10.0 * np.log10(np.maximum(power / loudest, 1e-20))
        canvas.text(LEFT, top - 8, words, colours.text, size=15, bold=True)
        canvas.image(LEFT, top, WIDTH - LEFT - RIGHT, PANEL, png_bytes(coloured(level)))
        _axes(canvas, colours, top, before)
    _scale(canvas, colours)
    return canvas.to_svg(title or "Denoised", f"Spectrograms of {before.duration_s:.1f} seconds: {', '.join(TITLES)}")


def log_spectrogram(wave: Waveform, minus: Waveform | None = None) -> Table:
    """Mean power over ROWS steps of frequency, even in octaves, and COLUMNS steps of time at most, shape (ROWS, columns).

    Args:
        wave: The sound.
        minus: Another of its shape, to be taken off it first.
    """
    grid = Grid(wave.n_frames, wave.sample_rate)
    n_columns = max(min(COLUMNS, grid.n_frames), 1)
    sums, counts = np.zeros((n_columns, ROWS)), np.zeros(n_columns)
    share = _rows(grid)
    for frames in grid.blocks():
        spectra = grid.transform(wave.samples, frames)
        if minus is not None:
            spectra = spectra - grid.transform(minus.samples, frames)
        columns = np.arange(frames.start, frames.stop) * n_columns // grid.n_frames
        np.add.at(sums, columns, grid.power(spectra).sum(axis=1) @ share)
        np.add.at(counts, columns, 1.0)
    return (sums / np.maximum(counts, 1.0)[:, None]).T[::-1]


def _rows(grid: Grid) -> Table:
    """How much of each frequency goes into each row, shape (K, ROWS), columns adding up to 1: an average, or a point between two."""
    top = grid.sample_rate / 2
    edges = LOWEST_HZ * (top / LOWEST_HZ) ** (np.arange(ROWS + 1) / ROWS) / (top / (len(grid.frequencies) - 1))
    share = np.zeros((len(grid.frequencies), ROWS))
    for row, (low, high) in enumerate(itertools.pairwise(edges)):
        first, last = math.ceil(low), math.ceil(high)
        if last - first >= 2:
            share[first:last, row] = 1.0 / (last - first)
        else:
            middle = min((low + high) / 2, len(share) - 1.001)
            share[int(middle), row], share[int(middle) + 1, row] = 1.0 - middle % 1.0, middle % 1.0
    return share


def coloured(level_db: Table) -> npt.NDArray[np.uint8]:
    """The colours of levels in dB, shape (..., 3)."""
    places = np.linspace(QUIETEST_DB, LOUDEST_DB, len(COLOURS))
    channels = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in COLOURS])
    return np.stack([np.interp(level_db, places, channels[:, i]) for i in range(3)], axis=-1).round().astype(np.uint8)


def png_bytes(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A PNG of pixels of shape (height, width, 3)."""
    height, width, _ = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1).tobytes()
    parts = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b""))
    chunks = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _axes(canvas: Canvas, colours: Palette, top: float, wave: Waveform) -> None:
    """Frequencies on the left, seconds below."""
    half = wave.sample_rate / 2
    span = math.log2(half / LOWEST_HZ)
    for hz in (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000):
        if LOWEST_HZ <= hz <= half:
            y = top + PANEL * (1.0 - math.log2(hz / LOWEST_HZ) / span)
            words = f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz"
            canvas.lines([(LEFT - 4, y, LEFT, y)], colours.muted)
            canvas.text(LEFT - 8, y + 4, words, colours.muted, size=12, anchor="end")
    seconds = wave.duration_s or 1.0  # of a sound without samples a second without anything
    width, step = WIDTH - LEFT - RIGHT, _step(seconds)
    for number in range(int(seconds / step) + 1):
        x = LEFT + width * number * step / seconds
        canvas.lines([(x, top + PANEL, x, top + PANEL + 4)], colours.muted)
        canvas.text(x, top + PANEL + 17, f"{number * step:g} s", colours.muted, size=12, anchor="middle")


def _step(seconds: float) -> float:
    """A round number of seconds that lies about eight times in `seconds`."""
    wanted = seconds / 8
    return min((n * 10.0**k for k in range(-3, 5) for n in (1, 2, 5)), key=lambda step: abs(math.log(step / wanted)))


def _scale(canvas: Canvas, colours: Palette) -> None:
    """Which colour is how loud."""
    x, height = WIDTH - RIGHT + 24, PANEL
    levels = np.linspace(LOUDEST_DB, QUIETEST_DB, 128)[:, None]
    canvas.image(x, TOP, 16, height, png_bytes(coloured(levels)))
    for level in range(int(QUIETEST_DB), int(LOUDEST_DB) + 1, 30):
        y = TOP + height * (LOUDEST_DB - level) / (LOUDEST_DB - QUIETEST_DB)
        canvas.text(x + 22, y + 4, f"{level} dB", colours.muted, size=12)
