"""Ticks, beats, bars and seconds, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic import Note, Score, Tempo, TimeSignature, Track

from kapelle.score import units


def piece(*metres: tuple[int, int, int], end: int = 0, tpq: int = 480, tempos: tuple[tuple[int, float], ...] = ()) -> Score:
    score = Score(tpq)
    for metre in metres:
        score.time_signatures.append(TimeSignature(*metre))
    for tick, bpm in tempos:
        score.tempos.append(Tempo(tick, bpm))
    if end:
        track = Track()
        track.notes.append(Note(0, end, 60, 80))
        score.tracks.append(track)
    return score


def test_a_score_that_says_nothing_is_in_four_four_at_120() -> None:
    score = piece(end=1921)
    assert units.bar_starts(score).tolist() == [0, 1920, 3840]
    assert units.metre_at(score) == (4, 4)
    assert units.bpm_at(score) == 120.0
    assert units.duration_s(score) == pytest.approx(1921 / 960)


def test_an_empty_score_has_no_bars_and_no_length() -> None:
    assert units.bar_starts(Score(480)).tolist() == [0]
    assert (units.n_bars(Score(480)), units.end_ticks(Score(480)), units.final_bar_line(Score(480)), units.duration_s(Score(480))) == (
        0,
        0,
        0,
        0.0,
    )
    assert units.bar_starts(Score(480), -5).tolist() == [0]


@pytest.mark.parametrize(("end", "bars"), [(1, 1), (1919, 1), (1920, 1), (1921, 2), (3840, 2)])
def test_a_bar_begun_is_a_bar(end: int, bars: int) -> None:
    assert units.n_bars(piece(end=end)) == bars
    assert units.final_bar_line(piece(end=end)) == 1920 * bars


def test_bar_lines_follow_changes_of_metre() -> None:
    score = piece((0, 3, 4), (2880, 6, 8), (5760, 5, 4), end=9000)
    assert units.bar_starts(score).tolist() == [0, 1440, 2880, 4320, 5760, 8160, 10560]
    assert [units.bars_to_ticks(score, bar) for bar in range(8)] == [0, 1440, 2880, 4320, 5760, 8160, 10560, 12960]
    assert units.bar_length_ticks(score, 5759) == 1440
    assert units.bar_length_ticks(score, 5760) == 2400


def test_a_change_inside_a_bar_begins_a_new_one_and_a_repetition_does_not() -> None:
    assert units.bar_starts(piece((0, 4, 4), (960, 4, 4), end=3840)).tolist() == [0, 1920, 3840]
    changed = piece((0, 4, 4), (2400, 3, 4), end=3840)
    assert units.bar_starts(changed).tolist() == [0, 1920, 2400, 3840]
    assert units.ticks_to_bars(changed, [0, 960, 1920, 2160, 2400]).tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert units.bar_starts(changed, 2000).tolist() == [0, 1920, 2400]


def test_the_last_metre_at_one_tick_counts_and_nonsense_is_passed_over() -> None:
    assert units.bar_starts(piece((0, 4, 4), (0, 3, 4), (0, 0, 4), end=1440)).tolist() == [0, 1440]


def test_bars_that_are_no_whole_number_of_ticks_do_not_drift() -> None:
    score = piece((0, 3, 8), tpq=1, end=12)
    assert units.bar_starts(score).tolist() == [0, 2, 3, 5, 6, 8, 9, 11, 12]
    assert units.bars_to_ticks(score, 1000) == 1500


def test_beats_are_those_of_the_denominator() -> None:
    assert units.beat_starts(piece((0, 2, 4), (960, 6, 8), end=1440)).tolist() == [0, 480, 960, 1200, 1440]
    assert units.ticks_to_beats(Score(480), [0, 240, 960]).tolist() == [0.0, 0.5, 2.0]
    assert units.beats_to_ticks(Score(480), [0.5, 1 / 3]).tolist() == [240, 160]


def test_seconds_follow_the_tempi() -> None:
    score = piece(end=1920, tempos=((480, 60.0), (960, 240.0)))
    assert units.ticks_to_seconds(score, [0, 480, 720, 960, 1920]).tolist() == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0])
    assert units.seconds_to_ticks(score, [0.0, 0.5, 1.0, 1.5, 2.0]).tolist() == [0, 480, 720, 960, 1920]
    assert [units.bpm_at(score, tick) for tick in (0, 479, 480, 960)] == [120.0, 120.0, 60.0, 240.0]


def test_bpm_and_microseconds_agree() -> None:
    assert units.bpm_to_mspq(120.0) == 500_000
    assert units.bar_ticks(7, 8, 480) == 1680


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 13), st.sampled_from((1, 2, 4, 8, 16))), max_size=6),
    st.integers(0, 30_000),
    st.sampled_from((24, 96, 480)),
)
def test_the_bar_lines_are_those_found_by_walking(metres: list[tuple[int, int, int]], until: int, tpq: int) -> None:
    at = dict(sorted((tick, (n, d)) for tick, n, d in metres))
    score = piece(*[(tick, *metre) for tick, metre in at.items()], tpq=tpq)
    lines, metre = [0], (4, 4)
    changes = []
    for tick, new in at.items():
        changes += [(tick, new)] if new != metre or tick == 0 else []
        metre = new
    metre, anchor, index = (4, 4), 0, 0
    if changes and changes[0][0] == 0:
        metre = changes.pop(0)[1]
    changes = [change for i, change in enumerate(changes) if change[1] != ([metre] + [c[1] for c in changes])[i]]
    while lines[-1] < until:
        index += 1
        following = anchor + (index * metre[0] * 4 * tpq + metre[1] // 2) // metre[1]
        if changes and following >= changes[0][0]:
            anchor, metre = changes.pop(0)
            following, index = anchor, 0
        lines.append(following)
    assert units.bar_starts(score, until).tolist() == lines
    assert units.count_bars(units.metre_map(score), tpq, until) == len(lines) - 1
    assert [units.bars_to_ticks(score, bar) for bar in range(len(lines))] == lines


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(20, 400)), max_size=5), st.integers(0, 10_000))
def test_ticks_survive_the_way_to_seconds_and_back(tempos: list[tuple[int, int]], tick: int) -> None:
    score = piece(tempos=tuple((t, float(bpm)) for t, bpm in tempos))
    assert units.seconds_to_ticks(score, units.ticks_to_seconds(score, tick)) == tick


def test_a_million_bars_cost_nothing_to_count() -> None:
    assert units.count_bars(units.make_metre_map([0], [1], [64]), 480, 2**40) == 2**40 // 30 + 1
    assert np.diff(units.bar_starts(piece((0, 1, 64), end=30_000))).tolist() == [30] * 1000
