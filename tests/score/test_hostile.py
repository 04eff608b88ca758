"""Whatever the bytes are, the answer is a score or one MidiError, within two seconds of CPU time and 512 MB."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from symusic import Score

from hostile import Case, corpus, header, song
from kapelle.errors import MidiError
from kapelle.score import edit, keys, marks, units
from kapelle.score.info import info
from kapelle.score.limits import DEFAULT
from kapelle.score.read import read, read_with_report
from kapelle.score.write import to_bytes

CASES = list(corpus())
CPU_LIMIT_S = 2.0
MEMORY_LIMIT_MB = 512


def assert_safe(score: Score) -> None:
    """Nothing in `score` can surprise what works with it."""
    assert 1 <= score.tpq <= 32767
    assert len(score.tracks) <= DEFAULT.tracks
    for track in score.tracks:
        notes = track.notes.numpy()
        assert len(notes["time"])
        assert notes["time"].min() >= 0
        assert notes["duration"].min() >= 1
        assert notes["pitch"].min() >= 0
        assert notes["velocity"].min() >= 1
        assert 0 <= track.program <= 127
        assert track.name.isprintable()
    assert all(2.9 < 60e6 / tempo.mspq <= 3000 for tempo in score.tempos)
    assert all(metre.numerator >= 1 and metre.denominator in (1, 2, 4, 8, 16, 32, 64) for metre in score.time_signatures)
    assert all(-7 <= key.key <= 7 and key.tonality in (0, 1) for key in score.key_signatures)
    assert units.duration_s(score) <= DEFAULT.duration_s
    assert units.n_bars(score) <= DEFAULT.bars


def test_the_corpus_is_large_repeatable_and_without_doubles() -> None:
    assert len(CASES) >= 400
    assert [case.data for case in corpus()][:300] == [case.data for case in CASES][:300]
    assert len({case.name for case in CASES}) == len(CASES)
    assert next(case for case in corpus(seed=1) if case.name == "fuzzed_0").data != next(c for c in CASES if c.name == "fuzzed_0").data


def test_every_case_gets_its_answer_in_time() -> None:
    wrong = []
    for case in CASES:
        wrong += _broken_promises(case)
    assert wrong == []


def _broken_promises(case: Case) -> list[str]:
    begin = time.process_time()
    try:
        score, report = read_with_report(case.data)
    except MidiError as error:
        score, said = None, str(error)
        assert "\n" not in said
        assert said.startswith("the file")
    spent = time.process_time() - begin
    wrong = [f"{case.name}: {spent:.1f} s"] if spent > CPU_LIMIT_S else []
    if score is None:
        return wrong + ([f"{case.name}: refused: {said}"] if case.verdict == "score" else [])
    assert_safe(score)
    n_notes = score.note_num()
    if case.verdict == "error":
        wrong.append(f"{case.name}: accepted")
    if case.n_notes is not None and n_notes != case.n_notes:
        wrong.append(f"{case.name}: {n_notes} notes, not {case.n_notes}: {report.lines()}")
    return wrong


def test_what_is_read_from_the_corpus_can_be_described_edited_and_written() -> None:
    logging.disable(logging.WARNING)
    try:
        for case in CASES:
            if len(case.data) < 200_000 and case.verdict != "error":
                try:
                    score = read(case.data)
                except MidiError:
                    continue
                json.dumps(info(score).as_dict())
                marks.marks_of(score)
                keys.estimate_key(score)
                for changed in (edit.transpose(score, 5), edit.resample(score, 48), edit.crop_bars(score, 0, 4)):
                    assert changed.note_num() <= score.note_num()
                assert edit.split_voices(score, [0, 40, 32]).note_num() == score.note_num()
                clean = edit.resolve_overlaps(score)
                assert read(to_bytes(clean)).note_num() == clean.note_num()
    finally:
        logging.disable(logging.NOTSET)


_MEASURE = """
import logging, resource, sys, threading
logging.disable(logging.WARNING)
from hostile import corpus
from kapelle.errors import MidiError
from kapelle.score.read import read
case = next(case for case in corpus() if case.name == sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read(case.data)
except MidiError:
    pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit elsewhere")
@pytest.mark.parametrize(
    "name", ["half_a_million_pedals", "half_a_million_bends", "open_notes_never_closed", "tracks_500", "four_million_events"]
)
def test_reading_needs_little_memory(name: str) -> None:
    root = Path(__file__).parents[2]
    path = os.pathsep.join((str(root / "src"), str(root / "tests"), os.environ.get("PYTHONPATH", "")))
    out = subprocess.run(
        [sys.executable, "-c", _MEASURE, name],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert int(out.stdout) < MEMORY_LIMIT_MB


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=2000))
def test_any_bytes_after_a_header_give_a_safe_score_or_an_error(data: bytes) -> None:
    for whole in (data, header(tracks=2) + data, header() + b"MTrk" + len(data).to_bytes(4, "big") + data):
        with contextlib.suppress(MidiError):
            assert_safe(read(whole))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 5), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=20))
