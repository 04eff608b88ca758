"""How loud a sound is to people, and the same sound as loud as wished.

Takes a Waveform; gives loudness in LUFS (gated, K-weighted), and a `Levelled` sound. Only what makes sound from text uses it; scores are
rendered to a peak, because their loudness is a matter of the mix. Needs the extra ``audio``.

Source: Recommendation ITU-R BS.1770 through pyloudnorm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kapelle.audio.limiter import limit, true_peak_db
from kapelle.audio.waveform import MAX_CHANNELS, Waveform, amplitude, decibels
from kapelle.errors import UsageError

TARGET_LUFS, PEAK_DB = -14.0, -1.0
"""What streaming services play at, and the ceiling of the true peak that they ask for."""
MOST_GAIN_DB = 80.0
CLOSE_LU = 0.1
OFFSET, OFFSET_S = 1e-3, 0.1
"""Of the peak; less is left as it is. And the parts of a sound that are looked at for it."""
ROUNDS = 8
SHORTEST_S = 0.4
"""The gate's block: below it, loudness is not defined."""
MEASURED_CHANNELS = min(5, MAX_CHANNELS)

Curve = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Levelled:
    """A sound at its new level.

    Args:
        wave: The sound.
        lufs: Its loudness; minus infinity for silence. It stays below what was asked where peaks are so high above the rest that
            turning them down further would be heard.
        true_peak_db: Its true peak in decibels of full scale; minus infinity for silence.
        limited: Whether peaks were turned down.
    """

    wave: Waveform
    lufs: float
    true_peak_db: float
    limited: bool


def loudness(waveform: Waveform) -> float:
    """Integrated loudness in LUFS; minus infinity for silence, or for less than 0.4 s."""
    if waveform.duration_s < SHORTEST_S or waveform.peak == 0.0:
        return float("-inf")
    if waveform.n_channels > MEASURED_CHANNELS:
        raise UsageError("loudness is measured of up to {limit} channels, not {n}", limit=MEASURED_CHANNELS, n=waveform.n_channels)
    import pyloudnorm

    with np.errstate(divide="ignore", invalid="ignore"):  # the logarithm of nothing, where no block is above the gate
        return float(pyloudnorm.Meter(waveform.sample_rate).integrated_loudness(waveform.samples.astype(np.float64)))


def normalise_loudness(waveform: Waveform, lufs: float = TARGET_LUFS, peak_db: float = PEAK_DB) -> Levelled:
    """The same sound at a loudness, its true peak below a ceiling.

    A constant offset is taken away first: nobody hears it, and it would use up the room for peaks. Peaks above the ceiling are turned
    down by `limiter.limit`, and what that takes from the loudness is made up for while it helps.

    Args:
        waveform: The sound. Silence, and what lasts less than 0.4 s, is only kept below the ceiling.
        lufs: Loudness to reach, -70 to 0.
        peak_db: Ceiling of the true peak in decibels of full scale, at most 0.

    Raises:
        UsageError: A level is out of range, or there are more channels than loudness is defined for.
    """
    if not -70.0 <= lufs <= 0.0:
        raise UsageError("the loudness must be -70 to 0 LUFS, not {lufs}", lufs=lufs)
    waveform = _centred(waveform)
    full = Waveform(waveform.samples / np.float32(waveform.peak or 1.0), waveform.sample_rate)
    measured = loudness(full) + decibels(waveform.peak)  # a faint sound would not pass the gate
    if measured == float("-inf"):
        quiet = limit(waveform, peak_db)
        return Levelled(quiet, measured, true_peak_db(quiet), quiet is not waveform)
    gain_db, best = min(lufs - measured, MOST_GAIN_DB), None
    for _ in range(ROUNDS):
        louder = Waveform(waveform.samples * np.float32(amplitude(gain_db)), waveform.sample_rate)
        limited = limit(louder, peak_db)
        reached = loudness(limited)
        if best is not None and reached < best.lufs + 0.01:
            break
        best = Levelled(limited, reached, true_peak_db(limited), limited is not louder)
        if not best.limited or lufs - reached < CLOSE_LU or gain_db >= MOST_GAIN_DB:
            break
        gain_db = min(gain_db + lufs - reached, MOST_GAIN_DB)
    assert best is not None
    return best


def _centred(waveform: Waveform) -> Waveform:
    """The same sound about zero; as it is, if it has no offset that would count."""
    offset = _offset(waveform)
    if np.abs(offset).max() <= OFFSET * waveform.peak:
        return waveform
    return Waveform((waveform.samples - offset).astype(np.float32), waveform.sample_rate)


def _offset(waveform: Waveform) -> Curve:
    """What every channel lies above zero throughout, shape (C,).

    It must be in the whole and in most parts, and the smaller counts: strokes in silence have a mean too, which taken away
    would lift the silence, and low tones have one in each part.
    """
    if not waveform.n_frames:
        return np.zeros(waveform.n_channels)
    size = min(round(OFFSET_S * waveform.sample_rate), waveform.n_frames)
    parts = waveform.samples[: waveform.n_frames // size * size].reshape(-1, size, waveform.n_channels)
    usual = np.median(parts.mean(axis=1, dtype=np.float64), axis=0)
    whole = waveform.samples.mean(axis=0, dtype=np.float64)
    offset: Curve = np.where(usual * whole > 0.0, np.sign(whole) * np.minimum(np.abs(usual), np.abs(whole)), 0.0)
    return offset
