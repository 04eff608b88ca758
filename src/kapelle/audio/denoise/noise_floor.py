"""How much noise a sound holds at each frequency and time, found without being told where it is alone.

Takes the samples of all channels; gives a `NoiseFloor`: decibels by channel, time and band of a third of an octave. Noise is what is there
all the time and everywhere between the tones. Three things tell it from music:

1. In a band where noise alone fills a share of the points (times by frequencies), the lowest powers are spread as those of noise are: of
   powers with an exponential distribution the 20 % quantile lies 6.4 dB above the 5 % quantile. Tones that begin and decay spread wider.
   From the two quantiles follow the share and the level; the spread tells how far the band is to be trusted.
2. Noise is smooth over frequency: a straight line over the logarithm of frequency, laid under the bands, of which trusted ones count
   most, bounds those that music covers all the time.
3. Noise does not fall steeply towards high frequencies, music does: a band has at most a little more noise per octave than the band
   above it. A steep edge above trusted bands, or a sheer one, is taken for the end of what the recording could hold, and does not
   count: coders such as MP3 leave nothing above 16 kHz or so.

So a sound of music alone is found to have a floor far below it, and nothing is done to it. Noise that comes and goes with the music, and
rumble that falls faster than 6 dB an octave, are not found. Half a second of sound at least is needed; segments of ten seconds are
looked at by themselves, and each leans on those within half a minute, the trusted ones most.

Source: the lowest powers over time as in R. Martin, "Noise power spectral density estimation based on optimal smoothing and minimum
statistics", IEEE Trans. SAP 9, 2001, and V. Stahl et al., "Quantile based noise estimation for spectral subtraction and Wiener
filtering", ICASSP 2000; the two quantiles, the bounds and the pooling are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kapelle.audio.frames import Grid, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from kapelle.audio.waveform import Samples

LOWEST_HZ = 100.0
MIN_COLUMNS = 4
"""Frequencies of a band at least."""
SEGMENT_S = 10.0
POOL_S = 30.0
MIN_FRAMES = 40
"""Frames that are not silent at least: about half a second."""
SILENCE = 1e-12
"""Power of a frame below which it is digital silence, not a quiet room: a sixteen bit file's own rounding has 8e-11."""
LOW, HIGH = 0.05, 0.20
EXPONENTIAL_DB = 10.0 * float(np.log10(np.log1p(-HIGH) / np.log1p(-LOW)))
"""How far the two quantiles of noise are apart: 6.4 dB."""
TRUSTED_DB, DOUBTED_DB = 6.6, 7.0
"""Spreads up to which a band is believed, and from which on it is not."""
TOO_EVEN_DB, TOO_EVEN_WEIGHT = 5.6, 4.0
"""Spread below which a band is doubted too, and how quickly."""
STEEPEST_DB, STEEPEST_TRUSTED_DB = 6.0, 12.0
"""Decibels per octave by which noise may fall from a band to that above it."""
CLIFF_DB = 12.0
SHEER_DB, SHEER_HZ = 40.0, 10_000.0
"""A fall from one band to the next, and from which frequency on, that only lossy coders make: below it they spread noise too wide to be
trusted."""
USUAL_SLOPE_DB = -1.0
"""Per octave, of the line where nothing else is known: between white noise and pink."""
SLOPE_WEIGHT = 0.15
ABOVE_LINE = 0.05
"""Weight of a band above the line, where music may lie on the noise, against one below it."""
MARGIN_DB = 0.5
ROUNDS = 15
QUIETEST_DB = -140.0


