"""Each rule of degenerate output: the shortest score that breaks it and the longest that does not."""

from __future__ import annotations

import time

import numpy as np
import pytest
from symusic import Note, Score, TimeSignature, Track

from kapelle.errors import UsageError
from kapelle.metrics.degenerate import Degeneracy, degeneracy

TPQ = 12
BAR = 4 * TPQ

Row = tuple[float, float, int]  # onset and length in bars of 4/4, pitch


def piece(rows: list[Row], drums: list[Row] | None = None, program: int = 0) -> Score:
    score = Score(TPQ)
    for given, is_drum in ((rows, False), (drums or [], True)):
        track = Track(program=0 if is_drum else program, is_drum=is_drum)
        for onset, length, pitch in given:
            track.notes.append(Note(round(onset * BAR), round(length * BAR), pitch, 80))
        if given:
            score.tracks.append(track)
    return score


def melody(n_bars: int, start: int = 0) -> list[Row]:
    """Four quarters a bar, never the same bar twice."""
    return [(start + bar + beat / 4, 0.25, 60 + (bar * 5 + beat * 4) % 23) for bar in range(n_bars) for beat in range(4)]


def loop(cell: list[Row], n_bars: int, period: int = 1) -> list[Row]:
    return [(onset + start, length, pitch) for start in range(0, n_bars, period) for onset, length, pitch in cell if onset + start < n_bars]


def broken(score: Score, n_bars: int | None = None) -> set[str]:
    found = degeneracy(score, n_bars)
    return {name for name in Degeneracy.__dataclass_fields__ if getattr(found, name)}


def test_a_melody_breaks_no_rule() -> None:
    found = degeneracy(piece(melody(16)), 16)
    assert found == Degeneracy()
    assert not found
    assert found.reasons == ()


def test_a_score_without_notes_is_empty_and_nothing_else() -> None:
    found = degeneracy(Score(TPQ), 16)
    assert found == Degeneracy(empty=True)
    assert found
    assert found.reasons == ("no notes",)


def test_reasons_follow_the_order_of_the_rules() -> None:
    assert degeneracy(piece([(0, 1, 60)]), 4).reasons == (
        "silence of 2 bars or more",
        "fewer than 2 pitch classes in 4 bars",
        "no onset in the last bar",
    )


def test_one_note_has_one_pitch_class() -> None:
    assert broken(piece([(0, 1, 60)])) == {"few_pitch_classes"}


# empty span


def test_two_bars_of_silence_are_an_empty_span() -> None:
    assert broken(piece(melody(4) + melody(4, start=6)), 10) == {"empty_span"}


def test_a_silence_of_less_than_two_bars_is_none() -> None:
    assert broken(piece([*melody(4), (5.75, 0.25, 60), *melody(4, start=6)]), 10) == set()


def test_an_empty_span_may_begin_on_any_beat() -> None:
    assert broken(piece([*melody(4), (4, 0.5, 61), (6.5, 0.5, 63), *melody(3, start=7)]), 10) == {"empty_span"}


@pytest.mark.parametrize("start", [2, 3])
def test_silence_at_the_beginning_counts(start: int) -> None:
    assert broken(piece(melody(6, start=start)), start + 6) == {"empty_span"}


def test_silence_at_the_end_counts_where_the_length_is_given() -> None:
    assert broken(piece(melody(6)), 8) == {"empty_span", "silent_ending"}
    assert broken(piece(melody(6))) == set()


def test_a_held_note_is_not_silent() -> None:
    assert broken(piece([*melody(4), (4, 2, 60), (4, 2, 64), *melody(4, start=6)]), 10) == set()


def test_a_note_under_a_longer_one_does_not_end_it() -> None:
    assert broken(piece([*melody(4), (4, 2.5, 60), (4, 0.25, 64), (6.5, 0.5, 62), *melody(3, start=7)]), 10) == set()


