"""What `analyse` counts, by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
import symusic

import pieces
from kapelle.errors import MidiError
from kapelle.score import analysis
from kapelle.score.analysis import analyse, pitch_name
from kapelle.score.keys import pitch_class_durations

BAR = 4 * 480


def song():
    """A bar of C and a bar of F over their roots, and a drum."""
    melody = pieces.track(*[(480 * i, 480, 60 + step, 80) for i, step in enumerate((0, 4, 7, 4, 5, 9, 0, 5))], name="Melody")
    bass = pieces.track((0, BAR, 36, 80), (BAR, BAR, 41, 80), name="Bass", program=32)
    drums = pieces.track((0, 120, 38, 80), (BAR, 120, 38, 80), name="Drums", drums=True)
    return pieces.score(melody, bass, drums)


def test_the_facts_of_a_small_song():
    found = analyse(song())
    assert (found.n_notes, found.n_bars, found.duration_s) == (12, 2, 4.0)
    assert found.metres == ((1, "4/4"),) and found.tempos == ((1, 120.0),)
    assert [(one.track, one.lowest_name, one.highest_name) for one in found.ranges] == [
        ("Melody", "C4", "A4"), ("Bass", "C2", "F2"), ("Drums", "", ""),
    ]  # fmt: skip
    density = found.density
    assert (density.by_bar, density.per_bar, density.per_s) == ((6, 6), 6.0, 3.0)
    assert (density.polyphony, density.most_at_once) == (2.0, 2)
    assert sum(found.pitch_classes) == pytest.approx(1, abs=1e-3)
    assert found.pitch_classes[0] == pytest.approx(6 / 16) and found.pitch_classes[1] == 0
    assert [(chord.name, chord.roman) for chord in found.chords] == [("C", "V"), ("F", "I")] and found.key == "F major"


def test_both_estimates_are_told_with_their_lead():
    found = analyse(song())
    for estimate in (found.estimate, found.estimate_music21):
        assert estimate.key in ("C major", "F major") and 0.5 < estimate.correlation <= 1 and 0 <= estimate.lead < 2


@pytest.mark.parametrize(
    ("own", "other", "signature", "chosen"),
    [
        ("F major", "Bb major", "Bb major", "Bb major"),
        ("F major", "Bb major", None, "F major"),
        ("F major", "Bb major", "C major", "F major"),
        ("A major", "D minor", "F major", "D minor"),
        ("C major", "A minor", "C major", "C major"),
    ],
)
def test_the_signature_decides_between_two_estimates(own, other, signature, chosen):
    assert analysis._chosen(own, other, signature) == chosen


def test_twelve_notes_tell_music21_what_the_whole_piece_does():
    from music21 import note, stream

    draw = np.random.default_rng(3)
    notes = [(int(i) * 120, int(draw.integers(60, 900)), int(draw.choice((60, 62, 63, 65, 67, 68, 71, 72))), 80) for i in range(120)]
    whole = stream.Stream()
    for start, length, pitch, _ in notes:
        one = note.Note(pitch)
        one.quarterLength = length / 480
        whole.insert(start / 480, one)
    theirs = whole.analyze("key")
    found = analysis._estimate_by_music21(pitch_class_durations(pieces.score(pieces.track(*notes))))
    assert found.key == f"{theirs.tonic.name.replace('-', 'b')} {theirs.mode}"
    assert found.correlation == pytest.approx(theirs.correlationCoefficient, abs=2e-3)


def test_changes_of_metre_and_tempo_are_told_with_their_bars():
    score = song()
    score.time_signatures.append(symusic.TimeSignature(BAR, 2, 4))
    score.tempos.append(symusic.Tempo(BAR + 960, qpm=90))
    found = analyse(score)
    assert found.metres == ((1, "4/4"), (2, "2/4"))
    assert found.tempos == ((1, 120.0), (3, 90.0))


def test_polyphony_counts_the_time_in_which_anything_sounds():
    found = analyse(pieces.score(pieces.track((0, 480, 60, 80), (0, 240, 64, 80), (BAR, 480, 67, 80))))
    assert found.density.polyphony == 1.25 and found.density.most_at_once == 2


def test_a_piece_of_drums_has_density_and_neither_key_nor_chords():
    found = analyse(pieces.score(pieces.track((0, 120, 36, 80), (480, 120, 38, 80), drums=True)))
    assert (found.key, found.estimate, found.estimate_music21, found.chords) == (None, None, None, ())
    assert found.density.per_bar == 2 and found.density.polyphony == 0 and sum(found.pitch_classes) == 0


def test_all_pitch_classes_alike_are_analysed_too():
    found = analyse(pieces.score(pieces.track(*[(i * 480, 480, 60 + i, 80) for i in range(12)])))
    assert found.key == "C major" and found.estimate.lead == 0


def test_one_note_is_enough_and_none_is_an_error():
    assert analyse(pieces.score(pieces.track((0, 480, 69, 80)))).ranges[0].lowest_name == "A4"
    with pytest.raises(MidiError, match="no notes to analyse"):
        analyse(pieces.score())


def test_the_dictionary_is_json_with_names():
    told = json.loads(json.dumps(analyse(song(), "beat").as_dict()))
    assert told["pitch_classes"]["C"] == pytest.approx(0.375) and told["metres"] == [{"bar": 1, "metre": "4/4"}]
    assert len(told["chords"]) == 8 and told["per"] == "beat"


def test_five_minutes_of_dense_music_take_seconds():
    import time

    draw = np.random.default_rng(1)
    notes = [(i * 60, 240, int(draw.integers(36, 90)), 80) for i in range(5000)]  # 5.2 minutes at 120 bpm
    analyse(song())  # loads music21
    before = time.process_time()
    analyse(pieces.score(pieces.track(*notes)), "beat")
    assert time.process_time() - before < 5


@pytest.mark.parametrize(("pitch", "name"), [(60, "C4"), (0, "C-1"), (127, "G9"), (70, "Bb4")])
def test_middle_c_is_c4(pitch, name):
    assert pitch_name(pitch) == name
