"""Mains hum is found among music and goes; music is not taken for hum."""

import numpy as np
import pytest

from kapelle.audio.denoise import denoise, hum
from kapelle.audio.measures import si_sdr_db, snr_db
from kapelle.audio.waveform import Waveform
from sounds import RATE_HZ, mixed, notes


def mains(like, snr, base=50.0, harmonics=10):
    time = np.arange(like.n_frames) / like.sample_rate
    line = sum(np.sin(2 * np.pi * base * k * time + k) / k for k in range(1, harmonics + 1))
    samples = line[:, None] * np.array([1.0, 0.7])
    power = np.mean(like.samples.astype(np.float64) ** 2)
    return Waveform((samples * np.sqrt(power / np.mean(samples**2)) * 10 ** (-snr / 20)).astype(np.float32), like.sample_rate)


@pytest.mark.parametrize("base", [49.93, 50.0, 60.0, 60.1])
def test_hum_is_found_and_goes(base):
    music = notes(8.0)
    noisy = mixed(music, mains(music, 10.0, base))
    found = hum.find(noisy)
    assert found.base_hz == pytest.approx(base, abs=0.05)
    assert snr_db(music, hum.without(noisy, found)) >= 17.0


def test_the_level_of_hum_is_told():
    music = notes(8.0)
    line = mains(music, 10.0)
    assert hum.find(mixed(music, line)).level_db == pytest.approx(line.rms_db, abs=1.0)


def test_the_filter_takes_hum_away():
    music = notes(8.0)
    assert snr_db(music, denoise(mixed(music, mains(music, 10.0)))) >= 16.0


def test_music_is_no_hum():
    assert hum.find(notes(8.0)) is None


def test_a_held_low_g_is_no_hum():
    time = np.arange(10 * RATE_HZ) / RATE_HZ
    for pitch in (49.0, 98.0, 61.74, 58.27):
        tone = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 12))
        wave = Waveform((0.2 * tone).astype(np.float32), RATE_HZ)
        assert hum.find(wave) is None
        assert si_sdr_db(wave, denoise(wave)) >= 50.0


@pytest.mark.parametrize("seconds", [0.0, 0.1, 2.0])
def test_short_sounds_have_no_hum_that_could_be_told(seconds):
    wave = notes(8.0)
    assert hum.find(Waveform(wave.samples[: round(seconds * RATE_HZ)], RATE_HZ)) is None


def test_half_the_depth_leaves_half_of_the_line():
    music = notes(8.0)
    line = mains(music, 0.0)
    noisy = mixed(music, line)
    half = hum.without(noisy, hum.find(noisy), 0.5)
    assert snr_db(music, half) == pytest.approx(6.0, abs=0.5)
