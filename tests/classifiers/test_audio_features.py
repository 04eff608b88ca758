"""The 57 features of a sound: what moves them and what does not, and librosa's numbers where it is installed."""

import numpy as np
import pytest
from symusic import Note, Score, Tempo, Track

from kapelle.audio import Waveform
from kapelle.audio.effects import resample
from kapelle.classifiers.audio_features import NAMES, TABLE_NAMES, AudioFeatures, excerpt, features
from kapelle.errors import UsageError
from kapelle.render import sine
from kapelle.render import soundfont as soundfont_player

RATE = 22_050


def tone(hz: float = 440.0, seconds: float = 3.0, level: float = 0.5, rate: int = RATE) -> Waveform:
    return Waveform((level * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32), rate)


def melody() -> Score:
    score = Score(480)
    score.tempos.append(Tempo(0, 120))
    track = Track(program=0)
    for number, pitch in enumerate([60, 64, 67, 72, 71, 67, 62, 65, 69, 74, 57, 60]):
        track.notes.append(Note(number * 240, 230, pitch, 60 + 5 * number))
        track.notes.append(Note(number * 240, 480, pitch - 12, 70))
    score.tracks.append(track)
    return score


def changed(first: AudioFeatures, second: AudioFeatures, tolerance: float) -> set[str]:
    """The names of the features that differ by more than a share of `tolerance`, or 1e-3 in all."""
    one, two = first.as_dict(), second.as_dict()
    return {name for name in TABLE_NAMES if abs(one[name] - two[name]) > tolerance * max(abs(one[name]), abs(two[name])) + 1e-3}


def test_names_are_those_of_the_table_of_30_seconds_without_its_length():
    assert NAMES[: len(TABLE_NAMES)] == TABLE_NAMES
    assert len(TABLE_NAMES) == len(set(TABLE_NAMES)) == 57
    assert TABLE_NAMES[:4] == ("chroma_stft_mean", "chroma_stft_var", "rms_mean", "rms_var")
    assert TABLE_NAMES[16:19] == ("tempo", "mfcc1_mean", "mfcc1_var")
    assert TABLE_NAMES[-1] == "mfcc20_var"


def test_a_sine_has_the_features_that_theory_gives():
    found = features(tone(seconds=10.0)).as_dict()
    assert found["rms_mean"] == pytest.approx(0.5 / np.sqrt(2), rel=0.01)
    assert found["spectral_centroid_mean"] == pytest.approx(440, rel=0.01)
    assert found["zero_crossing_rate_mean"] == pytest.approx(880 / RATE, rel=0.02)
    assert found["harmony_var"] == pytest.approx(0.125, rel=0.01)
    assert found["perceptr_var"] < 1e-3


def test_features_cannot_be_made_of_numbers():
    with pytest.raises(UsageError, match="made of a sound"):
        AudioFeatures(np.zeros(57, dtype=np.float32), 30.0)


def test_features_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        features(tone()).values[0] = 1.0


def test_a_level_moves_what_measures_level_and_nothing_else():
    random = np.random.default_rng(3)
    loud = random.standard_normal(4 * RATE).astype(np.float32) * 0.1
    moved = changed(features(Waveform(loud, RATE)), features(Waveform(loud * np.float32(0.5), RATE)), 1e-3)
    # The variances of rms and of the percussive layer are below the tolerance here, being tiny.
    assert {"rms_mean", "mfcc1_mean", "harmony_var"} <= moved <= {
        "rms_mean", "rms_var", "harmony_mean", "harmony_var", "perceptr_mean", "perceptr_var", "mfcc1_mean",
    }  # fmt: skip


def test_variances_are_variances_and_not_deviations():
    steps = np.repeat([0.2, 0.6], 2 * RATE).astype(np.float32)
    found = features(Waveform(tone(seconds=4.0, level=1.0).samples[:, 0] * steps, RATE)).as_dict()
    assert found["rms_mean"] == pytest.approx(0.4 / np.sqrt(2), rel=0.02)
    assert found["rms_var"] == pytest.approx(0.04 / 2, rel=0.05)


def test_channels_are_averaged():
    mono = tone().samples
    both = Waveform(np.concatenate([mono * 1.5, mono * 0.5], axis=1), RATE)
    np.testing.assert_allclose(features(both).values, features(tone()).values, rtol=1e-3, atol=1e-3)


