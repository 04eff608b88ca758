"""Scores as notes in steps, windows and cells: literal values, and what must not matter."""

from __future__ import annotations

import numpy as np
import pytest
import symusic

from kapelle.data import roll_windows
from kapelle.data.roll_reading import view
from kapelle.data.roll_windows import NOTE, SHAPE, WINDOW, cells, cut, folded, starts
from kapelle.score import edit
from pieces import score, track
from scores import band, piano

Q = 480


def notes(*rows: tuple[int, int, int]) -> np.ndarray:
    return np.array(list(rows), NOTE)


def test_a_quarter_has_twelve_steps_and_bars_are_known() -> None:
    seen = view(score(track((0, Q, 60, 80), (Q, 160, 64, 80), (4 * Q, 2 * Q, 67, 80))))
    assert seen.notes.tolist() == [(0, 12, 60), (12, 16, 64), (48, 72, 67)]
    assert seen.lines.tolist() == [0, 48, 96]


def test_loudness_tempo_instruments_and_drums_do_not_matter() -> None:
    one = score(track((0, Q, 60, 80), (Q, Q, 64, 80)))
    other = score(track((0, Q, 60, 20), program=40), track((Q, Q, 64, 127)), track((0, 60, 36, 90), drums=True), bpm=60)
    assert view(one).notes.tolist() == view(other).notes.tolist()


@pytest.mark.parametrize("make", [piano, band])
def test_ticks_per_quarter_do_not_matter(make) -> None:
    piece = make()
    fine, coarse = view(piece.resample(1920)), view(piece)
    assert fine.notes.tolist() == coarse.notes.tolist() and fine.lines.tolist() == coarse.lines.tolist()


def test_equal_notes_of_two_tracks_are_one() -> None:
    assert len(view(score(track((0, Q, 60, 80)), track((0, Q, 60, 99)))).notes) == 1


def test_long_rests_are_closed_to_a_bar_and_go_at_the_start() -> None:
    bar = 4 * Q
    seen = view(score(track((3 * bar, Q, 60, 80), (4 * bar, Q, 62, 80), (9 * bar, Q, 64, 80))))
    assert seen.notes.tolist() == [(0, 12, 60), (48, 60, 62), (144, 156, 64)]
    assert seen.lines.tolist() == [0, 48, 96, 144, 192]


def test_a_note_held_over_a_closed_rest_gets_shorter() -> None:
    bar = 4 * Q
    seen = view(score(track((0, 6 * bar, 60, 80), (6 * bar, Q, 62, 80))))
    assert seen.notes.tolist() == [(0, 96, 60), (96, 108, 62)]


def test_three_quarters_make_bars_of_36_steps() -> None:
    piece = score(track(*[(i * Q, Q, 60 + i, 80) for i in range(9)]))
    piece.time_signatures.append(symusic.TimeSignature(0, 3, 4))
    assert view(piece).lines.tolist() == [0, 36, 72, 108]


@pytest.mark.parametrize("piece", [score(), score(track()), score(track((0, 60, 36, 90), drums=True))], ids=["none", "empty", "drums"])
def test_without_pitched_notes_there_is_nothing(piece: symusic.Score) -> None:
    seen = view(piece)
    assert len(seen.notes) == 0 and seen.lines.tolist() == [0]
    assert starts(seen.lines, 4) == [0] and not cells(seen.notes).any()


def test_a_note_of_no_length_lasts_a_step() -> None:
    assert view(score(track((Q, 0, 60, 80)))).notes.tolist() == [(12, 13, 60)]


def test_windows_follow_one_another_on_bar_lines() -> None:
    lines = np.arange(0, 41) * 48
    assert starts(lines, 8) == [0, 768, 1536]
    assert starts(lines[:36], 8) == [0, 768]  # three bars are left: too few for a window
    assert starts(np.arange(0, 51) * 36, 8) == [0, 792, 1584]  # 64 quarters are no whole number of bars
    assert starts(lines[:3], 8) == [0]


def test_of_many_windows_few_are_taken_evenly() -> None:
    lines = np.arange(0, 16 * 9 + 1) * 48
    assert starts(lines, 3) == [0, 4 * 768, 8 * 768]
    assert starts(lines, 1) == [0]


def test_a_window_counts_from_its_start_and_cuts_at_its_end() -> None:
    piece = notes((0, 400, 60), (100, 120, 61), (700, 900, 62), (868, 870, 63))
    assert cut(piece, 100).tolist() == [(0, 20, 61), (600, 768, 62)]
    assert piece["start"].tolist() == [0, 100, 700, 868]


def test_cells_tell_beginnings_and_what_sounds() -> None:
    made = cells(notes((0, 3, 60), (2, 5, 60), (WINDOW - 1, WINDOW, 21)))
    assert made.shape == SHAPE
    assert np.flatnonzero(made[0, 39]).tolist() == [0, 2] and np.flatnonzero(made[1, 39]).tolist() == [0, 1, 2, 3, 4]
    assert np.argwhere(made[0]).tolist() == [[0, 767], [39, 0], [39, 2]]


def test_a_shift_moves_rows_and_pitches_outside_come_back_by_octaves() -> None:
    assert np.argwhere(cells(notes((0, 1, 60)), 5)[0]).tolist() == [[44, 0]]
    assert folded(np.array([21, 108, 109, 20, 127, 0])).tolist() == [0, 87, 76, 11, 82, 3]


def test_transposed_music_has_the_same_cells_elsewhere() -> None:
    moved, plain = view(edit.transpose(piano(), 3)), view(piano())
    assert (cells(moved.notes) == cells(plain.notes, 3)).all()


def test_all_midi_pitches_have_a_row() -> None:
    rows = folded(np.arange(-12, 140))
    assert rows.min() == 0 and rows.max() == roll_windows.N_PITCHES - 1
    assert ((rows - (np.arange(-12, 140) - roll_windows.LOWEST)) % 12 == 0).all()
