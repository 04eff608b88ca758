"""`measure` gives every metric of the table for any score, and no infinity."""

from __future__ import annotations

import math

import pytest
from symusic import Note, Score, TimeSignature, Track

from kapelle.errors import UsageError
from kapelle.metrics.piece import METRICS, measure


def piece(rows, tpq=480, drums=(), metre=None):
    """Notes of (onset, length, pitch) in quarters."""
    score = Score(tpq)
    if metre:
        score.time_signatures.append(TimeSignature(0, *metre))
    for given, is_drum in ((rows, False), (drums, True)):
        track = Track(is_drum=is_drum)
        for onset, length, pitch in given:
            track.notes.append(Note(round(onset * tpq), round(length * tpq), pitch, 80))
        if given:
            score.tracks.append(track)
    return score


SCALE = [(beat, 1, pitch) for beat, pitch in enumerate((60, 62, 64, 65, 67, 69, 71, 72) * 2)]


def test_the_table_names_what_is_measured_in_its_order():
    assert list(measure(piece(SCALE))) == list(METRICS)
    assert all(name == metric.name and metric.label and metric.about for name, metric in METRICS.items())


def test_values_lie_in_the_ranges_of_the_table():
    for name, value in measure(piece(SCALE)).items():
        assert METRICS[name].low <= value <= METRICS[name].high, name


@pytest.mark.parametrize("n_bars", [None, 1, 16])
def test_without_notes_only_counts_are_known(n_bars):
    found = measure(Score(480), n_bars)
    assert {name for name, value in found.items() if not math.isnan(value)} == {"n_pitches", "n_pitch_classes"}


def test_fewer_than_one_bar_is_refused():
    with pytest.raises(UsageError, match="bars must be 1 or more"):
        measure(piece(SCALE), 0)
