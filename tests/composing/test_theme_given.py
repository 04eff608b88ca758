"""A theme out of any file: melody found, whole bars, at most eight; what is none is refused in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import symusic

from kapelle.composing.theme_given import Given, read_theme
from kapelle.errors import CannotObey, MidiError, UnknownName, UsageError
from kapelle.score import keys
from kapelle.score.melody import melody_notes
from kapelle.score.write import to_bytes

Note = tuple[float, float, int]
TPQ = 480
MARY: list[Note] = [(0, 1, 64), (1, 1, 62), (2, 1, 60), (3, 1, 62), (4, 1, 64), (5, 1, 64), (6, 2, 64)]
"""Two bars: start and length in quarters, pitch."""
CHORDS: list[Note] = [(0, 4, 48), (0, 4, 52), (0, 4, 55), (4, 4, 48), (4, 4, 52), (4, 4, 55)]


def file(*tracks: list[Note], names: tuple[str, ...] = (), programs: tuple[int, ...] = (), metre: tuple[int, int] = (4, 4),
         bpm: float = 96, drums: bool = False, key: int = 0) -> bytes:  # fmt: skip
    score = symusic.Score(TPQ)
    score.key_signatures.append(symusic.KeySignature(0, key, 0))
    score.time_signatures.append(symusic.TimeSignature(0, *metre))
    score.tempos.append(symusic.Tempo(0, qpm=bpm))
    for i, notes in enumerate(tracks):
        track = symusic.Track(names[i] if names else f"Track {i}", programs[i] if programs else 0, drums)
        for start, length, pitch in notes:
            track.notes.append(symusic.Note(round(start * TPQ), round(length * TPQ), pitch, 80))
        score.tracks.append(track)
    return to_bytes(score)


def later(notes: list[Note], quarters: float) -> list[Note]:
    return [(start + quarters, length, pitch) for start, length, pitch in notes]


def steps(given: Given) -> list[tuple[int, int]]:
    found = melody_notes(given.score)
    return list(zip(found["start"].tolist(), found["pitch"].tolist(), strict=True))


MARY_STEPS = [(0, 64), (4, 62), (8, 60), (12, 62), (16, 64), (20, 64), (24, 64)]


def test_a_bare_melody_is_a_theme():
    given = read_theme(file(MARY, names=("Mary",), programs=(73,)))
    assert steps(given) == MARY_STEPS
    assert (given.n_bars, given.found_bars, given.name, given.programs) == (2, 2, "Mary", (73, 0))
    assert (given.bpm, given.key, given.phrase_bars) == (pytest.approx(96), keys.Key(0), (2,))


def test_an_accompaniment_is_kept_with_its_instrument():
    given = read_theme(file(CHORDS, MARY, names=("Keys", "Melody"), programs=(24, 40)))
    assert steps(given) == MARY_STEPS
    assert given.programs == (40, 24)
    assert len(given.score.tracks[1].notes) == 6


def test_one_piano_track_plays_both():
    both = [*later(MARY, 0), *((start, length, pitch - 12) for start, length, pitch in CHORDS)]
    given = read_theme(file(both, programs=(4,)))
    assert steps(given) == MARY_STEPS
    assert (given.programs, len(given.score.tracks[1].notes)) == ((4, 4), 6)


def test_notes_off_the_grid_are_brought_to_it():
    loose = [(start + 0.04, length * 0.8, pitch) for start, length, pitch in MARY]
    assert steps(read_theme(file(loose))) == MARY_STEPS


def test_rests_before_the_melody_are_left_out():
    given = read_theme(file(later(MARY, 12)))
    assert steps(given) == MARY_STEPS
    assert (given.bars_before, given.found_bars) == (3, 2)


def test_an_accompaniment_may_begin_before_the_melody_but_not_a_long_introduction():
    def song(bars: int) -> Given:
        chords = [note for i in range(0, bars, 2) for note in later(CHORDS, 4 * i)]
        return read_theme(file(later(MARY, 4 * (bars - 2)), chords, names=("Melody", "Piano")))

    assert (song(4).n_bars, song(4).bars_before) == (4, 0)
    assert (song(20).n_bars, song(20).bars_before, steps(song(20))) == (2, 18, MARY_STEPS)


def test_a_pick_up_is_left_out_and_told():
    given = read_theme(file([(3, 0.5, 60), (3.5, 0.5, 62), *later(MARY, 4)]))
    assert steps(given) == MARY_STEPS
    assert (given.pick_up, given.n_bars, given.found_bars) == (2, 2, 2)


def test_a_late_beginning_of_whole_phrases_stays():
    given = read_theme(file([(2, 1, 60), (3, 1, 62), *later(MARY, 4), (12, 4, 60)]))
    assert (given.n_bars, given.pick_up, steps(given)[0]) == (4, 0, (8, 60))


def test_two_hundred_bars_are_cut_to_the_first_eight():
    long = [note for i in range(100) for note in later(MARY, 8 * i)]
    given = read_theme(file(long))
    assert (given.n_bars, given.found_bars, given.phrase_bars) == (8, 200, (2, 2, 2, 2))
    assert [one.end() for one in given.phrases()] == [8 * TPQ] * 4
    assert read_theme(file(long), length=3).phrase_bars == (2, 1)


def test_what_rings_over_a_bar_line_makes_no_bar():
    assert read_theme(file([*MARY[:-1], (6, 3, 64)])).n_bars == 2
    assert read_theme(file([*MARY[:-1], (6, 6, 64)])).n_bars == 2
    assert read_theme(file([*MARY[:3], (3, 5, 64)])).n_bars == 2


def test_the_key_can_be_told():
    assert read_theme(file(MARY), key="Am").key == keys.Key(9, "minor")


def test_a_riff_of_one_bar_is_a_theme():
    assert read_theme(file(MARY[:4])).phrase_bars == (1,)


def test_phrases_move_together():
    first, second = read_theme(file([*MARY, *later(MARY, 8)])).phrases(5)
    assert first.tracks[0].notes.numpy()["pitch"].tolist() == [pitch + 5 for _, _, pitch in MARY]
    assert second.tracks[0].notes.numpy()["time"].tolist() == [start * TPQ for start, _, _ in MARY]


def test_a_track_can_be_named():
    data = file(MARY, later(MARY, 0), names=("Left", "Right"), programs=(1, 2))
    assert read_theme(data, track="right").programs == (2, 1)
    assert read_theme(data, track="1").programs == (1, 2)
    with pytest.raises(UnknownName, match="'Middle'"):
        read_theme(data, track="Middle")


def test_a_track_without_a_clear_line_can_be_named_too():
    block = [(float(i), 1.0, pitch + 12 * (i % 2)) for i in range(8) for pitch in (48, 51, 54, 57)]
    data = file(block, names=("Chords",))
    with pytest.raises(CannotObey, match="no track of the theme is clearly its melody") as error:
        read_theme(data)
    assert "--melody-track Chords" in error.value.hint
    assert steps(read_theme(data, track="Chords"))[:2] == [(0, 57), (4, 69)]


@pytest.mark.parametrize(
    ("data", "kind", "says"),
    [
        (b"not music", MidiError, "."),
        (file(), UsageError, "no notes"),
        (file([(0, 1, 60)]), UsageError, "single note"),
        (file(MARY, drums=True), UsageError, "only drums"),
        (file(MARY, metre=(7, 8)), UsageError, "in 7/8"),
        (file(MARY, metre=(3, 4)), UsageError, "in 3/4"),
        (file([(0, 1, 60), (40, 1, 62)]), UsageError, "the first 8 bars of the theme have a single note"),
    ],
)
def test_what_is_no_theme_is_refused(data, kind, says):
    with pytest.raises(kind, match=says) as error:
        read_theme(data)
    assert "\n" not in str(error.value)


def test_a_length_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="has 2 bars, not 4"):
        read_theme(file(MARY), length=4)


@pytest.mark.skipif(not os.environ.get("KAPELLE_DATA"), reason="KAPELLE_DATA names no folder of unpacked data")
def test_the_published_themes_are_read():
    paths = sorted((Path(os.environ["KAPELLE_DATA"]) / "theme_reference" / "theme_midi").glob("*.mid"))
    assert paths
    for path in paths:
        given = read_theme(path.read_bytes())
        assert given.n_bars == 2, path.name
        assert given.name == "MELODY"
