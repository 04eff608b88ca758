"""A band made of melody, second voice, piano and chords."""

from __future__ import annotations

import numpy as np
import pytest

import songs
from kapelle.data import band
from kapelle.score import roll
from kapelle.score.edit import note_arrays

FORM = roll.FORMS["tutorial"]


def arranged(seed: int = 0) -> roll.Roll:
    made = band.lead_piano_chords(*songs.lead_and_chords(seed))
    assert made is not None
    return roll.from_score(made, FORM)[0]


@pytest.mark.parametrize("seed", range(3))
def test_melody_and_piano_are_what_guitar_and_piano_play(seed: int) -> None:
    whole, _ = songs.lead_and_chords(seed)
    whole.tracks[0].program = roll.PROGRAMS["guitar"]
    del whole.tracks[1]
    plain, made = roll.from_score(whole, FORM)[0], arranged(seed)
    assert (made.track("guitar") == plain.track("guitar")).all() and (made.track("piano") == plain.track("piano")).all()


def test_strings_play_chords_until_the_second_voice_comes() -> None:
    whole, _ = songs.lead_and_chords(1)
    strings = arranged(1).track("strings")
    assert (strings[:8].sum(-1) >= 2).mean() > 0.9 and strings[8:].sum(-1).max() == 1
    own = {int(pitch) for pitch in note_arrays(whole.tracks[1])["pitch"]}
    assert {int(row) + FORM.lowest_pitch for row in np.flatnonzero(strings[8:].any((0, 1)))} == own
    rows = np.flatnonzero(strings[:8].any((0, 1))) + FORM.lowest_pitch
    assert rows.min() >= band.PAD_LOW and rows.max() <= band.PAD_HIGH


def test_the_bass_strikes_with_the_lowest_voice_and_stays_in_its_range_and_chord() -> None:
    _, grid = songs.lead_and_chords(2)
    bass = arranged(2).track("bass")
    rows = np.flatnonzero(bass.any((0, 1))) + FORM.lowest_pitch
    assert rows.min() >= band.BASS_LOW and rows.max() <= band.BASS_HIGH and bass.sum(-1).max() == 1
    assert bass[:, 0].any(-1).all() and bass[:, 8].any(-1).all()
    for chord in band.chords_of(note_arrays(grid.tracks[-1])):
        heard = np.flatnonzero(bass[chord.start // songs.BAR].any(0)) % 12
        assert set(heard.tolist()) <= chord.classes


def test_a_strange_low_note_gives_way_to_the_bass_of_the_chord() -> None:
    piano = {
        name: np.array(values) for name, values in zip(("time", "duration", "pitch", "velocity"), ([0], [480], [37], [90]), strict=True)
    }
    assert band.bass(piano, [band.Chord(0, 1920, (60, 64, 67))], 480) == [(0, 1440, 36, 90)]
    assert band.bass(piano, [], 480) == [(0, 480, 37, 90)]


def test_where_the_piano_rests_the_bass_rests() -> None:
    piano = {
        name: np.array(values) for name, values in zip(("time", "duration", "pitch", "velocity"), ([0], [480], [72], [90]), strict=True)
    }
    chords = [band.Chord(0, 1920, (60, 64, 67)), band.Chord(1920, 3840, (65, 69, 72))]
    assert [(time, pitch) for time, _, pitch, _ in band.bass(piano, chords, 480)] == [(0, 36)]


def test_chords_move_little() -> None:
    chords = [band.Chord(i, i + 1, triad) for i, triad in enumerate(songs.TRIADS * 3)]
    row: tuple[int, ...] = ()
    for chord in chords:
        new = band.voiced(chord, row)
        assert {pitch % 12 for pitch in new} == chord.classes and new[-1] - new[0] < 12
        assert not row or sum(min(abs(a - b) for b in row) for a in new) <= 6
        row = new


def test_equal_chords_that_follow_one_another_are_one() -> None:
    triad = songs.TRIADS[0]
    made = band.pad([band.Chord(0, 960, triad), band.Chord(960, 1920, triad), band.Chord(2400, 2880, triad)])
    assert [(time, duration) for time, duration, _, _ in made] == [(0, 1920)] * 3 + [(2400, 480)] * 3


@pytest.mark.parametrize("early", range(4))
def test_bars_begin_where_chords_begin(early: int) -> None:
    whole, grid = band.on_downbeats(*songs.lead_and_chords(3, early=early))
    beats = band.chord_beats(grid, 14)
    assert beats[:, 0].sum() == beats.sum() > 0
    begun = note_arrays(whole.tracks[2])["time"].min()
    assert begun == (songs.BAR if early else 0)


def test_songs_without_the_tracks_are_no_band() -> None:
    whole, grid = songs.lead_and_chords()
    silent, _ = songs.lead_and_chords()
    silent.tracks[0].notes = type(silent.tracks[0].notes)([])
    assert band.lead_piano_chords(silent, grid) is None
    del grid.tracks[1]
    assert band.lead_piano_chords(whole, grid) is None
    assert not band.chord_beats(grid, 4).any()
