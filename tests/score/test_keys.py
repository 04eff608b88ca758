"""Keys: names, scales, and the estimate on music whose key is known."""

from __future__ import annotations

import numpy as np
import pytest
from symusic import KeySignature, Note, Score, Track

from kapelle.errors import UnknownName
from kapelle.score.keys import (
    ALL_KEYS,
    MAJOR_PROFILE,
    Key,
    estimate_key,
    found_key,
    key_correlations,
    key_of_signature,
    parse_key,
    pitch_class_durations,
)


def melody(*pitches: int, drums: bool = False, durations: tuple[int, ...] = ()) -> Score:
    score, track = Score(480), Track("", 0, drums)
    for i, pitch in enumerate(pitches):
        track.notes.append(Note(480 * i, durations[i] if durations else 480, pitch, 80))
    score.tracks.append(track)
    return score


@pytest.mark.parametrize(
    ("text", "tonic", "mode"),
    [
        ("C", 0, "major"), ("Am", 9, "minor"), ("F# minor", 6, "minor"), ("Bb", 10, "major"), ("B♭ major", 10, "major"), ("a", 9, "minor"),
        ("b", 11, "minor"), ("bb", 10, "minor"), ("C#:min", -1, ""), ("Ebmaj", 3, "major"), ("c-moll", 0, "minor"), ("H moll", 11, "minor"),
        ("G♯m", 8, "minor"), ("E dur", 4, "major"), ("F##", 7, "major"), ("Cb", 11, "major"), ("D минор", 2, "minor"),
        ("  d_minor ", 2, "minor"),
        ("", -1, ""), ("J", -1, ""), ("C dorian", -1, ""), ("CC", -1, ""),
    ],
)  # fmt: skip
def test_names_are_read(text: str, tonic: int, mode: str) -> None:
    if tonic < 0:
        with pytest.raises(UnknownName, match="unknown key") as caught:
            parse_key(text)
        assert "F# minor" in caught.value.hint
    else:
        assert parse_key(text) == Key(tonic, mode)  # type: ignore[arg-type]


def test_every_name_written_is_read_again() -> None:
    assert [parse_key(str(key)) for key in ALL_KEYS] == list(ALL_KEYS)
    assert len({str(key) for key in ALL_KEYS}) == 24


def test_signatures_and_keys_agree() -> None:
    assert [parse_key(name).sharps for name in ("C", "G", "D", "F", "Bb", "Am", "Em", "Cm", "F#", "Eb minor", "Db")] == [
        0, 1, 2, -1, -2, 0, 1, -3, 6, 6, -5,
    ]  # fmt: skip
    assert [str(key_of_signature(*pair)) for pair in ((0, False), (0, True), (-3, True), (7, False), (-7, True))] == [
        "C major", "A minor", "C minor", "Db major", "G# minor",
    ]  # fmt: skip


def test_scales_and_relatives() -> None:
    assert parse_key("D").pitch_classes == (2, 4, 6, 7, 9, 11, 1)
    assert parse_key("Am").pitch_classes == (9, 11, 0, 2, 4, 5, 7)
    assert parse_key("C").relative == parse_key("Am")
    assert all(key.relative.relative == key for key in ALL_KEYS)
    assert all(set(key.relative.pitch_classes) == set(key.pitch_classes) for key in ALL_KEYS)


def test_a_profile_fits_its_own_key_perfectly() -> None:
    correlations = key_correlations(np.roll(MAJOR_PROFILE, 7))
    assert correlations[7] == pytest.approx(1.0)
    assert int(np.argmax(correlations)) == 7
    assert correlations.shape == (24,)


def test_correlations_are_pearsons() -> None:
    durations = np.arange(12.0) ** 2
    expected = [np.corrcoef(durations, np.roll(MAJOR_PROFILE, tonic))[0, 1] for tonic in range(12)]
    assert key_correlations(durations)[:12] == pytest.approx(expected)


ODE_TO_JOY = (64, 64, 65, 67, 67, 65, 64, 62, 60, 60, 62, 64, 64, 62, 62, 64, 64, 65, 67, 67, 65, 64, 62, 60, 60, 62, 64, 62, 60, 60)
GREENSLEEVES = (
    69, 72, 74, 76, 77, 76, 74, 71, 67, 69, 71, 72, 69, 69, 68, 69, 71, 68, 64,
    69, 72, 74, 76, 77, 76, 74, 71, 67, 69, 71, 72, 71, 69, 68, 66, 68, 69, 69,
)  # fmt: skip


@pytest.mark.parametrize("shift", range(-6, 6))
def test_known_melodies_are_found_in_every_transposition(shift: int) -> None:
    assert estimate_key(melody(*(pitch + shift for pitch in ODE_TO_JOY))) == Key(shift % 12, "major")
    assert estimate_key(melody(*(pitch + shift for pitch in GREENSLEEVES))) == Key((9 + shift) % 12, "minor")


def test_long_notes_weigh_more() -> None:
    score = melody(60, 64, 67, 57, 60, 64, durations=(10, 10, 10, 4000, 4000, 4000))
    assert estimate_key(score) == parse_key("Am")
    assert pitch_class_durations(score)[[0, 4, 7, 9]].tolist() == [4010.0, 4010.0, 10.0, 4000.0]


def test_without_pitched_notes_the_answer_is_c_major() -> None:
    assert estimate_key(Score(480)) == Key(0, "major")
    assert estimate_key(melody(42, 42, drums=True)) == Key(0, "major")
    assert key_correlations(np.ones(12)).tolist() == [0.0] * 24


def test_a_stated_key_is_found_if_the_notes_bear_it_out():
    score = Score(480)
    score.tracks.append(Track("A", 0, False))
    for i, pitch in enumerate((60, 62, 64, 65, 67, 69, 71, 72)):
        score.tracks[0].notes.append(Note(480 * i, 480, pitch, 80))
    assert found_key(score) == Key(0)
    score.key_signatures.append(KeySignature(0, 0, 1))
    assert found_key(score) == Key(9, "minor")
    score.key_signatures = [KeySignature(0, 4, 0)]  # E major: five of the eight notes are not in it
    assert found_key(score) == Key(0)
