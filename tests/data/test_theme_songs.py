"""Files as songs of melody and piano: on the right bars, one line, trimmed, in the common key, or refused with a reason."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import symusic
from hypothesis import given, settings
from hypothesis import strategies as st

import themed
from kapelle.data import theme_songs
from kapelle.data.clean import Rejected
from kapelle.data.recipe import ThemeSource
from kapelle.data.theme_songs import STEPS, ThemeRules, ThemeSong
from kapelle.score import units

SIGNED = ThemeSource("songs", key="signature")
DATA = os.environ.get("KAPELLE_DATA", "")


def made(
    score: symusic.Score, *, grid: symusic.Score | None = None, normalise: bool = False, source: ThemeSource = SIGNED, **rules: Any
) -> Any:
    held = None if grid is None else bytes(grid.dumps_midi())
    return theme_songs.song(bytes(score.dumps_midi()), normalise, ThemeRules(**rules), source, held)


def rows(notes: Any) -> list[tuple[int, ...]]:
    return [tuple(int(value) for value in note) for note in notes]


def test_melody_and_piano_are_taken_and_the_bridge_is_not() -> None:
    whole = themed.song(1)
    found = made(whole)
    assert isinstance(found, ThemeSong) and found.n_bars == 24 and found.trimmed == 0
    melody, _, piano = whole.tracks
    assert rows(found.melody) == [(n.time // 120, n.duration // 120, n.pitch, n.velocity) for n in melody.notes]
    assert sorted(rows(found.piano)) == sorted((n.time // 120, n.duration // 120, n.pitch, n.velocity) for n in piano.notes)
    assert (found.bpm, found.key) == (80.0, "C major")


def test_the_score_of_a_song_is_on_the_grid_with_the_melody_first() -> None:
    score = made(themed.song(1)).score
    assert [track.name for track in score.tracks] == ["MELODY", "PIANO"] and score.tpq == 480
    assert units.n_bars(score) == 24 and units.bpm_at(score) == pytest.approx(80)
    assert all(note.time % 120 == 0 and note.duration % 120 == 0 for track in score.tracks for note in track.notes)


def test_bars_before_the_melody_go_and_its_own_first_bar_stays_whole() -> None:
    whole = themed.song(2, intro=3)
    for note in list(whole.tracks[0].notes):
        if note.time == 3 * themed.BAR:
            note.time += themed.STEP  # the piano plays before it in this bar
    found = made(whole)
    assert (found.n_bars, found.trimmed) == (24, 3)
    assert found.melody["start"][0] == 1 and found.piano["start"][0] == 0
    kept = made(whole, trim=False)
    assert (kept.n_bars, kept.trimmed) == (27, 0) and kept.melody["start"][0] == 3 * STEPS + 1


def test_what_rings_beyond_the_melodys_last_bar_is_cut() -> None:
    whole = themed.song(3)
    whole.tracks[2].notes.append(symusic.Note(23 * themed.BAR, 3 * themed.BAR, 36, 70))
    whole.tracks[2].notes.append(symusic.Note(24 * themed.BAR, themed.BAR, 38, 70))
    found = made(whole)
    assert found.n_bars == 24 and found.trimmed == 2
    low = [row for row in rows(found.piano) if row[2] < 40]
    assert low == [(23 * STEPS, STEPS, 36, 70)]


def test_notes_go_to_the_nearest_sixteenth_and_last_one_at_least() -> None:
    whole = themed.song(4)
    whole.tracks[2].notes.append(symusic.Note(59, 20, 30, 70))
    whole.tracks[2].notes.append(symusic.Note(60, 20, 31, 70))
    whole.tracks[2].notes.append(symusic.Note(950, 190, 32, 70))
    low = [row for row in rows(made(whole).piano) if row[2] < 40]
    assert low == [(0, 1, 30, 70), (1, 1, 31, 70), (8, 2, 32, 70)]


def test_the_melody_is_its_top_line_and_what_is_lost_is_counted() -> None:
    whole = themed.song(5)
    plain = made(whole)
    lead = whole.tracks[0].notes
    lead.extend([symusic.Note(note.time, note.duration, note.pitch - 12, 90) for note in list(lead)[:3]])
    first = min(lead, key=lambda note: (note.time, -note.pitch))
    first.duration = 5 * themed.BAR
    found = made(whole)
    assert (found.melody["start"][1:] >= found.melody["start"][:-1] + found.melody["duration"][:-1]).all()
    assert len(found.melody) <= len(plain.melody) and found.lost["below the melody"] >= 3


def test_songs_are_moved_to_c_major_by_their_signature() -> None:
    plain, moved = made(themed.song(6)), made(themed.song(6, key=2), normalise=True)
    assert rows(moved.melody) == rows(plain.melody) and rows(moved.piano) == rows(plain.piano) and moved.key == "D major"
    assert (made(themed.song(6, key=2)).melody["pitch"] - plain.melody["pitch"] == 2).all()


def test_bars_are_those_of_the_copy_whose_chords_begin_on_them() -> None:
    whole = themed.song(7, intro=2)
    grid = themed.copy_with_chords(whole, 2 * themed.TPQ)  # its bars are half a bar off; its chords tell
    early = whole.copy()
    found = made(early, grid=grid)
    assert isinstance(found, ThemeSong)
    assert rows(found.melody) == rows(made(whole).melody) and found.bpm == 80.0


def test_the_tempo_is_that_of_most_beats() -> None:
    whole = themed.song(8)
    whole.tempos = [symusic.Tempo(0, 60.0), symusic.Tempo(4 * themed.BAR, 100.0), symusic.Tempo(20 * themed.BAR, 140.0)]
    assert theme_songs.median_bpm(whole) == pytest.approx(100.0) and made(whole).bpm == pytest.approx(100.0)


def _modulating() -> symusic.Score:
    whole = themed.song(9)
    whole.key_signatures.append(symusic.KeySignature(8 * themed.BAR, 2, 0))
    return whole


def _in_three() -> symusic.Score:
    whole = themed.song(9)
    whole.time_signatures = [symusic.TimeSignature(0, 4, 4), symusic.TimeSignature(4 * themed.BAR, 3, 4)]
    return whole


def _swung() -> symusic.Score:
    whole = themed.song(9)
    for track in whole.tracks:
        for note in track.notes:
            note.time += themed.TPQ // 6 if note.time else 0
    return whole


def _without(name: str) -> symusic.Score:
    whole = themed.song(9)
    for track in whole.tracks:
        track.name = "lead" if track.name == name else track.name
    return whole


@pytest.mark.parametrize(
    ("score", "reason"),
    [
        (_modulating(), "modulates"),
        (_in_three(), "not in 4/4 throughout"),
        (_without("MELODY"), "without the tracks MELODY and PIANO"),
        (_without("PIANO"), "without the tracks MELODY and PIANO"),
        (themed.song(9, 12, returns=(0, 8)), "too few bars"),
        (symusic.Score(480), "no notes"),
    ],
)
def test_what_is_no_song_is_left_out_with_a_reason(score: symusic.Score, reason: str) -> None:
    assert made(score) == Rejected(reason)


def test_songs_off_the_grid_are_left_out() -> None:
    assert made(_swung(), max_off_grid=0.3) == Rejected("off the grid")


def test_another_song_is_no_copy() -> None:
    assert made(themed.song(1), grid=themed.copy_with_chords(themed.song(2))) == Rejected(
        "not the same music as its copy on the right bars"
    )


def test_a_modulating_song_is_taken_where_the_recipe_allows_it() -> None:
    assert isinstance(made(_modulating(), one_key=False), ThemeSong)


def test_in_music_from_anywhere_the_melody_is_looked_for() -> None:
    whole = themed.song(10)
    for track in whole.tracks:
        track.name = ""
    found = made(whole, source=ThemeSource("songs", melody="found"))
    assert isinstance(found, ThemeSong)
    assert set(rows(found.melody)) <= set(rows(made(themed.song(10)).melody)) | set(rows(made(themed.song(10)).piano))
    assert len(found.piano) > 0


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    assert isinstance(theme_songs.song(data, True, ThemeRules(), SIGNED), Rejected)


@pytest.mark.skipif(not DATA, reason="KAPELLE_DATA is not set")
def test_a_song_of_pop909_has_the_bars_of_its_corrected_edition() -> None:
    data, grid = (Path(DATA, name).read_bytes() for name in ("pop909/874/874.mid", "pop909_cl/874.mid"))
    found = theme_songs.song(data, True, ThemeRules(), SIGNED, grid)
    assert isinstance(found, ThemeSong) and found.key == "G major" and found.n_bars > 40
    assert np.isin(found.melody["pitch"] % 12, [0, 2, 4, 5, 7, 9, 11]).mean() > 0.95
    strong = np.isin(found.piano["start"] % STEPS, [0, 8]).mean()
    assert strong > 2 / STEPS