def test_of_a_long_sound_the_middle_30_seconds_count():
    parts = [tone(200, 20.0), tone(700, 30.0), tone(200, 20.0)]
    found = features(Waveform(np.concatenate([part.samples for part in parts]), RATE))
    assert found.duration_s == pytest.approx(30.0)
    assert found.as_dict()["spectral_centroid_mean"] == pytest.approx(700, rel=0.02)


@pytest.mark.parametrize("rate", [16_000, 32_000, 44_100, 48_000, 96_000])
def test_the_rate_of_the_file_does_not_matter_below_its_band_limit(rate):
    played = soundfont_player.render(melody(), sample_rate=RATE, tail_s=0.0, player="sampler")
    low = resample(played, 12_000)  # so that every rate can hold it
    moved = changed(features(resample(low, RATE)), features(resample(low, rate)), 0.02)
    # Above the limit there is only rounding, whose logarithm the cepstrum still looks at.
    assert not {name for name in moved if not name.startswith("mfcc")}


def test_resampling_keeps_tones_below_the_limit_and_removes_those_above():
    assert np.abs(excerpt(tone(9_000, rate=48_000)))[500:-500].max() == pytest.approx(0.5, abs=0.01)
    assert np.abs(excerpt(tone(14_000, rate=48_000)))[500:-500].max() < 1e-3
    low = excerpt(tone(3_000, rate=8_000))
    assert len(low) == 3 * RATE
    assert np.abs(low)[500:-500].max() == pytest.approx(0.5, abs=0.01)


def test_what_is_too_short_or_silent_is_refused():
    with pytest.raises(UsageError, match="too short"):
        features(tone(seconds=0.5))
    with pytest.raises(UsageError, match="silent"):
        features(Waveform(np.zeros(3 * RATE), RATE))
    assert features(tone(seconds=1.0)).duration_s == pytest.approx(1.0)


def librosa_features(samples: np.ndarray) -> dict[str, float]:
    """The features by librosa's own functions with their default settings, as such tables are made."""
    librosa = pytest.importorskip("librosa")
    feature = librosa.feature
    lasting, striking = librosa.effects.hpss(samples)
    curves = {
        "chroma_stft": feature.chroma_stft(y=samples, sr=RATE),
        "rms": feature.rms(y=samples),
        "spectral_centroid": feature.spectral_centroid(y=samples, sr=RATE),
        "spectral_bandwidth": feature.spectral_bandwidth(y=samples, sr=RATE),
        "rolloff": feature.spectral_rolloff(y=samples, sr=RATE),
        "zero_crossing_rate": feature.zero_crossing_rate(samples),
        "harmony": lasting,
        "perceptr": striking,
    }
    curves |= {f"mfcc{number + 1}": row for number, row in enumerate(feature.mfcc(y=samples, sr=RATE, n_mfcc=20))}
    found = {}
    for name, curve in curves.items():
        found[f"{name}_mean"], found[f"{name}_var"] = float(curve.mean(dtype=np.float64)), float(curve.var(dtype=np.float64))
    found["tempo"] = float(np.ravel(librosa.beat.beat_track(y=samples, sr=RATE)[0])[0])
    return found


def noisy() -> np.ndarray:
    return (0.1 * np.random.default_rng(4).standard_normal(5 * RATE)).astype(np.float32)


SOUNDS = {
    "soundfont": lambda: soundfont_player.render(melody(), sample_rate=RATE, player="sampler").samples.mean(axis=1),
    "sines": lambda: sine.render(melody(), sample_rate=RATE).samples.mean(axis=1),
    "noise": noisy,
    "tone": lambda: tone().samples[:, 0],
    "half silent": lambda: np.concatenate([noisy(), np.zeros(3 * RATE, dtype=np.float32)]),
    "quiet": lambda: noisy() * np.float32(1e-3),
}


@pytest.mark.parametrize("sound", SOUNDS)
def test_every_feature_is_that_of_librosa(sound):
    samples = SOUNDS[sound]()
    ours, theirs = features(Waveform(samples, RATE)).as_dict(), librosa_features(samples)
    assert set(TABLE_NAMES) == set(theirs)
    for name in TABLE_NAMES:
        # Means of cepstra and of the layers lie near 0: of those, rounding in single precision is 1e-5 of their own scale.
        scale = 1e-4 if name.startswith("mfcc") else 1e-9
        assert ours[name] == pytest.approx(theirs[name], rel=1e-4, abs=scale), name
