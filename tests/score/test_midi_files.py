"""Files in and out: what is written is what every reader reads; what is odd is read for what it means."""

from __future__ import annotations

import errno
import io
import os
import pickle
import random
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic import ControlChange, KeySignature, Note, Pedal, Score, Tempo, TextMeta, TimeSignature, Track

from hostile import END, NOTES, chunk, file, header, meta, riff, song
from kapelle.errors import MidiError, Missing, StorageError, UsageError
from kapelle.score import edit, units
from kapelle.score.limits import Limits
from kapelle.score.read import read, read_with_report
from kapelle.score.write import to_bytes, write, write_bytes

NoteTuple = tuple[int, int, int, int]


def notes_of(score: Score) -> list[list[NoteTuple]]:
    return [sorted((n.time, n.duration, n.pitch, n.velocity) for n in track.notes) for track in score.tracks]


@st.composite
def scores(draw: st.DrawFn) -> Score:
    """Any sane score: up to 18 tracks, metres on bar lines, no pitch twice at once in a track."""
    score = Score(draw(st.sampled_from((24, 96, 220, 480, 960))))
    generator = random.Random(draw(st.integers(0, 2**32)))
    bar = 0
    for _ in range(draw(st.integers(0, 3))):
        score.time_signatures.append(TimeSignature(bar, generator.randint(1, 12), generator.choice((2, 4, 8))))
        score.tempos.append(Tempo(bar, mspq=generator.randint(150_000, 3_000_000)))
        score.key_signatures.append(KeySignature(bar, generator.randint(-7, 7), generator.randint(0, 1)))
        bar += units.bar_length_ticks(score, bar) * generator.randint(1, 4)
    for i in range(draw(st.integers(0, 18))):
        track = Track(f"part {i} ♪", generator.randrange(128), generator.random() < 0.15)
        track.program = 0 if track.is_drum else track.program
        for _ in range(draw(st.integers(1, 12))):
            start, length = generator.randrange(score.tpq * 32), generator.randint(1, score.tpq * 4)
            track.notes.append(Note(start, length, generator.randrange(128), generator.randint(1, 127)))
        score.tracks.append(track)
    return edit.resolve_overlaps(score)


@settings(max_examples=150, deadline=None)
@given(scores())
def test_what_is_written_is_read_again_as_it_was(score: Score) -> None:
    again, report = read_with_report(to_bytes(score))
    assert notes_of(again) == notes_of(score)
    assert again.tpq == score.tpq
    assert [(t.program, t.is_drum, t.name) for t in again.tracks] == [(t.program, t.is_drum, t.name) for t in score.tracks]
    for make in (units.tempo_map, units.metre_map):
        end = units.end_ticks(score)
        before, after = make(score), make(again)
        assert before.ticks[before.ticks <= end].tolist() == after.ticks[after.ticks <= end].tolist()
    assert report.lossless
    assert set(report.counts) <= {"late_events"}
    assert to_bytes(again) == to_bytes(read(to_bytes(again)))


def _by_mido(data: bytes) -> Counter[NoteTuple]:
    mido = pytest.importorskip("mido")
    found: Counter[NoteTuple] = Counter()
    for track in mido.MidiFile(file=io.BytesIO(data)).tracks:
        now, sounding = 0, {}
        for message in track:
            now += message.time
            if message.type == "note_on" and message.velocity:
                sounding[message.channel, message.note] = (now, message.velocity)
            elif message.type in ("note_on", "note_off"):
                start, velocity = sounding.pop((message.channel, message.note))
                found[start, now - start, message.note, velocity] += 1
        assert not sounding
        assert track[-1].type == "end_of_track"
    return found


def _by_pretty_midi(data: bytes) -> Counter[NoteTuple]:
    pretty_midi = pytest.importorskip("pretty_midi")
    midi = pretty_midi.PrettyMIDI(io.BytesIO(data))
    found: Counter[NoteTuple] = Counter()
    for instrument in midi.instruments:
        for note in instrument.notes:
            start, end = midi.time_to_tick(note.start), midi.time_to_tick(note.end)
            found[start, end - start, note.pitch, note.velocity] += 1
    return found


