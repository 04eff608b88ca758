"""The programs of others are called as suits music, say what they need when they are not there, and give back what they got."""

import importlib.util
import sys

import numpy as np
import pytest

from kapelle.audio.denoise import METHODS, check, deep_filter, denoise, gating, wiener
from kapelle.audio.measures import octave_changes_db, si_sdr_db, snr_db
from kapelle.audio.waveform import Waveform
from kapelle.errors import Missing
from sounds import RATE_HZ, mixed, noise, notes

needs_noisereduce = pytest.mark.skipif(importlib.util.find_spec("noisereduce") is None, reason="noisereduce is not installed")
needs_network = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in deep_filter.PACKAGES),
    reason="deepfilternet is not installed: it needs an environment of its own",
)


@needs_noisereduce
def test_noisereduce_gains_and_leaves_clean_music():
    music = notes(3.0)
    noisy = mixed(music, noise(music, 10))
    assert snr_db(music, denoise(noisy, "noisereduce")) >= 15.0
    cleaned = denoise(music, "noisereduce")
    assert si_sdr_db(music, cleaned) >= 20.0
    assert max(map(abs, octave_changes_db(music, cleaned).values())) <= 1.0


@needs_noisereduce
@pytest.mark.parametrize(("n_frames", "n_channels", "rate"), [(1, 1, 44_100), (9000, 3, 8_000), (60_000, 2, 96_000), (0, 1, 8_000)])
def test_noisereduce_gives_back_the_shape(n_frames, n_channels, rate):
    samples = np.random.default_rng(0).normal(size=(n_frames, n_channels)).astype(np.float32) * 0.1
    cleaned = denoise(Waveform(samples, rate), "noisereduce")
    assert (cleaned.samples.shape, cleaned.sample_rate) == (samples.shape, rate)


@needs_noisereduce
def test_parts_of_a_long_sound_join_without_a_step(monkeypatch):
    music = notes(3.0, 16_000)
    noisy = mixed(music, noise(music, 15))
    whole = denoise(noisy, "noisereduce")
    monkeypatch.setattr(gating, "PART_S", 1.3)
    parts = denoise(noisy, "noisereduce")
    assert snr_db(whole, parts) >= 35.0


def test_the_profile_has_the_level_of_the_noise():
    music = notes(6.0)
    hiss = noise(music, 10)
    profile = gating.profile(wiener.floor_of(mixed(music, hiss)), RATE_HZ)
    level = 10 * np.log10(np.mean(profile.astype(np.float64) ** 2))
    assert level == pytest.approx(hiss.rms_db, abs=1.5)


@needs_noisereduce
def test_one_sound_in_two_channels_stays_one_with_noisereduce_and_channels_may_change_places():
    music = notes(2.0)
    noisy = mixed(music, noise(music, 10)).samples[:, :1]
    alone = denoise(Waveform(noisy, RATE_HZ), "noisereduce").samples
    both = denoise(Waveform(np.repeat(noisy, 2, axis=1), RATE_HZ), "noisereduce").samples
    assert np.array_equal(both, np.repeat(alone, 2, axis=1))
    different = np.hstack([noisy, 0.5 * noisy[::-1]])
    there, back = (denoise(Waveform(samples, RATE_HZ), "noisereduce").samples for samples in (different, different[:, ::-1]))
    assert np.array_equal(there, back[:, ::-1])


@pytest.mark.parametrize(
    ("method", "package", "says"), [("noisereduce", "noisereduce", "kapelle[denoise]"), ("deepfilternet", "df", "numpy")]
)
def test_what_is_not_installed_is_said_with_what_to_do(method, package, says, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == package else find(name, *more))
    for call in (lambda: check(method), lambda: denoise(notes(0.2), method)):
        with pytest.raises(Missing) as caught:
            call()
        assert caught.value.exit_code == 4
        assert says in f"{caught.value} {caught.value.hint}"
        assert "--method wiener" in caught.value.hint
    assert method in METHODS


def half(samples, limit_db):
    """A network that takes half of everything away."""
    half.limits.append(limit_db)
    return samples * 0.5


def test_the_network_is_held_back_and_mixed():
    half.limits = []
    music = notes(2.0)
    for strength, limit_db in ((0.0, 6.0), (0.5, 9.0), (1.0, 12.0)):
        cleaned = deep_filter.denoise(music, strength, enhance=half)
        assert half.limits[-1] == limit_db
        inner = slice(2000, -2000)
        expected = music.samples[inner] * (1.0 - 0.5 * strength)
        assert np.abs(cleaned.samples[inner] - expected).max() < 0.05


@pytest.mark.parametrize("rate", [16_000, 32_000, 44_100, 48_000, 96_000])
def test_a_network_that_changes_nothing_changes_nothing(rate):
    wave = notes(1.0, rate)
    same = deep_filter.denoise(wave, 1.0, enhance=lambda samples, limit_db: samples)
    assert np.array_equal(same.samples, wave.samples)


def test_the_network_hears_a_long_sound_in_parts(monkeypatch):
    monkeypatch.setattr(deep_filter, "PART_S", 0.5)
    monkeypatch.setattr(deep_filter, "MARGIN_S", 0.1)
    lengths = []

    def heard(samples, limit_db):
        lengths.append(len(samples))
        return np.zeros_like(samples)

    wave = notes(1.2, 48_000)
    told = []
    cleaned = deep_filter.denoise(wave, 1.0, enhance=heard, progress=lambda done, total: told.append((done, total)))
    assert lengths == [28_800, 33_600, 14_400] * 2
    assert told[-1] == (2 * wave.n_frames, 2 * wave.n_frames)
    assert np.abs(cleaned.samples).max() < 1e-6


@needs_network
def test_the_real_network_runs_with_random_weights(tmp_path):
    """Real classes, real features, no published weights: length, rate and channels, no NaN, and something changed."""
    (tmp_path / "config.ini").write_text("[train]\nmodel = deepfilternet3\n")
    enhance = deep_filter.opened(tmp_path, trained=False)
    wave = mixed(notes(2.0), noise(notes(2.0), 10))
    cleaned = deep_filter.denoise(wave, 0.6, enhance=enhance)
    assert cleaned.samples.shape == wave.samples.shape
    assert np.isfinite(cleaned.samples).all()
    assert 0.0 < snr_db(wave, cleaned) < 60.0


@needs_network
def test_weights_that_cannot_be_fetched_are_said():
    from df.utils import get_cache_dir

    deep_filter.published.cache_clear()
    try:
        denoise(notes(0.2), "deepfilternet")
    except Missing as error:
        assert str(get_cache_dir()) in error.hint
    assert "df" in sys.modules
