"""A look-ahead limiter: peaks are turned down before they come, and nothing else is touched.

Takes a Waveform and a ceiling in decibels of true peak; gives one of the same shape. The gain is one curve for all channels, so that the
image stays; it moves over `LOOK_S` seconds on either side of a peak. It is no compressor: below the ceiling the samples stay as they are.

Source: true peak by four-fold oversampling as in Recommendation ITU-R BS.1770-5, annex 2, with our own resampling filter.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kapelle.audio.effects import resample
from kapelle.audio.waveform import MAX_RATE_HZ, Samples, Waveform, amplitude, decibels
from kapelle.errors import UsageError

LOOK_S = 0.005
OVERSAMPLING = 4
BLOCK_FRAMES = 1 << 18
OVERLAP_FRAMES = 256
"""Longer than the reach of the resampling filter, so that blocks measure what the whole would."""

Curve = npt.NDArray[np.float32]


def limit(waveform: Waveform, true_peak_db: float = -1.0) -> Waveform:
    """The same sound with its true peak at `true_peak_db` or below.

    Args:
        waveform: The sound; beyond -1 to 1 is fine.
        true_peak_db: The ceiling in decibels of full scale, at most 0.

    Raises:
        UsageError: The ceiling is above 0 dB.
    """
    if not true_peak_db <= 0.0:
        raise UsageError("the peak must be at most 0 dB, not {peak_db}", peak_db=true_peak_db)
    ceiling = amplitude(true_peak_db)
    envelope = peaks(waveform)
    if envelope.size == 0 or envelope.max() <= ceiling:
        return waveform
    gain = _eased(np.minimum(1.0, ceiling / np.maximum(envelope, 1e-9)).astype(np.float32), round(LOOK_S * waveform.sample_rate))
    limited = Waveform(waveform.samples * gain[:, None], waveform.sample_rate)
    excess = true_peak(limited) / ceiling  # a gain that moves adds a trace to the spectrum
    return limited if excess <= 1.0 else Waveform(limited.samples / np.float32(excess * 1.0001), waveform.sample_rate)


def true_peak(waveform: Waveform) -> float:
    """Largest amplitude of the sound between its samples too, 0 or more."""
    return float(peaks(waveform).max(initial=0.0))


def true_peak_db(waveform: Waveform) -> float:
    """The same in decibels of full scale; minus infinity for silence."""
    return decibels(true_peak(waveform))


def peaks(waveform: Waveform) -> Curve:
    """Largest amplitude over all channels around each frame, shape (F,): of the frame and of what lies between it and the next."""
    factor = min(OVERSAMPLING, MAX_RATE_HZ // waveform.sample_rate)
    out: Curve = np.abs(waveform.samples).max(axis=1, initial=0.0).astype(np.float32)
    for start in range(0, waveform.n_frames if factor > 1 else 0, BLOCK_FRAMES):
        stop = min(start + BLOCK_FRAMES, waveform.n_frames)
        before = min(start, OVERLAP_FRAMES)
        part = Waveform(waveform.samples[start - before : stop + OVERLAP_FRAMES], waveform.sample_rate)
        finer = np.abs(resample(part, factor * waveform.sample_rate).samples).max(axis=1)
        between = finer[: factor * (len(finer) // factor)].reshape(-1, factor).max(axis=1)[before : before + stop - start]
        np.maximum(out[start:stop], between, out=out[start:stop])
    return out


def _eased(gain: Curve, reach: int) -> Curve:
    """A smooth curve nowhere above `gain`: its minimum over twice `reach` on either side, then two means over `reach`."""
    if reach < 1:
        return gain
    return _mean(_mean(_minimum(gain, 2 * reach), reach), reach)


def _minimum(values: Curve, reach: int) -> Curve:
    """The smallest of `reach` values on either side; windows double until they are wide enough."""
    width = 2 * reach + 1
    out = np.pad(values, reach, constant_values=1.0)
    done = 1
    while done < width:
        step = min(done, width - done)
        out = np.minimum(out[:-step], out[step:])
        done += step
    return out


def _mean(values: Curve, reach: int) -> Curve:
    """The mean of `reach` values on either side."""
    sums = np.cumsum(np.pad(values.astype(np.float64), (reach + 1, reach), mode="edge"))
    means: Samples = ((sums[2 * reach + 1 :] - sums[: -2 * reach - 1]) / (2 * reach + 1)).astype(np.float32)
    return means
