"""Mains hum: found where lines stand at 50 or 60 Hz and its multiples all the time, and subtracted line by line.

Takes a `Waveform`; gives the `Hum` found in it, or None, and a `Waveform` without it. A line counts if it rises 10 dB above its
surroundings and is there, as loud, in nine tenths of the time: notes come and go. Three of the first eight multiples must be found. No
note of equal temperament at 440 Hz lies within 0.2 % of 50 or 60 Hz, or of twice or three times these.

A line is followed in amplitude and phase by windows of two seconds, so that what is removed is about 1 Hz wide; where a note on the same
frequency makes it seem louder than it usually is, only the usual amount is taken. A drone that is tuned to mains and never ends would be
taken for hum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kapelle.audio.frames import Table
from kapelle.audio.spectra import bell
from kapelle.audio.waveform import Waveform

Complex = npt.NDArray[np.complex128]

MAINS_HZ = (50.0, 60.0)
TOLERANCE = 0.005
"""How far, relatively, the mains or the speed of the tape may be off."""
STEP = 0.0004
LOOK_S = 1.5
MAX_LOOKS = 120
MIN_LOOKS = 6
RISE_DB, STEADY_DB = 10.0, 3.0
SURROUNDINGS = (4, 12)
"""Columns on both sides that a line is compared with, from and to."""
HEARD_IN, MIN_LINES = 8, 3
MAX_LINES = 40
WINDOW_BLOCKS, BLOCK_S = 4, 0.5
LOUDER = 1.3
"""A line may be this much louder than it usually is; more is taken for music."""


@dataclass(frozen=True)
class Hum:
    """Lines of hum.

    Args:
        base_hz: About 50 or 60.
        lines_hz: Frequencies of the lines that were found.
        level_db: Of all lines together, in dB of full scale.
    """

    base_hz: float
    lines_hz: tuple[float, ...]
    level_db: float


def find(wave: Waveform) -> Hum | None:
    """The hum in a sound; None if there is none, or less than five seconds to find it in."""
    size = int(2 ** round(np.log2(LOOK_S * wave.sample_rate)))
    n_looks = 2 * (wave.n_frames // size) - 1
    if n_looks < MIN_LOOKS:
        return None
    starts = np.unique(np.linspace(0, wave.n_frames - size, min(n_looks, MAX_LOOKS)).astype(int))
    highest = min(int(MAINS_HZ[-1] * (MAX_LINES + 1) * size / wave.sample_rate), size // 2)
    window = bell(size)
    looks = []
    for start in starts:
        spectrum = np.fft.rfft(wave.samples[start : start + size] * window[:, None], axis=0)[:highest]
        looks.append((spectrum.real**2 + spectrum.imag**2).sum(axis=1) / (np.sum(window) / 2) ** 2 / 2 / wave.n_channels)
    power = np.array(looks)  # (looks, columns): a sine of amplitude a has a**2 / 2 at its column
    sounding = power.max(axis=1) > 1e-14
    if np.count_nonzero(sounding) < MIN_LOOKS:
        return None
    found = [_at(power[sounding], mains, wave.sample_rate / size) for mains in MAINS_HZ]
    return max(filter(None, found), key=lambda hum: len(hum.lines_hz), default=None)


def without(wave: Waveform, hum: Hum, depth: float = 1.0) -> Waveform:
    """`wave` less `depth` (0 to 1) of its hum; of the same length, rate and channels."""
    block = max(round(BLOCK_S * wave.sample_rate), 1)
    omega = 2.0 * np.pi * np.array(hum.lines_hz) / wave.sample_rate
    seen = _followed(wave, omega, block)
    size = np.abs(seen)
    usual = LOUDER * np.median(size, axis=0)
    seen *= np.minimum(usual / np.maximum(size, 1e-30), 1.0) * depth
    time = np.arange(block)
    turn = np.exp(1j * np.outer(omega, time))
    share = time / block
    out = wave.samples.copy()
    for number, place in enumerate(_blocks(wave.n_frames, block)):
        here = np.exp(1j * omega * (number * block))[:, None]  # (lines, C) below
        before, after = seen[number] * here, seen[number + 1] * here
        line = (before.T @ (turn * (1.0 - share)) + after.T @ (turn * share)).real * 2.0
        out[place] -= line.T[: place.stop - place.start].astype(np.float32)
    return Waveform(out, wave.sample_rate)


def _at(power: Table, mains: float, column_hz: float) -> Hum | None:
    """Lines at multiples of a frequency near `mains`."""
    usual = np.quantile(power, 0.3, axis=0)
    tries = mains * (1.0 + np.arange(-TOLERANCE, TOLERANCE + STEP / 2, STEP))
    scores = np.array([sum(_rise_db(usual, k * base / column_hz) for k in range(1, HEARD_IN + 1)) for base in tries])
    base = float(np.mean(tries[scores >= scores.max() - 1.0]))
    quiet = np.quantile(power, 0.1, axis=0)
    lines: dict[int, tuple[float, float]] = {}
    for highest in (HEARD_IN // 2, HEARD_IN, MAX_LINES):  # the lower lines tell where the higher ones must be
        lines = _lines(usual, quiet, base / column_hz, highest)
        if lines:  # the least squares of all of them
            base = column_hz * sum(k * column for k, (column, _) in lines.items()) / sum(k * k for k in lines)
    if sum(k <= HEARD_IN for k in lines) < MIN_LINES or abs(base / mains - 1.0) > TOLERANCE:
        return None
    level = sum(line for _, line in lines.values())
    return Hum(base, tuple(k * base for k in lines), 10.0 * float(np.log10(level)))


def _lines(usual: Table, quiet: Table, base: float, highest: int) -> dict[int, tuple[float, float]]:
    """Columns, with the part between, and powers of the lines at multiples of `base` columns that rise, and are always there."""
    found = {}
    for k in range(1, highest + 1):
        column = _peak(usual, k * base)
        if column is None or _rise_db(usual, column) < RISE_DB:
            continue
        if 10.0 * np.log10(usual[column] / max(quiet[column], 1e-30)) < STEADY_DB:
            found[k] = (_between(usual, column), float(usual[column]))
    return found


def _peak(power: Table, at: float) -> int | None:
    """The peak within one column of a place that may lie between two; None if there is none, or beyond the ends."""
    low = round(at) - 1
    if low < SURROUNDINGS[1] + 1 or low + 3 + SURROUNDINGS[1] >= len(power):
        return None
    top = low + int(np.argmax(power[low : low + 3]))
    return top if power[top] >= max(power[top - 1], power[top + 1]) else None


def _rise_db(power: Table, at: float) -> float:
    """How far a line stands above its surroundings, 0 to 40 dB."""
    column = _peak(power, at)
    if column is None:
        return 0.0
    near, far = SURROUNDINGS
    sides = np.concatenate([power[max(column - far, 0) : max(column - near, 0)], power[column + near + 1 : column + far + 1]])
    return float(np.clip(10.0 * np.log10(max(power[column], 1e-30) / max(float(np.median(sides)), 1e-30)), 0.0, 40.0))


def _between(power: Table, column: int) -> float:
    """The top of a parabola through the decibels of a peak and its neighbours, in columns."""
    left, top, right = (10.0 * np.log10(max(float(power[column + step]), 1e-30)) for step in (-1, 0, 1))
    bend = left - 2.0 * top + right
    return column + (float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0.0 else 0.0)


def _followed(wave: Waveform, omega: Table, block: int) -> Complex:
    """Half the complex amplitude of each line at the beginning of each block and at the end, shape (blocks + 1, lines, C)."""
    n_blocks = -(-wave.n_frames // block)
    window = bell(WINDOW_BLOCKS * block).reshape(WINDOW_BLOCKS, block)
    turn = np.exp(-1j * np.outer(omega, np.arange(block)))
    bases = (window[:, None] * turn).reshape(-1, block)  # (WINDOW_BLOCKS x lines, block)
    sums = np.zeros((n_blocks + 1, len(omega), wave.n_channels), np.complex128)
    weight = np.zeros(n_blocks + 1)
    for number, place in enumerate(_blocks(wave.n_frames, block)):
        part = np.zeros((block, wave.n_channels))
        part[: place.stop - place.start] = wave.samples[place]
        seen = (bases @ part).reshape(WINDOW_BLOCKS, len(omega), wave.n_channels)
        seen *= np.exp(-1j * omega * (number * block))[:, None]
        for piece in range(WINDOW_BLOCKS):  # a window is centred on the beginning of its third block
            at = number - piece + WINDOW_BLOCKS // 2
            if 0 <= at <= n_blocks:
                sums[at] += seen[piece]
                weight[at] += window[piece, : place.stop - place.start].sum()
    return sums / np.maximum(weight, 1e-9)[:, None, None]


def _blocks(n_frames: int, block: int) -> Iterator[slice]:
    for start in range(0, n_frames, block):
        yield slice(start, min(start + block, n_frames))
