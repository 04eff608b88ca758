"""Polyphony, silence and density: counted by hand, and equal to counting tick by tick."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kapelle.metrics import polyphony
from kapelle.metrics.excerpt import excerpt
from measured import line, notes, piece, random_piece

ALL = (
    polyphony.polyphony, polyphony.polyphony_rate, polyphony.empty_beat_rate,
    polyphony.empty_bar_rate, polyphony.notes_per_bar, polyphony.hits_per_bar,
)  # fmt: skip


def test_polyphony_is_over_the_time_in_which_something_sounds():
    found = notes([(0, 2, 60), (0, 1, 64), (0, 1, 67), (6, 2, 72)])
    assert polyphony.polyphony(found) == pytest.approx((3 + 1 + 2 * 1) / 4)
    assert polyphony.polyphony_rate(found) == pytest.approx(1 / 8)


def test_two_pitches_are_multiple_pitches():
    found = notes([(0, 4, 60), (0, 4, 64)])
    assert polyphony.polyphony_rate(found) == 1.0
    assert polyphony.polyphony_rate(found, at_least=3) == 0.0


def test_a_pitch_that_sounds_twice_is_one_pitch():
    found = notes([(0, 4, 60), (0, 4, 60), (1, 2, 60), (3, 3, 60)])
    assert polyphony.polyphony(found) == 1.0
    assert polyphony.polyphony_rate(found) == 0.0


def test_the_highest_pitch_and_the_lowest_do_not_run_into_one_another():
    assert polyphony.polyphony(notes([(0, 4, 0), (0, 4, 127), (2, 2, 1)])) == pytest.approx(2.5)


@pytest.mark.parametrize("seed", range(8))
def test_it_is_what_counting_tick_by_tick_gives(seed):
    score = random_piece(seed)
    found = excerpt(score)
    cells = np.zeros((found.length, 128), bool)
    sounds = np.zeros(found.length, bool)
    for track in score.tracks:
        for note in track.notes:
            sounds[note.start : note.end] = True
            if not track.is_drum:
                cells[note.start : note.end, note.pitch] = True
    at_once = cells.sum(axis=1)
    assert polyphony.polyphony(found) == pytest.approx(at_once.sum() / (at_once > 0).sum())
    assert polyphony.polyphony_rate(found) == pytest.approx((at_once >= 2).mean())
    padded = np.zeros(-(-found.length // 48) * 48, bool)
    padded[: found.length] = sounds
    assert polyphony.empty_bar_rate(found) == pytest.approx((~padded.reshape(-1, 48).any(axis=1)).mean())
    n_beats = -(-found.length // 12)
    assert polyphony.empty_beat_rate(found) == pytest.approx((~padded.reshape(-1, 12).any(axis=1)[:n_beats]).mean())


def test_a_note_does_not_sound_where_it_ends():
    found = notes([(0, 1, 60), (2, 1, 60)])
    assert polyphony.empty_beat_rate(found) == pytest.approx(1 / 3)


def test_a_note_held_over_the_bar_line_fills_the_next_bar():
    rows = [(0, 4.5, 60), (12, 4, 60)]
    assert polyphony.empty_bar_rate(notes(rows)) == pytest.approx(1 / 4)


def test_bars_are_those_of_the_metre():
    rows = [(0, 1, 60), (6, 1, 60)]
    assert polyphony.empty_bar_rate(notes(rows, metres=[(0, 3, 4)])) == pytest.approx(1 / 3)
    assert polyphony.empty_bar_rate(notes(rows)) == 0.0


def test_drums_break_the_silence_and_have_no_pitch():
    found = notes([(0, 4, 60)], drums=[(4, 0.1, 36), (5, 0.1, 36), (8, 4, 38)])
    assert polyphony.empty_bar_rate(found) == 0.0
    assert polyphony.empty_beat_rate(found) == pytest.approx(2 / 12)
    assert polyphony.polyphony(found) == 1.0
    assert (polyphony.notes_per_bar(found), polyphony.hits_per_bar(found)) == (pytest.approx(1 / 3), 1.0)


def test_the_bars_asked_are_what_counts():
    found = notes(line(60, 62, 64, 65, 67), 4)
    assert polyphony.notes_per_bar(found) == pytest.approx(5 / 4)
    assert polyphony.empty_bar_rate(found) == pytest.approx(2 / 4)
    assert polyphony.empty_beat_rate(found) == pytest.approx(11 / 16)


def test_a_note_that_goes_on_beyond_them_ends_there():
    found = notes([(0, 1, 60), (2, 100, 64), (3, 100, 67), (4, 1, 72)], 1)
    assert polyphony.polyphony(found) == pytest.approx((1 + 1 + 2) / 3)
    assert polyphony.polyphony_rate(found) == pytest.approx(1 / 4)
    assert polyphony.notes_per_bar(found) == 3


@pytest.mark.parametrize("found", [notes(), notes(n_bars=4)], ids=["nothing", "silence"])
def test_without_notes_nothing_is_known(found):
    assert all(math.isnan(function(found)) for function in ALL)


def test_of_drums_alone_there_is_no_polyphony():
    found = notes(drums=[(0, 1, 36), (4, 1, 36)])
    assert math.isnan(polyphony.polyphony(found))
    assert polyphony.polyphony_rate(found) == 0.0
    assert polyphony.hits_per_bar(found) == 1.0


def test_resolution_makes_no_difference():
    rows = [(0, 1.5, 60), (0.5, 2, 64), (9, 0.25, 67)]
    values = [[function(excerpt(piece(rows, tpq=tpq))) for function in ALL] for tpq in (4, 480, 960)]
    assert all(value == pytest.approx(values[0]) for value in values)