def test_drums_break_a_silence() -> None:
    assert broken(piece(melody(4) + melody(4, start=6), drums=[(4.5, 0.1, 36), (5, 0.1, 38)]), 10) == set()


def test_silence_is_measured_in_the_bars_of_its_place() -> None:
    score = piece(melody(4))  # then 3/4: two of its bars are one and a half of 4/4
    score.time_signatures.extend([TimeSignature(0, 4, 4), TimeSignature(4 * BAR, 3, 4)])
    score.tracks[0].notes.extend([Note(4 * BAR + 6 * TPQ, TPQ, 60, 80), Note(4 * BAR + 9 * TPQ, TPQ, 64, 80)])
    assert broken(score, 8) == {"empty_span"}


# stuck loop


CELL: list[Row] = [(0, 0.25, 60), (0.25, 0.5, 64), (0.75, 0.25, 67)]
TWO_BARS: list[Row] = [*CELL, (1, 0.5, 62), (1.5, 0.5, 65)]


def test_seven_equal_bars_are_stuck_and_six_are_not() -> None:
    assert broken(piece(loop(CELL, 6) + melody(2, start=6)), 8) == set()
    assert broken(piece(loop(CELL, 7) + melody(2, start=7)), 9) == {"stuck_loop"}


def test_two_bars_in_turn_for_seven_bars_are_stuck_and_for_six_are_not() -> None:
    assert broken(piece(loop(TWO_BARS, 6, 2) + melody(2, start=6)), 8) == set()
    assert broken(piece(loop(TWO_BARS, 7, 2) + melody(2, start=7)), 9) == {"stuck_loop"}


def test_a_loop_in_the_middle_is_found() -> None:
    rows = melody(4) + [(onset + 4, length, pitch) for onset, length, pitch in loop(CELL, 7)] + melody(4, start=11)
    assert broken(piece(rows), 15) == {"stuck_loop"}


def test_three_bars_in_turn_are_no_cell() -> None:
    three = [*TWO_BARS, (2, 1, 69)]
    assert broken(piece(loop(three, 15, 3)), 15) == set()


@pytest.mark.parametrize("change", [(0, 0.25, 61), (0, 0.5, 60), (1 / 48, 0.25, 60)], ids=["pitch", "duration", "onset"])
def test_a_change_of_pitch_duration_or_onset_ends_a_repetition(change: Row) -> None:
    rows = loop(CELL, 7)
    rows[9] = (rows[9][0] + change[0], *change[1:])  # the first note of the fourth bar
    assert broken(piece(rows), 7) == set()


def test_loudness_and_the_order_of_notes_do_not_end_a_repetition() -> None:
    score = piece(loop(CELL, 7)[::-1])
    for i, note in enumerate(score.tracks[0].notes):
        note.velocity = 20 + i
    assert broken(score, 7) == {"stuck_loop"}


def test_the_same_notes_on_another_instrument_are_no_repetition() -> None:
    score = piece(loop(CELL, 4))
    other = piece([(onset + 4, length, pitch) for onset, length, pitch in loop(CELL, 3)], program=40)
    score.tracks.append(other.tracks[0])
    assert broken(score, 7) == set()


def test_drums_may_repeat() -> None:
    assert broken(piece(melody(16), drums=loop([(0, 0.1, 36), (0.5, 0.1, 38)], 16)), 16) == set()


def test_a_rest_within_a_cell_repeats_with_it() -> None:
    assert broken(piece(loop([(0, 1, 60), (0.5, 0.5, 64)], 7, 2)), 7) == {"stuck_loop"}


def test_bars_without_an_onset_are_no_cell() -> None:
    assert broken(piece([(0, 9, 60), (0, 9, 64), (8.5, 0.5, 67)]), 9) == set()


