"""Effects: levels, tails, fades, rates."""

import numpy as np
import pytest

from kapelle.audio import Waveform, effects
from kapelle.errors import UsageError


def sine(hz: float, rate: int, seconds: float = 1.0) -> Waveform:
    return Waveform((0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32), rate)


def test_normalising_puts_the_peak_where_asked_and_leaves_silence_alone():
    assert effects.normalise_peak(sine(440, 8_000), -3.0).peak_db == pytest.approx(-3.0, abs=1e-4)
    silence = Waveform(np.zeros((10, 2)), 8_000)
    assert effects.normalise_peak(silence).peak == 0.0


@pytest.mark.parametrize("level", [1e-44, 5e-8])
def test_normalising_does_not_blow_up_what_is_below_all_hearing(level):
    whisper = Waveform(np.full((4, 1), level, dtype=np.float32), 8_000)
    assert effects.normalise_peak(whisper).peak == whisper.peak


def test_a_peak_above_full_scale_is_refused():
    with pytest.raises(UsageError, match="at most 0 dB"):
        effects.normalise_peak(sine(440, 8_000), 1.0)


def test_a_tail_is_silence_of_the_length_asked():
    padded = effects.pad_tail(sine(440, 8_000), 0.5)
    assert padded.n_frames == 12_000
    assert not padded.samples[8_000:].any()


def test_a_fade_begins_and_ends_in_silence_and_leaves_the_middle():
    ones = Waveform(np.ones((100, 2)), 8_000)
    faded = effects.fade(ones, in_s=0.0025, out_s=0.005).samples[:, 0]
    assert faded[0] == faded[-1] == 0.0
    assert (faded[20:60] == 1.0).all()
    assert (np.diff(faded[:20]) > 0).all()
    assert (np.diff(faded[60:]) < 0).all()
    assert (effects.fade(ones).samples == 1.0).all()
    assert effects.fade(Waveform(np.zeros((0, 1)), 8_000), in_s=1.0).n_frames == 0


def test_panning_keeps_the_power_and_puts_the_ends_on_one_side():
    mono = sine(440, 8_000)
    for place, left, right in ((-1.0, 1.0, 0.0), (0.0, 0.7071, 0.7071), (1.0, 0.0, 1.0)):
        stereo = effects.pan(mono, place).samples
        assert np.abs(stereo[:, 0]).max() == pytest.approx(0.5 * left, abs=1e-3)
        assert np.abs(stereo[:, 1]).max() == pytest.approx(0.5 * right, abs=1e-3)
    with pytest.raises(UsageError):
        effects.pan(mono, 1.5)


@pytest.mark.parametrize(("old", "new"), [(44_100, 48_000), (48_000, 44_100), (44_100, 22_050), (8_000, 44_100), (44_100, 16_000)])
def test_a_resampled_sine_is_the_sine_at_the_new_rate(old, new):
    got = effects.resample(sine(440, old), new)
    want = sine(440, new)
    assert got.n_frames == want.n_frames
    edge = new // 50
    assert np.abs(got.samples - want.samples)[edge:-edge].max() < 1e-4


def test_resampling_downwards_removes_what_would_fold_back():
    high = sine(7_000, 44_100)
    assert effects.resample(high, 8_000).samples[200:-200].max() < 1e-3


def test_resampling_keeps_a_constant_and_short_or_empty_sounds():
    assert effects.resample(Waveform(np.ones((4_000, 2)), 44_100), 48_000).samples[500:-500] == pytest.approx(1.0, abs=1e-5)
    for n_frames in (0, 1, 3):
        assert effects.resample(Waveform(np.ones((n_frames, 1)), 44_100), 48_000).n_frames == -(-n_frames * 160 // 147)
    wave = sine(440, 8_000)
    assert effects.resample(wave, 8_000) is wave
