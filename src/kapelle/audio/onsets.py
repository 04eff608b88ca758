"""When something begins in a sound, and how many beats a minute that makes.

Takes the mel bands of `kapelle.audio.spectra` in decibels, shape (F, N_MELS); gives a curve of onsets and one tempo. As librosa 0.11
defines them: the rise of the middling band from one frame to the next; its autocorrelation over windows of 8 seconds; of the lags the
one that is strongest after a preference for about 120 beats a minute. The tempo is therefore one of a few: 60 x 22050 / (512 x lag).
Beats are not placed, and a tempo that changes is averaged over.

Source: D. Ellis, "Beat Tracking by Dynamic Programming", Journal of New Music Research, 2007; P. Grosche, M. Müller and F. Kurth,
"Cyclic tempogram", ICASSP 2010; B. McFee et al., SciPy 2015.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kapelle.audio.spectra import FRAME, HOP, RATE_HZ, bell

if TYPE_CHECKING:
    from kapelle.audio.spectra import Array

WINDOW_S = 8.0
USUAL_BPM = 120.0
OCTAVES_ABOUT = 1.0
FASTEST_BPM = 320.0
CONTRAST = 1e6  # of the autocorrelation before its logarithm


def onset_strength(decibels: Array) -> Array:
    """How much louder the middling mel band became, in decibels, in each frame, shape (F,), 0 or more; the first three are 0."""
    rise = np.median(np.maximum(np.diff(decibels, axis=0), 0.0), axis=1).astype(np.float32)
    late = 1 + FRAME // (2 * HOP)  # a frame hears what begins at its end: the curve is moved by half a frame
    moved = np.concatenate([np.zeros(late, dtype=np.float32), rise])
    return moved[: len(decibels)]


def tempo_bpm(onsets: Array) -> float:
    """The tempo of a curve of onsets in beats per minute, below 320; 0.0 where nothing begins."""
    if not onsets.any():
        return 0.0
    size = int(WINDOW_S * RATE_HZ / HOP)
    strength = autocorrelation(onsets, size)
    bpm = 60.0 * RATE_HZ / (HOP * np.arange(1.0, size))
    preference = -0.5 * (np.log2(bpm / USUAL_BPM) / OCTAVES_ABOUT) ** 2
    preference[bpm >= FASTEST_BPM] = -np.inf
    return float(bpm[np.argmax(np.log1p(CONTRAST * strength[1:]) + preference)])


def autocorrelation(onsets: Array, size: int) -> npt.NDArray[np.float64]:
    """The mean over all frames of the autocorrelation in a window about each, every one with its largest value made 1, shape (size,).

    Args:
        onsets: Curve of onsets, shape (F,).
        size: Frames of a window, 2 or more; also how many lags there are, the first being 0.
    """
    half = size // 2
    padded = np.pad(onsets, half, mode="linear_ramp", end_values=0.0)
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)[: len(onsets)]
    n_padded = 1 << (2 * size - 2).bit_length()  # twice the window, so that nothing wraps around
    spectrum = np.fft.rfft(windows * bell(size), n=n_padded, axis=1)
    products = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, n=n_padded, axis=1)[:, :size]
    largest = np.abs(products).max(axis=1, keepdims=True)
    largest[largest < np.finfo(np.float64).tiny] = 1.0
    mean: npt.NDArray[np.float64] = (products / largest).mean(axis=0)
    return mean
