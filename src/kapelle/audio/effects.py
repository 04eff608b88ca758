"""What rendering does to a waveform after the notes: level, tail, fades, sample rate, place between the speakers.

Pure functions, Waveform in, a new Waveform out; times in seconds, levels in decibels of full scale. No equaliser, compressor or
reverb: that is a DAW's work.
"""

from __future__ import annotations

import math

import numpy as np

from kapelle.audio.waveform import MAX_RATE_HZ, MIN_RATE_HZ, Samples, Waveform, amplitude
from kapelle.errors import UsageError

# The resampling filter: zero crossings kept on each side of the sinc, and the Kaiser window's beta (about -80 dB of alias).
SINC_ZEROS = 32
KAISER_BETA = 8.0
# Part of the narrower band that passes. The rest is the filter's slope: 1 - 80 dB slope / half of (2 x 32 zeros) is about 0.92.
PASS_BAND = 0.93
MAX_PHASES = 100_000
SILENCE = 1e-6


def normalise_peak(waveform: Waveform, peak_db: float = -1.0) -> Waveform:
    """The same sound with its largest sample at `peak_db` (decibels, at most 0); what peaks below -120 dB is silence and stays so."""
    if not peak_db <= 0.0:
        raise UsageError("the peak must be at most 0 dB, not {peak_db}", peak_db=peak_db)
    if waveform.peak < SILENCE:
        return waveform
    return Waveform(waveform.samples * np.float32(amplitude(peak_db) / waveform.peak), waveform.sample_rate)


def pad_tail(waveform: Waveform, tail_s: float) -> Waveform:
    """The same sound with `tail_s` seconds (0 or more) of silence after it."""
    n_frames = _frames(tail_s, waveform.sample_rate)
    return Waveform(np.pad(waveform.samples, ((0, n_frames), (0, 0))), waveform.sample_rate)


def fade(waveform: Waveform, *, in_s: float = 0.0, out_s: float = 0.0) -> Waveform:
    """The same sound rising from and falling to silence over the given seconds, along half a cosine.

    Of a fade longer than the sound, only as much is heard as fits, from its silent end.
    """
    samples = np.array(waveform.samples)
    for seconds, frames in ((in_s, samples), (out_s, samples[::-1])):
        curve = fade_curve(_frames(seconds, waveform.sample_rate))[: waveform.n_frames]
        frames[: len(curve)] *= curve[:, None]
    return Waveform(samples, waveform.sample_rate)


def fade_curve(n_frames: int) -> Samples:
    """Half a cosine from 0 towards 1, shape (n_frames,)."""
    curve: Samples = (0.5 - 0.5 * np.cos(np.pi * np.arange(n_frames) / max(n_frames, 1))).astype(np.float32)
    return curve


def pan(waveform: Waveform, position: float) -> Waveform:
    """A stereo waveform with the sound (its channels averaged) at `position`, -1 left to 1 right, at equal power."""
    if not -1.0 <= position <= 1.0:
        raise UsageError("the position must be -1 (left) to 1 (right), not {position}", position=position)
    left, right = pan_gains(position)
    mono = waveform.samples.mean(axis=1, dtype=np.float32)
    return Waveform(np.stack([mono * np.float32(left), mono * np.float32(right)], axis=1), waveform.sample_rate)


def pan_gains(position: float) -> tuple[float, float]:
    """The gains (left, right) of a place from -1 to 1: squares add up to 1; 0.707 each in the middle."""
    angle = (position + 1.0) * math.pi / 4.0
    return math.cos(angle), math.sin(angle)


def resample(waveform: Waveform, sample_rate: int) -> Waveform:
    """The same sound at another rate, by a windowed sinc (Kaiser, about -80 dB); frames are ceil(F x new / old).

    One short filter per phase of the ratio (a polyphase filter), each a matrix-vector product, so that the cost does not depend
    on the ratio.

    Raises:
        UsageError: The rate is out of range, or its ratio to the old one is not one of small whole numbers.
    """
    if not MIN_RATE_HZ <= sample_rate <= MAX_RATE_HZ:
        raise UsageError("the sample rate must be {low} to {high} Hz, not {rate}", low=MIN_RATE_HZ, high=MAX_RATE_HZ, rate=sample_rate)
    if sample_rate == waveform.sample_rate:
        return waveform
    common = math.gcd(sample_rate, waveform.sample_rate)
    up, down = sample_rate // common, waveform.sample_rate // common
    if up > MAX_PHASES:
        raise UsageError("cannot resample from {old} to {new} Hz", old=waveform.sample_rate, new=sample_rate)
    columns = [_resample_channel(np.ascontiguousarray(channel), up, down) for channel in waveform.samples.T]
    return Waveform(np.stack(columns, axis=1), sample_rate)


def _resample_channel(samples: Samples, up: int, down: int) -> Samples:
    """Output n lies at input time n x down / up; its phase n mod up picks the filter, the rest is a strided window."""
    bandwidth = PASS_BAND * min(1.0, up / down)  # of the input's Nyquist frequency
    reach = math.ceil(SINC_ZEROS / bandwidth)
    n_out = -(-len(samples) * up // down)
    padded = np.pad(samples, (reach, reach + down))
    out = np.empty(n_out, dtype=np.float32)
    offsets = np.arange(-reach + 1, reach + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach)
    for phase in range(min(up, n_out)):
        base, fraction = divmod(phase * down, up)
        distance = offsets - fraction / up
        inside = np.clip(1.0 - (distance / reach) ** 2, 0.0, None)
        kernel = bandwidth * np.sinc(bandwidth * distance) * np.i0(KAISER_BETA * np.sqrt(inside)) / np.i0(KAISER_BETA)
        kernel /= kernel.sum()  # every phase passes a constant unchanged
        target = out[phase::up]
        target[:] = windows[base + 1 :: down][: len(target)] @ kernel.astype(np.float32)
    return out


def _frames(seconds: float, sample_rate: int) -> int:
    if not 0.0 <= seconds < float("inf"):
        raise UsageError("a time must be 0 or more seconds, not {seconds}", seconds=seconds)
    return round(seconds * sample_rate)
