"""The notes of a MIDI file as the page draws them: seconds, bars, marks, names."""

from __future__ import annotations

import json

import pytest
import symusic

import hostile
from kapelle.api.notes import kind_of, notes
from kapelle.errors import MidiError
from kapelle.score.marks import Mark, with_marks
from kapelle.score.write import to_bytes
from pieces import score, track


def midi(*tracks: symusic.Track, bpm: float = 120.0, **events: list[object]) -> bytes:
    made = score(*tracks, bpm=bpm)
    for name, rows in events.items():
        setattr(made, name, rows)
    return to_bytes(made)


def test_two_notes_of_a_piano_are_told_in_seconds_in_order_of_time() -> None:
    found = notes(midi(track((480, 240, 64, 90), (0, 480, 60, 80), name="Right hand")))
    assert found["tracks"] == [
        {"index": 0, "name": "Right hand", "program": 0, "drum": False, "notes": [[0.0, 0.5, 60, 80], [0.5, 0.25, 64, 90]]}
    ]
    assert found["bars"] == [0.0, 2.0]
    assert found["beats"] == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert found["metres"] == [[0, 4, 4]]
    assert found["duration_s"] == 0.75
    assert found["chunk_s"] == 2.0
    assert found["marks"] == []


def test_notes_and_bars_follow_the_tempi() -> None:
    tempos = [symusic.Tempo(0, qpm=120), symusic.Tempo(960, qpm=60), symusic.Tempo(1920, qpm=240)]
    found = notes(midi(track((0, 480, 60, 80), (480, 960, 62, 80), (1920, 480, 64, 80)), tempos=tempos))
    assert found["tracks"][0]["notes"] == [[0.0, 0.5, 60, 80], [0.5, 1.5, 62, 80], [3.0, 0.25, 64, 80]]
    assert found["bars"] == [0.0, 3.0, 4.0]
    assert found["beats"] == [0.0, 0.5, 1.0, 2.0, 3.0, 3.25, 3.5, 3.75, 4.0]


def test_a_change_of_metre_begins_a_bar_and_changes_the_beats() -> None:
    metres = [symusic.TimeSignature(0, 3, 4), symusic.TimeSignature(1440, 6, 8)]
    found = notes(midi(track((0, 480, 60, 80), (1440, 1440, 62, 80)), time_signatures=metres))
    assert found["bars"] == [0.0, 1.5, 3.0]
    assert found["beats"] == [0.0, 0.5, 1.0, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0]
    assert found["metres"] == [[0, 3, 4], [1, 6, 8]]


def test_drums_are_program_minus_one_and_tracks_keep_the_index_of_the_score() -> None:
    found = notes(midi(track((0, 480, 60, 80), program=33, name="Bass"), track((0, 60, 36, 100), drums=True, name="Kit")))
    assert [(one["index"], one["program"], one["drum"]) for one in found["tracks"]] == [(0, 33, False), (1, -1, True)]


def test_a_file_without_notes_has_no_tracks_and_no_length() -> None:
    found = notes(midi(track(name="silent")))
    assert found["tracks"] == []
    assert (found["bars"], found["beats"], found["duration_s"]) == ([0.0], [0.0], 0.0)


def test_marks_are_told_in_seconds_with_their_kind() -> None:
    made = score(track(*((bar * 1920, 1920, 60, 80) for bar in range(4))))
    regions = [Mark(0, 3840, "theme"), Mark(3840, 7680, "B"), Mark(1920, 1980, "slower")]
    assert notes(to_bytes(with_marks(made, regions)))["marks"] == [
        {"label": "theme", "start_s": 0.0, "end_s": 4.0, "kind": "theme"},
        {"label": "slower", "start_s": 2.0, "end_s": 2.0625, "kind": "other"},
        {"label": "B", "start_s": 4.0, "end_s": 8.0, "kind": "section"},
    ]


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("theme", "theme"), ("Theme 2", "theme"), ("Тема", "theme"), ("themed", "other"), ("A", "section"), ("A12", "section"),
        ("B'", "section"), ("Verse 1", "section"), ("Припев", "section"), ("Am7", "other"), ("", "other"), ("<b>A</b>", "other"),
    ],
)  # fmt: skip
def test_a_label_tells_the_kind(label: str, kind: str) -> None:
    assert kind_of(label) == kind


def test_names_of_html_stay_text_on_one_line() -> None:
    name = '<img src=x onerror="alert(1)">'
    found = notes(midi(track((0, 480, 60, 80), name=name + "\n\x07tail")))
    assert found["tracks"][0]["name"] == name + " tail"


def test_any_bytes_give_notes_that_json_can_hold_or_a_midi_error() -> None:
    n_read = 0
    for case in hostile.corpus(3):
        try:
            found = notes(case.data)
        except MidiError:
            assert case.verdict != "score", case.name
            continue
        n_read += 1
        json.dumps(found, allow_nan=False)
        starts = [note[0] for one in found["tracks"] for note in one["notes"]]
        assert all(note[1] > 0 or note[1] == 0.0 for one in found["tracks"] for note in one["notes"])
        assert max(starts, default=0.0) <= found["bars"][-1]
        assert case.n_notes is None or len(starts) == case.n_notes
    assert n_read > 10