def _by_music21(data: bytes) -> Counter[NoteTuple]:
    midi = pytest.importorskip("music21.midi")
    loaded = midi.MidiFile()
    loaded.readstr(data)
    found: Counter[NoteTuple] = Counter()
    for track in loaded.tracks:
        now, sounding = 0, {}
        for event in track.events:
            if event.isDeltaTime():
                now += event.time
            elif event.isNoteOn():
                sounding[event.channel, event.pitch] = (now, event.velocity)
            elif event.isNoteOff():
                start, velocity = sounding.pop((event.channel, event.pitch))
                found[start, now - start, event.pitch, velocity] += 1
    return found


def _by_symusic(data: bytes) -> Counter[NoteTuple]:
    return Counter(note for track in notes_of(Score.from_midi(data)) for note in track)


def _piece(seed: int, n_tracks: int) -> Score:
    generator = random.Random(seed)
    score = Score(480)
    score.tempos.extend([Tempo(0, 97.0), Tempo(1920 * 3, 140.0)])
    score.time_signatures.append(TimeSignature(0, 3, 4))
    score.key_signatures.append(KeySignature(0, -3, 1))
    score.markers.extend([TextMeta(0, "theme"), TextMeta(1440, "/theme")])
    for i in range(n_tracks):
        track = Track(f"voice {i}", i * 7 % 128, i == 3)
        for _ in range(80):
            start = generator.randrange(0, 480 * 40, 60)
            track.notes.append(Note(start, generator.randrange(60, 2000, 60), generator.randrange(30, 90), generator.randrange(1, 128)))
        score.tracks.append(track)
    return edit.resolve_overlaps(score)


@pytest.mark.parametrize("n_tracks", [1, 5, 20])
@pytest.mark.parametrize("reader", [_by_symusic, _by_mido, _by_pretty_midi, _by_music21])
def test_all_readers_find_the_same_notes(reader, n_tracks: int) -> None:  # type: ignore[no-untyped-def]
    for seed in range(3):
        score = _piece(seed, n_tracks)
        expected = Counter(note for track in notes_of(score) for note in track)
        assert reader(to_bytes(score, text="model, seed 7")) == expected


def test_music21_makes_a_stream_of_what_is_written() -> None:
    converter = pytest.importorskip("music21.converter")
    score = _piece(1, 2)
    stream = converter.parseData(to_bytes(score), format="midi", quantizePost=False)
    heard = sum(len(item.pitches) for item in stream.recurse().notes if item.tie is None or item.tie.type == "start")
    assert heard == score.note_num()


def test_the_bytes_of_a_small_piece_are_these() -> None:
    score = Score(96)
    score.markers.append(TextMeta(0, "A"))
    track = Track("Flute", 73)
    track.notes.append(Note(0, 96, 60, 80))
    score.tracks.append(track)
    conductor = meta(1, b"seed 7") + meta(0x58, b"\4\2\x18\x08") + meta(0x51, b"\x07\xa1\x20") + meta(6, b"A") + b"\x83\x00\xff\x2f\x00"
    flute = meta(3, b"Flute") + b"\0\xc0\x49" + b"\0\x90\x3c\x50" + b"\x60\x80\x3c\0" + b"\x82\x20\xff\x2f\x00"
    assert to_bytes(score, text="seed 7") == header(1, 2, 96) + chunk(conductor) + chunk(flute)


def test_every_track_ends_on_the_final_bar_line() -> None:
    mido = pytest.importorskip("mido")
    for end, expected in ((None, 1440), (5760, 5760), (10, 1440 - 480)):
        score = Score(480)
        score.time_signatures.extend([TimeSignature(0, 3, 4), TimeSignature(99_000, 4, 4)])
        score.tempos.append(Tempo(99_000, 60.0))
        for program in (0, 40):
            track = Track("", program)
            track.notes.append(Note(0, 960, 60, 80))
            track.controls.append(ControlChange(99_000, 64, 0))
            score.tracks.append(track)
        loaded = mido.MidiFile(file=io.BytesIO(to_bytes(score, end_ticks=end)))
        assert loaded.type == 1
        assert [sum(message.time for message in track) for track in loaded.tracks] == [expected] * 3
        assert [track.name for track in loaded.tracks] == ["", "Acoustic grand piano", "Violin"]


