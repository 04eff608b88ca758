"""What a sound does rather than how it sounds: 67 numbers of its pulse, harmony, dynamics and texture.

Takes what `kapelle.audio` reads from half a minute of sound; gives one number per name. None of them changes with the level, those of
harmony do not change with the key and those of the pulse not with the speed, as far as half a minute tells: what is left is closer to the
music than to the instrument that plays it, of which the means and variances of a spectrum tell most.

Known limit: frames of 93 ms are too coarse for semitones below about 200 Hz, so that the harmony is that of the middle and the treble.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kapelle.audio import spectra
from kapelle.audio.onsets import autocorrelation

if TYPE_CHECKING:
    from kapelle.audio.spectra import Array

Curve = npt.NDArray[np.float64]

FRAMES_PER_S = spectra.RATE_HZ / spectra.HOP
PULSES: tuple[tuple[str, float], ...] = (
    ("quarter", 1 / 4), ("third", 1 / 3), ("half", 1 / 2), ("two_thirds", 2 / 3), ("three_quarters", 3 / 4), ("one", 1.0),
    ("one_and_half", 3 / 2), ("two", 2.0), ("three", 3.0), ("four", 4.0),
)  # fmt: skip
"""Parts and multiples of the beat at which the pulse is looked at."""
BANDS_HZ = (60.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)
BANDS = tuple(f"{int(low)}_{int(high)}" for low, high in pairwise(BANDS_HZ))
CHORDS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("fifth", (0, 7)), ("major", (0, 4, 7)), ("minor", (0, 3, 7)), ("dominant", (0, 4, 7, 10)), ("major_seventh", (0, 4, 7, 11)),
    ("minor_seventh", (0, 3, 7, 10)), ("diminished", (0, 3, 6, 9)), ("suspended", (0, 5, 7)),
)  # fmt: skip
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
"""How well each step fits into a key: C. Krumhansl and E. Kessler, Psychological Review 89, 1982."""
HALF_SECOND = 22  # frames: 0.51 s
CHANGES_S = (0.5, 1.0, 2.0, 4.0)
INTERVALS = range(1, 7)
PEAK_DB = 40.0  # what lies deeper below a frame's loudest frequency is no note of its own
TINY = 1e-10

NAMES: tuple[str, ...] = (
    "onsets_per_s", "onset_unevenness", "onset_peakedness", "pulse_clarity", "pulse_entropy",
    *(f"pulse_{name}" for name, _ in PULSES),
    *(f"interval_{steps}_{kind}" for steps in INTERVALS for kind in ("mean", "dev")),
    "chroma_entropy_mean", "chroma_entropy_dev", "pitch_class_entropy", "major_fit", "minor_fit",
    *(f"chord_{name}" for name, _ in CHORDS),
    *(f"harmony_change_{seconds:g}s" for seconds in CHANGES_S),
    "level_dev_db", "level_skew", "level_range_db", "quiet_share", "flux_mean", "flux_dev",
    *(f"band_{name}_{kind}" for name in BANDS for kind in ("mean", "dev")),
    "flatness", "notes_mean", "notes_dev",
)  # fmt: skip


def patterns(power: Array, classes: Array, decibels: Array, onsets: Array, loudness: Curve, beat_bpm: float) -> list[float]:
    """The numbers in the order of `NAMES`.

    Args:
        power: Spectrogram of power, shape (F, K).
        classes: Strength of the pitch classes, shape (F, 12).
        decibels: Mel bands in decibels, shape (F, N_MELS).
        onsets: Curve of onsets, shape (F,).
        loudness: Root mean square of each frame, shape (F,).
        beat_bpm: The tempo; 0 for none.
    """
    heard = loudness > TINY
    level = 20.0 * np.log10(np.maximum(loudness, TINY))
    level -= level.max()
    parts = (
        _onsets(onsets),
        _pulse(onsets, beat_bpm),
        _intervals(classes[heard]),
        _keys(classes[heard], loudness[heard]),
        _chords(classes[heard]),
        _changes(classes, loudness),
        _dynamics(level, decibels),
        _bands(power[heard]),
        _texture(power[heard]),
    )
    return [float(value) for part in parts for value in part]


def _onsets(onsets: Array) -> tuple[float, ...]:
    mean = float(onsets.mean())
    if mean <= 0.0:
        return 0.0, 0.0, 0.0
    inner = onsets[1:-1]
    peaks = (inner > onsets[:-2]) & (inner >= onsets[2:]) & (inner > mean)
    scaled = (onsets / mean).astype(np.float64)
    return float(peaks.sum()) / (len(onsets) / FRAMES_PER_S), float(scaled.std()), float(np.mean(np.minimum(scaled, 20.0) ** 3) ** (1 / 3))


def _pulse(onsets: Array, beat_bpm: float) -> tuple[float, ...]:
    """How clear the pulse is, how spread, and how strong at parts and multiples of the beat."""
    if beat_bpm <= 0.0:
        return (0.0,) * (2 + len(PULSES))
    size = round(spectra.RATE_HZ * 8.0 / spectra.HOP)
    strength = autocorrelation((onsets - onsets.mean()).astype(np.float32), size)
    usable = strength[4 : size // 2]
    lag = 60.0 * FRAMES_PER_S / beat_bpm
    at = np.interp([lag * part for _, part in PULSES], np.arange(size), strength)
    spread = np.maximum(usable, 0.0)
    return float(usable.max()), _entropy(spread), *at.tolist()


def _intervals(classes: Array) -> list[float]:
    """How often pitch classes so many semitones apart sound together: mean and deviation over frames."""
    squares = np.maximum((classes**2).sum(axis=1), TINY)
    together = [(classes * np.roll(classes, -steps, axis=1)).sum(axis=1) / squares for steps in INTERVALS]
    return [float(value) for curve in together for value in (curve.mean(), curve.std())]


def _keys(classes: Array, loudness: Curve) -> tuple[float, ...]:
    """How spread the pitch classes are, in a frame and in all, and how well all of them fit the best major and minor key."""
    share = classes / np.maximum(classes.sum(axis=1, keepdims=True), TINY)
    entropy = -(share * np.log2(np.maximum(share, TINY))).sum(axis=1)
    total = (share * loudness[:, None]).sum(axis=0) / loudness.sum()
    fits = [max(_likeness(np.roll(np.array(profile), tonic), total) for tonic in range(12)) for profile in (MAJOR, MINOR)]
    return float(entropy.mean()), float(entropy.std()), _entropy(total), *fits


def _likeness(one: Curve, other: Curve) -> float:
    """Their correlation, -1 to 1; 0 where one is level."""
    first, second = one - float(one.mean()), other - float(other.mean())
    length = np.linalg.norm(first) * np.linalg.norm(second)
    return float(first @ second / length) if length > TINY else 0.0


def _chords(classes: Array) -> list[float]:
    """How well frames fit each kind of chord on their best root, beside how well they fit all kinds: means over frames."""
    centred = classes - classes.mean(axis=1, keepdims=True)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), TINY)
    fits = []
    for _, steps in CHORDS:
        shape = np.zeros(12)
        shape[list(steps)] = 1.0
        shape -= shape.mean()
        shape /= np.linalg.norm(shape)
        roots = np.stack([np.roll(shape, root) for root in range(12)], axis=1)
        fits.append((centred @ roots).max(axis=1))
    table = np.stack(fits)
    return list((table - table.mean(axis=0)).mean(axis=1))


def _changes(classes: Array, loudness: Curve) -> list[float]:
    """How much the harmony of half a second differs from that of 0.5, 1, 2 and 4 seconds later, 0 to 1."""
    n_blocks = len(classes) // HALF_SECOND
    if n_blocks < 2:
        return [0.0] * len(CHANGES_S)
    used = n_blocks * HALF_SECOND
    weighted = (classes[:used] * loudness[:used, None]).reshape(n_blocks, HALF_SECOND, 12).sum(axis=1)
    weighted /= np.maximum(np.linalg.norm(weighted, axis=1, keepdims=True), TINY)
    steps = [round(seconds / 0.5) for seconds in CHANGES_S]
    return [float(1.0 - (weighted[:-step] * weighted[step:]).sum(axis=1).mean()) if step < n_blocks else 0.0 for step in steps]


def _dynamics(level: Curve, decibels: Array) -> tuple[float, ...]:
    level = np.maximum(level, -60.0)
    deviation = float(level.std())
    skew = float((((level - level.mean()) / deviation) ** 3).mean()) if deviation > TINY else 0.0
    low, high = np.quantile(level, (0.05, 0.95))
    amplitudes = 10.0 ** (level / 20.0)
    quiet = float((amplitudes < amplitudes.mean()).mean())
    change = np.abs(np.diff(decibels, axis=0)).mean(axis=1) if len(decibels) > 1 else np.zeros(1)
    return deviation, skew, float(high - low), quiet, float(change.mean()), float(change.std())


def _bands(power: Array) -> list[float]:
    """Each octave's share of the square roots of the octaves' powers: mean and deviation over frames."""
    edges = np.searchsorted(spectra.frequencies(), BANDS_HZ)
    sums = np.sqrt(np.stack([power[:, low:high].sum(axis=1) for low, high in pairwise(edges.tolist())], axis=1))
    shares = sums / np.maximum(sums.sum(axis=1, keepdims=True), TINY)
    return [float(value) for column in shares.T for value in (column.mean(), column.std())]


def _texture(power: Array) -> tuple[float, ...]:
    """How like noise the spectrum is, and how many frequencies stand out of it in a frame."""
    low, high = np.searchsorted(spectra.frequencies(), (100.0, 5000.0))
    part = np.maximum(power[:, low:high], np.float32(TINY))
    flatness = np.exp(np.log(part).mean(axis=1)) / part.mean(axis=1)
    peak = (part[:, 1:-1] > part[:, :-2]) & (part[:, 1:-1] >= part[:, 2:])
    peak &= part[:, 1:-1] > part.max(axis=1, keepdims=True) * np.float32(10.0 ** (-PEAK_DB / 10.0))
    counts = peak.sum(axis=1)
    return float(flatness.mean()), float(counts.mean()), float(counts.std())


def _entropy(weights: npt.NDArray[np.floating]) -> float:
    """In bits; 0 where there is nothing."""
    total = float(weights.sum())
    if total <= TINY:
        return 0.0
    share = weights / total
    return float(-(share * np.log2(np.maximum(share, TINY))).sum())
