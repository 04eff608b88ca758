"""Sounds made here for the tests of what is done to sounds: notes, strokes and noise, each known apart from the others."""

from __future__ import annotations

from functools import cache

import numpy as np

from kapelle.audio.waveform import Waveform

RATE_HZ = 22_050


@cache
def notes(seconds: float = 6.0, rate: int = RATE_HZ, seed: int = 0, step_s: float = 0.25) -> Waveform:
    """Music as far as a filter can tell: plucked notes with ten overtones on both sides, a bass, a stroke on every beat; peak 0.8."""
    random = np.random.default_rng(seed)
    out = np.zeros((round(seconds * rate), 2))
    for number, start in enumerate(range(0, len(out), round(step_s * rate))):
        time = np.arange(min(len(out) - start, round(1.2 * rate))) / rate
        pitch = 220.0 * 2.0 ** (random.choice([0, 2, 3, 5, 7, 8, 10, 12]) / 12)
        for hz, gain in ((pitch, 1.0), (pitch * 1.4983, 0.6), (pitch / 4, 0.8)):
            for k in range(1, 11):
                if hz * k < rate * 0.45:
                    tone = gain / k**1.5 * np.exp(-time * (3.0 + k)) * np.sin(2 * np.pi * hz * k * time + k)
                    out[start : start + len(time)] += tone[:, None] * random.uniform(0.4, 1.0, 2)
        if number % 2 == 0:
            out[start : start + len(time)] += (random.normal(size=len(time)) * np.exp(-time * 60.0))[:, None] * 0.3
    return Waveform((out / np.abs(out).max() * 0.8).astype(np.float32), rate)


def noise(like: Waveform, snr_db: float, kind: str = "white", seed: int = 1) -> Waveform:
    """Noise of the shape of `like`, `snr_db` below it: "white", "pink" or "brown", other in every channel."""
    random = np.random.default_rng(seed)
    shape = like.samples.shape
    spectrum = np.fft.rfft(random.normal(size=shape), axis=0)
    hz = np.maximum(np.fft.rfftfreq(shape[0], 1 / like.sample_rate), 20.0)
    spectrum *= hz[:, None] ** {"white": 0.0, "pink": -0.5, "brown": -1.0}[kind]
    made = np.fft.irfft(spectrum, shape[0], axis=0)
    power = float(np.mean(np.square(like.samples, dtype=np.float64)))
    return Waveform((made * np.sqrt(power / np.mean(made**2)) * 10 ** (-snr_db / 20)).astype(np.float32), like.sample_rate)


def mixed(*waves: Waveform) -> Waveform:
    return Waveform(np.sum([wave.samples for wave in waves], axis=0, dtype=np.float32), waves[0].sample_rate)
