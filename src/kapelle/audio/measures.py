"""How near a sound is to what it should be: ratios to noise, log spectral distance, levels by octave.

Takes waveforms of one length, rate and number of channels; gives decibels. Nothing is aligned or resampled.

Source: SI-SDR: J. Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019, means not removed. Log spectral distance: A. H. Gray and
J. D. Markel, "Distance measures for speech processing", IEEE Trans. ASSP 24, 1976; ours floors both spectra at -60 dB below the loudest
point of the reference, so that silence does not count.
"""

from __future__ import annotations

import numpy as np

from kapelle.audio.frames import Grid, Table
from kapelle.audio.waveform import Samples, Waveform
from kapelle.errors import UsageError

OCTAVES_HZ = (31.5, 63.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16000.0)
"""Middles of the bands; each reaches half an octave to both sides."""
DEPTH_DB = 60.0
BEST_DB = 150.0
"""What is told of two sounds that are the same, instead of infinity."""


def snr_db(reference: Waveform, sound: Waveform) -> float:
    """The power of `reference` over that of its difference from `sound`, in dB; BEST_DB at most."""
    _check(reference, sound)
    return _ratio_db(_dot(reference.samples, reference.samples), _difference(reference.samples, sound.samples, 1.0))


def si_sdr_db(reference: Waveform, sound: Waveform) -> float:
    """The same at the level of `sound` that suits best (scale-invariant signal-to-distortion ratio), in dB; BEST_DB at most."""
    _check(reference, sound)
    power = _dot(reference.samples, reference.samples)
    if power == 0.0:
        return -BEST_DB if sound.peak else BEST_DB
    scale = _dot(reference.samples, sound.samples) / power
    return _ratio_db(scale * scale * power, _difference(reference.samples, sound.samples, scale))


def log_spectral_distance_db(reference: Waveform, sound: Waveform) -> float:
    """The root mean square over frequencies, averaged over frames, of the distance of both spectra in dB; 0 for the same sound."""
    _check(reference, sound)
    grid = Grid(reference.n_frames, reference.sample_rate)
    loudest = max((float(grid.power(grid.transform(reference.samples, frames)).max()) for frames in grid.blocks()), default=0.0)
    lowest = max(loudest * 10.0 ** (-DEPTH_DB / 10.0), 1e-20)
    total = 0.0
    for frames in grid.blocks():
        first, second = (10.0 * np.log10(grid.power(grid.transform(wave.samples, frames)) + lowest) for wave in (reference, sound))
        total += float(np.sqrt(np.mean((first - second) ** 2, axis=2)).mean(axis=1).sum())
    return total / max(grid.n_frames, 1)


def octave_levels_db(wave: Waveform) -> dict[float, float]:
    """The power in each octave below half the rate, in dB of full scale; minus infinity where there is nothing."""
    spectrum = _mean_power(wave)
    hz = Grid(wave.n_frames, wave.sample_rate).frequencies
    half = 2**0.5
    octaves = [middle for middle in OCTAVES_HZ if middle * half <= wave.sample_rate / 2 * 1.03]
    sums = {middle: float(spectrum[(hz >= middle / half) & (hz < middle * half)].sum()) for middle in octaves}
    with np.errstate(divide="ignore"):
        return {middle: float(10.0 * np.log10(power)) for middle, power in sums.items()}


def octave_changes_db(before: Waveform, after: Waveform, *, depth_db: float = DEPTH_DB) -> dict[float, float]:
    """By how much the level of each octave changed, in dB; octaves more than `depth_db` below the loudest are left out."""
    _check(before, after)
    first, second = octave_levels_db(before), octave_levels_db(after)
    loudest = max(first.values(), default=0.0)
    return {middle: second[middle] - level for middle, level in first.items() if np.isfinite(level) and level >= loudest - depth_db}


def _mean_power(wave: Waveform) -> Table:
    """Mean power at each frequency, all frames and channels, so that the sum over them is the mean square of the samples."""
    grid = Grid(wave.n_frames, wave.sample_rate)
    total = np.zeros(len(grid.frequencies))
    for frames in grid.blocks():
        total += grid.power(grid.transform(wave.samples, frames)).sum(axis=(0, 1))
    total[1:-1] *= 2.0
    return total / (grid.size * max(grid.n_frames * wave.n_channels, 1))


def _check(first: Waveform, second: Waveform) -> None:
    if first.samples.shape != second.samples.shape or first.sample_rate != second.sample_rate:
        raise UsageError("sounds of different shapes cannot be compared: {first} and {second}",
                         first=first.samples.shape, second=second.samples.shape)  # fmt: skip


def _ratio_db(signal: float, noise: float) -> float:
    if noise <= signal * 10.0 ** (-BEST_DB / 10.0):
        return BEST_DB
    return max(float(10.0 * np.log10(max(signal, 1e-300) / noise)), -BEST_DB)


def _dot(first: Samples, second: Samples) -> float:
    """The sum of products in double precision, block by block."""
    block = 1 << 20
    return sum(
        float(np.vdot(first[start : start + block].astype(np.float64), second[start : start + block].astype(np.float64)))
        for start in range(0, len(first), block)
    )


def _difference(reference: Samples, sound: Samples, scale: float) -> float:
    block = 1 << 20
    return sum(
        float(np.sum((sound[start : start + block] - scale * reference[start : start + block].astype(np.float64)) ** 2))
        for start in range(0, len(reference), block)
    )
