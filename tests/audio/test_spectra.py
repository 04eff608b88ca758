"""Spectra, chroma, onsets and layers: sounds whose answers are known, and librosa where it is installed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapelle.audio import layers, onsets, spectra
from kapelle.audio.chroma import chroma, tuning
from kapelle.errors import UsageError

RATE = spectra.RATE_HZ


def tone(hz: float, seconds: float = 3.0, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def noise(seconds: float = 10.0, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(1).standard_normal(int(seconds * RATE))).astype(np.float32)


def clicks(bpm: float, seconds: float = 20.0) -> np.ndarray:
    sound = np.zeros(int(seconds * RATE), dtype=np.float32)
    for moment in np.arange(0.1, seconds - 0.1, 60.0 / bpm):
        start = int(moment * RATE)
        sound[start : start + 200] = noise(200 / RATE + 0.001)[:200] * np.exp(-np.arange(200) / 40)
    return sound


def magnitude(samples: np.ndarray) -> np.ndarray:
    return np.abs(spectra.transform(samples))


def power(samples: np.ndarray) -> np.ndarray:
    return magnitude(samples) ** 2


def test_a_frame_every_512_samples_the_first_on_sample_0():
    assert spectra.transform(tone(440)).shape == (spectra.n_frames(3 * RATE), 1025) == (130, 1025)
    assert spectra.transform(np.ones(1, dtype=np.float32)).shape == (1, 1025)


@pytest.mark.parametrize("samples", [np.zeros(0, dtype=np.float32), np.zeros((5, 2), dtype=np.float32)])
def test_a_spectrogram_needs_samples_of_one_channel(samples):
    with pytest.raises(UsageError, match="one channel"):
        spectra.transform(samples)


def test_a_transform_undone_is_the_sound_again():
    for n_samples in (1, 511, 2048, 30_000):
        samples = noise()[:n_samples]
        np.testing.assert_allclose(spectra.sound(spectra.transform(samples), n_samples), samples, atol=1e-6)


@pytest.mark.parametrize("hz", [220.0, 1000.0, 5000.0])
def test_the_centroid_of_a_sine_is_its_frequency_and_it_has_no_width(hz):
    inner = magnitude(tone(hz))[3:-3]
    np.testing.assert_allclose(spectra.centroid(inner), hz, rtol=2e-3)
    assert spectra.bandwidth(inner).max() < 40.0
    np.testing.assert_allclose(spectra.rolloff(inner), hz, atol=1.5 * RATE / spectra.FRAME)


def test_the_bandwidth_of_two_tones_is_half_their_distance():
    step_hz = RATE / spectra.FRAME  # tones between two of the spectrum's frequencies would not be equally strong
    inner = magnitude(tone(100 * step_hz) + tone(300 * step_hz))[3:-3]
    np.testing.assert_allclose(spectra.centroid(inner), 200 * step_hz, rtol=1e-3)
    np.testing.assert_allclose(spectra.bandwidth(inner), 100 * step_hz, rtol=5e-3)


def test_white_noise_is_centred_at_a_quarter_of_the_rate_and_rolls_off_at_85_percent():
    spectrum = magnitude(noise())
    assert spectra.centroid(spectrum).mean() == pytest.approx(RATE / 4, rel=0.02)
    assert spectra.rolloff(spectrum).mean() == pytest.approx(0.85 * RATE / 2, rel=0.02)
    assert spectra.bandwidth(spectrum).mean() == pytest.approx(RATE / 2 / np.sqrt(12), rel=0.02)


def test_a_silent_frame_has_no_centroid_width_or_roll_off_and_no_chroma():
    nothing = np.zeros((2, 1025), dtype=np.float32)
    for curve in (spectra.centroid(nothing), spectra.bandwidth(nothing), spectra.rolloff(nothing), chroma(nothing)):
        assert not curve.any()
    assert tuning(nothing) == 0.0


def test_loudness_of_a_sine_is_its_level_by_root_two_and_follows_the_level():
    inner = spectra.loudness(tone(441, level=0.5))[3:-3]
    np.testing.assert_allclose(inner, 0.5 / np.sqrt(2), rtol=5e-3)
    np.testing.assert_allclose(spectra.loudness(tone(441, level=0.05)), spectra.loudness(tone(441)) / 10, rtol=1e-5)


def test_crossings_of_a_sine_are_two_a_period_and_do_not_depend_on_the_level():
    quiet, loud = spectra.crossings(tone(500, level=1e-3)), spectra.crossings(tone(500, level=0.9))
    np.testing.assert_array_equal(quiet, loud)
    np.testing.assert_allclose(loud[3:-3], 1000 / RATE, rtol=0.03)
    assert spectra.crossings(noise())[3:-3].mean() == pytest.approx(0.5, abs=0.01)
    assert not spectra.crossings(np.zeros(5000, dtype=np.float32)).any()


def test_level_moves_the_first_cepstral_coefficient_only():
    quiet, loud = (spectra.cepstra(spectra.mel_decibels(power(noise(level=level)))) for level in (0.01, 0.1))
    np.testing.assert_allclose(loud[:, 0] - quiet[:, 0], 20.0 * np.sqrt(spectra.N_MELS), rtol=1e-4)
    np.testing.assert_allclose(loud[:, 1:], quiet[:, 1:], atol=1e-3)


def test_mel_bands_lie_at_most_80_decibels_below_the_loudest():
    decibels = spectra.mel_decibels(power(np.concatenate([tone(440), np.zeros(RATE, dtype=np.float32)])))
    assert decibels.max() - decibels.min() == pytest.approx(80.0)
    np.testing.assert_allclose(spectra.mel_decibels(np.zeros((3, 1025), dtype=np.float32)), -100.0, rtol=1e-6)


@pytest.mark.parametrize(("hz", "pitch_class"), [(261.63, 0), (440.0, 9), (493.88, 11), (1318.5, 4)])
def test_a_tone_is_loudest_in_its_own_pitch_class(hz, pitch_class):
    inner = chroma(power(tone(hz)))[3:-3]
    assert (inner.argmax(axis=1) == pitch_class).all()
    assert (inner.max(axis=1) == 1.0).all()


@pytest.mark.parametrize("offset", [-0.4, -0.23, 0.0, 0.31])
def test_the_tuning_is_that_of_the_tones(offset):
    chord = sum(tone(440 * 2 ** ((steps + offset) / 12), level=0.2) for steps in (-5, 0, 4, 7))
    # A parabola through three powers finds the frequency of a peak to a few cents only.
    assert tuning(power(chord)) == pytest.approx(offset, abs=0.08)


@pytest.mark.parametrize("bpm", [60.0, 90.0, 120.0, 150.0])
def test_clicks_have_their_tempo(bpm):
    found = onsets.tempo_bpm(onsets.onset_strength(spectra.mel_decibels(power(clicks(bpm)))))
    assert any(found == pytest.approx(bpm * octave, rel=0.03) for octave in ((1,) if bpm >= 90 else (1, 2)))


def test_what_never_begins_has_no_tempo():
    assert onsets.tempo_bpm(np.zeros(100, dtype=np.float32)) == 0.0
    silent = spectra.mel_decibels(np.zeros((50, 1025), dtype=np.float32))
    assert not onsets.onset_strength(silent).any()
    assert onsets.onset_strength(silent[:2]).shape == (2,)


def test_tones_last_and_clicks_strike():
    lasting_tone, striking_click = tone(440, 4.0, 0.3), clicks(120, 4.0)
    both = lasting_tone + striking_click
    spectrum = spectra.transform(both)
    lasting, striking = layers.layers(both, spectrum, np.abs(spectrum))
    np.testing.assert_allclose(lasting + striking, both, atol=1e-6)
    middle = slice(RATE // 2, -RATE // 2)
    assert np.corrcoef(lasting[middle], lasting_tone[middle])[0, 1] > 0.99
    assert np.corrcoef(striking[middle], striking_click[middle])[0, 1] > 0.95


def test_the_shares_of_the_layers_of_silence_are_halves():
    assert (layers.lasting_share(np.zeros((40, 40), dtype=np.float32)) == 0.5).all()


def plain_median(table: np.ndarray, width: int) -> np.ndarray:
    padded = np.pad(table, ((width // 2, width // 2), (0, 0)), mode="symmetric")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, width, axis=0), axis=-1)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 140), st.integers(1, 70), st.sampled_from([3, 5, 17, 31, 33]), st.integers(0, 2**32 - 1))
def test_the_running_median_is_the_median_of_every_window(n_rows, n_columns, width, seed):
    table = np.random.default_rng(seed).integers(0, 50, (n_rows, n_columns)).astype(np.float32)  # with many equal values
    np.testing.assert_array_equal(layers.running_median(table, width), plain_median(table, width))


@pytest.mark.parametrize("width", [0, 1, 4])
def test_a_running_median_needs_an_odd_width(width):
    with pytest.raises(UsageError, match="odd width"):
        layers.running_median(np.ones((4, 4), dtype=np.float32), width)


def music(seconds: float = 6.0) -> np.ndarray:
    random = np.random.default_rng(2)
    sound = np.zeros(int(seconds * RATE))
    for number in range(int(seconds * 3)):
        start = number * RATE // 3
        times = np.arange(min(RATE, len(sound) - start)) / RATE
        hz = 440 * 2 ** ((random.integers(-24, 24) + 0.23) / 12)
        sound[start : start + len(times)] += (
            0.2 * np.exp(-3 * times) * (np.sin(2 * np.pi * hz * times) + 0.4 * np.sin(4 * np.pi * hz * times))
        )
    return (sound + 0.5 * clicks(132, seconds) + noise(seconds, 1e-3)).astype(np.float32)


SOUNDS = {"music": music, "tone": lambda: tone(440), "noise": noise, "clicks": lambda: clicks(120), "short": lambda: music()[:9000]}


@pytest.mark.parametrize("sound", SOUNDS)
def test_every_curve_is_that_of_librosa(sound):
    librosa = pytest.importorskip("librosa")
    feature = librosa.feature
    samples = SOUNDS[sound]()
    spectrum = spectra.transform(samples)
    magnitudes, powers = np.abs(spectrum), np.abs(spectrum) ** 2
    np.testing.assert_allclose(spectrum.T, librosa.stft(samples), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(spectra.loudness(samples), feature.rms(y=samples)[0], rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(spectra.centroid(magnitudes), feature.spectral_centroid(y=samples, sr=RATE)[0], rtol=1e-5)
    np.testing.assert_allclose(spectra.bandwidth(magnitudes), feature.spectral_bandwidth(y=samples, sr=RATE)[0], rtol=1e-4, atol=1e-2)
    # A sum that reaches 85 % within rounding may reach it one frequency earlier or later.
    assert (spectra.rolloff(magnitudes) == feature.spectral_rolloff(y=samples, sr=RATE)[0]).mean() > 0.99
    np.testing.assert_array_equal(spectra.crossings(samples), feature.zero_crossing_rate(samples)[0])
    np.testing.assert_allclose(chroma(powers).T, feature.chroma_stft(y=samples, sr=RATE), atol=1e-4)
    decibels = spectra.mel_decibels(powers)
    np.testing.assert_allclose(decibels.T, librosa.power_to_db(feature.melspectrogram(y=samples, sr=RATE)), atol=1e-3)
    np.testing.assert_allclose(spectra.cepstra(decibels).T, feature.mfcc(y=samples, sr=RATE, n_mfcc=20), atol=2e-3)
    curve = onsets.onset_strength(decibels)
    np.testing.assert_allclose(curve, librosa.onset.onset_strength(y=samples, sr=RATE, aggregate=np.median), atol=1e-3)
    assert onsets.tempo_bpm(curve) == pytest.approx(float(np.ravel(librosa.beat.beat_track(onset_envelope=curve, sr=RATE)[0])[0]))
    for ours, theirs in zip(layers.layers(samples, spectrum, magnitudes), librosa.effects.hpss(samples), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