@dataclass(frozen=True)
class NoiseFloor:
    """The noise of a sound.

    Args:
        level_db: Power of the noise in dB of full scale (as of white noise of that variance), shape (segments, C, bands).
        centres: Of the bands, log2 of Hz, shape (bands,).
        segment_frames: Frames of a segment.
        grid: The frames that are meant.
    """

    level_db: Table
    centres: Table
    segment_frames: int
    grid: Grid

    def power(self, frames: slice) -> Table:
        """Noise power at each frequency of some frames, all channels together, shape (F, K); between segments it moves evenly."""
        n_segments = len(self.level_db)
        at = (np.arange(frames.start, frames.stop) + 0.5) / self.segment_frames - 0.5
        before = np.clip(np.floor(at).astype(int), 0, n_segments - 1)
        after = np.minimum(before + 1, n_segments - 1)
        share = np.clip(at - before, 0.0, 1.0)[:, None]
        by_segment = {number: self._by_frequency(number) for number in {*before.tolist(), *after.tolist()}}
        first = np.stack([by_segment[number] for number in before])
        second = np.stack([by_segment[number] for number in after])
        between: Table = first + share * (second - first)
        return between

    def _by_frequency(self, segment: int) -> Table:
        octaves = np.log2(np.maximum(self.grid.frequencies, 1.0))
        rows = [np.interp(octaves, self.centres, row) for row in self.level_db[segment]]
        power: Table = np.sum(10.0 ** (np.stack(rows) / 10.0), axis=0)
        return power

    @property
    def mean_db(self) -> float:
        """The level of all of the noise in dB of full scale, per channel; the quietest number is -140."""
        hz = 2.0**self.centres
        width = np.gradient(hz) if len(hz) > 1 else np.ones(1)
        power = np.mean(10.0 ** (self.level_db / 10.0), axis=(0, 1))
        return float(10.0 * np.log10((power * width).sum() / width.sum()))


