"""Classifiers of audio: what they are asked, what they warn of, and files of every kind and length."""

from pathlib import Path

import numpy as np
import pytest

import fakes
from kapelle.audio import Waveform, files
from kapelle.bundles import load
from kapelle.classifiers.audio import AudioClassifier
from kapelle.classifiers.audio_features import NAMES, TABLE_NAMES, features
from kapelle.errors import BundleError, Missing, UnreadableInput, UsageError
from kapelle.models import trees

RATE = 22_050


def tone(hz: float = 440.0, seconds: float = 3.0, rate: int = RATE, channels: int = 1) -> Waveform:
    wave = 0.4 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)
    return Waveform(np.repeat(wave[:, None], channels, axis=1).astype(np.float32), rate)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tree that asks whether the centroid is above 1,500 Hz; it knows three features."""
    names = ("spectral_centroid_mean", "rms_mean", "interval_5_mean")
    shape = trees.Config(features=3, classes=2, depth=1)
    weights = {
        "features": np.array([[0]]),
        "thresholds": np.array([[1500.0]], np.float32),
        "leaves": np.array([[[2.0, 0.0], [0.0, 2.0]]], np.float32),
        "bias": np.zeros(2, np.float32),
    }
    options = {
        "classes": ["dull", "bright"], "inputs": "audio_features", "features": list(names),
        "low": [100.0, 0.01, 0.0], "high": [4000.0, 0.5, 1.0],
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("audio") / "fake-classifier"
    return fakes.write(folder, "classifier", trees.graphs(shape, weights), family="trees", **options)


@pytest.fixture(scope="module")
def asked(bundle: Path) -> AudioClassifier:
    return AudioClassifier(load.load(bundle))


def test_a_sound_has_the_class_that_its_features_have(asked):
    low, high = asked.classify(tone(440)), asked.classify(tone(3000))
    assert (low.label, high.label) == ("dull", "bright")
    assert high.confidence == pytest.approx(np.exp(2) / (1 + np.exp(2)), abs=1e-3)
    assert sum(high.probabilities.values()) == pytest.approx(1.0)
    assert high.bundle_hash == asked.bundle.hash


def test_of_a_long_sound_three_half_minutes_are_heard_and_their_mean_is_told(asked):
    parts = [tone(440, 40.0), tone(440, 40.0), tone(3000, 40.0)]
    mixed = asked.classify(Waveform(np.concatenate([part.samples for part in parts]), RATE))
    single = [asked.classify(part).probabilities["bright"] for part in parts]
    assert mixed.probabilities["bright"] == pytest.approx(np.mean(single), abs=1e-6)


def test_numbers_that_somebody_scaled_cannot_be_fed(asked):
    row = features(tone()).values
    for wrong in ([], [row], [(row - row.min()) / (row.max() - row.min())], [row.tolist()]):
        with pytest.raises(UsageError, match="features of audio, not numbers"):
            asked.predict(wrong)


def test_what_lies_outside_the_training_music_is_named(asked):
    assert asked.classify(tone(3000, 20.0)).warnings == ()
    (warning,) = asked.classify(tone(6000, 20.0)).warnings
    assert "1 of 3 features" in warning and "spectral_centroid_mean" in warning
    faint = Waveform(tone(6000, 20.0).samples * np.float32(0.01), RATE)
    assert "spectral_centroid_mean, rms_mean" in asked.classify(faint).warnings[0]


def test_a_short_sound_is_judged_with_a_word_and_nothing_to_hear_is_no_genre(asked):
    assert "1.0 s of sound" in asked.classify(tone(3000, 1.0)).warnings[0]
    for nothing in (tone(3000, 0.5), Waveform(np.zeros((5 * RATE, 2)), RATE), Waveform(np.zeros((0, 1)), RATE)):
        with pytest.raises(UnreadableInput, match="nothing to judge"):
            asked.classify(nothing)


def test_a_silent_file_is_named(asked, tmp_path):
    files.write(tmp_path / "hush.wav", Waveform(np.zeros((5 * RATE, 1)), RATE))
    with pytest.raises(UnreadableInput, match=r"hush\.wav holds nothing"):
        asked.classify_file(tmp_path / "hush.wav")


def test_silent_half_minutes_of_a_long_sound_are_left_out(asked):
    sound = np.concatenate([np.zeros(80 * RATE, np.float32), tone(3000, 40.0).samples[:, 0]])
    assert asked.classify(Waveform(sound, RATE)).probabilities["bright"] == pytest.approx(np.exp(2) / (1 + np.exp(2)), abs=1e-3)


@pytest.mark.parametrize(
    ("name", "rate", "channels"),
    [
        ("a.wav", 8_000, 1), ("b.wav", 96_000, 2), ("c.flac", 44_100, 2), ("d.ogg", 44_100, 2), ("e.mp3", 44_100, 2), ("f.opus", 48_000, 1),
        ("g.wav", 11_025, 6),
    ],
)  # fmt: skip
def test_files_of_every_kind_are_heard_alike(asked, tmp_path, name, rate, channels):
    files.write(tmp_path / name, tone(3000, 4.0, rate, channels))
    verdict = asked.classify_file(tmp_path / name)
    assert verdict.label == "bright"
    assert verdict.probabilities["bright"] == pytest.approx(asked.classify(tone(3000, 4.0)).probabilities["bright"], abs=1e-6)


def test_files_that_are_none_or_damaged_say_so(asked, tmp_path):
    files.write(tmp_path / "good.wav", tone(3000, 2.0))
    data = (tmp_path / "good.wav").read_bytes()
    (tmp_path / "noise.wav").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "head.wav").write_bytes(data[:30])
    for name in ("noise.wav", "empty.wav", "head.wav"):
        with pytest.raises(UnreadableInput, match=name):
            asked.classify_file(tmp_path / name)
    with pytest.raises(Missing):
        asked.classify_file(tmp_path / "absent.wav")
    loud = Waveform(tone(3000, 2.0).samples * np.float32(1e30), 44_100)
    files.write(tmp_path / "loud.wav", loud, bits=32)
    with pytest.raises(UnreadableInput, match=r"loud\.wav is damaged: samples reach"):
        asked.classify_file(tmp_path / "loud.wav")
    (tmp_path / "cut.wav").write_bytes(data[: len(data) * 2 // 3])  # its header says more than there is
    assert asked.classify_file(tmp_path / "cut.wav").label == "bright"


def test_bundles_of_other_kinds_are_refused(bundle, tmp_path):
    with pytest.raises(UsageError, match="does not judge sound"):
        AudioClassifier(load.load(fakes.classifier(tmp_path / "other")))
    shape = trees.Config(features=1, classes=2, depth=1)
    weights = {
        "features": np.array([[0]]),
        "thresholds": np.ones((1, 1), np.float32),
        "leaves": np.zeros((1, 2, 2), np.float32),
        "bias": np.zeros(2, np.float32),
    }
    options = {"classes": ["a", "b"], "inputs": "audio_features", "features": ["length"], "low": [0.0], "high": [1.0]}
    with pytest.raises(BundleError, match="not those that this version measures"):
        AudioClassifier(load.load(fakes.write(tmp_path / "length", "classifier", trees.graphs(shape, weights), **options)))


@pytest.mark.parametrize("name", ["gtzan", "genre-audio"])
def test_the_bundles_that_ship_ask_what_is_measured_and_hear_a_sound(name):
    try:
        asked = AudioClassifier(load.load(load.find(name)))
    except Missing:
        pytest.skip(f"the bundle {name} is not there")
    assert set(asked.names) <= set(NAMES)
    if name == "gtzan":
        assert asked.names == TABLE_NAMES
    verdict = asked.classify(tone(440, 5.0))
    assert set(verdict.probabilities) == set(asked.classes)
    assert "features lie outside" in verdict.warnings[-1]
