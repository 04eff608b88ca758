import numpy as np
import pytest

from kapelle.audio.limiter import limit, peaks, true_peak, true_peak_db
from kapelle.audio.waveform import Waveform, amplitude
from kapelle.errors import UsageError

RATE = 32_000


def tone(level: float, seconds: float = 1.0, hertz: float = 440.0, phase: float = 0.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hertz * time + phase)).astype(np.float32)


def test_true_peak_sees_what_lies_between_samples():
    wave = Waveform(tone(1.0, hertz=RATE / 4, phase=np.pi / 4), RATE)  # every sample is 0.707, the sound reaches 1
    assert wave.peak_db == pytest.approx(-3.01, abs=0.02)
    assert true_peak_db(Waveform(wave.samples[1000:-1000] * 1.0, RATE)) == pytest.approx(0.0, abs=0.25)


def test_what_is_below_the_ceiling_stays_as_it_is():
    wave = Waveform(tone(0.5), RATE)
    assert limit(wave, -1.0) is wave


def test_a_peak_is_turned_down_to_the_ceiling_and_the_rest_is_not():
    samples = tone(0.3)
    samples[16_000] = 3.0
    out = limit(Waveform(samples, RATE), -1.0)
    assert true_peak_db(out) <= -1.0
    far = np.r_[0:15_000, 17_000:RATE]
    assert np.allclose(out.samples[far, 0], samples[far], rtol=2e-3)


def test_the_gain_is_one_for_all_channels():
    left, right = tone(2.0), tone(0.1, hertz=300.0)
    out = limit(Waveform(np.stack([left, right], axis=1), RATE), -6.0)
    gain = out.samples[8_000:24_000, 1] / np.where(right[8_000:24_000] == 0, 1, right[8_000:24_000])
    assert np.ptp(gain[np.abs(right[8_000:24_000]) > 0.05]) < 0.02


@pytest.mark.parametrize("seed", range(4))
def test_noise_never_passes_the_ceiling(seed):
    noise = np.random.default_rng(seed).standard_normal((RATE, 2)).astype(np.float32)
    assert true_peak_db(limit(Waveform(noise, RATE), -1.0)) <= -1.0


def test_blocks_measure_what_the_whole_would():
    long = np.random.default_rng(0).standard_normal(600_000).astype(np.float32)
    whole = peaks(Waveform(long, RATE))
    part = peaks(Waveform(long[250_000:280_000], RATE))
    assert np.allclose(whole[250_500:279_500], part[500:29_500], atol=1e-4)


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_very_short_sounds_pass(n):
    out = limit(Waveform(np.full((n, 2), 4.0, np.float32), RATE), -1.0)
    assert out.n_frames == n
    assert true_peak(out) <= amplitude(-1.0) * 1.001


def test_a_ceiling_above_full_scale_is_refused():
    with pytest.raises(UsageError, match="at most 0 dB"):
        limit(Waveform(tone(0.5), RATE), 1.0)
