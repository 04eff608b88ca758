"""`measure` gives every metric of the table, for any score that can be read, without a warning or an infinity.

The golden figures of three small scores are kept in tests/metrics/golden/piece.json; after a change that is meant to change them:
python tests/metrics/test_piece_metrics.py
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic import Note, Score, TimeSignature, Track

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from kapelle.errors import MidiError, UsageError
from kapelle.metrics import band, musegan
from kapelle.metrics.piece import METRICS, measure
from kapelle.score import edit
from kapelle.score.read import read
from kapelle.score.write import to_bytes
from measured import line, part, piece, random_piece, repeated
from scores import band as band_of_five
from scores import chorale, piano

GOLDEN = Path(__file__).parent / "golden" / "piece.json"
COMPOSED = {"chorale": chorale, "piano": piano, "band": band_of_five}
SCALE = line(60, 62, 64, 65, 67, 69, 71, 72, 60, 62, 64, 65, 67, 69, 71, 72)
ODD = Path(os.environ.get("KAPELLE_DATA", "")) / "odd_midi"


def known(found):
    return {name: value for name, value in found.items() if not math.isnan(value)}


def assert_sound(score, n_bars=None):
    found = measure(score, n_bars)
    assert list(found) == list(METRICS)
    for name, value in found.items():
        assert isinstance(value, float), name
        assert math.isnan(value) or METRICS[name].low - 1e-9 <= value <= METRICS[name].high + 1e-9, (name, value)
        assert not math.isinf(value), name


def test_the_table_says_what_each_metric_is():
    for name, metric in METRICS.items():
        assert name == metric.name
        assert metric.label
        assert metric.about
        assert metric.low < metric.high
        assert metric.subject in {"pitch", "rhythm", "polyphony", "harmony", "structure", "musegan"}
    assert len({metric.label for metric in METRICS.values()}) == len(METRICS)


def test_the_page_tells_every_metric():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", page)) | {f"musegan{name}" for name in re.findall(r"`(_\w+)`", page)}
    assert set(METRICS) <= named


def test_a_piece_takes_milliseconds():
    scores = [random_piece(seed, 480, quarters=64) for seed in range(20)]
    measure(scores[0], 16)
    begun = time.process_time()
    for score in scores:
        measure(score, 16)
    assert time.process_time() - begun < 20 * 0.09  # 1,000 in three minutes on one core of two would be 0.18 each


@pytest.mark.parametrize("name", COMPOSED)
def test_golden_figures(name):
    wanted = json.loads(GOLDEN.read_text())[name]
    found = measure(COMPOSED[name]())
    assert list(found) == list(wanted)
    for metric, value in wanted.items():
        assert found[metric] == pytest.approx(math.nan if value is None else value, abs=1e-9, nan_ok=True), metric


@pytest.mark.parametrize("n_bars", [None, 1, 16])
def test_without_notes_only_counts_are_known(n_bars):
    assert known(measure(Score(480), n_bars)) == {"n_pitches": 0.0, "n_pitch_classes": 0.0}


def test_one_note():
    found = known(measure(piece([(0, 1, 60)])))
    assert found == {
        "pitch_class_entropy": 0.0, "pitch_class_entropy_1_bar": 0.0, "pitch_class_entropy_4_bars": 0.0, "scale_consistency": 1.0,
        "pitch_range": 0.0, "n_pitches": 1.0, "n_pitch_classes": 1.0, "polyphony": 1.0, "polyphony_rate": 0.0, "empty_beat_rate": 0.0,
        "empty_bar_rate": 0.0, "notes_per_bar": 1.0, "hits_per_bar": 0.0, "compression_ratio": 1.0, "musegan_eb": 0.0, "musegan_upc": 1.0,
        "musegan_qn": 100.0, "musegan_qn8": 100.0,
    }  # fmt: skip


def test_drums_alone_have_density_and_silence_and_no_pitch():
    found = known(measure(piece(drums=repeated([(0, 1, 36), (2, 1, 38)], 4))))
    assert set(found) == {
        "n_pitches", "n_pitch_classes", "groove_consistency_with_drums", "polyphony_rate",
        "empty_beat_rate", "empty_bar_rate", "notes_per_bar", "hits_per_bar", "musegan_eb", "musegan_dp",
    }  # fmt: skip
    assert found["groove_consistency_with_drums"] == 1.0
    assert found["hits_per_bar"] == 2.0


def test_fewer_than_one_bar_is_refused():
    with pytest.raises(UsageError, match="bars must be 1 or more"):
        measure(piece(SCALE), 0)
    with pytest.raises(UsageError, match="bars must be 1 or more"):
        band.by_track(piece(SCALE), 0)


def test_the_score_is_not_changed():
    score = piece(SCALE, metres=[(0, 4, 4), (8, 3, 4)])
    before = to_bytes(score)
    measure(score, 2)
    assert to_bytes(score) == before


@pytest.mark.parametrize("n_bars", [1, 3, 8, 20])
@pytest.mark.parametrize("seed", range(3))
def test_the_first_bars_of_a_piece_measure_what_they_measure_alone(seed, n_bars):
    score = random_piece(seed, metre=(3, 4) if seed == 2 else (4, 4))
    assert measure(score, n_bars) == pytest.approx(measure(edit.crop_bars(score, 0, n_bars), n_bars), nan_ok=True)


@pytest.mark.parametrize("seed", range(3))
def test_neither_resolution_nor_order_of_tracks_makes_a_difference(seed):
    score = random_piece(seed)
    found = measure(score)
    assert measure(edit.resample(score, 480)) == pytest.approx(found, nan_ok=True)
    score.tracks = score.tracks[::-1]
    assert measure(score) == pytest.approx(found, nan_ok=True)


def test_loudness_names_and_tempi_make_no_difference():
    score = band_of_five()
    found = measure(score)
    for track in score.tracks:
        track.name = "x"
        for note in track.notes:
            note.velocity = 1
    score.tempos = []
    assert measure(score) == pytest.approx(found, nan_ok=True)


def test_bands_are_measured_as_their_cells_are():
    from kapelle.score.roll import FORMS, from_score

    score = band_of_five()
    roll, _ = from_score(score, FORMS["paper"])
    plays = [name for name in roll.tracks if roll.track(name).any()]
    cells = roll.cells[[roll.tracks.index(name) for name in plays]]
    for legacy in (False, True):
        assert band.by_track(score, legacy=legacy) == pytest.approx(musegan.measure(cells[None], plays, legacy=legacy), nan_ok=True)
    found = band.by_track(score)
    assert found["EB/bass"] == 0.0
    assert measure(score)["musegan_td"] == pytest.approx(sum(found[key] for key in found if key.startswith("TD/")) / 3)


def test_a_silent_track_is_not_an_empty_one():
    score = piece(SCALE)
    score.tracks.append(part([], program=33))
    assert set(band.by_track(score)) == {"EB/piano", "UPC/piano", "QN/piano", "QN8/piano"}


@pytest.mark.parametrize("metres", [[(0, 3, 4)], [(0, 4, 4), (8, 3, 4)], [(0, 6, 8)], [(0, 2, 2)]])
def test_bands_are_in_four_four(metres):
    assert band.by_track(piece(SCALE, metres=metres)) == {}


def test_what_metre_comes_after_the_excerpt_is_no_matter():
    score = piece([*SCALE, *line(60, 60, 60, start=16)], metres=[(0, 4, 4), (16, 3, 4)])
    assert band.by_track(score, 4) == band.by_track(piece(SCALE), 4)
    assert band.by_track(score, 5) == {}


notes = st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 900), st.integers(0, 127)), max_size=30)
metres = st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 12), st.sampled_from([1, 2, 4, 8, 16, 32])), max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(notes, st.booleans()), max_size=3), metres, st.sampled_from([1, 2, 24, 96, 480]), st.integers(0, 40))
def test_any_score_is_measured(tracks, metres, tpq, n_bars):
    score = Score(tpq)
    for at, numerator, denominator in metres:
        score.time_signatures.append(TimeSignature(at, numerator, denominator))
    for rows, is_drum in tracks:
        track = Track(is_drum=is_drum)
        for row in rows:
            track.notes.append(Note(*row, 80))
        score.tracks.append(track)
    assert_sound(score, n_bars or None)
    assert_sound(read(to_bytes(score)), n_bars or None)


@pytest.mark.skipif(not os.environ.get("KAPELLE_DATA") or not ODD.is_dir(), reason="KAPELLE_DATA names no folder with the odd_midi pack")
def test_odd_files_are_measured():
    n = 0
    for file in sorted(ODD.rglob("*.mid")):
        try:
            score = read(file)
        except MidiError:
            continue
        assert_sound(score)
        assert_sound(score, 16)
        n += 1
    assert n > 30


if __name__ == "__main__":
    figures = {name: {key: None if math.isnan(v) else v for key, v in measure(make()).items()} for name, make in COMPOSED.items()}
    GOLDEN.write_text(json.dumps(figures, indent=1) + "\n")
