"""Adapter of noisereduce (spectral gating, extra ``denoise``), with a noise profile and settings for music.

Takes a `Waveform` and a strength; gives a `Waveform` of the same shape. As it comes, noisereduce takes what lasts for noise and so removes
music: it is given a profile here, and a mask that is smoothed far less over frequency, where partials lie close together. The profile is
not cut out of the sound (its quietest moments still hold music) but two seconds of noise made to the floor that
`kapelle.audio.denoise.noise_floor` finds; where that finds none, nothing is done.

Source: T. Sainburg, noisereduce 3 (MIT), https://github.com/timsainb/noisereduce.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import numpy as np

from kapelle.audio.denoise.noise_floor import NoiseFloor, noise_floor
from kapelle.audio.frames import Grid, Table
from kapelle.audio.waveform import Waveform, amplitude
from kapelle.errors import Missing
from kapelle.progress import Report, quiet

if TYPE_CHECKING:
    from kapelle.audio.waveform import Samples

PROFILE_S = 2.0
DEEPEST_DB = 30.0
SMOOTH_HZ, SMOOTH_MS = 50.0, 30.0
PART_S = 60.0
"""Sound that is handed over at once, and how much of its neighbours with it."""
MARGIN_S = 1.0


def check_installed() -> None:
    """Raise Missing unless noisereduce is there."""
    if importlib.util.find_spec("noisereduce") is None:
        raise Missing("noisereduce is not installed", hint="pip install 'kapelle[denoise]', or use --method wiener, which needs nothing")


def denoise(wave: Waveform, strength: float = 0.6, *, progress: Report = quiet) -> Waveform:
    """`wave` with what lies below the mask turned down by 30 dB x `strength`; of the same length, rate and channels.

    Raises:
        Missing: noisereduce is not installed.
    """
    check_installed()
    from noisereduce import reduce_noise

    grid = Grid(wave.n_frames, wave.sample_rate)
    floor = noise_floor(wave.samples, grid)
    if floor is None:
        return wave
    noise = profile(floor, wave.sample_rate)
    settings = {
        "stationary": True, "prop_decrease": 1.0 - amplitude(-DEEPEST_DB * strength), "n_fft": grid.size,
        "freq_mask_smooth_hz": max(SMOOTH_HZ, 2.0 * wave.sample_rate / grid.size), "time_mask_smooth_ms": SMOOTH_MS,
    }  # fmt: skip
    out = np.empty_like(wave.samples)
    part, margin = round(PART_S * wave.sample_rate), round(MARGIN_S * wave.sample_rate)
    for start in range(0, wave.n_frames, part):
        stop = min(start + part, wave.n_frames)
        low, high = max(start - margin, 0), min(stop + margin, wave.n_frames)
        for channel in range(wave.n_channels):
            piece: Samples = reduce_noise(
                np.array(wave.samples[low:high, channel]), wave.sample_rate, y_noise=noise[:, channel], **settings
            )
            out[start:stop, channel] = piece[start - low : stop - low]
        progress(stop, wave.n_frames)
    return Waveform(out, wave.sample_rate)


def profile(floor: NoiseFloor, sample_rate: int) -> Samples:
    """Two seconds of noise like that found in a sound, shape (N, C); the same floor gives the same noise."""
    n_samples = round(PROFILE_S * sample_rate)
    white = np.fft.rfft(np.random.default_rng(0).standard_normal(n_samples))  # of all channels: what is one sound in two stays one
    octaves = np.log2(np.maximum(np.fft.rfftfreq(n_samples, 1.0 / sample_rate), 1.0))
    level: Table = 10.0 * np.log10(np.mean(10.0 ** (floor.level_db / 10.0), axis=0))  # (C, bands)
    noise = [np.fft.irfft(white * 10.0 ** (np.interp(octaves, floor.centres, row) / 20.0), n_samples) for row in level]
    return np.stack(noise, axis=1).astype(np.float32)
