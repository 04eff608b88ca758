"""Our metrics beside those of muspy, pypianoroll, mir_eval, pretty_midi and music21: equal where definitions agree, and each difference.

Each difference stands by number at the head of the module that it concerns.
"""

from __future__ import annotations

import math
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from symusic import Score

from kapelle.errors import MidiError
from kapelle.metrics import harmony, musegan, pitch, polyphony, rhythm
from kapelle.metrics.excerpt import excerpt
from kapelle.score import harmony as chords
from kapelle.score import keys
from kapelle.score.read import read
from kapelle.score.write import to_bytes
from measured import line, notes, piece, random_piece, repeated

SEEDS = range(12)
TPQ = 12
BAR = 4 * TPQ
DATA = Path(os.environ.get("KAPELLE_DATA", ""))
needs_chorales = pytest.mark.skipif(
    not os.environ.get("KAPELLE_DATA") or not (DATA / "jsb_chorales").is_dir(), reason="KAPELLE_DATA names no folder with jsb_chorales"
)
close = pytest.approx


def in_muspy(score: Score):
    """The same notes as muspy's Music."""
    muspy = pytest.importorskip("muspy")
    tracks = [
        muspy.Track(
            program=track.program,
            is_drum=track.is_drum,
            notes=[muspy.Note(time=note.time, pitch=note.pitch, duration=note.duration, velocity=80) for note in track.notes],
        )
        for track in score.tracks
    ]
    return muspy, muspy.Music(resolution=score.tpq, tracks=tracks)


def in_cells(score: Score):
    """The pitched notes of whole bars as pypianoroll's array (steps, 128)."""
    pypianoroll = pytest.importorskip("pypianoroll")
    found = excerpt(score)
    cells = np.zeros((int(found.lines[-1]), 128), bool)
    for onset, end, number in zip(found.onset, found.end, found.pitch, strict=True):
        cells[onset:end, number] = True
    return pypianoroll, cells


def off_the_beat(seed: int) -> Score:
    """A random piece in which no note ends on a beat."""
    score = random_piece(seed, TPQ)
    for track in score.tracks:
        for note in track.notes:
            note.duration += (note.time + note.duration) % TPQ == 0
    return score


# --- muspy: where definitions agree -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_pitches_are_muspys(seed):
    score = random_piece(seed)
    muspy, music = in_muspy(score)
    found = excerpt(score)
    assert pitch.pitch_class_entropy(found) == close(muspy.pitch_class_entropy(music), abs=1e-9)
    assert pitch.scale_consistency(found) == close(muspy.scale_consistency(music), abs=1e-9)
    assert pitch.pitch_range(found) == muspy.pitch_range(music)
    assert pitch.n_pitches(found) == muspy.n_pitches_used(music)
    assert pitch.n_pitch_classes(found) == muspy.n_pitch_classes_used(music)


