"""Velocities are changed in the bytes of a file and nothing else is; notes of velocity 0 are found by turns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic import ControlChange, KeySignature, Score, Tempo, TextMeta

import pieces
from kapelle.errors import MidiError, Missing, UsageError
from kapelle.score.limits import Limits
from kapelle.score.read import read, read_with_report
from kapelle.score.velocity import with_velocity
from kapelle.score.write import to_bytes

CONDUCTOR = b"\x00\xff\x58\x04\x04\x02\x18\x08\x00\xff\x51\x03\x07\xa1\x20"


def midi(*tracks: bytes, kind: int = 1, division: bytes = b"\x00\x60") -> bytes:
    """A file of tracks without their ends, at 96 ticks per quarter note."""
    head = b"MThd" + (6).to_bytes(4, "big") + kind.to_bytes(2, "big") + len(tracks).to_bytes(2, "big") + division
    return head + b"".join(b"MTrk" + (len(track) + 4).to_bytes(4, "big") + track + b"\x00\xff\x2f\x00" for track in tracks)


def rich(velocity: int = 1) -> Score:
    """A score with something of everything."""
    score = pieces.score(
        pieces.track((0, 480, 60, velocity), (480, 100, 64, velocity), (500, 300, 60, velocity), program=24, name="Guitar"),
        pieces.track((0, 20, 36, velocity), (960, 20, 38, velocity), drums=True, name="Drums"),
    )
    score.tracks[0].controls.extend([ControlChange(0, 7, 90), ControlChange(240, 64, 127), ControlChange(720, 64, 0)])
    score.tempos.append(Tempo(960, qpm=90))
    score.key_signatures.append(KeySignature(0, -2, 1))
    score.markers.append(TextMeta(480, "theme"))
    return score


def notes(data: bytes) -> list[tuple[int, int, int, int]]:
    return sorted((note.time, note.duration, note.pitch, note.velocity) for track in read(data).tracks for note in track.notes)


def test_every_note_gets_the_velocity_and_no_other_byte_changes() -> None:
    before = to_bytes(rich(), text="made by a test")
    made = with_velocity(before, 50)
    assert made.data == to_bytes(rich(50), text="made by a test")
    assert (made.n_notes, made.before, made.after) == (5, (1, 1), (50, 50))
    assert sum(a != b for a, b in zip(before, made.data, strict=True)) == 5


def test_what_kapelle_does_not_read_stays_too() -> None:
    sysex = b"\x00\xf0\x05\x7e\x7f\x09\x01\xf7"
    rest = b"\x00\xff\x02\x04(c)!" + sysex + b"\x10\xa0\x3c\x01\x00\xd0\x01"
    before = midi(CONDUCTOR + rest, b"\x00\xc0\x05\x00\x90\x3c\x01\x60\x3c\x00\x00\x3e\x01\x60\x80\x3e\x01")
    made = with_velocity(before, 77)
    assert made.data == before.replace(b"\x3c\x01\x60\x3c\x00\x00\x3e\x01", b"\x3c\x4d\x60\x3c\x00\x00\x3e\x4d")
    assert b"\xa0\x3c\x01\x00\xd0\x01" in made.data  # aftertouch of 1 is no velocity, nor is that of a release


def test_notes_with_velocities_of_their_own_are_left_alone_unless_told() -> None:
    before = to_bytes(rich(64))
    with pytest.raises(UsageError, match="velocities of 64 to 64: none is missing") as told:
        with_velocity(before)
    assert "--all" in told.value.hint
    assert with_velocity(before, 50, every=True).data == to_bytes(rich(50))
    mixed = to_bytes(pieces.score(pieces.track((0, 480, 60, 1), (480, 480, 60, 2))))
    with pytest.raises(UsageError, match="1 to 2"):
        with_velocity(mixed)


@pytest.mark.parametrize(
    "track",
    [
        b"\x00\x90\x3c\x00\x60\x90\x3c\x00\x00\x90\x3c\x00\x30\x90\x3c\x00",  # on, on: begins and ends by turns
        b"\x00\x90\x3c\x00\x60\x80\x3c\x00\x00\x90\x3c\x00\x30\x80\x3c\x40",  # on, off
        b"\x00\x90\x3c\x00\x60\x3c\x00\x00\x3c\x00\x30\x3c\x00",  # running status
        b"\x00\x80\x3c\x00\x00\x90\x3c\x00\x60\x3c\x00\x00\x3c\x00\x30\x80\x3c\x00",  # an end before the first beginning is none
    ],
)
def test_notes_of_velocity_0_are_found_by_turns(track: bytes) -> None:
    before = midi(CONDUCTOR, track)
    assert notes(before) == []
    assert read_with_report(before)[1].counts["stray_releases"] >= 2
    made = with_velocity(before, 50)
    assert notes(made.data) == [(0, 96, 60, 50), (96, 48, 60, 50)]
    assert (made.n_notes, made.before, made.after) == (2, (0, 0), (50, 50))
    assert len(made.data) == len(before)


def test_chords_and_channels_of_velocity_0_are_told_apart() -> None:
    chord = b"\x00\x90\x3c\x00\x00\x40\x00\x00\x91\x3c\x00\x60\x90\x3c\x00\x00\x40\x00\x60\x91\x3c\x00"
    made = with_velocity(midi(chord), 9)
    assert notes(made.data) == [(0, 96, 60, 9), (0, 96, 64, 9), (0, 192, 60, 9)]


def test_one_audible_note_and_the_standard_holds() -> None:
    track = b"\x00\x90\x3c\x01\x60\x3c\x00\x00\x40\x00\x60\x40\x00"
    made = with_velocity(midi(CONDUCTOR, track), 50)
    assert (made.n_notes, notes(made.data)) == (1, [(0, 96, 60, 50)])


def test_the_reader_takes_velocity_0_for_an_end_as_before() -> None:
    before = midi(CONDUCTOR, b"\x00\x90\x3c\x40\x60\x3c\x00\x00\x3e\x00\x60\x3e\x00")
    score, report = read_with_report(before)
    assert [len(track.notes) for track in score.tracks] == [1]
    assert report.counts["stray_releases"] == 2


def test_files_in_a_wrapper_of_patterns_and_of_frames_are_changed_in_place() -> None:
    track = b"\x00\x90\x3c\x01\x60\x80\x3c\x00"
    inner = midi(track)
    riff = b"RIFF" + (len(inner) + 12).to_bytes(4, "little") + b"RMIDdata" + len(inner).to_bytes(4, "little") + inner
    for before in (riff, midi(track, track, kind=2), midi(track, kind=0), midi(track, division=b"\xe7\x28")):
        made = with_velocity(before, 50, humanise=True)
        assert len(made.data) == len(before)
        assert all(abs(note[3] - 50) <= 20 for note in notes(made.data))
        assert [note[:3] for note in notes(made.data)] == [note[:3] for note in notes(before)]


def test_a_damaged_file_keeps_what_stands_before_the_damage() -> None:
    before = midi(CONDUCTOR, b"\x00\x90\x3c\x01\x60\x80\x3c\x00\x00\x90\x40")[:-4]
    made = with_velocity(before, 50)
    assert (made.n_notes, notes(made.data)) == (1, [(0, 96, 60, 50)])


def test_what_has_no_notes_is_refused(tmp_path) -> None:
    path = tmp_path / "still.mid"
    path.write_bytes(midi(CONDUCTOR))
    with pytest.raises(MidiError, match=r"still\.mid has no notes"):
        with_velocity(path)
    with pytest.raises(MidiError, match="text, not a MIDI file"):
        with_velocity(b"no music")
    with pytest.raises(Missing):
        with_velocity(tmp_path / "nothing.mid")


def test_a_pause_beyond_the_limits_is_refused_for_silent_notes_too() -> None:
    before = midi(CONDUCTOR, b"\x00\x90\x3c\x00\xff\xff\xff\x7f\x3c\x00")
    with pytest.raises(MidiError, match="longer than"):
        with_velocity(before, humanise=True)
    with pytest.raises(MidiError, match="more than 1 bars"):
        with_velocity(midi(CONDUCTOR, b"\x00\x90\x3c\x01\x83\x10\x3c\x00"), limits=Limits(bars=1))


@pytest.mark.parametrize("value", [0, 128, -5])
def test_a_velocity_out_of_range_is_refused(value: int) -> None:
    with pytest.raises(UsageError, match="1 to 127"):
        with_velocity(to_bytes(rich()), value)


def test_humanised_notes_are_loudest_on_bar_lines_and_softest_between_beats() -> None:
    eighths = to_bytes(pieces.score(pieces.track(*((240 * i + i % 3, 230, 60, 1) for i in range(8 * 50)))))
    made = with_velocity(eighths, 60, humanise=True)
    levels = np.array([note[3] for note in notes(made.data)]).reshape(50, 8)
    means = levels.mean(axis=0)
    assert means[0] == pytest.approx(72, abs=1.5)
    assert means[[2, 4, 6]] == pytest.approx(65, abs=1.5)
    assert means[[1, 3, 5, 7]] == pytest.approx(55, abs=1.5)
    assert (made.after, levels.std(axis=0).min() > 1) == ((int(levels.min()), int(levels.max())), True)


def test_chance_repeats_with_a_seed_and_stays_in_range() -> None:
    data = to_bytes(rich())
    assert with_velocity(data, 50, humanise=True).data == with_velocity(data, 50, humanise=True).data
    assert with_velocity(data, 50, humanise=True).data != with_velocity(data, 50, humanise=True, seed=1).data
    between = to_bytes(pieces.score(pieces.track(*((480 * i + 240, 240, 60, 1) for i in range(9)))))
    assert with_velocity(between, 2, humanise=True).after == (1, 1)
    assert with_velocity(data, 127, humanise=True).after[1] == 127


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 900), st.integers(0, 127)), min_size=1, max_size=20), st.integers(1, 127))
def test_any_music_keeps_its_notes(raw: list[tuple[int, int, int]], value: int) -> None:
    data = to_bytes(pieces.score(pieces.track(*((*note, 1) for note in raw))))
    made = with_velocity(data, value)
    assert notes(made.data) == [(*note[:3], value) for note in notes(data)]
    assert made.n_notes == len(raw)
