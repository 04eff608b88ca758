"""The pictures of docs/explanation/denoising.md and docs/how-to/denoise.md.

    python benchmarks/denoising_pictures.py [--to docs/pictures]

``denoise.png``: a composed piece with white noise at 15 dB, cleaned, and what was taken away. ``denoise-how.png``: the gains over the a
priori ratio, and the noise that the filter finds in a piece, band by band, beside the noise that is there.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # whoever loads this file by its path

from _noises import noise  # noqa: E402

from kapelle import api  # noqa: E402
from kapelle.audio.denoise import denoise, gains  # noqa: E402
from kapelle.audio.denoise.noise_floor import noise_floor  # noqa: E402
from kapelle.audio.frames import Grid, Table  # noqa: E402
from kapelle.audio.waveform import Waveform  # noqa: E402
from kapelle.engraving import spectrograms  # noqa: E402
from kapelle.engraving.canvas import Canvas, to_png  # noqa: E402
from kapelle.engraving.palette import LIGHT  # noqa: E402
from kapelle.render import render  # noqa: E402
from kapelle.score.write import write_bytes  # noqa: E402

SECONDS, LEVEL_DB, SEED = 12, 15, 5
Put = Callable[[Any, Any], list[tuple[float, float]]]

WIDTH, HEIGHT, TOP, SIZE, LEFT, MIDDLE = 1200, 470, 70, 330, 76, 660


def piece() -> Waveform:
    """Some bars of a composed piece, as sound."""
    made = api.compose(model="genre-small", genre="jazz", bars=8, seed=SEED)
    wave = render(made.score)
    return Waveform(wave.samples[: SECONDS * wave.sample_rate], wave.sample_rate)


def panel(canvas: Canvas, left: float, title: str, x: tuple[float, float], y: tuple[float, float]) -> Put:
    """A framed panel, and the function that puts numbers on it."""
    width = 460
    canvas.rect(left, TOP, width, SIZE, LIGHT.panel)
    canvas.text(left, TOP - 12, title, LIGHT.text, size=15, bold=True)
    return lambda xs, ys: [
        (left + width * (a - x[0]) / (x[1] - x[0]), TOP + SIZE * (1.0 - (min(max(b, y[0]), y[1]) - y[0]) / (y[1] - y[0])))
        for a, b in zip(xs, ys, strict=True)
    ]


def curve(canvas: Canvas, points: list[tuple[float, float]], colour: str, width: float = 2.0) -> None:
    """A line through points."""
    canvas.lines([(*a, *b) for a, b in itertools.pairwise(points)], colour, width=width)


def legend(canvas: Canvas, x: float, y: float, rows: list[tuple[str, str]]) -> None:
    """What the colours mean."""
    for number, (words, colour) in enumerate(rows):
        canvas.lines([(x, y + 18 * number - 4, x + 22, y + 18 * number - 4)], colour, width=3)
        canvas.text(x + 28, y + 18 * number, words, LIGHT.text, size=12)


def draw_gains(canvas: Canvas) -> None:
    """Gains in dB over the a priori ratio, where the point shows just what was foreseen, and where it shows much less or more."""
    low, high = -25.0, 25.0
    put = panel(canvas, LEFT, "gain over the a priori ratio, dB", (low, high), (-30.0, 2.0))
    ratio_db = np.linspace(low, high, 200)
    xi = 10 ** (ratio_db / 10)
    colours = LIGHT.tracks
    rows = [("Wiener", 20 * np.log10(gains.wiener(xi)), colours[0])]
    for words, gamma, colour in (
        ("log amplitude, point as foreseen", 1.0 + xi, colours[1]),
        ("log amplitude, point 10 dB above", 10.0 * (1.0 + xi), colours[2]),
        ("log amplitude, point 10 dB below", 0.1 * (1.0 + xi), colours[3]),
    ):
        rows.append((words, 20 * np.log10(gains.log_amplitude(xi, gamma)), colour))
    for _, values, colour in rows:
        curve(canvas, put(ratio_db, values), colour)
    floor = -18.0
    canvas.lines([(*put([low], [floor])[0], *put([high], [floor])[0])], LIGHT.muted)
    canvas.text(
        put([high], [0])[0][0] - 6, put([low], [floor])[0][1] - 6, "lowest gain at strength 0.6", LIGHT.muted, size=12, anchor="end"
    )
    for value in (-20, -10, 0, 10, 20):
        canvas.text(put([value], [0])[0][0], TOP + SIZE + 18, f"{value} dB", LIGHT.muted, size=12, anchor="middle")
    for value in (-30, -20, -10, 0):
        canvas.text(LEFT - 8, put([low], [value])[0][1] + 4, f"{value} dB", LIGHT.muted, size=12, anchor="end")
    legend(canvas, LEFT + 200, TOP + SIZE - 68, [(words, colour) for words, _, colour in rows])


def draw_floor(canvas: Canvas, music: Waveform, hiss: Waveform) -> None:
    """Mean power of music and of noise, and the noise that is found in their sum."""
    noisy = Waveform(music.samples + hiss.samples, music.sample_rate)
    grid = Grid(music.n_frames, music.sample_rate)
    found = noise_floor(noisy.samples, grid)
    assert found is not None
    low, high = math.log2(60.0), math.log2(grid.sample_rate / 2)
    put = panel(canvas, MIDDLE, "what is found in music with white noise, dB", (low, high), (-100.0, 10.0))
    octaves = np.linspace(math.log2(80.0), high, 140)
    for wave, colour in ((music, LIGHT.tracks[0]), (hiss, LIGHT.muted)):
        curve(canvas, put(octaves, _by_octave(wave, grid, octaves)), colour, 1.5)
    nothing = noise_floor(music.samples, grid)
    assert nothing is not None
    curve(canvas, put(found.centres, found.level_db[0, 0]), LIGHT.tracks[1], 3)
    curve(canvas, put(nothing.centres, nothing.level_db[0, 0]), LIGHT.tracks[2], 3)
    for hz in (100, 1000, 10_000):
        canvas.text(put([math.log2(hz)], [0])[0][0], TOP + SIZE + 18, f"{hz} Hz", LIGHT.muted, size=12, anchor="middle")
    for value in range(-100, 11, 20):
        canvas.text(MIDDLE - 8, put([low], [value])[0][1] + 4, f"{value} dB", LIGHT.muted, size=12, anchor="end")
    names = ("music", "noise", "noise found in their sum", "noise found in the music alone")
    colours = (LIGHT.tracks[0], LIGHT.muted, LIGHT.tracks[1], LIGHT.tracks[2])
    legend(canvas, MIDDLE + 20, TOP + SIZE * 0.62, list(zip(names, colours, strict=True)))


def _by_octave(wave: Waveform, grid: Grid, octaves: Table) -> Table:
    """Mean power in dB at some places, smoothed over a sixth of an octave."""
    blocks = [grid.power(grid.transform(wave.samples, frames))[:, 0].mean(axis=0) for frames in grid.blocks()]
    power, hz = np.mean(blocks, axis=0), np.maximum(grid.frequencies, 1.0)
    out = []
    for place in octaves:
        near = np.abs(np.log2(hz) - place) < 1 / 12
        level = power[near].mean() if near.any() else np.interp(2.0**place, hz, power)
        out.append(10 * math.log10(max(float(level), 1e-12)))
    return np.array(out)


def main() -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=HERE.parent / "docs" / "pictures")
    folder = parser.parse_args().to
    music = piece()
    hiss = noise(music, "white", LEVEL_DB, 0)
    noisy = Waveform(music.samples + hiss.samples, music.sample_rate)
    title = f"A composed piece with white noise at {LEVEL_DB} dB, wiener, strength 0.6"
    picture = spectrograms.svg(noisy, denoise(noisy), title=title)
    write_bytes(folder / "denoise.png", to_png(picture, scale=0.9))
    canvas = Canvas(WIDTH, HEIGHT, LIGHT.ground)
    draw_gains(canvas)
    draw_floor(canvas, music, hiss)
    svg = canvas.to_svg("How noise is found and turned down", "Gains over the a priori ratio; noise found in a piece, by frequency")
    write_bytes(folder / "denoise-how.png", to_png(svg, scale=1.5))


if __name__ == "__main__":
    main()
