"""What a sound does: pulse, harmony, dynamics, texture of sounds whose answers are known."""

import numpy as np
import pytest

from kapelle.audio import Waveform
from kapelle.classifiers import audio_patterns
from kapelle.classifiers.audio_features import features

RATE = 22_050
CHORDS = {"major": (0, 4, 7), "minor": (0, 3, 7), "dominant": (0, 4, 7, 10), "diminished": (0, 3, 6, 9), "suspended": (0, 5, 7)}


def tone(pitch: float, seconds: float) -> np.ndarray:
    hz = 440 * 2 ** ((pitch - 69) / 12)
    return 0.15 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)


def chord(name: str, root: int = 60, seconds: float = 4.0) -> np.ndarray:
    return sum(tone(root + step, seconds) for step in CHORDS[name])


def struck(bpm: float, seconds: float = 12.0, every: int = 1) -> np.ndarray:
    """A short chord at each beat, every so manieth louder."""
    sound = np.zeros(int(seconds * RATE))
    stroke = chord("major", 72, 0.2) * np.exp(-np.arange(int(0.2 * RATE)) / RATE * 25)
    for number, moment in enumerate(np.arange(0, seconds - 0.3, 60 / bpm)):
        start = int(moment * RATE)
        sound[start : start + len(stroke)] += stroke * (1.0 if number % every == 0 else 0.3)
    return sound


def heard(sound: np.ndarray) -> dict[str, float]:
    found = features(Waveform(sound.astype(np.float32), RATE)).as_dict()
    told = {name: found[name] for name in audio_patterns.NAMES}
    assert all(np.isfinite(value) for value in told.values())
    return told


def test_names_differ_and_are_as_many_as_numbers():
    assert len(audio_patterns.NAMES) == len(set(audio_patterns.NAMES)) == len(heard(chord("major"))) == 67


@pytest.mark.parametrize("name", CHORDS)
def test_a_chord_fits_its_own_kind_best(name):
    found = heard(chord(name))
    best = max((f"chord_{kind}" for kind, _ in audio_patterns.CHORDS), key=found.__getitem__)
    assert best == f"chord_{name}"


def test_harmony_does_not_change_with_the_key_nor_anything_with_the_level():
    one, moved, quiet = heard(chord("minor", 62)), heard(chord("minor", 67)), heard(chord("minor", 62) * 0.1)
    for name in audio_patterns.NAMES:
        if name.startswith(("interval", "chroma", "chord", "pitch_class", "minor", "major")):
            assert moved[name] == pytest.approx(one[name], abs=0.12), name
        assert quiet[name] == pytest.approx(one[name], abs=0.02, rel=0.01), name


def test_a_third_sounds_as_a_third():
    found = heard(tone(72, 3.0) + tone(76, 3.0))
    assert max((f"interval_{steps}_mean" for steps in (2, 3, 4, 5, 6)), key=found.__getitem__) == "interval_4_mean"


def test_harmony_changes_when_the_chords_do():
    still = heard(chord("major", seconds=8.0))
    moving = heard(np.concatenate([chord("major", root, 1.0) for root in (60, 66, 61, 67, 60, 66, 61, 67)]))
    assert still["harmony_change_1s"] < 0.02 < 0.3 < moving["harmony_change_1s"]
    assert moving["harmony_change_4s"] < 0.1  # after four seconds the same chord is back


def test_strokes_are_counted_and_their_pulse_is_clear():
    found = heard(struck(100))
    assert found["onsets_per_s"] == pytest.approx(100 / 60, rel=0.3)  # now and then the end of a stroke counts too
    assert found["pulse_one"] > 0.5 > abs(found["pulse_half"])
    assert found["pulse_clarity"] > 0.5
    random = np.random.default_rng(1)
    assert heard(random.standard_normal(12 * RATE) * 0.1)["pulse_clarity"] < 0.3


def test_pulses_do_not_depend_on_the_speed():
    slow, fast = heard(struck(90)), heard(struck(125))
    for name in ("half", "one", "one_and_half"):
        assert fast[f"pulse_{name}"] == pytest.approx(slow[f"pulse_{name}"], abs=0.15)


def test_a_steady_sound_has_no_dynamics_and_a_swelling_one_has():
    sound = chord("major", seconds=8.0)
    steady, swelling = heard(sound), heard(sound * np.linspace(0.05, 1.0, len(sound)))
    assert steady["level_range_db"] < 2 < 15 < swelling["level_range_db"]
    assert swelling["level_skew"] < 0
    assert swelling["quiet_share"] == pytest.approx(0.5, abs=0.05)


def test_bands_say_where_a_tone_lies():
    for pitch, band in ((45, "60_125"), (57, "125_250"), (69, "250_500"), (93, "1000_2000")):
        found = heard(tone(pitch, 2.0))
        assert found[f"band_{band}_mean"] > 0.9, band
        assert pitch < 50 or found["notes_mean"] == pytest.approx(1.0, abs=0.1), pitch
    assert heard(np.random.default_rng(1).standard_normal(3 * RATE) * 0.1)["flatness"] > 0.5 > found["flatness"]


def test_what_lasts_less_than_a_block_and_what_is_half_silent_have_numbers_too():
    heard(chord("major", seconds=1.0))
    heard(np.concatenate([np.zeros(2 * RATE), struck(120, 4.0), np.zeros(2 * RATE)]))