def test_a_note_that_ends_where_the_same_pitch_begins_stays_apart() -> None:
    score = Score(480)
    track = Track("", 0)
    track.notes.extend([Note(0, 480, 60, 80), Note(480, 480, 60, 90)])
    score.tracks.append(track)
    assert notes_of(read(to_bytes(score))) == [[(0, 480, 60, 80), (480, 480, 60, 90)]]


def test_more_than_fifteen_instruments_share_channels_by_program() -> None:
    mido = pytest.importorskip("mido")
    score = Score(480)
    for i in range(40):
        track = Track(f"{i}", i % 20 * 6)
        track.notes.append(Note(480 * i, 480, 60, 80))
        score.tracks.append(track)
    sounding: dict[int, int] = {}
    heard = []
    for message in mido.merge_tracks(mido.MidiFile(file=io.BytesIO(to_bytes(score))).tracks):
        if message.type == "program_change":
            sounding[message.channel] = message.program
        elif message.type == "note_on":
            heard.append(sounding[message.channel])
            assert message.channel != 9
    assert heard == [i % 20 * 6 for i in range(40)]
    assert [(t.name, t.program) for t in read(to_bytes(score)).tracks] == [(f"{i}", i % 20 * 6) for i in range(40)]


def test_values_that_no_file_can_hold_are_brought_in_range() -> None:
    score = Score(480)
    track = Track("", 0)
    track.notes.append(Note(-5, 0, 60, 0))
    track.controls.append(ControlChange(0, 7, 200))
    score.tracks.append(track)
    assert notes_of(read(to_bytes(score))) == [[(0, 1, 60, 1)]]


def test_pedals_survive_whether_stated_as_pedals_or_controls() -> None:
    score = Score(480)
    track = Track("", 0)
    track.notes.append(Note(0, 1920, 60, 80))
    track.pedals.append(Pedal(100, 200))
    score.tracks.append(track)
    again = read(to_bytes(score))
    assert [(p.time, p.duration) for p in again.tracks[0].pedals] == [(100, 200)]
    assert [(p.time, p.duration) for p in read(to_bytes(again)).tracks[0].pedals] == [(100, 200)]


def test_an_empty_score_is_written_and_read() -> None:
    assert len(read(to_bytes(Score(480))).tracks) == 0


def test_a_distance_too_long_for_the_format_is_bridged() -> None:
    from kapelle.score.write import _delta

    assert _delta(0x0FFF_FFFF) == b"\xff\xff\xff\x7f"
    assert _delta(0x1000_0001) == b"\xff\xff\xff\x7f\xff\x01\x00\x02"


def test_writing_replaces_nothing_without_force(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "piece.mid"
    score = _piece(0, 1)
    assert write(score, path) == path
    before = path.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        write(Score(480), path)
    assert path.read_bytes() == before
    write(Score(480), path, force=True)
    assert path.read_bytes() == to_bytes(Score(480))
    assert [item.name for item in path.parent.iterdir()] == ["piece.mid"]


def test_where_writing_is_not_possible_the_error_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "piece.mid", tmp_path / "a\0b.mid", tmp_path / ("x" * 300)):
        with pytest.raises(StorageError, match="cannot write"):
            write(Score(480), path)
    (tmp_path / "folder.mid").mkdir()
    with pytest.raises(StorageError, match="cannot write"):
        write(Score(480), tmp_path / "folder.mid", force=True)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["file", "folder.mid"]


@pytest.mark.parametrize("durable", [True, False])
def test_a_full_disk_is_told_as_such_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageError, match="the disk is full") as caught:
        write_bytes(tmp_path / "piece.mid", b"x", durable=durable)
    assert "make room" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_gets_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="there is no file"):
        read(tmp_path / "none.mid")
    with pytest.raises(Missing, match="cannot be the name"):
        read("a\0b.mid")
    with pytest.raises(MidiError, match="is a folder") as caught:
        read(tmp_path)
    assert caught.value.hint == "name one of the files in it"
    assert caught.value.exit_code == 3
    (tmp_path / "empty.mid").write_bytes(b"")
    with pytest.raises(MidiError, match="is empty"):
        read(str(tmp_path / "empty.mid"))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.mid")
        with pytest.raises(MidiError, match="not a regular file"):
            read(tmp_path / "pipe.mid")


