"""The twelve pitch classes in a sound, and how far its tuning lies from 440 Hz.

Takes the power spectrogram of `kapelle.audio.spectra`, shape (F, K); gives for each frame the strength of C, C sharp, ... B. As librosa
0.11 defines it: every frequency gives to the classes near it by a bell curve, octaves about C5 count most, and the
bells are first moved to the tuning that most of the sound's peaks have. No key is found here and no chord.

Source: D. Ellis, "Chroma Feature Analysis and Synthesis", 2007; B. McFee et al., SciPy 2015.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from kapelle.audio.spectra import FRAME, RATE_HZ

if TYPE_CHECKING:
    from kapelle.audio.spectra import Array

N_CLASSES = 12
A0_HZ = 27.5
PEAKS_FROM_HZ, PEAKS_UP_TO_HZ = 150.0, 4000.0
PEAK_SHARE = 0.1
"""A peak counts if it has this share of the largest value of its frame."""
TUNING_STEP = 0.01
CENTRE_OCTAVE, OCTAVES_WIDE = 5.0, 2.0
STEPS_A_TO_C = 3


def chroma(power: Array) -> Array:
    """The strength of the pitch classes C to B in each frame, the strongest being 1, shape (F, 12); zeros for a silent frame."""
    raw = power @ _bells(tuning(power))
    strongest = raw.max(axis=1, keepdims=True)
    strongest[strongest < np.finfo(np.float32).tiny] = 1.0
    return cast("Array", raw / strongest)


def tuning(power: Array) -> float:
    """How far the sound's peaks lie from equal temperament on 440 Hz, in semitones, -0.5 to 0.5 in steps of 0.01; 0 without peaks."""
    hz, strength = _peaks(power)
    if not len(hz):
        return 0.0
    hz = hz[strength >= np.median(strength)]
    offset = np.mod(N_CLASSES * np.log2(hz / A0_HZ), 1.0)
    offset[offset >= 0.5] -= 1.0
    edges = np.linspace(-0.5, 0.5, round(1.0 / TUNING_STEP) + 1)
    counts, _ = np.histogram(offset, edges)
    return float(edges[np.argmax(counts)])


def _peaks(power: Array) -> tuple[Array, Array]:
    """The frequency in Hz and the height of every local maximum, each by a parabola through it and its neighbours."""
    step_hz = RATE_HZ / FRAME
    first = int(np.ceil(PEAKS_FROM_HZ / step_hz))
    last = int(np.ceil(PEAKS_UP_TO_HZ / step_hz))
    threshold = np.float32(PEAK_SHARE) * power.max(axis=1, keepdims=True)
    middle, left, right = power[:, first:last], power[:, first - 1 : last - 1], power[:, first + 1 : last + 1]
    found = (middle > threshold) & (middle > left) & (middle >= right)
    columns = np.nonzero(found)[1]
    middle, left, right = middle[found], left[found], right[found]
    curve, slope = left + right - 2 * middle, (right - left) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(np.abs(slope) >= np.abs(curve), np.float32(0.0), -slope / curve)
    return (columns + first + shift) * np.float32(step_hz), middle + 0.5 * slope * shift


def _bells(tuned: float) -> Array:
    """How much each frequency gives to each pitch class, shape (K, 12)."""
    hz = np.arange(1, FRAME) * (RATE_HZ / FRAME)
    steps = N_CLASSES * np.log2(hz / (A0_HZ * 2.0 ** (tuned / N_CLASSES)))
    # The frequency 0 has no pitch: it is put far below the others, where its bell is wide and its octave hardly counts.
    steps = np.concatenate([[steps[0] - 1.5 * N_CLASSES], steps])
    width = np.concatenate([np.maximum(np.diff(steps), 1.0), [1.0]])
    distance = np.mod(steps[:, None] - np.arange(N_CLASSES) + N_CLASSES / 2, N_CLASSES) - N_CLASSES / 2
    bells = np.exp(-0.5 * (2.0 * distance / width[:, None]) ** 2)
    bells /= np.linalg.norm(bells, axis=1, keepdims=True)
    bells *= np.exp(-0.5 * ((steps / N_CLASSES - CENTRE_OCTAVE) / OCTAVES_WIDE) ** 2)[:, None]
    bells = np.roll(bells, -STEPS_A_TO_C, axis=1)
    return cast("Array", bells[: FRAME // 2 + 1].astype(np.float32))