def noise_floor(samples: Samples, grid: Grid, progress: Callable[[int], None] = lambda frames: None) -> NoiseFloor | None:
    """The noise of a sound; None if the sound is too short or too silent to tell.

    Args:
        samples: Shape (N, C).
        grid: How it is cut into frames.
        progress: Called with the number of frames looked at.
    """
    bands = bands_of(grid)
    edge = 2 * grid.size // grid.hop  # frames that hang over the ends hold less noise than others
    inner = grid.n_frames - 2 * edge
    if inner < MIN_FRAMES or not bands:
        return None
    n_segments = max(1, round(inner * grid.hop / grid.sample_rate / SEGMENT_S))
    segment_frames = -(-grid.n_frames // n_segments)
    looks = []
    for number in range(n_segments):
        first, last = max(number * segment_frames, edge), min((number + 1) * segment_frames, grid.n_frames - edge)
        looks.append(_look(samples, grid, bands, first, last))
        progress(last)
    level, spread, weight = (np.stack(part) for part in zip(*looks, strict=True))  # (segments, C, bands)
    if not weight.any():
        return None
    step_s = segment_frames * grid.hop / grid.sample_rate
    level, spread = _pooled(level, spread, weight, step_s)
    centres = np.array([np.log2(grid.frequencies[band].mean()) for band in bands])
    sizes = np.array([band.stop - band.start for band in bands])
    fitted = [[_bounded(row, wide, centres, sizes) for row, wide in zip(*rows, strict=True)] for rows in zip(level, spread, strict=True)]
    return NoiseFloor(np.maximum(np.array(fitted), QUIETEST_DB), centres, segment_frames, grid)


def bands_of(grid: Grid) -> list[slice]:
    """The columns of each third of an octave from LOWEST_HZ to half the rate; bands with too few columns are left out."""
    found, low = [], LOWEST_HZ
    while low * 2 ** (1 / 3) <= grid.sample_rate / 2 * 1.0001:
        first, last = np.searchsorted(grid.frequencies, (low, low * 2 ** (1 / 3)))
        if last - first >= MIN_COLUMNS:
            found.append(slice(int(first), int(last)))
        low *= 2 ** (1 / 3)
    return found


def _look(samples: Samples, grid: Grid, bands: list[slice], first: int, last: int) -> tuple[Table, Table, Table]:
    """Level in dB, spread in dB and weight of each channel and band of a segment, each of shape (C, bands)."""
    parts = []
    for frames in grid.blocks(first, last):
        power = grid.power(grid.transform(samples, frames)).astype(np.float32)
        parts.append(power)
    power = np.concatenate(parts) if parts else np.zeros((0, samples.shape[1], len(grid.frequencies)), np.float32)
    shape = (samples.shape[1], len(bands))
    level, spread, weight = np.full(shape, QUIETEST_DB), np.full(shape, 99.0), np.zeros(shape)
    for channel in range(samples.shape[1]):
        sounding = power[:, channel].mean(axis=1) > SILENCE
        if np.count_nonzero(sounding) < MIN_FRAMES:
            continue
        heard = power[sounding, channel]
        for number, band in enumerate(bands):
            level[channel, number], spread[channel, number] = _lowest(heard[:, band].ravel())
        weight[channel] = 1.0 / (0.5 + np.maximum(spread[channel] - EXPONENTIAL_DB, 0.0)) ** 2
    return level, spread, weight


def _lowest(powers: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Level and spread in dB of the lowest of some powers, taken for noise that fills a share of them."""
    places = [int(LOW * len(powers)), int(HIGH * len(powers))]
    low, high = np.partition(powers, places)[places] + 1e-20
    spread = 10.0 * float(np.log10(high / low))
    spread += TOO_EVEN_WEIGHT * max(TOO_EVEN_DB - spread, 0.0)  # what hardly moves is a held tone
    shares, spreads = _spreads()
    share = float(np.interp(spread, spreads, shares))
    return 10.0 * float(np.log10(low / -np.log1p(-LOW / share))), spread


@cache
def _spreads() -> tuple[Table, Table]:
    """Shares of points that noise alone fills, from large to small, and how far the two quantiles are then apart."""
    shares = np.concatenate([np.linspace(1.0, 0.25, 800), np.linspace(0.2495, 0.2002, 200)])
    return shares, 10.0 * np.log10(np.log1p(-HIGH / shares) / np.log1p(-LOW / shares))


def _pooled(level: Table, spread: Table, weight: Table, step_s: float) -> tuple[Table, Table]:
    """Levels and spreads of each segment, leaning on those near it in time, trusted ones most."""
    number = np.arange(len(level))
    near = np.maximum(1.0 - np.abs(number[:, None] - number) * step_s / POOL_S, 0.0) + 1e-9 * (weight.max() > 0)
    total = np.einsum("ts,scb->tcb", near, weight)
    total = np.where(total > 0.0, total, 1.0)
    pooled = [np.einsum("ts,scb->tcb", near, weight * values) / total for values in (level, spread)]
    nothing = ~(np.einsum("ts,scb->tcb", near, weight) > 0.0)
    return np.where(nothing, QUIETEST_DB, pooled[0]), np.where(nothing, 99.0, pooled[1])


def _bounded(level: Table, spread: Table, centres: Table, sizes: Table) -> Table:
    """The levels of noise of the bands, shape (bands,), where music may have raised what was seen."""
    top = _edge(level, spread, centres)
    bound = level.copy()
    for band in range(top - 2, -1, -1):
        trust = np.clip((7.2 - max(spread[band], spread[band + 1])) / 0.4, 0.0, 1.0)
        steepest = STEEPEST_DB + (STEEPEST_TRUSTED_DB - STEEPEST_DB) * trust
        bound[band] = min(bound[band], bound[band + 1] + steepest * (centres[band + 1] - centres[band]))
    line = _line_under(bound[:top], spread[:top], centres[:top], sizes[:top])
    trust = np.clip((DOUBTED_DB - spread[:top]) / (DOUBTED_DB - TRUSTED_DB), 0.0, 1.0)
    doubtful = np.minimum(line + MARGIN_DB, bound[:top])
    bound[:top] = doubtful + trust * (bound[:top] - doubtful)
    bound[top:] = np.minimum(level[top:], bound[top - 1] - 20.0)
    return bound


def _edge(level: Table, spread: Table, centres: Table) -> int:
    """How many bands, from the lowest, lie below the steep end of a recording's frequencies; all if it has none."""
    for band in range(len(level) - 1, 1, -1):
        fall = level[band - 1] - level[band]
        if (fall > SHEER_DB and 2.0 ** centres[band] > SHEER_HZ) or (fall > CLIFF_DB and max(spread[band - 1], spread[band - 2]) < 7.2):
            return band
    return len(level)


def _line_under(level: Table, spread: Table, centres: Table, sizes: Table) -> Table:
    """A line over octaves that lies under the levels, weighted by trust."""
    trust = np.minimum(sizes, 20) / 20 / (0.5 + 3.0 * np.maximum(spread - EXPONENTIAL_DB, 0.0)) ** 2
    octaves = centres - (centres * trust).sum() / trust.sum()
    rest = level - USUAL_SLOPE_DB * octaves
    weight, line = trust, rest
    for _ in range(ROUNDS):
        mean = (weight * rest).sum() / weight.sum()
        middle = (weight * octaves).sum() / weight.sum()
        lean = (weight * (octaves - middle) * (rest - mean)).sum()
        slope = lean / ((weight * (octaves - middle) ** 2).sum() + SLOPE_WEIGHT * trust.sum())
        line = mean + slope * (octaves - middle)
        weight = trust * np.where(rest > line, ABOVE_LINE, 1.0)
    level_db: Table = line + USUAL_SLOPE_DB * octaves
    return level_db
