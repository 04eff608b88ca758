"""The sine renderer's drum kit: each sound a falling tone, a burst of filtered noise, or both.

Takes a General MIDI drum pitch and a sample rate; gives its sound as one channel of float32, peak at most 1. The noise comes
from a generator seeded with the pitch, so that a sound is always the same. Note lengths play no part: a drum is struck.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from kapelle.audio.waveform import Samples
    from kapelle.score.units import FloatArray

SILENT_BELOW = 1e-4  # -80 dB of the sound's start


@dataclass(frozen=True)
class Drum:
    """One struck sound.

    Args:
        tone_hz: Frequency in the end; 0 for none.
        tone_from: Frequency at the stroke, in multiples of `tone_hz`.
        tone_decay_s: Time in which the tone falls by 8.7 dB.
        noise_hz: The band of the noise.
        noise_decay_s: Time in which the noise falls by 8.7 dB; 0 for none.
        noise_level: Of the noise against the tone.
        level: Loudness within the kit.
    """

    tone_hz: float = 0.0
    tone_from: float = 1.0
    tone_decay_s: float = 0.1
    noise_hz: tuple[float, float] = (200.0, 8_000.0)
    noise_decay_s: float = 0.0
    noise_level: float = 1.0
    level: float = 1.0


KICK = Drum(tone_hz=48.0, tone_from=3.6, tone_decay_s=0.11, noise_hz=(1_500.0, 5_000.0), noise_decay_s=0.004, noise_level=0.25, level=1.3)
STICK = Drum(tone_hz=1_700.0, tone_decay_s=0.012, noise_hz=(1_500.0, 6_000.0), noise_decay_s=0.01, noise_level=0.6, level=0.55)
SNARE = Drum(tone_hz=185.0, tone_from=1.5, tone_decay_s=0.05, noise_hz=(900.0, 9_000.0), noise_decay_s=0.075, noise_level=1.6, level=0.9)
CLAP = Drum(noise_hz=(800.0, 3_500.0), noise_decay_s=0.06, level=0.7)
CLOSED_HAT = Drum(noise_hz=(7_000.0, 16_000.0), noise_decay_s=0.022, level=0.38)
OPEN_HAT = Drum(noise_hz=(6_500.0, 16_000.0), noise_decay_s=0.16, level=0.38)
CRASH = Drum(noise_hz=(3_500.0, 15_000.0), noise_decay_s=0.45, level=0.5)
RIDE = Drum(tone_hz=3_100.0, tone_decay_s=0.2, noise_hz=(5_000.0, 14_000.0), noise_decay_s=0.2, noise_level=2.5, level=0.33)
SHAKER = Drum(noise_hz=(5_000.0, 12_000.0), noise_decay_s=0.03, level=0.35)
BLOCK = Drum(tone_hz=900.0, tone_decay_s=0.025, noise_hz=(1_000.0, 4_000.0), noise_decay_s=0.005, noise_level=0.4, level=0.5)
BELL = Drum(tone_hz=560.0, tone_decay_s=0.1, noise_hz=(1_500.0, 5_000.0), noise_decay_s=0.02, noise_level=0.4, level=0.5)


def _tom(hz: float) -> Drum:
    return Drum(tone_hz=hz, tone_from=1.7, tone_decay_s=0.14, noise_hz=(300.0, 3_000.0), noise_decay_s=0.02, noise_level=0.3, level=0.9)


KIT: dict[int, Drum] = {
    35: KICK, 36: KICK, 37: STICK, 38: SNARE, 39: CLAP, 40: SNARE,
    41: _tom(75.0), 43: _tom(90.0), 45: _tom(108.0), 47: _tom(130.0), 48: _tom(155.0), 50: _tom(185.0),
    42: CLOSED_HAT, 44: CLOSED_HAT, 46: OPEN_HAT, 49: CRASH, 52: CRASH, 55: CRASH, 57: CRASH, 51: RIDE, 53: RIDE, 59: RIDE,
    54: SHAKER, 69: SHAKER, 70: SHAKER, 82: SHAKER, 56: BELL, 67: BELL, 68: BELL, 80: BELL, 81: BELL,
    60: _tom(320.0), 61: _tom(240.0), 62: _tom(300.0), 63: _tom(290.0), 64: _tom(210.0), 65: _tom(350.0), 66: _tom(250.0),
    75: BLOCK, 76: BLOCK, 77: BLOCK, 31: STICK, 32: STICK, 33: STICK,
}  # fmt: skip
"""Drum pitch to sound; any other pitch is a block."""


@functools.lru_cache(maxsize=128)
def strike(pitch: int, sample_rate: int) -> Samples:
    """The sound of a drum pitch, shape (F,), read-only, peak at its level."""
    drum = KIT.get(pitch, BLOCK)
    longest_s = max(drum.tone_decay_s if drum.tone_hz else 0.0, drum.noise_decay_s)
    t = np.arange(int(-np.log(SILENT_BELOW) * longest_s * sample_rate)) / sample_rate
    sound = np.zeros(len(t))
    if drum.tone_hz:
        # The pitch falls with a time constant a fifth of the tone's own, so that the ear hears a stroke, not a slide.
        fall_s = drum.tone_decay_s / 5.0
        phase = drum.tone_hz * (t + (drum.tone_from - 1.0) * fall_s * (1.0 - np.exp(-t / fall_s)))
        sound += np.sin(2.0 * np.pi * phase) * np.exp(-t / drum.tone_decay_s)
    if drum.noise_decay_s:
        sound += drum.noise_level * _noise(pitch, len(t), drum.noise_hz, sample_rate) * np.exp(-t / drum.noise_decay_s)
    n_last = min(len(t), sample_rate // 200)
    sound[len(t) - n_last :] *= np.linspace(1.0, 0.0, n_last)
    scaled: Samples = (drum.level * sound / np.abs(sound).max()).astype(np.float32)
    scaled.flags.writeable = False  # it is kept and shared
    return scaled


def _noise(seed: int, n_frames: int, band_hz: tuple[float, float], sample_rate: int) -> FloatArray:
    """White noise within a band with soft edges (6 dB at the corner), peak 1."""
    n_fast = 1 << (n_frames - 1).bit_length()
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n_fast))
    hz = np.fft.rfftfreq(n_fast, 1.0 / sample_rate)
    low, high = band_hz[0], min(band_hz[1], 0.48 * sample_rate)
    with np.errstate(divide="ignore"):
        spectrum *= 1.0 / (1.0 + (low / hz) ** 4) / (1.0 + (hz / high) ** 8)
    noise: FloatArray = np.fft.irfft(spectrum, n_fast)[:n_frames]
    noise /= np.abs(noise).max()
    return noise
