"""Instruments, marks and info: a score told in words and numbers."""

from __future__ import annotations

import json

import pytest
from symusic import KeySignature, Note, Score, Tempo, TextMeta, TimeSignature, Track

from kapelle.errors import UnknownName
from kapelle.score.info import info, polyphony
from kapelle.score.instruments import DRUMS, FAMILIES, INSTRUMENTS, instrument_of, program_name, program_of
from kapelle.score.marks import Mark, bars_of, mark_bars, marks_of, with_marks
from kapelle.score.read import read
from kapelle.score.write import to_bytes


def piece(bars: int = 4) -> Score:
    score, track = Score(480), Track("Lead", 73)
    for i in range(bars * 4):
        track.notes.append(Note(480 * i, 480, (60, 64, 67, 72)[i % 4], 80))
    score.tracks.append(track)
    return score


def test_there_are_128_instruments_in_16_families() -> None:
    assert len(INSTRUMENTS) == 128
    assert len(FAMILIES) == 16
    assert len({item.name for item in INSTRUMENTS}) == 128
    assert len({item.name_ru for item in INSTRUMENTS}) == 128
    assert [item.program for item in INSTRUMENTS] == list(range(128))


@pytest.mark.parametrize(
    ("program", "name", "name_ru", "family"),
    [
        (0, "Acoustic grand piano", "Рояль", "Piano"),
        (24, "Nylon-string guitar", "Классическая гитара", "Guitar"),
        (40, "Violin", "Скрипка", "Strings"),
        (73, "Flute", "Флейта", "Pipe"),
        (104, "Sitar", "Ситар", "Ethnic"),
        (127, "Gunshot", "Выстрел", "Sound effects"),
        (-1, "Drums", "Ударные", "Drums"),
    ],
)
def test_programs_have_their_names(program: int, name: str, name_ru: str, family: str) -> None:
    item = instrument_of(program)
    assert (item.name, item.name_ru, item.family) == (name, name_ru, family)
    assert program_name(program, lang="ru") == name_ru
    assert program_of(name) == program_of(name_ru.upper()) == program_of(program) == program_of(str(program)) == program


@pytest.mark.parametrize(
    ("alias", "program"),
    [
        ("piano", 0),
        ("Electric Piano", 4),
        ("electric_piano", 4),
        ("bass", 33),
        ("DRUMS", DRUMS),
        ("strings", 48),
        ("sax", 66),
        ("барабаны", DRUMS),
    ],
)
def test_aliases_are_understood(alias: str, program: int) -> None:
    assert program_of(alias) == program


def test_every_english_name_and_russian_name_means_its_own_program() -> None:
    for item in INSTRUMENTS:
        assert program_of(item.name) == program_of(item.name_ru) == item.program


@pytest.mark.parametrize("wrong", ["vilin", "", "128", "-2", "9999999999", 500])
def test_unknown_instruments_are_refused(wrong: str | int) -> None:
    with pytest.raises(UnknownName):
        program_of(wrong)


def test_a_near_miss_is_offered() -> None:
    with pytest.raises(UnknownName) as caught:
        program_of("vilin")
    assert caught.value.hint.startswith("did you mean violin?")


def test_marks_survive_the_file() -> None:
    score = piece()
    marks = (
        mark_bars(score, 0, 2, "theme A"),
        mark_bars(score, 1, 2, "inner"),
        mark_bars(score, 2, 4, "theme B"),
        Mark(3840, 3840, "point"),
    )
    again = read(to_bytes(with_marks(score, marks)))
    assert marks_of(again) == tuple(sorted(marks))
    assert bars_of(again, marks[2]) == (2, 4)


def test_one_label_twice_makes_two_marks() -> None:
    marks = (Mark(0, 1920, "A"), Mark(1920, 3840, "B"), Mark(3840, 5760, "A"), Mark(5760, 7680, "A"))
    assert marks_of(with_marks(piece(), marks)) == marks


def test_markers_without_ends_last_to_the_next_or_to_the_final_bar_line() -> None:
    score = piece()
    score.markers.extend([TextMeta(1920, "Chorus"), TextMeta(0, "Verse")])
    assert marks_of(score) == (Mark(0, 1920, "Verse"), Mark(1920, 7680, "Chorus"))


def test_labels_are_cleaned() -> None:
    assert marks_of(with_marks(piece(), [Mark(0, 10, "/a\nb ")])) == (Mark(0, 10, "a b"),)


def test_info_tells_what_is_there() -> None:
    score = piece()
    score.tempos.extend([Tempo(0, 90.0), Tempo(1920, 120.0)])
    score.time_signatures.append(TimeSignature(0, 4, 4))
    score.key_signatures.append(KeySignature(0, 0, 0))
    drums = Track("Kit", 0, True)
    drums.notes.extend([Note(0, 10, 36, 80), Note(0, 10, 42, 80)])
    score.tracks.append(drums)
    found = info(with_marks(score, [Mark(0, 1920, "A")]))
    assert (found.n_notes, found.n_bars, found.tpq, found.tempos_bpm, found.metres) == (18, 4, 480, (90.0, 120.0), ("4/4",))
    assert found.duration_s == pytest.approx(4 * 60 / 90 + 12 * 0.5, rel=1e-5)
    assert (found.key, found.signature, found.polyphony) == ("C major", "C major", 1)
    assert found.notes_per_s == pytest.approx(18 / found.duration_s)
    lead, kit = found.tracks
    assert (lead.name, lead.instrument, lead.n_notes, lead.lowest, lead.highest, lead.polyphony) == ("Lead", "Flute", 16, 60, 72, 1)
    assert (kit.instrument, kit.is_drum, kit.polyphony) == ("Drums", True, 2)
    told = json.loads(json.dumps(found.as_dict()))
    assert told["marks"] == [{"start_ticks": 0, "end_ticks": 1920, "label": "A"}]


def test_info_of_nothing_is_nothing() -> None:
    found = info(Score(480))
    assert (found.n_notes, found.n_bars, found.duration_s, found.key, found.signature, found.notes_per_s) == (0, 0, 0.0, None, None, 0.0)
    assert (found.tempos_bpm, found.metres, found.tracks) == ((120.0,), ("4/4",), ())


def test_long_lists_of_changes_are_shortened_and_counted() -> None:
    score = piece()
    score.tempos.extend([Tempo(10 * i, 60.0 + i) for i in range(100)])
    found = info(score)
    assert (len(found.tempos_bpm), found.n_tempos) == (16, 100)


def test_polyphony_counts_what_sounds_at_once() -> None:
    track = Track()
    track.notes.extend([Note(0, 100, 60, 80), Note(0, 200, 64, 80), Note(100, 50, 67, 80), Note(120, 10, 70, 80)])
    assert polyphony([track]) == 3
    assert polyphony([]) == 0