def test_a_file_that_may_not_be_read_gets_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.mid").write_bytes(file(NOTES + END))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(StorageError, match="Permission denied"):
        read(tmp_path / "secret.mid")


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(bytes=40), "has 44 bytes, at most 40 are read"),
        (Limits(events=3), "more than 3 events"),
        (Limits(notes=1), "more than 1 notes"),
        (Limits(duration_s=0.9), "lasts longer than 0.9 s"),
    ],
)
def test_each_limit_is_named_in_its_error(limits: Limits, says: str) -> None:
    with pytest.raises(MidiError, match=says):
        read(file(NOTES + END), limits)


def test_limits_on_tracks_bars_tempi_and_metres_are_kept() -> None:
    with pytest.raises(MidiError, match="more than 1 tracks"):
        read(file(NOTES + END, NOTES + END), Limits(tracks=1))
    with pytest.raises(MidiError, match="more than 1 instruments"):
        read(file(NOTES[:-1] + b"\0\0\x91\x3c\x50" + END), Limits(tracks=1))
    with pytest.raises(MidiError, match="more than 1 bars"):
        read(file(meta(0x58, b"\1\2\x18\x08") + NOTES + END), Limits(bars=1))
    with pytest.raises(MidiError, match="more than 1 changes of tempo"):
        read(file(meta(0x51, b"\7\7\7") * 2 + NOTES + END), Limits(tempos=1))
    with pytest.raises(MidiError, match="more than 1 changes of metre"):
        read(file(meta(0x58, b"\3\2\x18\x08") * 2 + NOTES + END), Limits(metres=1))


def test_an_error_says_where_and_crosses_a_process_border_whole() -> None:
    with pytest.raises(MidiError) as caught:
        read(header() + chunk(b"\0\x90"))
    assert str(caught.value) == "the file: an event is cut off at byte 22"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(("rate", "ticks", "second"), [(24, 4, 96), (25, 40, 1000), (25, 1, 25), (30, 80, 2400), (29, 100, 3000 / 1.001)])
def test_time_in_frames_keeps_its_seconds(rate: int, ticks: int, second: float) -> None:
    score, report = read_with_report(file(meta(0x51, b"\1\1\1") + NOTES + END, division=(256 - rate) << 8 | ticks))
    assert units.duration_s(score) == pytest.approx(960 / second, rel=1e-6)
    assert notes_of(score) == [[(0, 480, 60, 80), (480, 480, 64, 80)]]
    assert report.counts["smpte"] == 1


def test_patterns_follow_one_another_bar_by_bar_each_at_its_own_tempo() -> None:
    fast = meta(0x51, (250_000).to_bytes(3, "big")) + meta(0x58, b"\3\2\x18\x08")
    score = read(file(NOTES + END, fast + NOTES + END, form=2))
    assert [note[0] for track in notes_of(score) for note in track] == [0, 480, 1920, 2400]
    assert (units.bpm_at(score, 0), units.bpm_at(score, 1920)) == (120.0, 240.0)
    assert units.bar_starts(score).tolist() == [0, 1920, 3360]


def test_what_stands_before_a_damage_is_kept_and_told() -> None:
    score, report = read_with_report(file(NOTES + b"\0\xff\x01\x7fabc", NOTES + END))
    assert notes_of(score) == [[(0, 480, 60, 80), (480, 480, 64, 80)]] * 2
    assert not report.lossless
    assert [str(error) for error in report.damage] == ["the file: an event says it goes on past the end of its track, at byte 40"]
    assert report.counts == {"damaged_tracks": 1, "bytes_given_up": 7}


def test_a_damage_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    read(file(NOTES + b"\0\xff\x01\x7fabc"))
    assert "tracks read up to a damage" in caplog.text


def test_a_report_holds_the_texts_of_the_file() -> None:
    _, report = read_with_report(to_bytes(_piece(0, 1), text="kapelle genre 1234 seed 7"))
    assert report.texts == ("kapelle genre 1234 seed 7",)
    assert report.lines() == []


def test_channels_and_programs_of_a_track_become_instruments() -> None:
    body = meta(3, b"all") + b"\0\xc1\x28\0\x91\x3c\x50\x60\x81\x3c\0\0\x99\x24\x50\x60\x89\x24\0\0\xc1\x49\0\x91\x40\x50\x60\x81\x40\0"
    score = read(file(body + END, form=0))
    assert [(t.name, t.program, t.is_drum, t.note_num()) for t in score.tracks] == [
        ("all", 40, False, 1),
        ("all", 73, False, 1),
        ("all", 0, True, 1),
    ]


