"""Features of pieces made by hand, and what must not change them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic import Note, Score, Tempo, TimeSignature, Track

from kapelle.classifiers import midi_features
from kapelle.classifiers.midi_features import NAMES, features
from kapelle.classifiers.note_grid import grid
from kapelle.errors import UnreadableInput
from kapelle.score import edit

Notes = list[tuple[float, float, int]]
"""Onset and length in quarters, pitch."""

SCALE: Notes = [(i / 2, 0.5, pitch) for i, pitch in enumerate((60, 62, 64, 65, 67, 69, 71, 72) * 4)]
CHORDS: Notes = [
    (2 * i, 2, pitch) for i, chord in enumerate(((60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67)) * 4) for pitch in chord
]


def made(notes: Notes, tpq: int = 480, velocity: int = 80, program: int = 0) -> Score:
    score = Score(tpq)
    track = Track("t", program)
    for start, length, pitch in notes:
        track.notes.append(Note(round(start * tpq), round(length * tpq), pitch, velocity))
    score.tracks.append(track)
    return score


def named(score: Score) -> dict[str, float]:
    return dict(zip(NAMES, features(score).tolist(), strict=True))


def test_names_are_many_and_each_once() -> None:
    assert 60 <= len(NAMES) == len(set(NAMES)) <= 165


def test_a_scale_in_eighths() -> None:
    found = named(made(SCALE))
    assert found["scale_share"] == 1 and found["pitch_classes"] == 7
    assert found["notes_per_quarter"] == found["onsets_per_quarter"] == 2
    assert found["on_beat"] == found["on_eighth"] == 0.5 and found["off_grid"] == found["on_triplet"] == 0
    assert found["gap_eighth"] == found["note_eighth"] == 1 and found["gap_mean"] == found["note_mean"] == 0.5
    assert found["voices"] == found["struck_mean"] == found["struck_1"] == 1 and found["voices_2"] == 0
    assert found["top_tone"] == pytest.approx(20 / 31) and found["top_semitone"] == pytest.approx(8 / 31)
    assert found["top_octave"] == pytest.approx(3 / 31) and found["top_up"] == pytest.approx(28 / 31)
    assert (found["pitch_range"], found["register_mean"], found["silence"]) == (12, 66.25, 0)
    assert found["legato"] == 1 and found["staccato"] == 0 and found["syncopation"] == 0
    assert found["again_1"] == found["rhythm_again_1"] == 1 and found["bars_before"] == 0.75
    assert np.isnan(found["again_4"]) and np.isnan(found["hands_apart"])


def test_chords_in_half_notes() -> None:
    found = named(made(CHORDS))
    assert found["chord_major"] == 1 and found["chord_minor"] == 0 and found["chord_fit"] == pytest.approx(1)
    assert found["on_tonic"] == 0.5 and found["on_fourth"] == found["on_fifth"] == 0.25
    assert found["root_fifth_down"] == pytest.approx(8 / 15) and found["root_fifth_up"] == 0  # C to F, and G to C
    assert found["root_step"] == pytest.approx(4 / 15) and found["root_same"] == pytest.approx(3 / 15)
    assert found["voices"] == found["struck_3"] * 3 == found["struck_mean"] == 3
    assert found["minor"] < 0 and found["chord_tones"] == 3 and found["hands_apart"] == 7
    assert found["sounding_minor_thirds"] == found["sounding_major_thirds"] == found["sounding_fourths"] == pytest.approx(1 / 3)


def test_minor_is_told_from_its_relative_major() -> None:
    minor = made([(i / 2, 0.5, p) for i, p in enumerate((57, 60, 64, 69, 68, 64, 59, 57) * 4)])
    assert named(minor)["minor"] > 0 > named(made(SCALE))["minor"]


def test_swing_is_the_share_of_triplet_offbeats() -> None:
    swung = made([(i // 2 + (i % 2) * 2 / 3, 1 / 3, 60 + i % 5) for i in range(32)])
    assert named(swung)["swing"] == 1 and named(made(SCALE))["swing"] == 0


def test_syncopation_is_a_note_off_the_beat_held_over_a_beat_with_none() -> None:
    assert named(made([(i * 2 + 0.5, 1.0, 60 + i) for i in range(8)]))["syncopation"] == 1


def test_waltz_and_march() -> None:
    waltz = made([(i, 1, 60 + i % 4) for i in range(24)])
    waltz.time_signatures.append(TimeSignature(0, 3, 4))
    assert named(waltz)["triple"] == 1 and named(waltz)["bar_quarters"] == 3
    assert named(made(SCALE))["triple"] == 0 and named(made(SCALE))["bar_quarters"] == 4


def test_one_note_has_features_and_no_intervals() -> None:
    found = named(made([(0, 1, 60)]))
    assert found["notes_per_quarter"] == 0.25 and found["silence"] == 0.75 and np.isnan(found["top_mean"])


def test_no_pitched_note_is_refused() -> None:
    drums = made([(0, 1, 36)])
    drums.tracks[0].is_drum = True
    for empty in (Score(480), drums):
        with pytest.raises(UnreadableInput, match="no pitched notes"):
            features(empty)


def test_who_plays() -> None:
    score = made([(0, 1, 60), (1, 1, 62), (2, 1, 64)], program=25)
    score.tracks.append(made([(0, 4, 40)], program=33).tracks[0])
    score.tracks.append(made([(0, 1, 36), (1, 1, 36)]).tracks[0])
    score.tracks[2].is_drum = True
    found = named(score)
    assert (found["plays_guitar"], found["plays_bass"], found["plays_piano"]) == (0.75, 0.25, 0)
    assert found["plays_drums"] == pytest.approx(1 / 3)


def same(one: Score, other: Score, but: tuple[str, ...] = ()) -> None:
    first, second = named(one), named(other)
    for name in NAMES:
        if not name.startswith(but or ("nothing",)):
            assert first[name] == pytest.approx(second[name], abs=1e-5, nan_ok=True), name


PIECES = st.lists(
    st.tuples(st.integers(0, 190).map(lambda i: i / 6), st.integers(1, 30).map(lambda i: i / 6), st.integers(36, 84)),
    min_size=1,
    max_size=60,
)


@settings(max_examples=25, deadline=None)
@given(PIECES, st.sampled_from((12, 24, 96, 220 * 12, 960)))
def test_the_resolution_changes_nothing(notes: Notes, tpq: int) -> None:
    same(made(notes), made(notes, tpq))


@settings(max_examples=25, deadline=None)
@given(PIECES, st.integers(-12, 12))
def test_transposition_changes_the_register_alone(notes: Notes, semitones: int) -> None:
    one, other = made(notes), edit.transpose(made(notes), semitones)
    keys = (named(one)["key_lead"], named(other)["key_lead"])
    ambiguous = min(keys) < 1e-6  # two keys fit alike: which comes first depends on its name
    same(one, other, ("register",) + (("degree", "on_", "minor", "chord", "root") if ambiguous else ()))
    assert named(other)["register_mean"] - named(one)["register_mean"] == pytest.approx(semitones, abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(PIECES, st.randoms())
def test_order_of_notes_tracks_loudness_names_and_tempo_change_nothing(notes: Notes, draw: object) -> None:
    import random

    assert isinstance(draw, random.Random)
    shuffled = list(notes)
    draw.shuffle(shuffled)
    other = made(shuffled[::2], velocity=20)
    other.tracks.append(made(shuffled[1::2], velocity=120).tracks[0])
    other.tracks[0].name, other.tempos = "Left", [Tempo(0, 61.5)]
    same(made(notes), other)


def test_a_little_unsteadiness_is_heard_as_the_grid() -> None:
    draw = np.random.default_rng(0)
    played = [(max(0.0, start + draw.uniform(-0.03, 0.03)), length, pitch) for start, length, pitch in CHORDS]
    same(made(CHORDS), made(played))


def test_long_silence_is_one_bar() -> None:
    later = [(start + 4 * 40, length, pitch) for start, length, pitch in SCALE]
    close = [(start + 4 * 5, length, pitch) for start, length, pitch in SCALE]
    assert grid(made(SCALE + later)).n_bars == 4 + 1 + 4
    same(made(SCALE + later), made(SCALE + close))
    same(made(SCALE), made(later))


def test_excerpts_lie_evenly_and_begin_at_bar_lines() -> None:
    whole = grid(made([(i, 1, 60 + i % 7) for i in range(4 * 70)]))
    assert [len(part.start) for part in whole.excerpts(16, 9)] == [64, 64, 64, 64]  # 6 bars are left: fewer than half
    assert len(whole.excerpts(16, 2)) == 2 and whole.excerpts(16, 2)[1].pitch.tolist() == whole.cut(48, 16).pitch.tolist()
    assert [part.n_bars for part in whole.excerpts(60, 5)] == [60]
    assert [part.n_bars for part in whole.excerpts(100, 5)] == [70]


def test_what_is_cut_ends_at_the_cut() -> None:
    part = grid(made([(0, 100, 60), (5, 1, 62)])).cut(0, 1)
    assert part.end.tolist() == [48] and part.lines.tolist() == [0, 48]


def test_a_grid_without_notes_is_missing_throughout() -> None:
    assert np.isnan(midi_features.measure(grid(made([(0, 1, 60)])).cut(5, 1))).all()


def test_a_piece_of_a_thousand_bars_takes_no_second() -> None:
    import time

    score = made([(i / 4, 0.25, 40 + i * 7 % 50) for i in range(16000)])
    begun = time.process_time()
    features(score)
    assert time.process_time() - begun < 1


def test_endless_bars_and_endless_notes_are_borne() -> None:
    import time

    score = made([(i * 900, 10**5, 30 + i % 60) for i in range(2000)], tpq=4)
    score.time_signatures.append(TimeSignature(0, 255, 1))
    begun = time.process_time()
    assert np.isfinite(features(score)).any() and grid(score).end.max() <= 2**18
    assert time.process_time() - begun < 2
