"""A sound over time and frequency: its spectrogram and what is read from each frame of it.

Takes mono samples at `RATE_HZ` (float32, shape (N,)); gives arrays over frames, one every `HOP` samples, the first centred on sample 0;
the sound is taken to be silent before its beginning and after its end. Spectrograms have shape (F, K): F frames, K = 1025
frequencies. Pure functions of numpy alone.

Definitions, sizes and edges are those of librosa 0.11 with its default settings, so that tables made with it can be used beside these
numbers; a test holds the two together. What is left out: other sizes and rates, other windows, streaming.

Source: B. McFee et al., "librosa: Audio and Music Signal Analysis in Python", SciPy 2015, and its documentation; M. Slaney, "Auditory
Toolbox", 1998, for the mel scale.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from kapelle.errors import UsageError

if TYPE_CHECKING:
    from kapelle.audio.waveform import Samples

Array = npt.NDArray[np.float32]
Curve = npt.NDArray[np.float64]
Spectrogram = npt.NDArray[np.complex64]

RATE_HZ = 22_050
FRAME = 2048
HOP = 512
N_MELS = 128
N_CEPSTRA = 20
ROLLOFF = 0.85
QUIETEST = 1e-10
"""Power below which everything counts as silence: -100 dB."""
RANGE_DB = 80.0
"""Depth of a picture in decibels below its loudest point; what lies deeper is raised to that floor."""
LINEAR_UP_TO_HZ = 1000.0
LINEAR_HZ_PER_MEL = 200.0 / 3.0
LOG_STEP = np.log(6.4) / 27.0  # Slaney: 27 steps from 1 to 6.4 kHz
BLOCK_FRAMES = 64  # frames that are transformed at once: they stay in the cache


def n_frames(n_samples: int) -> int:
    """How many frames a sound of so many samples has, 1 or more."""
    return 1 + n_samples // HOP


def frequencies() -> Curve:
    """The frequencies of a spectrogram's columns in Hz, shape (K,), from 0 to half the rate."""
    return np.linspace(0.0, RATE_HZ / 2, FRAME // 2 + 1)


def bell(size: int) -> Curve:
    """One period of a raised cosine (Hann), shape (size,)."""
    curve: Curve = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(size) / size)
    return curve


