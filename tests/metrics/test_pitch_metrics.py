"""Pitch metrics: values that can be counted by hand, and what does not count."""

from __future__ import annotations

import math

import pytest

from kapelle.metrics import pitch
from kapelle.metrics.excerpt import excerpt
from kapelle.score import edit
from measured import line, notes, piece, random_piece, repeated

C_MAJOR = (60, 62, 64, 65, 67, 69, 71)
CHROMATIC = tuple(range(60, 72))
ALL = (pitch.pitch_class_entropy, pitch.scale_consistency, pitch.pitch_range)


@pytest.mark.parametrize(
    ("pitches", "bits"),
    [((60,), 0.0), ((60, 72, 48), 0.0), ((60, 61), 1.0), ((60, 60, 60, 67), 0.811278), (CHROMATIC, math.log2(12)), (C_MAJOR, math.log2(7))],
)
def test_entropy_counts_notes_by_pitch_class(pitches, bits):
    assert pitch.pitch_class_entropy(notes(line(*pitches))) == pytest.approx(bits, abs=1e-6)


def test_a_long_note_counts_no_more_than_a_short_one():
    assert pitch.pitch_class_entropy(notes([(0, 100, 60), (100, 0.1, 61)])) == pytest.approx(1.0)


def test_windows_give_another_figure_than_the_piece():
    two_bars = notes([*line(60, 60, 60, 60), *line(61, 61, 61, 61, start=4)])
    assert pitch.pitch_class_entropy(two_bars) == 1.0
    assert pitch.pitch_class_entropy_over(two_bars, 1) == 0.0
    assert pitch.pitch_class_entropy_over(two_bars, 2) == 1.0


def test_windows_slide_by_one_bar_and_silent_ones_are_passed_over():
    bars = notes([*line(60, 61, 60, 61), *line(62, 62, 62, 62, start=12)])  # two bars of silence between
    assert pitch.pitch_class_entropy_over(bars, 1) == 0.5
    assert pitch.pitch_class_entropy_over(bars, 2) == 0.5  # the first and the last of three hold notes
    assert pitch.pitch_class_entropy_over(bars, 3) == pytest.approx(0.5)


def test_a_piece_shorter_than_the_window_is_one_window():
    bars = notes(line(60, 61, 60, 61))
    assert pitch.pitch_class_entropy_over(bars, 4) == 1.0


@pytest.mark.parametrize(
    ("pitches", "share"),
    [(C_MAJOR, 1.0), ((57, 59, 60, 62, 64, 65, 67), 1.0), ((*C_MAJOR, 66), 7 / 8), (CHROMATIC, 7 / 12), ((60,), 1.0), ((69, 68, 69), 1.0)],
)
def test_scale_consistency_is_that_of_the_best_scale(pitches, share):
    assert pitch.scale_consistency(notes(line(*pitches))) == pytest.approx(share)


def test_the_minor_scale_is_the_natural_one():
    harmonic = (69, 71, 72, 74, 76, 77, 80)
    assert pitch.scale_consistency(notes(line(*harmonic))) == pytest.approx(6 / 7)


def test_transposition_changes_nothing():
    score = random_piece(1)
    for function in ALL:
        assert function(excerpt(edit.transpose(score, 5))) == pytest.approx(function(excerpt(score)))


def test_range_and_numbers_of_pitches():
    found = notes(line(48, 60, 60, 67, 72))
    assert (pitch.pitch_range(found), pitch.n_pitches(found), pitch.n_pitch_classes(found)) == (24, 4, 2)


def test_drums_count_nowhere():
    bare, with_drums = notes(line(*C_MAJOR)), notes(line(*C_MAJOR), drums=[(0, 1, 36), (1, 1, 38), (2, 1, 99)])
    for function in (*ALL, pitch.n_pitches, pitch.n_pitch_classes):
        assert function(with_drums) == function(bare)


@pytest.mark.parametrize("found", [notes(), notes(n_bars=4), notes(drums=[(0, 1, 36)])], ids=["nothing", "silence", "drums"])
def test_without_pitched_notes(found):
    assert all(math.isnan(function(found)) for function in ALL)
    assert math.isnan(pitch.pitch_class_entropy_over(found, 4))
    assert pitch.n_pitches(found) == pitch.n_pitch_classes(found) == 0


def test_one_note():
    found = notes([(0, 1, 127)])
    assert [function(found) for function in ALL] == [0.0, 1.0, 0.0]


def test_what_begins_beyond_the_bars_asked_does_not_count():
    rows = [*line(*C_MAJOR[:4]), *line(61, 63, start=4)]
    assert pitch.n_pitches(notes(rows, 1)) == 4
    assert pitch.scale_consistency(notes(rows, 1)) == 1.0


def test_resolution_makes_no_difference():
    rows = repeated(line(60, 64, 67, 70), 4)
    values = [[function(excerpt(piece(rows, tpq=tpq))) for function in ALL] for tpq in (1, 12, 480, 10_080)]
    assert all(value == values[0] for value in values)
