"""Which pitches sound when: a rough piano roll of a sound, as far as harmonics tell.

Takes mono samples at `spectra.RATE_HZ`; gives the strength of each of `N_PITCHES` pitches in each frame. The spectrum is gathered into
semitones, low ones from a longer window, and explained frame by frame as a sum of notes, each with overtones that fall off in a fixed
way (non-negative matrix factorisation with given spectra, Kullback-Leibler divergence). It is no transcription: an octave is
often taken for its lower note, drums sound as clusters, notes below a tenth of a frame's strongest are lost.

Source: D. Lee and H. Seung, "Algorithms for non-negative matrix factorization", NIPS 2000, for the updates.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, cast

import numpy as np

from kapelle.audio.spectra import HOP, RATE_HZ, bell

if TYPE_CHECKING:
    from kapelle.audio.spectra import Array
    from kapelle.audio.waveform import Samples

LOWEST = 33  # A1, 55 Hz
N_PITCHES = 64  # up to C7
N_BANDS = 88  # the pitches and two octaves for overtones
LONG, SHORT = 8192, 4096
LONG_UP_TO = 60  # below middle C the longer window is needed to tell semitones apart
HOP_PITCHES = 2 * HOP
"""Samples between frames: 46 ms."""
OVERTONES = 8
FALL = 0.75  # of each overtone to the one before
ROUNDS = 20
BLOCK_FRAMES = 64
TINY = 1e-9


def roll(samples: Samples) -> Array:
    """The strength of each pitch from `LOWEST` on in each frame of 46 ms, shape (F, N_PITCHES), 0 or more; the largest of all is 1."""
    bands = _bands(samples)
    top = float(bands.max())
    if top <= TINY:
        return np.zeros((len(bands), N_PITCHES), np.float32)
    return _explained(np.sqrt(bands / top))


def _bands(samples: Samples) -> Array:
    """The power of each semitone band in each frame, shape (F, N_BANDS)."""
    low = _filters(LONG)
    high = _filters(SHORT)
    split = LONG_UP_TO - LOWEST
    return np.concatenate([_power(samples, LONG, low[:, :split]), _power(samples, SHORT, high[:, split:])], axis=1)


def _power(samples: Samples, size: int, filters: Array) -> Array:
    padded = np.pad(samples.astype(np.float32, copy=False), size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::HOP_PITCHES]
    window = bell(size).astype(np.float32) * np.float32(2.0 / size)
    last = int(np.flatnonzero(filters.any(axis=1)).max()) + 1
    out = np.empty((len(frames), filters.shape[1]), np.float32)
    for start in range(0, len(frames), BLOCK_FRAMES):
        spectrum = np.fft.rfft(frames[start : start + BLOCK_FRAMES] * window, axis=1)[:, :last]
        out[start : start + BLOCK_FRAMES] = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) @ filters[:last]
    return out


@functools.cache
def _filters(size: int) -> Array:
    """A triangle for each semitone, in steps of pitch, wide enough to hold a frequency at least, shape (size / 2 + 1, N_BANDS)."""
    hz = np.maximum(np.arange(size // 2 + 1) * (RATE_HZ / size), 1.0)
    pitch = 69.0 + 12.0 * np.log2(hz / 440.0)
    step = 12.0 * np.log2((hz + RATE_HZ / size) / hz)  # how many semitones the next frequency is away
    distance = np.abs(pitch[:, None] - (LOWEST + np.arange(N_BANDS)))
    return cast("Array", np.maximum(1.0 - distance / np.maximum(1.0, step[:, None]), 0.0).astype(np.float32))


@functools.cache
def _notes() -> Array:
    """What a note of each pitch looks like over the bands, each of sum 1, shape (N_PITCHES, N_BANDS)."""
    shapes = np.zeros((N_PITCHES, N_BANDS))
    for pitch in range(N_PITCHES):
        for number in range(1, OVERTONES + 1):
            place = pitch + 12.0 * np.log2(number)
            below = int(place)
            for band, share in ((below, 1.0 - (place - below)), (below + 1, place - below)):
                if band < N_BANDS:
                    shapes[pitch, band] += share * FALL ** (number - 1)
    smeared = shapes + 0.15 * (np.roll(shapes, 1, axis=1) + np.roll(shapes, -1, axis=1))
    return cast("Array", (smeared / smeared.sum(axis=1, keepdims=True)).astype(np.float32))


def _explained(bands: Array) -> Array:
    """The strengths of notes whose sum is likest to the bands, shape (F, N_PITCHES), the largest being 1."""
    shapes = _notes()
    strengths = np.maximum(bands @ shapes.T, np.float32(TINY))
    for _ in range(ROUNDS):
        strengths *= (bands / np.maximum(strengths @ shapes, np.float32(TINY))) @ shapes.T
    return cast("Array", strengths / max(float(strengths.max()), TINY))