def test_a_song_with_any_bytes_changed_gives_a_safe_score_or_an_error(seed: int, changes: list[tuple[int, int]]) -> None:
    data = bytearray(song(random.Random(seed)))
    for at, value in changes:
        data[at % len(data)] = value
    with contextlib.suppress(MidiError):
        assert_safe(read(bytes(data)))


ODD = Path(os.environ.get("KAPELLE_DATA", "")) / "odd_midi"
needs_odd_midi = pytest.mark.skipif(
    not os.environ.get("KAPELLE_DATA") or not ODD.is_dir(), reason="KAPELLE_DATA names no folder with the odd_midi pack"
)

REFUSED = {
    "division_zero", "gzip_renamed_mid", "header_truncated", "html_404", "huge_delta", "meta_length_past_end", "no_header_chunk",
    "not_midi_text", "running_status_at_start", "sysex_unterminated", "vlq_5_bytes", "zero_bytes", "zip_renamed_mid",
}  # fmt: skip
NO_NOTES = {"no_notes_only_meta", "off_without_on", "only_header", "zero_tracks"}
TWO_QUARTERS = [(0, 480, 60, 80), (480, 480, 64, 80)]
OTHER_NOTES = {
    "one_note": [(0, 96, 60, 80)],
    "zero_length_notes": [(0, 1, 60, 80), (480, 1, 62, 80)],
    "overlapping_same_pitch": [(0, 480, 60, 80), (240, 480, 60, 80)],
    "velocity_over_127": [(0, 480, 60, 127), (0, 960, 60, 80), (480, 480, 64, 80)],
    "format2_two_patterns": [(0, 480, 60, 80), (480, 480, 64, 80), (1920, 480, 60, 80), (2400, 480, 64, 80)],
    "all_128_pitches_chord": [(0, 480, pitch, 80) for pitch in range(128)],
}


@needs_odd_midi
def test_the_handmade_odd_files_are_read_for_what_they_mean() -> None:
    files = sorted((ODD / "handmade").glob("*.mid"))
    assert len(files) >= 40
    for file in files:
        if file.stem in REFUSED:
            with pytest.raises(MidiError):
                read(file)
            continue
        score = read(file)
        assert_safe(score)
        if file.stem == "drums_only":
            assert score.tracks[0].is_drum
            assert score.note_num() == 64
            continue
        found = sorted((n.time, n.duration, n.pitch, n.velocity) for track in score.tracks for n in track.notes)
        assert found == ([] if file.stem in NO_NOTES else OTHER_NOTES.get(file.stem, TWO_QUARTERS)), file.stem


@needs_odd_midi
def test_all_odd_files_get_an_answer_in_time() -> None:
    for file in sorted(ODD.rglob("*.*")):
        if file.suffix in (".mid", ".rmi"):
            begin = time.process_time()
            try:
                assert_safe(read(file))
            except MidiError as error:
                assert file.name in str(error)
            assert time.process_time() - begin < CPU_LIMIT_S, file.name


def test_ticks_do_not_wrap_round() -> None:
    with pytest.raises(MidiError, match="lasts longer"):
        read(next(case.data for case in CASES if case.name == "deltas_past_32_bits"))