def transform(samples: Samples) -> Spectrogram:
    """The short-time Fourier transform of `samples`, shape (F, K).

    Raises:
        UsageError: There are no samples, or they are not one channel.
    """
    if samples.ndim != 1 or not len(samples):
        raise UsageError("a spectrogram is made of one channel of sound, not of {shape}", shape=samples.shape)
    padded = np.pad(samples.astype(np.float32, copy=False), FRAME // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    window = bell(FRAME)  # double precision: in single, the rounding of a pure tone is heard as a noise as wide as the spectrum
    out = np.empty((len(frames), FRAME // 2 + 1), dtype=np.complex64)
    for start in range(0, len(frames), BLOCK_FRAMES):
        out[start : start + BLOCK_FRAMES] = np.fft.rfft(frames[start : start + BLOCK_FRAMES] * window, axis=1)
    return out


def sound(spectrogram: Spectrogram, n_samples: int) -> Samples:
    """The `n_samples` samples whose transform is nearest to `spectrogram`: overlapped, added and divided by the windows."""
    weights = bell(FRAME).astype(np.float32)
    total = len(spectrogram)
    out = np.zeros((total + FRAME // HOP, HOP), dtype=np.float32)
    covered = np.zeros_like(out)
    for start in range(0, total, BLOCK_FRAMES):
        frames = np.fft.irfft(spectrogram[start : start + BLOCK_FRAMES], n=FRAME, axis=1).astype(np.float32, copy=False) * weights
        n = len(frames)
        for part in range(FRAME // HOP):
            columns = slice(part * HOP, (part + 1) * HOP)
            out[start + part : start + part + n] += frames[:, columns]
            covered[start + part : start + part + n] += weights[columns] ** 2
    seen = slice(FRAME // 2, FRAME // 2 + n_samples)
    samples, divisor = out.reshape(-1)[seen], covered.reshape(-1)[seen]
    return cast("Samples", samples / np.where(divisor > np.finfo(np.float32).tiny, divisor, np.float32(1.0)))


def centroid(magnitude: Array) -> Curve:
    """The mean frequency of each frame in Hz, weighted by magnitude, shape (F,); 0 where there is nothing."""
    return _moments(magnitude)[0]


def bandwidth(magnitude: Array) -> Curve:
    """The spread of each frame about its centroid in Hz, a standard deviation weighted by magnitude, shape (F,); 0 for nothing."""
    return _moments(magnitude)[1]


def _moments(magnitude: Array) -> tuple[Curve, Curve]:
    hz = frequencies()
    # In double precision: the squares of a narrow band nearly cancel.
    weights = np.stack([np.ones_like(hz), hz, hz**2], axis=1)
    sums = magnitude.astype(np.float64) @ weights
    total = np.where(sums[:, 0] < np.finfo(np.float32).tiny, 1.0, sums[:, 0])
    mean, square = sums[:, 1] / total, sums[:, 2] / total
    return mean, np.sqrt(np.maximum(square - mean**2, 0.0))


def rolloff(magnitude: Array) -> Curve:
    """The frequency in Hz below which lies 85 % of each frame's magnitude, shape (F,); 0 for a silent frame."""
    sums = np.cumsum(magnitude, axis=1)
    reached = sums >= np.float32(ROLLOFF) * sums[:, -1:]
    hz: Curve = frequencies()[np.argmax(reached, axis=1)]
    return hz


def loudness(samples: Samples) -> Curve:
    """The root mean square of each frame, not windowed, shape (F,)."""
    squares = np.square(samples, dtype=np.float64)
    return cast("Curve", np.sqrt(_frame_sums(squares, n_frames(len(samples))) / FRAME))


def crossings(samples: Samples) -> Curve:
    """The share of samples of each frame whose sign is not that of the sample before, shape (F,), 0 to 1.

    Samples within 1e-10 of zero count as positive; a frame's first sample does not count.
    """
    negative = samples < -QUIETEST
    changed = np.zeros(len(samples))
    changed[1:] = negative[1:] != negative[:-1]
    total = n_frames(len(samples))
    counts = _frame_sums(changed, total)
    firsts = np.arange(total) * HOP - FRAME // 2
    counts[firsts > 0] -= changed[firsts[firsts > 0]]
    return counts / FRAME


def _frame_sums(values: Curve, total: int) -> Curve:
    """The sum of each frame of `values`, by sums over hops: a frame is four of them."""
    n_hops = FRAME // HOP
    padded = np.zeros((total + n_hops - 1) * HOP)
    inside = values[: len(padded) - FRAME // 2]
    padded[FRAME // 2 : FRAME // 2 + len(inside)] = inside
    hops = padded.reshape(-1, HOP).sum(axis=1)
    return cast("Curve", np.lib.stride_tricks.sliding_window_view(hops, n_hops).sum(axis=1))


@functools.cache
def mel_filters() -> Array:
    """Triangles over frequency, evenly spaced in mel and of equal area, shape (K, N_MELS)."""
    mels = np.linspace(0.0, _mel(RATE_HZ / 2), N_MELS + 2)
    linear_mels = LINEAR_UP_TO_HZ / LINEAR_HZ_PER_MEL
    edges = np.where(mels < linear_mels, mels * LINEAR_HZ_PER_MEL, LINEAR_UP_TO_HZ * np.exp(LOG_STEP * (mels - linear_mels)))
    hz = frequencies()[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((hz - low) / (middle - low), (high - hz) / (high - middle))
    filters: Array = (np.maximum(triangles, 0.0) * 2.0 / (high - low)).astype(np.float32)
    filters.flags.writeable = False
    return filters


def _mel(hz: float) -> float:
    if hz < LINEAR_UP_TO_HZ:
        return hz / LINEAR_HZ_PER_MEL
    return float(LINEAR_UP_TO_HZ / LINEAR_HZ_PER_MEL + np.log(hz / LINEAR_UP_TO_HZ) / LOG_STEP)


def mel_decibels(power: Array) -> Array:
    """The power of each mel band in decibels, at most 80 below the loudest of all, shape (F, N_MELS)."""
    decibels = 10.0 * np.log10(np.maximum(power @ mel_filters(), np.float32(QUIETEST)))
    return cast("Array", np.maximum(decibels, decibels.max() - np.float32(RANGE_DB)))


def cepstra(decibels: Array) -> Array:
    """The first N_CEPSTRA mel-frequency cepstral coefficients of each frame, shape (F, N_CEPSTRA).

    An orthonormal cosine transform (type II) of the mel bands in decibels; nothing is standardised.
    """
    return decibels @ _cosines()


@functools.cache
def _cosines() -> Array:
    angles = np.pi / N_MELS * (np.arange(N_MELS)[:, None] + 0.5) * np.arange(N_CEPSTRA)
    basis = np.sqrt(2.0 / N_MELS) * np.cos(angles)
    basis[:, 0] /= np.sqrt(2.0)
    return cast("Array", basis.astype(np.float32))
