"""The melody is found, made one line on the grid, and set apart from a rest that is not too full."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic import Note, Score, Tempo, TextMeta, TimeSignature, Track

from kapelle.errors import CannotObey, UsageError
from kapelle.score import thinning
from kapelle.score.melody import MELODY_NOTE, find_melody, melody_notes, two_tracks
from kapelle.score.read import read
from kapelle.score.units import end_ticks
from kapelle.score.write import to_bytes

Q = 480
TUNE = [(0, Q, 67), (Q, Q, 69), (2 * Q, Q, 71), (3 * Q, Q, 72), (4 * Q, 2 * Q, 74), (6 * Q, Q, 72), (7 * Q, Q, 71)]
CHORDS = [(bar * 4 * Q, 4 * Q, pitch) for bar in (0, 1) for pitch in (48, 52, 55)]
BASS = [(beat * Q, Q, 36) for beat in range(8)]


def track(notes, name: str = "", program: int = 0, *, drums: bool = False) -> Track:
    out = Track(name, program, drums)
    for time, duration, pitch in notes:
        out.notes.append(Note(round(time), round(duration), pitch, 80))
    return out


def piece(*tracks: Track, metre: tuple[int, int] = (4, 4), tpq: int = Q) -> Score:
    out = Score(tpq)
    out.tracks.extend(tracks)
    out.time_signatures.append(TimeSignature(0, *metre))
    return out


def rows(notes) -> list[tuple[int, ...]]:
    return [tuple(int(value) for value in note) for note in notes]


def columns(notes) -> dict[str, np.ndarray]:
    time, duration, pitch = np.array(notes, np.int64).reshape(-1, 3).T
    return {"time": time, "duration": duration, "pitch": pitch, "velocity": np.full(len(time), 80)}


def test_a_track_called_melody_is_believed_even_if_it_is_written_like_none() -> None:
    assert find_melody(piece(track(TUNE), track(CHORDS, "Melody"), track(BASS))) == 1


@pytest.mark.parametrize("name", ["MELODY", "Lead vocals", "Vocal", "Voice 1 (Melody) Up", "Мелодия", "lead guitar"])
def test_names_of_melodies(name: str) -> None:
    assert find_melody(piece(track(CHORDS, "Piano"), track(BASS, name))) == 1


@pytest.mark.parametrize("name", ["Lead 3 (Calliope)", "Sawtooth Lead", "Voice Oohs", "Backing vocals, harmony"])
def test_names_that_say_nothing_when_there_is_a_better_one(name: str) -> None:
    assert find_melody(piece(track(CHORDS, name), track(TUNE, "Flute"), track(BASS, "Vocal"))) == 2


def test_the_name_of_an_instrument_is_no_name_of_a_melody() -> None:
    assert find_melody(piece(track(BASS, "Lead 8 (Bass + Lead)", 87), track(TUNE, "Flute", 73), track(CHORDS))) == 1


def test_without_names_the_melody_is_what_is_written_like_one() -> None:
    assert find_melody(piece(track(BASS, program=33), track(CHORDS), track(TUNE, program=73), track(TUNE, drums=True))) == 2


def test_a_doubled_melody_is_still_one() -> None:
    assert find_melody(piece(track(TUNE, program=73), track([(t, d, p + 12) for t, d, p in TUNE], program=78), track(CHORDS))) in (0, 1)


def test_two_equal_lines_are_not_clear() -> None:
    later = [(t + 8 * Q, d, p) for t, d, p in TUNE]
    assert find_melody(piece(track(TUNE), track(later), track(TUNE[:1], drums=True))) is None


def test_the_upper_of_two_hands_has_the_melody() -> None:
    right = [(t, d, p - below) for t, d, p in TUNE for below in (0, 4, 9)]
    assert find_melody(piece(track(right, "right hand"), track(CHORDS, "left hand"))) == 0


def test_one_track_of_chords_has_no_clear_melody() -> None:
    chords = [(beat * Q, Q, pitch + 9 * (beat % 2)) for beat in range(8) for pitch in (60, 64, 67, 71)]
    assert find_melody(piece(track(chords))) is None
    with pytest.raises(CannotObey, match="none of the tracks is clearly the melody"):
        two_tracks(piece(track(chords)))


def test_a_piano_with_a_tune_on_top_has_it_on_top() -> None:
    made = two_tracks(piece(track([*TUNE, *CHORDS])))
    assert [note.pitch for note in made.tracks[0].notes] == [67, 69, 71, 72, 74, 72, 71]
    assert sorted(note.pitch for note in made.tracks[1].notes) == [48, 48, 52, 52, 55, 55]


def test_notes_go_to_the_nearest_sixteenth() -> None:
    notes = [(10, 470, 60), (Q - 20, 50, 62), (2 * Q + 70, 1, 64)]
    assert rows(melody_notes(track(notes), tpq=Q)) == [(0, 4, 60, 80), (4, 1, 62, 80), (9, 1, 64, 80)]
    assert melody_notes(track(notes), tpq=Q).dtype == MELODY_NOTE


def test_of_notes_that_begin_together_the_highest_counts() -> None:
    assert rows(melody_notes(track([(0, Q, 60), (0, 2 * Q, 67), (0, 4 * Q, 67)]), tpq=Q)) == [(0, 16, 67, 80)]


def test_legato_is_cut_and_what_lies_under_a_held_note_is_passed_over() -> None:
    legato = [(0, Q + Q // 4, 67), (Q, Q // 2, 65)]
    assert rows(melody_notes(track(legato), tpq=Q)) == [(0, 4, 67, 80), (4, 2, 65, 80)]
    held = [(0, 4 * Q, 67), (Q, Q, 60), (2 * Q, Q, 72)]
    assert rows(melody_notes(track(held), tpq=Q)) == [(0, 8, 67, 80), (8, 4, 72, 80)]


notes_of = st.lists(st.tuples(st.integers(0, 8000), st.integers(1, 3000), st.integers(1, 127)), max_size=60)


@settings(max_examples=60, deadline=None)
@given(notes_of)
def test_a_melody_never_has_two_notes_at_once(notes) -> None:
    found = melody_notes(track(notes), tpq=Q)
    assert (found["duration"] >= 1).all()
    assert (found["start"][1:] >= (found["start"] + found["duration"])[:-1]).all()


def test_a_score_is_read_at_its_own_resolution_and_by_its_track_melody() -> None:
    score = piece(track([(0, 96, 50)]), track([(0, 96, 72), (96, 96, 74)], "MELODY"), tpq=96)
    assert rows(melody_notes(score)) == [(0, 4, 72, 80), (4, 4, 74, 80)]


def test_two_tracks_of_a_band() -> None:
    score = piece(track(BASS, "bass", 33), track(TUNE, "Vocals", 52), track([(0, Q, 38)], drums=True), track(CHORDS, "strings", 48), tpq=Q)
    score.tempos.append(Tempo(0, 90))
    score.markers.append(TextMeta(4 * Q, "theme"))
    made = two_tracks(score)
    assert [(one.name, one.program, len(one.notes)) for one in made.tracks] == [("MELODY", 52, 7), ("PIANO", 0, 14)]
    assert (made.tpq, round(made.tempos[0].qpm), made.markers[0].time) == (480, 90, 4 * 480)
    assert {note.time % 120 for one in made.tracks for note in one.notes} == {0}


def test_what_doubles_the_melody_is_left_out() -> None:
    made = two_tracks(piece(track(TUNE, "melody"), track([*TUNE, *CHORDS])))
    assert [note.pitch for note in made.tracks[1].notes] == [48, 52, 55, 48, 52, 55]


def test_two_tracks_once_more_are_the_same() -> None:
    once = two_tracks(piece(track(TUNE, "melody"), track(CHORDS)))
    assert to_bytes(two_tracks(once)) == to_bytes(once)


def test_two_halves_are_as_good_as_four_quarters() -> None:
    assert [(m.numerator, m.denominator) for m in two_tracks(piece(track(TUNE, "melody"), metre=(2, 2))).time_signatures] == [(4, 4)]


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (piece(), "there are no notes"),
        (piece(track(TUNE, drums=True)), "there are only drums"),
        (piece(track(TUNE[:1])), "a single note"),
        (piece(track(TUNE), metre=(7, 8)), "this piece is in 7/8"),
        (piece(track(TUNE), metre=(3, 4)), "this piece is in 3/4"),
    ],
)
def test_what_has_no_melody_or_another_metre_is_refused_in_one_line(score: Score, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        two_tracks(score)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_a_change_of_metre_is_refused_by_its_bar() -> None:
    score = piece(track(TUNE, "melody"))
    score.time_signatures.append(TimeSignature(4 * Q, 3, 4))
    with pytest.raises(UsageError, match="bar 2 is in 3/4"):
        two_tracks(score)


def test_a_very_long_piece_is_handled() -> None:
    long = [(t + bar * 8 * Q, d, p) for bar in range(300) for t, d, p in TUNE]
    assert len(two_tracks(piece(track(long, "melody"), track(BASS))).tracks[0].notes) == 7 * 300


def test_an_accompaniment_within_the_limits_is_not_touched() -> None:
    given = columns([(0, 4, 48), (0, 4, 52), (0, 4, 55), (4, 4, 60), (8, 8, 50), (8, 8, 57)])
    assert {name: column.tolist() for name, column in thinning.thinned(given).items()} == {
        name: column.tolist() for name, column in given.items()
    }


def test_a_full_bar_keeps_its_beats_its_bass_and_its_top() -> None:
    full = [(step, 1, pitch) for step in range(16) for pitch in (36, 48, 52, 55, 59, 62)]
    made = thinning.thinned(columns(full))
    onsets = np.unique(made["time"])
    assert len(onsets) == thinning.ONSETS
    assert {0, 4, 8, 12} <= set(onsets.tolist())
    assert all(36 in made["pitch"][made["time"] == onset] for onset in onsets)
    assert 62 in made["pitch"][made["time"] == 0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 63), st.integers(1, 40), st.integers(1, 127)), max_size=200))
def test_thinned_bars_are_within_the_limits_and_invent_nothing(notes) -> None:
    given = columns(notes)
    made = thinning.thinned(given)
    source = set(zip(given["time"].tolist(), given["pitch"].tolist(), strict=True))
    assert set(zip(made["time"].tolist(), made["pitch"].tolist(), strict=True)) <= source
    end = made["time"] + made["duration"]
    assert (made["duration"] >= 1).all()
    for bar in range(4):
        inside = made["time"] // 16 == bar
        assert len(np.unique(made["time"][inside])) <= thinning.ONSETS
        assert inside.sum() <= thinning.NOTES
    for step in range(64):
        sounding = {p for t, e, p in zip(made["time"].tolist(), end.tolist(), made["pitch"].tolist(), strict=True) if t <= step < e}
        assert len(sounding) <= thinning.AT_ONCE
    if len(given["time"]):
        assert len(made["time"])


def test_real_songs_without_names() -> None:
    folder = os.environ.get("KAPELLE_DATA")
    songs = sorted(Path(folder or ".").glob("pop909/?[05]0/*.mid"))
    if folder is None or not songs:
        pytest.skip("KAPELLE_DATA names no folder with pop909")
    found = []
    for song in songs:
        score = read(song)
        names = [one.name for one in score.tracks]
        for one in score.tracks:
            one.name = ""
        where = find_melody(score)
        found.append(where is not None and names[where] == "MELODY")
    assert np.mean(found) > 0.85  # 867 of all 909: 25 times the second voice, 17 times none


def test_real_themes_keep_their_melody() -> None:
    folder = os.environ.get("KAPELLE_DATA")
    themes = sorted(Path(folder or ".").glob("theme_reference/theme_midi/*.mid"))
    if folder is None or not themes:
        pytest.skip("KAPELLE_DATA names no folder with theme_reference")
    kept = []
    for path in themes:
        score = read(path)
        score.tracks = [one for one in score.tracks if one.name in ("MELODY", "PIANO")]
        made = two_tracks(score, thin=False)
        kept.append(
            [note.pitch for note in made.tracks[0].notes] == [note.pitch for note in sorted(score.tracks[0].notes, key=lambda n: n.time)]
        )
        assert end_ticks(made) * score.tpq == end_ticks(score) * made.tpq
    assert sum(kept) >= len(themes) - 2  # some have two notes at once
