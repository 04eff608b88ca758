"""Metrics of themes on pieces small enough to work out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import symusic
from hypothesis import given, settings
from hypothesis import strategies as st

from kapelle.errors import UsageError
from kapelle.metrics import theme
from kapelle.score.melody import MELODY_NOTE

STEP = 120


def tune(*notes: tuple[int, int, int]) -> np.ndarray:
    """(start, duration, pitch), in sixteenths."""
    return np.array([(start, duration, pitch, 80) for start, duration, pitch in notes], MELODY_NOTE)


def line(*pitches: int, step: int = 4) -> np.ndarray:
    return tune(*((step * place, step, pitch) for place, pitch in enumerate(pitches)))


def piece(melody: np.ndarray, piano: np.ndarray | None = None) -> symusic.Score:
    score = symusic.Score(480)
    for name, notes in (("MELODY", melody), ("PIANO", piano)):
        track = symusic.Track(name, 0, False)
        for start, duration, pitch, velocity in () if notes is None else notes.tolist():
            track.notes.append(symusic.Note(start * STEP, duration * STEP, pitch, velocity))
        score.tracks.append(track)
    return score


def embed(melodies: Sequence[np.ndarray]) -> np.ndarray:
    """Melodies on a half circle, by their first pitch above C4 as twelfths of it."""
    angles = np.array([math.pi * (float(melody["pitch"][0]) - 60) / 12 for melody in melodies])
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


# --- the whole piece ------------------------------------------------------------------------------------------------------


def test_bars_of_the_same_notes_are_consistent_in_pitch() -> None:
    assert theme.pitch_class_consistency(piece(line(60, 64, 67, 72, 48, 55, 76, 60))) == 1
    assert theme.pitch_class_consistency(piece(line(60, 60, 60, 60, 62, 62, 62, 62))) == 0
    assert theme.pitch_class_consistency(piece(line(60, 60, 62, 64, 60, 65, 62, 62))) == pytest.approx(0.25 + 0.25)


def test_all_pairs_of_bars_count_and_silent_ones_are_left_out() -> None:
    notes = tune((0, 4, 60), (32, 4, 60), (48, 4, 61))
    assert theme.pitch_class_consistency(piece(notes)) == pytest.approx(1 / 3)


def test_grooves_by_steps_of_a_bar() -> None:
    notes = tune((0, 2, 60), (4, 2, 60), (16, 2, 60), (24, 2, 60))  # beats 1 2, beats 1 3
    score = piece(notes)
    assert theme.grooving_consistency(score) == pytest.approx(14 / 16)
    assert theme.grooving_consistency(score, steps=theme.FINE_STEPS) == pytest.approx(46 / 48)
    density = 2 / 16
    chance = density**2 + (1 - density) ** 2
    assert theme.grooving_consistency(score, corrected=True) == pytest.approx((14 / 16 - chance) / (1 - chance))


def test_the_corrected_groove_is_1_for_one_bar_again_and_hardly_knows_the_grid() -> None:
    again = piece(tune(*((16 * bar + step, 1, 60 + bar) for bar in range(4) for step in (0, 3, 6, 10))))
    assert theme.grooving_consistency(again, corrected=True) == pytest.approx(1)
    draw = np.random.default_rng(0)
    bars = piece(tune(*((16 * bar + int(step), 1, 60) for bar in range(40) for step in np.sort(draw.choice(16, 5, replace=False)))))
    assert theme.grooving_consistency(bars, corrected=True) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("notes", [tune(), tune((0, 4, 60))])
def test_one_bar_or_none_has_no_consistency(notes: np.ndarray) -> None:
    score = piece(notes)
    assert math.isnan(theme.pitch_class_consistency(score)) and math.isnan(theme.grooving_consistency(score))
    assert math.isnan(theme.grooving_consistency(score, corrected=True))


def test_drums_count_nowhere() -> None:
    score = piece(line(60, 64, 67, 72, 60, 64, 67, 72))
    drums = symusic.Track("drums", 0, True)
    drums.notes.append(symusic.Note(240, 120, 37, 80))
    score.tracks.append(drums)
    assert theme.grooving_consistency(score) == 1 and theme.pitch_class_consistency(score) == 1


# --- the theme ------------------------------------------------------------------------------------------------------------


def test_only_neighbouring_fragments_of_the_melody_are_compared() -> None:
    vectors = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    assert theme.melody_inconsistency(vectors, (0, 1, 3)) == pytest.approx(math.sqrt(2))
    assert math.isnan(theme.melody_inconsistency(vectors, (0, 2, 4)))
    assert math.isnan(theme.melody_inconsistency(np.zeros((0, 2)), ()))


def test_what_regions_are_apart_from_the_condition() -> None:
    near, far = np.array([0.0, 0.2]), np.array([0.4, 0.6])
    assert theme.theme_inconsistency(near) == pytest.approx(0.1)
    assert theme.theme_uncontrollability(near, far) == pytest.approx(0.2)
    for marked, unmarked in ((near, far[:0]), (near[:0], far), (near, np.zeros(3))):
        assert math.isnan(theme.theme_uncontrollability(marked, unmarked))
    assert math.isnan(theme.theme_inconsistency(near[:0]))


def test_the_gap_between_regions() -> None:
    assert theme.theme_gap([(8, 10), (0, 2), (16, 18)]) == 6
    assert theme.theme_gap([(0, 2), (2, 4)]) == 0
    assert math.isnan(theme.theme_gap([(0, 2)]))


MELODY = tune(*((16 * bar, 4, 60 + bar) for bar in (0, 1, 2, 3, 4, 5, 6, 7, 9)))


def test_a_piece_is_cut_into_what_is_marked_and_what_is_not() -> None:
    found = theme.parts(MELODY, [(7, 9), (1, 3)], 12)
    assert [int(part["pitch"][0]) for part in found.marked] == [61, 67] and found.phrases == (0, 0)
    assert [int(part["pitch"][0]) for part in found.unmarked] == [63, 65, 69]  # bar 0 is left over, bars 11 and 12 are silent
    assert found.marked[0]["start"].tolist() == [0, 16] and found.lost == 0


def test_a_real_piece_is_not_compared_with_the_region_its_theme_is_from() -> None:
    found = theme.parts(MELODY, [(1, 3), (7, 9)], 10, first_is_condition=True)
    assert [int(part["pitch"][0]) for part in found.marked] == [67]
    assert [int(part["pitch"][0]) for part in found.unmarked] == [63, 65]


def test_long_regions_are_compared_phrase_by_phrase() -> None:
    found = theme.parts(MELODY, [(0, 4), (10, 12)], 12, n_phrases=2)
    assert found.phrases == (0, 1) and found.lost == 1
    condition = theme.phrases_of(tune((0, 4, 60), (32, 4, 62)), 4)
    marked, unmarked = theme.distances(found, condition, theme.by_notes)
    assert marked.tolist() == [theme.melody_distance(found.marked[0], condition[0]), theme.melody_distance(found.marked[1], condition[1])]
    assert unmarked[0] == min(theme.melody_distance(found.unmarked[0], phrase) for phrase in condition)


def test_a_condition_without_notes_is_refused() -> None:
    with pytest.raises(UsageError, match="no melody"):
        theme.distances(theme.parts(MELODY, [(0, 2)], 10), theme.phrases_of(tune(), 2), theme.by_notes)


def test_all_six_of_a_piece() -> None:
    melody = tune(*((16 * bar + 4 * beat, 4, 60 + (0, 0, 6, 6, 0, 0, 4, 4)[bar]) for bar in range(8) for beat in range(4)))
    found = theme.measure(piece(melody), [(0, 2), (4, 6)], [line(60, 60)], embed)
    quarter, third = math.sqrt(2), 2 * math.sin(math.pi / 6)
    assert found == {
        "pitch_class_consistency": pytest.approx((6 + 1 + 1) / 28),
        "grooving_consistency": 1,
        "melody_inconsistency": pytest.approx((2 * quarter + third) / 3),
        "theme_inconsistency": pytest.approx(0, abs=1e-6),
        "theme_uncontrollability": pytest.approx(0, abs=1e-6),
        "theme_gap": 2,
    }


def test_a_real_piece_says_how_near_its_returns_are() -> None:
    melody = tune(*((16 * bar, 4, 60 + (0, 0, 6, 6, 3, 3, 6, 6)[bar]) for bar in range(8)))
    found = theme.measure(piece(melody), [(0, 2), (4, 6)], [line(60, 60)], embed, first_is_condition=True)
    assert found["theme_inconsistency"] == pytest.approx(2 * math.sin(math.pi / 8), abs=1e-6)
    assert found["theme_uncontrollability"] == pytest.approx(2 * math.sin(math.pi / 8) / math.sqrt(2), abs=1e-6)


def test_a_piece_without_regions_has_no_figures_of_themes() -> None:
    found = theme.measure(piece(line(60, 62, 64, 65, 67, 69, 71, 72)), [], [line(60)], embed)
    assert [key for key, value in found.items() if math.isnan(value)] == [
        "melody_inconsistency", "theme_inconsistency", "theme_uncontrollability", "theme_gap",
    ]  # fmt: skip


# --- the distance of two melodies -------------------------------------------------------------------------------------------

SONG = line(60, 62, 64, 65, 67, 67, 69, 67)


def test_equal_melodies_and_those_an_octave_apart_have_no_distance() -> None:
    higher = SONG.copy()
    higher["pitch"] += 12
    assert theme.melody_distance(SONG, SONG) == 0 and theme.melody_distance(SONG, higher) == 0


def test_a_note_less_costs_half_a_note() -> None:
    assert theme.melody_distance(SONG, SONG[:-1]) == pytest.approx(0.5 / (0.5 * 15))


def test_changes_cost_what_they_are() -> None:
    second = tune((0, 4, 61))
    assert theme.melody_distance(tune((0, 4, 60)), second) == pytest.approx(0.5 / 7)
    assert theme.melody_distance(tune((0, 4, 60)), tune((2, 4, 60))) == pytest.approx(0.375 / 2)
    assert theme.melody_distance(tune((0, 4, 60)), tune((0, 2, 60))) == pytest.approx(0.125 / 2)
    assert theme.melody_distance(tune((0, 1, 60)), tune((16, 64, 66))) == pytest.approx(0.5 * 6 / 7 + 0.375 + 0.125 * 63 / 64)


def test_nothing_is_as_far_from_something_as_can_be() -> None:
    assert theme.melody_distance(tune(), SONG) == 1 and theme.melody_distance(tune(), tune()) == 0


def test_a_variation_is_nearer_than_another_tune() -> None:
    varied = tune((0, 4, 60), (4, 2, 62), (6, 2, 62), (8, 4, 64), (12, 4, 65), (16, 8, 67), (24, 4, 69), (28, 2, 67))
    other = line(72, 67, 60, 72, 64, 60, 67, 60)
    assert theme.melody_distance(SONG, varied) < 0.25 < theme.melody_distance(SONG, other)


def test_other_arrays_are_refused() -> None:
    with pytest.raises(UsageError, match="MELODY_NOTE"):
        theme.melody_distance(np.zeros(3), SONG)


NOTES = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 8), st.integers(50, 80)), max_size=9)


@settings(max_examples=60, deadline=None)
@given(NOTES, NOTES)
def test_the_distance_is_the_same_both_ways_and_at_most_1(one: list[tuple[int, int, int]], other: list[tuple[int, int, int]]) -> None:
    first, second = (tune(*((sum(n[0] for n in notes[: i + 1]), *notes[i][1:]) for i in range(len(notes)))) for notes in (one, other))
    there = theme.melody_distance(first, second)
    assert 0 <= there <= 1 and there == pytest.approx(theme.melody_distance(second, first))
