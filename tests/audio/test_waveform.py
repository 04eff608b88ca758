"""Waveforms: shape, levels, and what is refused."""

import numpy as np
import pytest

from kapelle.audio import Waveform
from kapelle.audio.waveform import amplitude, decibels
from kapelle.errors import UsageError


def sine(hz: float = 440.0, seconds: float = 1.0, rate: int = 44_100, level: float = 0.5) -> Waveform:
    return Waveform((level * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32), rate)


def test_a_sine_of_half_amplitude_peaks_at_minus_6_and_has_an_rms_of_minus_9_decibels():
    wave = sine()
    assert (wave.n_frames, wave.n_channels, wave.duration_s) == (44_100, 1, 1.0)
    assert wave.peak == pytest.approx(0.5, abs=1e-4)
    assert wave.peak_db == pytest.approx(-6.02, abs=0.01)
    assert wave.rms_db == pytest.approx(-9.03, abs=0.01)


def test_silence_and_nothing_have_a_level_of_minus_infinity():
    for samples in (np.zeros((10, 2)), np.zeros((0, 2))):
        wave = Waveform(samples, 8_000)
        assert wave.peak == 0.0
        assert wave.peak_db == wave.rms_db == float("-inf")


def test_samples_cannot_be_written_through_a_waveform_and_the_array_given_stays_writable():
    given = np.zeros((4, 1), dtype=np.float32)
    wave = Waveform(given, 8_000)
    with pytest.raises(ValueError, match="read-only"):
        wave.samples[0] = 1.0
    given[0] = 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_no_number_is_refused(bad):
    samples = np.zeros((4, 2), dtype=np.float32)
    samples[2, 1] = bad
    with pytest.raises(UsageError, match="NaN or infinity"):
        Waveform(samples, 8_000)


@pytest.mark.parametrize("shape", [(4, 0), (4, 9), (2, 2, 2), ()])
def test_a_wrong_shape_is_refused(shape):
    with pytest.raises(UsageError, match="channels"):
        Waveform(np.zeros(shape, dtype=np.float32), 8_000)


@pytest.mark.parametrize("rate", [0, -1, 3_999, 384_001])
def test_a_wrong_rate_is_refused(rate):
    with pytest.raises(UsageError, match="sample rate"):
        Waveform(np.zeros((4, 1), dtype=np.float32), rate)


def test_decibels_and_amplitudes_are_inverse():
    assert decibels(1.0) == 0.0
    assert amplitude(decibels(0.25)) == pytest.approx(0.25)
