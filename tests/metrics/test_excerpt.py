"""What is measured of a score: columns in order, cut at a bar line."""

from __future__ import annotations

import pytest

from kapelle.errors import UsageError
from kapelle.metrics.excerpt import excerpt
from measured import notes, part, piece


def test_notes_of_all_tracks_are_in_order_of_onset_then_pitch():
    score = piece([(2, 1, 60), (0, 1, 67), (0, 2, 60)], tpq=12)
    score.tracks.append(part([(1, 1, 72), (0, 1, 64)], 12, program=40))
    found = excerpt(score)
    assert found.onset.tolist() == [0, 0, 0, 12, 24]
    assert found.pitch.tolist() == [60, 64, 67, 72, 60]
    assert found.end.tolist() == [24, 12, 12, 24, 36]


def test_drums_are_apart():
    found = notes([(0, 1, 60)], drums=[(1, 0.5, 38), (0, 0.5, 36)], tpq=12)
    assert (found.pitch.tolist(), found.hit.tolist(), found.hit_end.tolist()) == ([60], [0, 12], [6, 18])


def test_it_ends_where_the_last_note_ends_and_that_bar_is_the_last():
    found = notes([(0, 1, 60)], drums=[(4, 0.5, 36)], tpq=12)
    assert (found.length, found.lines.tolist(), found.n_bars) == (54, [0, 48, 96], 2)


def test_with_bars_it_is_as_long_as_they_are():
    found = notes([(0, 1, 60), (3, 9, 64), (4, 1, 67)], 1, drums=[(3.9, 1, 36), (4, 1, 36)], tpq=10)
    assert (found.length, found.lines.tolist()) == (40, [0, 40])
    assert (found.pitch.tolist(), found.end.tolist()) == ([60, 64], [10, 40])
    assert (found.hit.tolist(), found.hit_end.tolist()) == ([39], [40])
    assert notes([(0, 1, 60)], 3, tpq=12).length == 144


def test_bars_follow_the_metre():
    found = notes([(0, 10, 60), (7, 1, 62)], tpq=12, metres=[(0, 4, 4), (4, 3, 4)])
    assert found.lines.tolist() == [0, 48, 84, 120]
    assert found.bar.tolist() == [0, 2]


def test_a_note_lasts_a_tick_at_least():
    assert notes([(0, 0, 60)], tpq=12).end.tolist() == [1]


@pytest.mark.parametrize(("found", "n_bars", "length"), [(notes(), 0, 0), (notes(n_bars=2, tpq=12), 2, 96)])
def test_nothing_at_all(found, n_bars, length):
    assert (found.n_bars, found.length, len(found.onset), len(found.hit)) == (n_bars, length, 0, 0)


def test_fewer_than_one_bar_is_refused():
    with pytest.raises(UsageError, match="bars must be 1 or more"):
        notes(n_bars=0)
