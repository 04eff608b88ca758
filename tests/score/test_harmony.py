"""Chords by bar and beat: names, numerals, and agreement with music21's own on chorales and with people on pop songs."""

from __future__ import annotations

import itertools
import os
import random
from pathlib import Path

import numpy as np
import pytest
import symusic

import pieces
from kapelle.score import harmony, units
from kapelle.score.keys import parse_key

BAR = 4 * 480


def written(*bars, key="C", per="bar", drums=False):
    """Names and numerals of chords of whole notes, one list of pitches for each bar."""
    notes = [(place * BAR, BAR, pitch, 80) for place, pitches in enumerate(bars) for pitch in pitches]
    found = harmony.chords(pieces.score(pieces.track(*notes, drums=drums)), parse_key(key), per)
    return [(chord.name, chord.roman) for chord in found]


@pytest.mark.parametrize(
    ("pitches", "key", "name", "roman"),
    [
        ((60, 64, 67), "C", "C", "I"),
        ((52, 60, 67), "C", "C/E", "I6"),
        ((43, 60, 64), "C", "C/G", "I64"),
        ((55, 59, 62, 65), "C", "G7", "V7"),
        ((53, 55, 59, 62), "C", "G7/F", "V42"),
        ((50, 53, 57, 60), "C", "Dm7", "ii7"),
        ((59, 62, 65, 69), "C", "Bm7b5", "viiø7"),
        ((60, 64, 67, 71), "C", "Cmaj7", "I7"),
        ((60, 65, 67), "C", "Csus4", "Isus4"),
        ((60, 64, 68), "C", "Caug", "I+"),
        ((57, 60, 64), "Am", "Am", "i"),
        ((52, 56, 59), "Am", "E", "V"),
        ((56, 59, 62, 65), "Am", "G#dim7", "viio7"),
        ((61, 65, 68), "C", "Db", "bII"),
        ((65, 69, 72), "Am", "F", "VI"),
        ((67, 71, 74), "Am", "G", "VII"),
        ((60, 64, 67), "Am", "C", "III"),
        ((70, 74, 77), "Am", "Bb", "bII"),
        ((58, 62, 65), "C", "Bb", "bVII"),
        ((66, 70, 73), "F#", "F#", "I"),
        ((66, 70, 73), "Db", "Gb", "IV"),
        ((60, 64), "C", "C", "I"),
    ],
)
def test_a_chord_is_spelled_and_numbered_in_its_key(pitches, key, name, roman):
    assert written(pitches, key=key) == [(name, roman)]


def test_silence_and_one_pitch_class_have_no_name():
    assert written((), (60, 72), (60, 64, 67)) == [("", ""), ("", ""), ("C", "I")]


def test_drums_alone_make_no_chord():
    assert written((36, 40, 43), drums=True) == [("", "")]


def test_passing_notes_do_not_make_another_chord():
    notes = [(0, BAR, pitch, 80) for pitch in (48, 55, 64)]
    notes += [(i * 240, 240, pitch, 80) for i, pitch in enumerate((72, 74, 76, 77, 79, 77, 76, 74))]
    found = harmony.chords(pieces.score(pieces.track(*notes)), parse_key("C"))
    assert [(chord.name, chord.roman) for chord in found] == [("C", "I")]
    assert 0.8 < found[0].fit < 1


def test_beats_are_counted_within_their_bars():
    notes = [(beat * 480, 480, pitch, 80) for beat, root in enumerate((60, 65, 67, 60, 65)) for pitch in (root, root + 4, root + 7)]
    found = harmony.chords(pieces.score(pieces.track(*notes)), parse_key("C"), "beat")
    assert [(chord.bar, chord.beat, chord.start_s, chord.roman) for chord in found] == [
        (1, 1, 0.0, "I"), (1, 2, 0.5, "IV"), (1, 3, 1.0, "V"), (1, 4, 1.5, "I"), (2, 1, 2.0, "IV"),
    ]  # fmt: skip


def test_the_sounding_time_is_that_of_counting_tick_by_tick():
    draw = np.random.default_rng(5)
    notes = [(int(draw.integers(0, 90)), int(draw.integers(1, 40)), int(draw.integers(60, 64)), 80) for _ in range(60)]
    lines = np.array([0, 7, 30, 31, 64, 130])
    plain = np.zeros((5, 128))
    for start, length, pitch, _ in notes:
        for tick in range(start, start + length):
            place = int(np.searchsorted(lines, tick, side="right")) - 1
            if place < 5:
                plain[place, pitch] += 1
    assert np.array_equal(harmony.sounding(pieces.score(pieces.track(*notes)), lines), plain)


def test_no_more_chords_than_the_limit(monkeypatch):
    monkeypatch.setattr(harmony, "MAX_CHORDS", 2)
    assert len(written((60, 64, 67), (60, 64, 67), (60, 64, 67))) == 2


def root_and_kind(name):
    """``F#m7/A`` -> (6, "m7")."""
    plain = name.split("/")[0]
    root = plain[: 1 + len(plain[1:]) - len(plain[1:].lstrip("#b"))]
    return parse_key(root).tonic, plain[len(root) :]


def test_on_chorales_chords_are_those_of_music21(tmp_path):
    """Where a beat holds one plain chord, as music21's chordify sees it, nine of ten are the same root and kind."""
    from music21 import corpus

    kinds = {"major triad": "", "minor triad": "m", "diminished triad": "dim", "dominant seventh chord": "7", "minor seventh chord": "m7"}
    same, total = 0, 0
    for name in ("bach/bwv66.6", "bach/bwv26.6"):
        piece = corpus.parse(name)
        piece.write("midi", tmp_path / "chorale.mid")
        score = symusic.Score(tmp_path / "chorale.mid")
        ours = dict(
            zip(np.round(units.beat_starts(score)[:-1] / score.tpq, 3).tolist(), harmony.chords(score, parse_key("C"), "beat"), strict=True)
        )
        for theirs in piece.chordify().flatten().getElementsByClass("Chord"):
            at = round(float(theirs.offset), 3)
            if theirs.quarterLength >= 1 and at in ours and theirs.commonName in kinds:
                total += 1
                same += root_and_kind(ours[at].name) == (theirs.root().pitchClass, kinds[theirs.commonName])
    assert total >= 30
    assert same / total >= 0.9


POP = Path(os.environ.get("KAPELLE_DATA", "nowhere")) / "pop909"


@pytest.mark.skipif(not POP.is_dir(), reason="KAPELLE_DATA has no pop909")
def test_on_pop_songs_roots_are_those_that_the_collection_tells():
    """POP909 comes with chords by time; where one fills four fifths of a bar, more than four of five roots are the same."""
    same, total = 0, 0
    for folder in sorted(POP.glob("[0-9][0-9][1]"))[:6]:
        score = symusic.Score(folder / f"{folder.name}.mid")
        told = [line.split() for line in (folder / "chord_midi.txt").read_text().splitlines() if line.strip()]
        found = harmony.chords(score, parse_key("C"))
        for chord, after in itertools.pairwise(found):
            for start, end, name in told:
                shared = min(float(end), after.start_s) - max(float(start), chord.start_s)
                if name != "N" and shared >= 0.8 * (after.start_s - chord.start_s) and chord.name:
                    total += 1
                    same += root_and_kind(chord.name)[0] == parse_key(name.split(":")[0]).tonic
    assert total > 100
    assert same / total > 0.8


def test_naming_a_chord_leaves_the_global_random_state_alone():
    harmony._degree.cache_clear()
    state = random.getstate()
    assert written([60, 64, 67]) == [("C", "I")]
    assert random.getstate() == state
