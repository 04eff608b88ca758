"""Recorded drumming under phrases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import songs
from kapelle.data import grooves
from kapelle.errors import Missing
from kapelle.score import roll

if TYPE_CHECKING:
    from pathlib import Path

FORM = roll.FORMS["tutorial"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return songs.write_drums(tmp_path_factory.mktemp("drums"))


def test_beats_in_four_of_the_wanted_styles_on_the_grid_are_taken(folder: Path) -> None:
    found = grooves.performances(folder, ["rock"], FORM)
    assert [int(one.name.split("_")[2]) for one in found] == [0, 10, 11, *range(1, 10)]
    assert found[0].bpm == 90 and len(grooves.performances(folder, [], FORM)) == 13


def test_bars_are_counted_from_a_crash_on_and_come_by_fours(folder: Path) -> None:
    one = grooves.performances(folder, ["rock"], FORM)[0]
    assert one.cells.shape == (4, 16, 72)  # the first of eight bars, and what is left over at the end, are not used
    assert one.cells[:, 0, 49 - 24].tolist() == [True, False, False, False]


def test_the_kit_is_reduced_to_nine() -> None:
    made, lost = grooves.reduced(songs.score([(-1, [(0, 60, 58), (0, 60, 40), (240, 60, 26), (480, 60, 76)]), (0, [(0, 60, 76)])]))
    assert [note.pitch for note in made.tracks[0].notes] == [38, 43, 46] and lost == 1
    assert [note.pitch for note in made.tracks[1].notes] == [76]


def test_ghost_notes_are_left_out() -> None:
    drums = songs.score([(-1, [(0, 60, 36), (240, 60, 38)])])
    drums.tracks[0].notes[1].velocity = 20
    made, lost = grooves.reduced(drums, grooves.SOFTEST)
    assert [note.pitch for note in made.tracks[0].notes] == [36] and lost == 0


def test_a_song_keeps_its_performance_and_draws_it_from_the_nearest_tempi(folder: Path) -> None:
    found = grooves.performances(folder, ["rock"], FORM) * 3
    drawn = {grooves.performance_for(f"song {i}", 90, found).bpm for i in range(60)}
    assert len(drawn) > 2 and max(drawn) <= 115
    assert grooves.performance_for("song 1", 90, found) == grooves.performance_for("song 1", 90, found[::-1])


def test_bars_follow_one_another_and_begin_again() -> None:
    cells = np.zeros((8, 16, 72), np.bool_)
    cells[np.arange(8), 0, np.arange(8)] = True
    one = grooves.Performance("x", 100, cells)
    assert [grooves.bars_for(one, number, 4)[:, 0].argmax(-1).tolist() for number in range(3)] == [[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 2, 3]]


def test_music_off_the_grid_is_told() -> None:
    assert grooves.off_grid(songs.drumming(0)) == 0
    assert 0.35 < grooves.off_grid(songs.drumming(0, swing=60)) < 0.6
    thirds = songs.score([(0, [(third * 160, 160, 60) for third in range(12)])])
    assert grooves.off_grid(thirds) > 0.6 and grooves.off_grid(thirds, (4, 3)) == 0
    assert grooves.off_grid(songs.score([])) == 0


def test_a_folder_without_drumming_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="no drum performances in"):
        grooves.performances(tmp_path, ["rock"], FORM)
    songs.drumming(1, n_bars=2).dump_midi(tmp_path / "a_rock_100_beat_4-4.mid")
    (tmp_path / "b_rock_100_beat_4-4.mid").write_text("no music")
    with pytest.raises(Missing, match="no drum performances in"):
        grooves.performances(tmp_path, [], FORM)
