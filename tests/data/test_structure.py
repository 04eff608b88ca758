"""Where sections begin, and the phrases between."""

from __future__ import annotations

import numpy as np
import pytest

import songs
from kapelle.data import structure
from kapelle.score import roll

TUTORIAL = roll.FORMS["tutorial"]


def cells(form: str, n_bars: int = 8, seed: int = 0, grid: str = "tutorial") -> roll.Cells:
    return roll.from_score(songs.song(form, n_bars, seed), roll.FORMS[grid])[0].cells


@pytest.mark.parametrize("seed", range(4))
def test_the_sections_of_a_song_form_are_found(seed: int) -> None:
    assert structure.borders(cells("AABA", seed=seed)) == [0, 8, 16, 24]
    found = structure.borders(cells("AABBAC", n_bars=6, seed=seed))
    assert {0, 12, 24, 30} <= set(found) <= {0, 6, 12, 18, 24, 30}


@pytest.mark.parametrize("seed", range(4))
def test_sections_of_an_odd_length_are_found(seed: int) -> None:
    found = structure.borders(cells("ABABCB", n_bars=7, seed=seed))
    assert {0, 14, 28, 35} <= set(found) <= {0, 7, 14, 21, 28, 35}
    assert {14, 28, 35} <= set(structure.phrase_starts(found, 42, 4, 4))


def test_both_forms_of_a_bar_give_the_same_borders() -> None:
    assert structure.borders(cells("ABACA", seed=1)) == structure.borders(cells("ABACA", seed=1, grid="paper"))


def test_the_first_bar_with_music_is_the_first_border() -> None:
    assert structure.borders(cells("---AABA"))[0] == 3


def test_one_bar_for_ever_has_no_border() -> None:
    assert structure.borders(cells("AAAAAAAAAA", n_bars=1)) == [0]


def test_silence_has_no_sections() -> None:
    assert structure.borders(np.zeros((5, 8, 16, 72), np.bool_)) == []
    assert structure.novelty(np.zeros((1, 4))).tolist() == [0]


def test_a_song_that_goes_through_twice_the_same_is_counted_by_fours() -> None:
    assert all(bar % 4 == 0 for seed in range(4) for bar in structure.borders(cells("AA", n_bars=12, seed=seed)))


def test_phrases_follow_one_another_and_reach_over_no_border() -> None:
    assert structure.phrase_starts([2, 12, 15], 24, 4, 4) == [2, 6, 15, 19]
    assert structure.phrase_starts([0], 9, 4, 2) == [0, 2, 4]
    assert structure.phrase_starts([0], 3, 4, 4) == []


def test_a_border_costs_more_where_it_leaves_an_odd_section() -> None:
    new = np.zeros(16)
    new[8], new[9] = 0.9, 1.0
    assert structure.chosen(new) == [0, 8]
    new[8] = 0.5
    assert structure.chosen(new) == [0, 9]
    assert structure.chosen(np.zeros(16)) == [0]


def test_a_bar_is_described_by_pitch_classes_and_onsets() -> None:
    one = np.zeros((1, 2, 16, 24), np.bool_)
    one[0, 0, :8, 4] = one[0, 0, :8, 16] = True  # two pitches of one class, held through half a bar
    described = structure.features(one)
    assert described.shape == (2, 12 + structure.ONSETS)
    assert described[0, 4] == 1 and described[0, 12] == 1 and described[0].sum() == 2 and not described[1].any()
