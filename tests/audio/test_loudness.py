import numpy as np
import pytest

pytest.importorskip("pyloudnorm")

from kapelle.audio.limiter import true_peak_db
from kapelle.audio.loudness import loudness, normalise_loudness
from kapelle.audio.waveform import Waveform
from kapelle.errors import UsageError

RATE = 48_000


def tone(level_db: float, seconds: float = 5.0, hertz: float = 997.0) -> Waveform:
    time = np.arange(round(seconds * RATE)) / RATE
    return Waveform(10 ** (level_db / 20) * np.sin(2 * np.pi * hertz * time), RATE)


def music(seed: int = 0, seconds: float = 2.5) -> Waveform:
    """Decaying chords over a beat of clicks: peaks far above the mean."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    out = np.zeros((len(time), 2))
    for start in np.arange(0, seconds, 0.5):
        since = np.clip(time - start, 0, None)
        for hertz in rng.choice([220, 277, 330, 440, 554], 3, replace=False):
            out += ((time >= start) * np.exp(-6 * since) * np.sin(2 * np.pi * hertz * since))[:, None] * rng.uniform(0.2, 0.6, 2)
        out[int(start * RATE)] += 4.0
    return Waveform(out * 0.2, RATE)


def test_a_tone_of_full_scale_in_one_channel_has_minus_three_lufs():
    assert loudness(tone(0.0)) == pytest.approx(-3.01, abs=0.05)  # the calibration of the recommendation


def test_two_channels_are_three_decibels_louder_than_one():
    mono = tone(-20.0)
    assert loudness(Waveform(np.repeat(mono.samples, 2, axis=1), RATE)) - loudness(mono) == pytest.approx(3.01, abs=0.02)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("gain", [0.003, 0.3, 5.0])
def test_music_of_any_level_comes_to_fourteen_below_with_its_peaks_below_one(seed, gain):
    wave = Waveform(music(seed).samples * np.float32(gain), RATE)
    out = normalise_loudness(wave)
    assert out.lufs == pytest.approx(-14.0, abs=0.15)
    assert loudness(out.wave) == pytest.approx(out.lufs)
    assert true_peak_db(out.wave) <= -1.0 + 1e-3
    assert out.wave.samples.shape == wave.samples.shape


def test_what_needs_no_limiting_is_only_multiplied():
    wave = tone(-40.0)
    out = normalise_loudness(wave)
    assert not out.limited
    gain = out.wave.samples[1000:, 0] / np.where(wave.samples[1000:, 0] == 0, 1, wave.samples[1000:, 0])
    assert np.ptp(gain[np.abs(wave.samples[1000:, 0]) > 1e-4]) < 1e-3


def test_a_constant_offset_uses_up_no_room_for_peaks():
    wave = music(2)
    moved = normalise_loudness(Waveform(wave.samples * np.float32(0.2) + np.float32([0.5, -0.3]), RATE))
    assert moved.lufs == pytest.approx(-14.0, abs=0.15)
    assert np.abs(moved.wave.samples.mean(axis=0)).max() < 0.01
    assert not normalise_loudness(Waveform(np.full((RATE, 1), 0.5, np.float32), RATE)).wave.samples.any()


def test_strokes_in_silence_have_no_offset_and_the_silence_stays_silent():
    since = np.arange(RATE) / RATE
    stroke = np.exp(-25 * since) * np.cos(np.pi * 60 * since) ** 2  # all of it above zero, as the beginnings of drums are
    strokes = Waveform(np.concatenate([np.zeros(RATE), np.tile(stroke * (since < 0.5), 3)]), RATE)
    assert strokes.samples.mean() > 0.01
    out = normalise_loudness(strokes)
    assert not out.wave.samples[: RATE // 2].any()
    assert not out.wave.samples[-RATE // 4 :].any()


def test_a_low_tone_has_no_offset_though_each_of_its_parts_has_one():
    wave = tone(-40.0, 86 / 45, 45.0)  # whole periods, of which a tenth of a second holds four and a half
    out = normalise_loudness(wave).wave.samples
    assert np.allclose(out / out.max(), wave.samples / wave.peak, atol=1e-5)


def test_clicks_alone_are_kept_below_the_ceiling_and_what_was_reached_is_told():
    samples = np.zeros(3 * RATE, np.float32)
    samples[::RATE] = 0.5
    out = normalise_loudness(Waveform(samples, RATE))
    assert out.true_peak_db <= -1.0 + 1e-3
    assert out.lufs < -14.0


@pytest.mark.parametrize("n", [0, 1, RATE // 5, RATE])
def test_silence_and_snippets_stay(n):
    out = normalise_loudness(Waveform(np.zeros((n, 1), np.float32), RATE))
    assert out.lufs == float("-inf")
    assert not out.wave.samples.any()


def test_the_same_sound_twice_gives_the_same_bytes():
    wave = music(1)
    assert normalise_loudness(wave).wave.samples.tobytes() == normalise_loudness(wave).wave.samples.tobytes()


@pytest.mark.parametrize("lufs", [-71.0, 0.5, float("nan")])
def test_a_level_out_of_range_is_refused(lufs):
    with pytest.raises(UsageError, match="-70 to 0 LUFS"):
        normalise_loudness(tone(-20.0), lufs)