def test_a_change_of_metre_ends_a_repetition() -> None:
    score = Score(TPQ)
    score.time_signatures.extend([TimeSignature(0, 4, 4), TimeSignature(4 * BAR, 3, 4)])
    starts = [bar * BAR for bar in range(4)] + [4 * BAR + bar * 3 * TPQ for bar in range(3)]
    score.tracks.append(Track(program=0))
    score.tracks[0].notes.extend([Note(start + beat * TPQ, TPQ, 60 + beat, 80) for start in starts for beat in range(3)])
    assert broken(score, 7) == set()


# pitch classes


def test_one_pitch_class_for_four_bars_is_too_few() -> None:
    drone = [(bar + beat / 4 + bar / 48, 0.2, 48 + 12 * (beat % 3)) for bar in range(4) for beat in range(4)]
    assert broken(piece(drone + melody(4, start=4)), 8) == {"few_pitch_classes"}


def test_one_pitch_class_for_three_bars_will_do() -> None:
    drone = [(bar + beat / 4 + bar / 48, 0.2, 48 + 12 * (beat % 3)) for bar in range(3) for beat in range(4)]
    assert broken(piece(drone + melody(5, start=3)), 8) == set()


def test_a_held_note_lends_its_pitch_class_to_every_bar_it_sounds_in() -> None:
    drone = [(bar + beat / 4 + bar / 48, 0.15, 60) for bar in range(4) for beat in range(4)]
    later = [(onset + 4, length, pitch) for onset, length, pitch in drone]
    assert broken(piece([*drone, (0, 4, 43), *melody(4, start=4)]), 8) == set()
    assert broken(piece([*melody(4), (3.5, 0.5, 43), *later]), 8) == {"few_pitch_classes"}
    assert broken(piece([*melody(4), (3.5, 0.6, 43), *later]), 8) == set()


def test_drums_are_no_pitch_classes() -> None:
    assert broken(piece([], drums=loop([(0, 0.1, 36), (0.5, 0.1, 38)], 8)), 8) == {"few_pitch_classes"}


def test_fewer_than_four_bars_are_one_window() -> None:
    assert broken(piece([(0, 0.5, 60), (1, 0.5, 72)]), 2) == {"few_pitch_classes"}
    assert broken(piece([(0, 0.5, 60), (1, 0.5, 62)]), 2) == set()


# ending


def test_the_last_bar_needs_an_onset() -> None:
    assert broken(piece([*melody(7), (6.5, 1.5, 60)]), 8) == {"silent_ending"}
    assert broken(piece([*melody(7), (7.98, 0.02, 60)]), 8) == set()


def test_a_note_past_the_final_bar_line_is_unreleased() -> None:
    assert broken(piece([*melody(8), (7.5, 0.5, 50)]), 8) == set()
    assert broken(piece([*melody(8), (7.5, 0.6, 50)]), 8) == {"unreleased"}


def test_a_note_that_begins_past_the_final_bar_line_is_unreleased_and_no_ending() -> None:
    assert broken(piece([*melody(7), (8, 0.5, 50)]), 8) == {"unreleased", "silent_ending"}


def test_metre_decides_where_the_final_bar_line_is() -> None:
    score = piece([(bar * 0.75 + beat / 4, 0.25, 60 + (bar * 5 + beat * 4) % 23) for bar in range(8) for beat in range(3)])
    score.time_signatures.append(TimeSignature(0, 3, 4))
    assert broken(score, 8) == set()
    assert broken(score, 7) == {"unreleased"}


@pytest.mark.parametrize("n_bars", [0, -3])
def test_less_than_one_bar_is_refused(n_bars: int) -> None:
    with pytest.raises(UsageError, match="bars must be 1 or more"):
        degeneracy(piece(melody(4)), n_bars)


def test_sixteen_bars_take_less_than_five_milliseconds() -> None:
    rng = np.random.default_rng(0)
    score = piece(
        [(float(at) / 48, 0.25, int(pitch)) for at, pitch in zip(rng.integers(0, 16 * 48, 800), rng.integers(30, 90, 800), strict=True)]
    )
    taken = []
    for _ in range(7):
        start = time.perf_counter()
        degeneracy(score, 16)
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.005
