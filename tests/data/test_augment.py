from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapelle.data import augment
from kapelle.tokens.vocabulary import Vocabulary

TONICS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
WORDS = Vocabulary(
    (
        "PAD_None",
        *(f"Key_{tonic}-{mode}" for mode in ("major", "minor") for tonic in TONICS),
        *(f"Pitch_{pitch}" for pitch in range(21, 109)),
        *(f"Velocity_{level}" for level in (20, 50, 80, 110)),
        *(f"PitchDrum_{pitch}" for pitch in range(27, 89)),
    )
)
UP = augment.transposition_table(WORDS)
LOUDER = augment.velocity_table(WORDS)
MIDDLE = augment.MAX_SEMITONES


@given(st.lists(st.integers(27, 102), min_size=1), st.integers(-6, 6))
def test_moving_there_and_back_is_nothing(pitches: list[int], semitones: int) -> None:
    ids = np.array([WORDS[f"Pitch_{pitch}"] for pitch in pitches])
    there = UP[MIDDLE + semitones][ids]
    assert [int(WORDS.value(i)) for i in there] == [pitch + semitones for pitch in pitches]
    assert UP[MIDDLE - semitones][there].tolist() == ids.tolist()


def test_keys_move_along_and_come_round() -> None:
    assert WORDS.names[UP[MIDDLE + 3][WORDS["Key_A-minor"]]] == "Key_C-minor"
    assert WORDS.names[UP[MIDDLE - 1][WORDS["Key_C-major"]]] == "Key_B-major"


@pytest.mark.parametrize("kind", ["PitchDrum", "Velocity", "PAD"])
def test_what_is_no_pitch_stays(kind: str) -> None:
    assert all(np.array_equal(row[WORDS.ids(kind)], WORDS.ids(kind)) for row in UP)


def test_a_piece_moves_only_as_far_as_all_its_notes_stay_inside() -> None:
    def reach(*pitches: int) -> tuple[int, int]:
        return augment.shift_range(np.array([WORDS[f"Pitch_{pitch}"] for pitch in pitches]), WORDS)

    assert reach(60) == (-6, 6) and reach(21, 60) == (0, 6) and reach(23, 107) == (-2, 1) and reach(21, 108) == (0, 0)
    assert augment.shift_range(np.array([WORDS["PAD_None"]]), WORDS) == (0, 0)


def test_loudness_moves_by_levels_and_stops_at_both_ends() -> None:
    levels = WORDS.ids("Velocity")
    assert [WORDS.value(i) for i in LOUDER[2 + 1][levels]] == ["50", "80", "110", "110"]
    assert [WORDS.value(i) for i in LOUDER[2 - 2][levels]] == ["20", "20", "20", "50"]
    assert np.array_equal(LOUDER[2], np.arange(len(WORDS)))
