"""Noises for benchmarks/denoising.py: steady, humming, and of a coder, each at a level below the music."""

from __future__ import annotations

import numpy as np

from kapelle.audio.frames import Grid
from kapelle.audio.waveform import Waveform

STEADY = {
    "white": lambda hz: np.ones_like(hz),
    "pink": lambda hz: 1.0 / np.sqrt(np.maximum(hz, 20.0)),
    # Rises from 2 kHz on, and falls where a tape ends.
    "tape hiss": lambda hz: np.sqrt(1.0 + (hz / 2000.0) ** 2) / (1.0 + (hz / 13_000.0) ** 4),
}
NOISES = (*STEADY, "hum", "coder")
HUM = {1: 1.0, 2: 0.7, 3: 0.5, 4: 0.25, 5: 0.3, 6: 0.15, 7: 0.15, 9: 0.1, 11: 0.07, 13: 0.05}
HUM_HZ = 50.02
CODER_STEP = 0.7
BANDS = 24


def noise(music: Waveform, kind: str, level_db: float, seed: int) -> Waveform:
    """Noise of the shape of `music`, `level_db` below it.

    Args:
        music: The sound that it will be added to; the coder's noise is made of it.
        kind: One of NOISES.
        level_db: The ratio that results, in dB.
        seed: Of chance.
    """
    random = np.random.default_rng(seed)
    shape, rate = music.samples.shape, music.sample_rate
    if kind in STEADY:
        spectrum = np.fft.rfft(random.standard_normal(shape), axis=0)
        made = np.fft.irfft(spectrum * STEADY[kind](np.fft.rfftfreq(shape[0], 1 / rate))[:, None], shape[0], axis=0)
    elif kind == "hum":
        time = np.arange(shape[0]) / rate
        line = sum(gain * np.sin(2 * np.pi * HUM_HZ * k * time + random.uniform(0, 2 * np.pi)) for k, gain in HUM.items())
        made = line[:, None] * random.uniform(0.7, 1.0, shape[1])
    else:
        made = _coder(music)
    power = np.mean(np.square(music.samples, dtype=np.float64))
    return Waveform((made * np.sqrt(power / np.mean(made**2)) * 10 ** (-level_db / 20)).astype(np.float32), rate)


def _coder(music: Waveform) -> np.ndarray:
    """The error of rounding the frequencies of each frame to steps of CODER_STEP x the root mean square of their band."""
    grid = Grid(music.n_frames, music.sample_rate)
    edges = np.unique(np.geomspace(4, len(grid.frequencies), BANDS).astype(int))
    out = np.zeros_like(music.samples)
    for frames in grid.blocks():
        spectra = grid.transform(music.samples, frames)
        error = np.zeros_like(spectra)
        for low, high in zip((0, *edges[:-1]), edges, strict=True):
            band = spectra[..., low:high]
            step = np.maximum(CODER_STEP * np.sqrt(np.mean(np.abs(band) ** 2, axis=-1, keepdims=True)), 1e-9)
            error[..., low:high] = (np.round(band.real / step) + 1j * np.round(band.imag / step)) * step - band
        grid.add(out, error, frames)
    return out.astype(np.float64)
