"""The measures have the values of their formulas."""

import numpy as np
import pytest

from kapelle.audio import measures
from kapelle.audio.waveform import Waveform
from kapelle.errors import UsageError
from sounds import RATE_HZ, noise, notes


def sine(hz, level=0.5, seconds=2.0):
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return Waveform((level * np.sin(2 * np.pi * hz * time)).astype(np.float32), RATE_HZ)


def test_ratios_are_those_of_powers():
    first, second = sine(440.0), sine(1000.0, 0.05)
    both = Waveform(first.samples + second.samples, RATE_HZ)
    assert measures.snr_db(first, both) == pytest.approx(20.0, abs=0.05)
    assert measures.si_sdr_db(first, both) == pytest.approx(20.0, abs=0.05)


def test_a_change_of_level_counts_for_one_and_not_for_the_other():
    wave = sine(440.0)
    softer = Waveform(wave.samples * np.float32(0.5), RATE_HZ)
    assert measures.snr_db(wave, softer) == pytest.approx(6.02, abs=0.01)
    assert measures.si_sdr_db(wave, softer) > 100.0


def test_the_same_sound_is_at_the_ends_of_the_scales():
    wave = notes(1.0)
    assert measures.snr_db(wave, wave) == measures.si_sdr_db(wave, wave) == measures.BEST_DB
    assert measures.log_spectral_distance_db(wave, wave) == 0.0
    silence = Waveform(np.zeros_like(wave.samples), RATE_HZ)
    assert measures.si_sdr_db(silence, silence) == measures.BEST_DB
    assert measures.si_sdr_db(silence, wave) == -measures.BEST_DB
    assert measures.snr_db(wave, silence) == pytest.approx(0.0, abs=1e-9)


def test_log_spectral_distance_is_in_decibels():
    wave = noise(notes(2.0), 0.0)
    softer = Waveform(wave.samples * np.float32(0.1), RATE_HZ)
    assert measures.log_spectral_distance_db(wave, softer) == pytest.approx(20.0, abs=0.5)


def test_levels_of_octaves_add_up_to_the_level():
    wave = sine(1000.0)
    levels = measures.octave_levels_db(wave)
    assert levels[1000.0] == pytest.approx(wave.rms_db, abs=0.3)
    assert max(level for hz, level in levels.items() if hz != 1000.0) < -40.0
    assert list(measures.octave_levels_db(Waveform(np.zeros((0, 1), np.float32), 8_000))) == [
        31.5,
        63.0,
        125.0,
        250.0,
        500.0,
        1000.0,
        2000.0,
    ]


def test_changes_of_octaves_leave_out_what_is_far_below():
    wave = sine(1000.0)
    changes = measures.octave_changes_db(wave, Waveform(wave.samples * np.float32(0.5), RATE_HZ), depth_db=30.0)
    assert changes == {1000.0: pytest.approx(-6.02, abs=0.01)}


def test_sounds_of_different_shapes_are_refused():
    with pytest.raises(UsageError, match="shapes"):
        measures.snr_db(sine(440.0), sine(440.0, seconds=1.0))
