"""Groove: hand-counted agreements, and that neither resolution nor an empty bar at the end moves them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kapelle.metrics import rhythm
from kapelle.metrics.excerpt import excerpt
from measured import line, notes, piece, random_piece, repeated

BEATS = line(60, 60, 60, 60)
STEPS = 48


def test_the_same_bar_again_agrees_on_every_step():
    found = notes(repeated(BEATS, 8))
    assert rhythm.groove_consistency(found) == rhythm.groove_similarity(found) == 1.0
    assert rhythm.groove_consistency(found, corrected=True) == 1.0


@pytest.mark.parametrize("n_bars", [2, 3, 8])
def test_no_empty_bar_is_appended_to_a_piece_that_ends_on_a_bar_line(n_bars):
    assert rhythm.groove_consistency(notes(repeated(BEATS, n_bars))) == 1.0


def test_each_onset_that_one_of_two_bars_lacks_is_a_step_apart():
    found = notes([*BEATS, *line(60, 60, start=4)], 2)
    assert rhythm.groove_consistency(found) == pytest.approx(1 - 2 / STEPS)


def test_neighbours_and_all_pairs_are_two_figures():
    found = notes([*line(60, 60, 60, 60), *line(60, length=4, start=4), *line(60, 60, 60, 60, start=8)])
    assert rhythm.groove_consistency(found) == pytest.approx(1 - 3 / STEPS)
    assert rhythm.groove_similarity(found) == pytest.approx(1 - (3 + 3 + 0) / 3 / STEPS)


def test_all_pairs_are_what_counting_pair_by_pair_gives():
    found = excerpt(random_piece(3, metre=(3, 4)), 12)
    bars, sizes = rhythm.onsets(found)
    assert set(sizes.tolist()) == {36}
    pairs = [(bars[i] == bars[j]).mean() for i in range(12) for j in range(i)]
    assert rhythm.groove_similarity(found) == pytest.approx(float(np.mean(pairs)))


def test_chance_is_nought():
    """Onsets anywhere: the value is high, what it is above chance is not."""
    draw = np.random.default_rng(0)
    rows = [(bar * 4 + step / 12, 1 / 12, 60) for bar in range(2000) for step in draw.choice(48, 6, replace=False)]
    found = notes(rows)
    assert rhythm.groove_consistency(found) > 0.75
    assert rhythm.groove_consistency(found, corrected=True) == pytest.approx(0, abs=0.01)


def test_bars_that_avoid_one_another_are_below_chance():
    on, off = [(step / 12, 1 / 12, 60) for step in range(0, 48, 2)], [(step / 12, 1 / 12, 60) for step in range(1, 48, 2)]
    rows = [(bar * 4 + at, length, pitch) for bar in range(4) for at, length, pitch in (on, off)[bar % 2]]
    assert rhythm.groove_consistency(notes(rows)) == 0.0
    assert rhythm.groove_consistency(notes(rows), corrected=True) == -1.0


@pytest.mark.parametrize("tpq", [4, 12, 24, 96, 480, 10_080])
def test_the_resolution_of_the_file_makes_no_difference(tpq):
    rows = [*BEATS, *line(60, 60, length=0.75, start=4), (7, 0.5, 60), (8, 4, 60)]
    assert rhythm.groove_consistency(excerpt(piece(rows, tpq=tpq))) == rhythm.groove_consistency(notes(rows))


def test_an_onset_goes_to_the_nearest_step_and_over_the_bar_line():
    early = 4 - 0.01
    bars, _ = rhythm.onsets(notes([(0, 1, 60), (early, 1, 60), (1 + 1 / 24, 1, 60)]))
    assert np.argwhere(bars).tolist() == [[0, 0], [0, 13], [1, 0]]


def test_in_the_last_bar_it_stays_in_it():
    bars, _ = rhythm.onsets(notes([(0, 1, 60), (3.99, 0.001, 60)], 1))
    assert np.argwhere(bars).tolist() == [[0, 0], [0, 47]]


def test_bars_of_two_metres_are_compared_with_their_like_alone():
    rows = [*repeated(BEATS, 2), *repeated(line(60, 60, 60), 2, 3.0)]
    rows = rows[:8] + [(at + 8, length, pitch) for at, length, pitch in rows[8:]]
    found = notes(rows, metres=[(0, 4, 4), (8, 3, 4)])
    assert found.n_bars == 4
    assert rhythm.groove_consistency(found) == rhythm.groove_similarity(found) == 1.0


def test_bars_of_which_no_two_are_alike_in_length_have_no_groove():
    found = notes([*BEATS, *line(60, 60, 60, start=4)], metres=[(0, 4, 4), (4, 3, 4)])
    assert math.isnan(rhythm.groove_consistency(found))
    assert math.isnan(rhythm.groove_similarity(found))


def test_a_bar_that_is_no_whole_number_of_steps_is_measured_still():
    rows = repeated(line(60, 62, length=0.125), 4, 0.625)
    found = notes(rows, metres=[(0, 5, 32)])
    assert found.n_bars == 4
    assert rhythm.groove_consistency(found) == 1.0


def test_drums_count_where_asked():
    found = notes(repeated(BEATS, 2), drums=[(0, 0.5, 36), (0.5, 0.5, 38)])
    assert rhythm.groove_consistency(found) == 1.0
    assert rhythm.groove_consistency(found, drums=True) == pytest.approx(1 - 1 / STEPS)


@pytest.mark.parametrize(
    "found",
    [notes(), notes(n_bars=8), notes(BEATS), notes(drums=repeated(BEATS, 4))],
    ids=["nothing", "silence", "one bar", "drums"],
)
def test_nothing_to_compare(found):
    assert math.isnan(rhythm.groove_consistency(found))
    assert math.isnan(rhythm.groove_consistency(found, corrected=True))
    assert math.isnan(rhythm.groove_similarity(found))


def test_onsets_on_every_step_leave_nothing_above_chance():
    full = [(step / 12, 1 / 12, 60) for step in range(96)]
    assert rhythm.groove_consistency(notes(full)) == 1.0
    assert math.isnan(rhythm.groove_consistency(notes(full), corrected=True))


def test_silence_up_to_the_bars_asked_counts():
    assert rhythm.groove_consistency(notes(repeated(BEATS, 2), 3)) == pytest.approx((1 + 1 - 4 / STEPS) / 2)