def test_a_control_goes_to_the_instrument_that_plays_next() -> None:
    body = b"\0\xb0\x07\x64\0\xc0\x28\0\x90\x3c\x50\x60\x80\x3c\0\0\xb0\x07\x20\0\xc0\x49\0\x90\x40\x50\x60\x80\x40\0"
    score = read(file(body + END))
    assert [(t.program, [c.value for c in t.controls]) for t in score.tracks] == [(40, [100]), (73, [32])]


def test_texts_that_could_harm_a_terminal_are_cleaned() -> None:
    assert read(file(meta(3, b"\x1b[31mred\x07") + NOTES + END)).tracks[0].name == "[31mred"


def test_riff_and_plain_files_hold_the_same_music() -> None:
    data = song(random.Random(5))
    assert to_bytes(read(riff(data))) == to_bytes(read(data))


def test_the_division_of_a_file_is_kept() -> None:
    data = bytearray(file(NOTES + END))
    data[12:14] = struct.pack(">H", 32767)
    assert read(bytes(data)).tpq == 32767
    assert np.isclose(units.duration_s(read(bytes(data))), 960 / 32767 / 2)


def test_the_end_of_a_pitch_begun_twice_belongs_to_the_earlier_note() -> None:
    body = b"\0\x90\x3c\x50\x60\x90\x3c\x40\x60\x80\x3c\0\x61\x80\x3c\0"
    assert notes_of(read(file(body + END))) == [[(0, 192, 60, 80), (96, 193, 60, 64)]]


def test_all_notes_off_ends_its_channel_once_and_for_all() -> None:
    body = b"\0\x90\x3c\x50\0\x91\x3c\x50\x60\xb0\x7b\0\x60\x90\x3c\x50\x60\x80\x3c\0\0\x81\x3c\0"
    assert notes_of(read(file(body + END))) == [[(0, 96, 60, 80), (192, 96, 60, 80)], [(0, 288, 60, 80)]]


@pytest.mark.parametrize(("rest", "length"), [(b"\x83\x60", 480), (b"\xff\xff\xff\x7f", 480 * 16), (b"\0", 480)])
def test_a_note_never_released_ends_with_its_track_but_not_too_late(rest: bytes, length: int) -> None:
    score, report = read_with_report(file(b"\0\x90\x3c\x50" + rest + b"\xff\x2f\0"))
    assert notes_of(score) == [[(0, length, 60, 80)]]
    assert report.counts["unreleased"] == 1


def test_every_oddity_of_the_container_is_counted() -> None:
    track = chunk(NOTES + END)
    for data, counts in (
        (header(length=10, extra=bytes(4)) + track, {"header": 1}),
        (header() + chunk(b"", b"XFIH") + track, {"alien_chunks": 1}),
        (header() + chunk(b"", b"XFIH", 99_999) + track, {"trailing_bytes": 8}),
        (header(tracks=3) + track, {"track_count": 1}),
        (header(form=9) + track, {"format": 1}),
        (header() + track + b"tail", {"trailing_bytes": 4}),
        (bytes(128) + header() + track, {"leading_bytes": 128}),
        (header() + chunk(NOTES), {"no_end_of_track": 1}),
    ):
        score, report = read_with_report(data)
        assert notes_of(score) == [[(0, 480, 60, 80), (480, 480, 64, 80)]]
        assert report.counts == counts
        assert len(report.lines()) == 1


@pytest.mark.parametrize(
    ("beginning", "says"),
    [
        (b"\x1f\x8b\x08", "is packed with gzip"),
        (b"PK\3\4", "is a zip archive"),
        (b"ID3\3", "is a sound recording"),
        (b"RIFF\0\0\0\0WAVE", "is a RIFF file without MIDI in it"),
        (b"%PDF-1.7", "is a picture or a PDF"),
        (b"<!DOCTYPE html>", "is a web page or XML"),
        (b"do re mi", "is text, not a MIDI file"),
        (b"\0\1\2\3", "does not begin with MThd"),
    ],
)
def test_what_is_another_format_is_called_by_its_name(beginning: bytes, says: str) -> None:
    with pytest.raises(MidiError, match=says) as caught:
        read(beginning + b" and more" * 9)
    assert caught.value.template.startswith("{name} ")