@pytest.mark.parametrize("seed", SEEDS)
def test_polyphony_is_muspys(seed):
    score = random_piece(seed)
    muspy, music = in_muspy(score)
    found = excerpt(score)
    assert polyphony.polyphony(found) == close(muspy.polyphony(music), abs=1e-9)
    for threshold in (0, 1, 2, 3):
        assert polyphony.polyphony_rate(found, threshold + 1) == close(muspy.polyphony_rate(music, threshold), abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_silence_is_muspys_where_no_note_ends_on_a_beat(seed):
    score = off_the_beat(seed)
    muspy, music = in_muspy(score)
    found = excerpt(score)
    assert polyphony.empty_beat_rate(found) == close(muspy.empty_beat_rate(music), abs=1e-9)
    assert polyphony.empty_bar_rate(found) == close(muspy.empty_measure_rate(music, BAR), abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_groove_is_muspys_at_twelve_steps_where_no_piece_ends_on_a_bar_line(seed):
    score = off_the_beat(seed)
    muspy, music = in_muspy(score)
    assert rhythm.groove_consistency(excerpt(score), drums=True) == close(muspy.groove_consistency(music, BAR), abs=1e-9)


@needs_chorales
def test_real_music_measures_what_muspy_measures():
    n = 0
    for file in sorted((DATA / "jsb_chorales").rglob("*.mid"))[:40:4]:
        try:
            score = read(file)
        except MidiError:
            continue
        muspy, music = in_muspy(score)
        found = excerpt(score)
        assert pitch.pitch_class_entropy(found) == close(muspy.pitch_class_entropy(music), abs=1e-6)
        assert pitch.scale_consistency(found) == close(muspy.scale_consistency(music), abs=1e-6)
        assert polyphony.polyphony(found) == close(muspy.polyphony(music), abs=1e-6)
        assert polyphony.polyphony_rate(found, 3) == close(muspy.polyphony_rate(music), abs=1e-6)
        n += 1
    assert n > 5


# --- muspy: where we differ -------------------------------------------------------------------------------------------------


def test_pitch_1_no_notes_are_no_range():
    muspy, silent = in_muspy(Score(TPQ))
    assert muspy.pitch_range(silent) == 0
    drums = piece(drums=[(0, 1, 36)], tpq=TPQ)
    assert muspy.pitch_range(in_muspy(drums)[1]) == -127
    assert math.isnan(pitch.pitch_range(excerpt(Score(TPQ))))
    assert math.isnan(pitch.pitch_range(excerpt(drums)))


def test_rhythm_1_muspys_groove_depends_on_resolution():
    """Seven of sixteen sixteenths apart: 0.5625 at 4 steps a quarter, 0.927 at 24, 0.996 at 480."""
    rows = [*line(*[60] * 8, length=0.5), (4, 3.75, 60)]
    found = {tpq: in_muspy(piece(rows, tpq=tpq)) for tpq in (4, 24, 480)}
    values = [muspy.groove_consistency(music, 4 * tpq) for tpq, (muspy, music) in found.items()]
    assert values == close([1 - 7 / 16, 1 - 7 / 96, 1 - 7 / 1920])
    ours = [rhythm.groove_consistency(excerpt(piece(rows, tpq=tpq))) for tpq in found]
    assert ours == close([1 - 7 / 48] * 3)


@pytest.mark.parametrize(("n_bars", "theirs"), [(2, 0.875), (8, 1 - 4 / 16 / 8)])
def test_rhythm_2_muspy_appends_an_empty_bar(n_bars, theirs):
    score = piece(repeated(line(60, 60, 60, 60), n_bars), tpq=4)
    muspy, music = in_muspy(score)
    assert muspy.groove_consistency(music, 16) == close(theirs)
    assert rhythm.groove_consistency(excerpt(score)) == 1.0


def test_rhythm_2_one_bar_alone_has_no_groove_and_muspy_gives_it_one():
    score = piece(line(60, 60, 60, 60), tpq=4)
    muspy, music = in_muspy(score)
    assert muspy.groove_consistency(music, 16) == close(0.75)
    assert math.isnan(rhythm.groove_consistency(excerpt(score)))


def test_rhythm_3_muspy_counts_drums_and_knows_one_metre():
    score = piece(repeated(line(60, 60, 60, 60), 2), drums=[(0.5, 0.25, 36), (7.5, 0.4, 36)], tpq=TPQ)
    muspy, music = in_muspy(score)
    assert muspy.groove_consistency(music, BAR) < 1
    assert rhythm.groove_consistency(excerpt(score), drums=True) < 1
    assert rhythm.groove_consistency(excerpt(score)) == 1.0
    rows = [(0, 1, 60), (3, 1, 60), (6, 1, 60), (9, 1, 60)]
    waltz = piece(rows, tpq=TPQ, metres=[(0, 3, 4)])
    assert rhythm.groove_consistency(excerpt(waltz)) == 1.0
    muspy, music = in_muspy(waltz)
    assert muspy.groove_consistency(music, BAR) < 1


def test_polyphony_1_multiple_is_two_not_three():
    score = piece([(0, 4, 60), (0, 4, 64)], tpq=TPQ)
    muspy, music = in_muspy(score)
    pypianoroll, cells = in_cells(score)
    assert muspy.polyphony_rate(music) == pypianoroll.metrics.polyphonic_rate(cells) == 0.0
    assert polyphony.polyphony_rate(excerpt(score)) == 1.0


def test_polyphony_2_a_note_that_ends_on_a_beat_fills_the_next_in_muspy():
    score = piece([(0, 1, 60), (2, 1, 60)], tpq=TPQ)
    muspy, music = in_muspy(score)
    assert muspy.empty_beat_rate(music) == 0.0
    assert polyphony.empty_beat_rate(excerpt(score)) == close(1 / 3)
    bars = piece([(0, 4, 60), (8, 4, 60)], tpq=TPQ)
    muspy, music = in_muspy(bars)
    assert muspy.empty_measure_rate(music, BAR) == 0.0
    assert polyphony.empty_bar_rate(excerpt(bars)) == close(1 / 3)


def test_polyphony_2_muspy_raises_where_there_is_no_track():
    muspy, music = in_muspy(Score(TPQ))
    with pytest.raises(ValueError):
        muspy.empty_beat_rate(music)
    assert math.isnan(polyphony.empty_beat_rate(excerpt(Score(TPQ))))


def test_polyphony_3_bars_are_those_of_the_score():
    score = piece([(0, 2, 60), (7, 1, 60)], tpq=TPQ, metres=[(0, 3, 4)])
    muspy, music = in_muspy(score)
    assert muspy.empty_measure_rate(music, BAR) == 0.0
    assert polyphony.empty_bar_rate(excerpt(score)) == close(1 / 3)


# --- pypianoroll ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_cells_measure_what_pypianoroll_measures(seed):
    score = random_piece(seed, TPQ, drums=False)
    found = excerpt(score, excerpt(score).n_bars)  # whole bars, as cells have them
    pypianoroll, cells = in_cells(score)
    assert pitch.pitch_range(found) == pypianoroll.metrics.pitch_range(cells)
    assert pitch.n_pitches(found) == pypianoroll.metrics.n_pitches_used(cells)
    for threshold in (1, 2):
        assert polyphony.polyphony_rate(found, threshold + 1) == close(pypianoroll.metrics.polyphonic_rate(cells, threshold), abs=1e-9)


def test_pitch_3_pypianorolls_pitch_classes_are_bands_of_neighbouring_pitches():
    score = piece([(0, 1, 60), (0, 1, 72), (1, 1, 60), (1, 1, 62)], tpq=TPQ)
    pypianoroll, cells = in_cells(score)
    assert pypianoroll.metrics.n_pitch_classes_used(cells) == 2  # 60 and 62 are in one band, 60 and 72 in two
    assert pitch.n_pitch_classes(excerpt(score)) == 2
    octaves = piece([(0, 1, 48), (0, 1, 60), (0, 1, 72)], tpq=TPQ)
    assert pypianoroll.metrics.n_pitch_classes_used(in_cells(octaves)[1]) == 3
    assert pitch.n_pitch_classes(excerpt(octaves)) == 1
    c_major = piece(line(60, 62, 64, 65, 67, 69, 71), tpq=TPQ)
    assert pypianoroll.metrics.in_scale_rate(in_cells(c_major)[1]) < 1
    assert pitch.scale_consistency(excerpt(c_major)) == 1.0


def test_polyphony_4_pypianorolls_empty_beats_are_those_that_are_not():
    score = piece([(0, 1, 60), (3, 1, 60)], tpq=TPQ)
    pypianoroll, cells = in_cells(score)
    assert pypianoroll.metrics.empty_beat_rate(cells, TPQ) == close(1 - polyphony.empty_beat_rate(excerpt(score)))
    sparse = piece([(0, 1, 60), (7, 1, 60)], tpq=TPQ)
    assert pypianoroll.metrics.empty_beat_rate(in_cells(sparse)[1], TPQ) == close(2 / 8)
    assert polyphony.empty_beat_rate(excerpt(sparse)) == close(6 / 8)


def test_band_1_pypianoroll_qualifies_every_note():
    pypianoroll = pytest.importorskip("pypianoroll")
    cells = np.zeros((96, 84), bool)
    cells[::4, 30] = True  # notes of one step
    with pytest.raises(ValueError):
        pypianoroll.metrics.qualified_note_rate(cells, 3)
    assert pypianoroll.metrics.qualified_note_rate(cells.astype(np.int8), 3) == 1.0
    assert musegan.measure(cells[None, None, None], ["piano"])["QN/piano"] == 0.0


def test_band_2_pypianorolls_drum_pattern_is_that_of_one_beat():
    pypianoroll = pytest.importorskip("pypianoroll")
    draw = np.random.default_rng(0)
    beat = draw.random((24, 84)) < 0.1
    bar = np.tile(beat, (4, 1))
    assert musegan.measure(bar[None, None, None], ["drums"])["DP/drums"] == close(100 * pypianoroll.metrics.drum_in_pattern_rate(beat, 24))
    with pytest.raises(ValueError):
        pypianoroll.metrics.drum_in_pattern_rate(bar, 24)


def test_band_3_pypianorolls_tonal_distance_gives_no_number_for_four_steps_a_beat():
    pypianoroll = pytest.importorskip("pypianoroll")
    one, other = np.zeros((2, 16, 128), bool)
    one[:, [60, 64, 67]] = other[:, [57, 60, 64]] = True
    with pytest.raises(ValueError):
        pypianoroll.metrics.tonal_distance(one, other, 4)
    cells = np.stack([one, other])[None, :, None, :, 24:108]
    assert musegan.measure(cells, ["guitar", "piano"])["TD/guitar-piano"] == close(0.7993, abs=1e-4)


# --- mir_eval, pretty_midi, music21 -------------------------------------------------------------------------------------------

MIR_EVAL = {
    "": "maj", "m": "min", "dim": "dim", "aug": "aug", "sus4": "sus4",
    "7": "7", "maj7": "maj7", "m7": "min7", "m7b5": "hdim7", "dim7": "dim7",
}  # fmt: skip
ROOTS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def test_chords_have_the_tones_that_mir_eval_gives_them():
    mir_eval = pytest.importorskip("mir_eval")
    assert set(MIR_EVAL) == set(chords.KINDS)
    for root, name in enumerate(ROOTS):
        for kind, quality in MIR_EVAL.items():
            number, tones, _ = mir_eval.chord.encode(f"{name}:{quality}")
            assert number == root
            assert sorted((7 * fifths) % 12 for fifths in chords.KINDS[kind]) == np.flatnonzero(tones).tolist()


def test_chords_written_as_mir_eval_spells_them_are_heard_as_such():
    mir_eval = pytest.importorskip("mir_eval")
    wanted, rows = [], []
    for kind, quality in MIR_EVAL.items():
        for root, name in enumerate(ROOTS):
            number, tones, _ = mir_eval.chord.encode(f"{name}:{quality}")
            rows += [(4 * len(wanted), 4, 48 + number + int(tone)) for tone in np.flatnonzero(tones)]
            wanted.append((root, kind))
    found = harmony.progression(notes(rows))
    assert len(found) == len(wanted) == 120
    assert found == wanted


def test_a_key_and_its_relative_are_what_mir_eval_takes_for_relatives():
    mir_eval = pytest.importorskip("mir_eval")
    for key in keys.ALL_KEYS:
        name, relative = (f"{ROOTS[one.tonic]} {one.mode}" for one in (key, key.relative))
        assert mir_eval.key.weighted_score(name, name) == 1.0
        assert mir_eval.key.weighted_score(name, relative) == 0.3
        assert set(key.pitch_classes) == set(key.relative.pitch_classes)


@pytest.mark.parametrize("seed", range(4))
def test_pitch_classes_are_counted_as_pretty_midi_counts_them(seed, tmp_path):
    pretty_midi = pytest.importorskip("pretty_midi")
    score = read(to_bytes(random_piece(seed)))
    (tmp_path / "piece.mid").write_bytes(to_bytes(score))
    shares = pretty_midi.PrettyMIDI(str(tmp_path / "piece.mid")).get_pitch_class_histogram(normalize=True)
    held = shares[shares > 0]
    assert pitch.pitch_class_entropy(excerpt(score)) == close(float(-(held * np.log2(held)).sum()), abs=1e-6)


def test_scales_are_music21s():
    music21 = pytest.importorskip("music21")
    for key in keys.ALL_KEYS:
        tonic = ROOTS[key.tonic]
        scale = music21.scale.MajorScale(tonic) if key.mode == "major" else music21.scale.MinorScale(tonic)
        assert {one.pitchClass for one in scale.getPitches()} == set(key.pitch_classes)


@pytest.mark.parametrize("seed", range(6))
def test_keys_correlate_as_music21_says(seed):
    music21 = pytest.importorskip("music21")
    draw = np.random.default_rng(seed)
    times = draw.integers(1, 64, 12)
    stream = music21.stream.Stream()
    for number, quarters in enumerate(times.tolist()):
        stream.append(music21.note.Note(60 + number, quarterLength=quarters))
    found = music21.analysis.discrete.KrumhanslKessler(stream).getSolution(stream)
    ours = keys.key_correlations(times)
    best = keys.ALL_KEYS[int(np.argmax(ours))]
    assert (found.tonic.pitchClass, found.mode) == (best.tonic, best.mode)
    assert float(ours.max()) == close(found.correlationCoefficient, abs=1e-6)


# --- MusDr, by the words of the paper and the released code -----------------------------------------------------------------


def windows(score: Score, bars: int) -> float:
    found = excerpt(score)
    values = []
    for first in range(max(found.n_bars - bars, 0) + 1):
        inside = (found.bar >= first) & (found.bar < first + bars)
        if inside.any():
            shares = np.bincount(found.pitch[inside] % 12, minlength=12) / inside.sum()
            values.append(-sum(share * math.log2(share) for share in shares if share))
    return float(np.mean(values))


@pytest.mark.parametrize("bars", [1, 4, 40])
@pytest.mark.parametrize("seed", range(4))
def test_entropy_of_windows_is_counted_window_by_window(seed, bars):
    score = random_piece(seed)
    assert pitch.pitch_class_entropy_over(excerpt(score), bars) == close(windows(score, bars), abs=1e-9)


def test_harmony_2_musdr_leaves_out_the_last_succession():
    triads = {"C": (60, 64, 67), "F": (65, 69, 72), "G": (67, 71, 74)}
    names = ["C", "F", "G", "C", "F", "C"]
    found = notes([(4 * bar, 4, number) for bar, name in enumerate(names) for number in triads[name]])
    grams = list(zip(names, names[1:], names[2:], strict=False))
    theirs = len(set(grams[:-1])) / (len(names) - 3)
    assert theirs == 1.0
    assert harmony.chord_progression_irregularity(found) == close(len(set(grams)) / len(grams)) == 1.0
    names = ["C", "F", "G", "C", "F", "G"]
    found = notes([(4 * bar, 4, number) for bar, name in enumerate(names) for number in triads[name]])
    grams = list(zip(names, names[1:], names[2:], strict=False))
    assert len(set(grams[:-1])) / (len(names) - 3) == 1.0
    assert harmony.chord_progression_irregularity(found) == close(3 / 4)


def test_rhythm_4_all_pairs_are_counted_where_musdr_draws_a_thousand():
    draw = np.random.default_rng(0)
    rows = [(bar * 4 + step / 12, 1 / 12, 60) for bar in range(60) for step in draw.choice(48, 8, replace=False)]
    found = notes(rows)
    bars, _ = rhythm.onsets(found)
    assert len(bars) * (len(bars) - 1) // 2 > 1000
    every = [(bars[i] == bars[j]).mean() for i in range(60) for j in range(i)]
    assert rhythm.groove_similarity(found) == close(float(np.mean(every)), abs=1e-9)
    assert rhythm.groove_consistency(found) == close(float(np.mean([(a == b).mean() for a, b in pairwise(bars)])), abs=1e-9)


def test_rhythm_5_the_groove_of_themes_is_on_sixteenths():
    from kapelle.metrics.theme import FINE_STEPS, grooving_consistency

    score = piece([*line(*[60] * 8, length=0.5), *line(60, 60, 60, 60, start=4)])
    assert grooving_consistency(score) == close(1 - 4 / 16)
    assert rhythm.groove_similarity(excerpt(score)) == close(grooving_consistency(score, steps=FINE_STEPS)) == close(1 - 4 / 48)
