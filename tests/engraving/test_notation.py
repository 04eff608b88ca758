"""Scores as MusicXML: the same notes at their written times, full bars, right clefs, letters and values; bytes that repeat."""

import re
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import symusic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kapelle.engraving.clefs import BASS, BASS_LOW, TREBLE, TREBLE_LOW, clefs
from kapelle.engraving.grid import snap
from kapelle.engraving.hands import LEFT, RIGHT, split_hands
from kapelle.engraving.notation import musicxml
from kapelle.engraving.options import EngravingOptions
from kapelle.engraving.rhythm import Span, write_bar
from kapelle.engraving.spelling import spell, spell_chord
from kapelle.engraving.timeline import QUARTER, Bar, timeline
from kapelle.engraving.voices import StaffNote, voices
from kapelle.errors import NotEnoughMemory, UsageError
from pieces import score, track
from scores import ALL, band, chorale, piano

GOLDEN = Path(__file__).parent / "golden"


def values(spans, metre=(4, 4), length=None):
    """The written values of a bar: "q." for a dotted quarter, "r" before rests, "~" behind what is tied on."""
    full = metre[0] * 4 * QUARTER // metre[1]
    bar = Bar(0, length or full, metre, 0, False, 0, pickup=length is not None)
    short = {"bar": "bar", "whole": "w", "half": "h", "quarter": "q", "eighth": "8", "16th": "16", "32nd": "32"}
    pieces = write_bar([Span(*(round(x * QUARTER) for x in span[:2]), span[2]) for span in spans], bar)
    return [
        ("r" if p.chord < 0 else "") + short[p.kind] + "." * p.dots + ("3" if p.tuplet else "") + ("~" if p.ties else "") for p in pieces
    ]


def voices_of(text):
    """The length of every voice of every measure, and how long the measure is."""
    for part in ElementTree.fromstring(text).iter("part"):
        for measure in part.iter("measure"):
            lengths = {}
            for note in measure.iter("note"):
                if note.find("chord") is None:
                    voice = note.findtext("voice")
                    lengths[voice] = lengths.get(voice, 0) + int(note.findtext("duration"))
            yield measure, lengths


def sounding(text):
    """(start in quarters, MIDI number) of all pitched notes that are not tied from before, read back by music21."""
    from music21 import converter

    out = []
    for part in converter.parse(text, format="musicxml").parts:
        for note in part.flatten().notes:
            for one in note.notes if note.isChord else [note]:
                if one.tie is None or one.tie.type == "start":
                    out += [(Fraction(note.offset).limit_denominator(48), one.pitch.midi)]
    return sorted(out)


@pytest.mark.parametrize("name", ALL)
def test_the_golden_scores_are_written_as_before(name):
    found = musicxml(ALL[name](), EngravingOptions(title=name.capitalize(), composer="Kapelle"))
    assert found == (GOLDEN / f"{name}.musicxml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["chorale", "piano"])
def test_music21_reads_back_the_notes_that_were_played(name):
    piece = ALL[name]()
    played = sorted({(Fraction(round(note.time / 40), 12), note.pitch) for t in piece.tracks for note in t.notes})
    assert sounding(musicxml(piece)) == played


@pytest.mark.parametrize("name", ALL)
def test_every_voice_fills_its_bars(name):
    for measure, lengths in voices_of(musicxml(ALL[name]())):
        assert len(set(lengths.values())) == 1, (measure.get("number"), lengths)
        assert len(lengths) <= 4


def test_a_chorale_is_one_part_of_two_staves_and_four_voices():
    text = musicxml(chorale())
    assert text.count("<score-part ") == 1
    assert "<staves>2</staves>" in text
    assert {voice for _, lengths in voices_of(text) for voice in lengths} == {"1", "2", "5", "6"}
    assert "<fifths>1</fifths><mode>major</mode>" in text
    assert re.findall(r"<clef number=\"\d\"><sign>(.)", text) == ["G", "F"]


def test_a_pickup_stays_a_pickup_and_a_new_metre_is_written():
    text = musicxml(piano())
    assert '<measure number="0" implicit="yes">' in text
    assert text.count("<time>") == 2
    assert '<measure number="4">\n   <attributes><time><beats>3</beats>' in text


def test_a_band_has_a_staff_for_each_and_crosses_for_cymbals():
    text = musicxml(band())
    names = re.findall(r"<part-name>([^<]*)<", text)
    assert names == ["Flute", "Clean electric guitar", "Strings", "Fingered electric bass", "Drums"]
    assert re.findall(r"<sign>(\w+)</sign>(?:<line>\d</line>)?(<clef-octave-change>-1)?", text) == [
        ("G", ""), ("G", "<clef-octave-change>-1"), ("F", ""), ("F", "<clef-octave-change>-1"), ("percussion", ""),
    ]  # fmt: skip
    assert text.count("<notehead>x</notehead>") == 33
    assert "Drums" not in musicxml(band(), EngravingOptions(drums=False))


def test_nothing_that_shows_as_a_box_or_changes_with_the_day_is_written():
    for make in ALL.values():
        text = musicxml(make())
        assert "<metronome" not in text and "<encoding-date" not in text
        assert musicxml(make()) == text


@pytest.mark.parametrize(
    ("spans", "metre", "written"),
    [
        ([(0, 4, 1)], (4, 4), ["w"]),
        ([(0, 4, -1)], (4, 4), ["rbar"]),
        ([(0, 3, -1)], (3, 4), ["rbar"]),
        ([(0, 1.5, 1), (1.5, 2, 2), (2, 4, -1)], (4, 4), ["q.", "8", "rh"]),
        ([(0, 0.5, 1), (0.5, 1.5, 2), (1.5, 2, 3), (2, 4, 4)], (4, 4), ["8", "q", "8", "h"]),
        ([(0, 1.5, 1), (1.5, 2.5, 2), (2.5, 4, 3)], (4, 4), ["q.", "8~", "8", "q."]),
        ([(0, 1, 1), (1, 3, 2), (3, 4, 3)], (4, 4), ["q", "h", "q"]),
        ([(0, 1, 1), (1, 3, -1), (3, 4, 3)], (4, 4), ["q", "rq", "rq", "q"]),
        ([(0, 0.75, 1), (0.75, 1.25, 2), (1.25, 3, -1), (3, 4, 3)], (4, 4), ["8.", "16~", "16", "r16", "r8", "rq", "q"]),
        ([(0, 2.5, 1), (2.5, 4, -1)], (4, 4), ["h~", "8", "r8", "rq"]),
        ([(0, 1, 1), (1, 3, 2)], (3, 4), ["q", "h"]),
        ([(0, 1, 1), (1, 2, 2), (2, 3, -1)], (6, 8), ["q", "8~", "8", "r8", "r8"]),
        ([(0, 1.5, 1), (1.5, 3, -1)], (6, 8), ["q.", "rq."]),
        ([(0, 1 / 3, 1), (1 / 3, 2 / 3, 2), (2 / 3, 1, 3), (1, 4, -1)], (4, 4), ["83", "83", "83", "rq", "rh"]),
        ([(0, 2 / 3, 1), (2 / 3, 1, 2), (1, 2, 3)], (2, 4), ["q3", "83", "q"]),
        ([(0, 2 / 3, 1), (2 / 3, 4 / 3, 2), (4 / 3, 2, 3)], (2, 4), ["q3", "q3", "q3"]),
        ([(0, 7 / 3, 1), (7 / 3, 3, 2)], (3, 4), ["h~", "83", "q3"]),
    ],
)
def test_lengths_are_written_as_the_metre_asks(spans, metre, written):
    assert values(spans, metre) == written


def test_a_pickup_counts_its_beats_from_the_end():
    assert values([(0, 0.5, 1), (0.5, 1.5, 2)], (4, 4), length=72) == ["8", "q"]


def test_beams_join_what_lies_in_a_beat_and_stop_at_rests():
    bar = Bar(0, 192, (4, 4), 0, False, 0)
    spans = [
        Span(0, 24, 0),
        Span(24, 36, 1),
        Span(36, 48, 2),
        Span(48, 72, -1),
        Span(72, 96, 3),
        *(Span(96 + 24 * i, 120 + 24 * i, i) for i in range(4)),
    ]
    beams = [piece.beams for piece in write_bar(spans, bar)]
    assert beams == [["begin"], ["continue", "begin"], ["end", "end"], [], [], ["begin"], ["continue"], ["continue"], ["end"]]


def test_onsets_find_straight_and_triplet_divisions():
    edges = [0, 48, 96, 144]
    played = np.array([0.5, 12.8, 23.1, 36.4, 48.2, 63.2, 80.9, 95.6])
    assert snap(played, edges).tolist() == [0, 12, 24, 36, 48, 64, 80, 96]
    assert snap(np.array([0.0, 24.0, 30.0, 36.0, 42.0]), edges).tolist() == [0, 24, 30, 36, 42]


def test_hands_take_what_lies_near_them():
    # An octave in the left under chords in the right, which comes down below middle C while the left goes lower still.
    pitches = [36, 48, 64, 67, 72, 31, 43, 55, 58, 62]
    onsets = [0, 0, 0, 0, 0, 480, 480, 480, 480, 480]
    assert split_hands(onsets, [t + 480 for t in onsets], pitches) == [LEFT, LEFT, RIGHT, RIGHT, RIGHT] * 2


def test_a_held_note_over_moving_ones_makes_two_voices_and_a_plain_line_one():
    held = [StaffNote(0, 192, 76), *(StaffNote(48 * i, 48 * i + 48, 60 + i) for i in range(4))]
    upper, lower = voices(held, [0, 192])
    assert [chord.pitches for chord in upper] == [(76,)] and len(lower) == 4
    overlapping = [StaffNote(48 * i, 48 * i + 55, 60 + i) for i in range(4)]  # a legato that runs over a little
    upper, lower = voices(overlapping, [0, 192])
    assert [(chord.start, chord.end) for chord in upper] == [(0, 48), (48, 96), (96, 144), (144, 192)] and not lower


def test_short_notes_are_written_up_to_the_next_and_silence_stays():
    upper, _ = voices([StaffNote(0, 20, 60), StaffNote(48, 90, 62), StaffNote(144, 190, 64)], [0, 192])
    assert [(chord.start, chord.end) for chord in upper] == [(0, 48), (48, 96), (144, 192)]


@pytest.mark.parametrize(
    ("pitch", "lowest", "name"),
    [
        (60, -3, ("C", 0, 4)),
        (61, -3, ("C", 1, 4)),
        (63, -3, ("E", -1, 4)),
        (66, -3, ("F", 1, 4)),
        (59, -11, ("C", -1, 4)),
        (60, 4, ("B", 1, 3)),
    ],
)
def test_pitches_are_spelled_from_the_line_of_fifths(pitch, lowest, name):
    found = spell(pitch, lowest)
    assert (found.step, found.alter, found.octave) == name


def test_a_note_that_leads_upwards_has_the_letter_below():
    names = [spell_chord((63,), following, -3)[0] for following in ((64,), (62,))]
    assert [(name.step, name.alter) for name in names] == [("D", 1), ("E", -1)]


@pytest.mark.parametrize(
    ("heights", "program", "clef"),
    [([35, 36, 40], 40, TREBLE), ([20, 22, 18], 42, BASS), ([12, 14, 16], 33, BASS_LOW), ([24, 28, 30], 24, TREBLE_LOW)],
)
def test_a_clef_fits_its_range(heights, program, clef):
    assert clefs([heights], program, may_change=False) == [clef]


def test_a_left_hand_that_climbs_for_long_gets_a_treble_clef():
    low, high = [16, 20, 23], [35, 37, 39]
    found = clefs([low] * 4 + [high] * 6 + [low] * 4, 0, may_change=True, wanted=BASS)
    assert found == [BASS] * 4 + [TREBLE] * 6 + [BASS] * 4
    assert set(clefs([low] * 4 + [[31, 32]] + [low] * 4, 0, may_change=True, wanted=BASS)) == {BASS}


def test_music_beside_its_beats_is_moved_onto_them():
    onsets = [(480 * i + 95, 400, 60 + i % 5, 80) for i in range(2, 18)]
    piece = score(track(*onsets))
    assert timeline(piece).offset == pytest.approx(9.5, abs=0.01)
    assert "16th" not in musicxml(piece)
    assert timeline(score(track(*((480 * i, 400, 60, 80) for i in range(16))))).offset == 0.0


def test_a_metronome_track_of_single_beats_is_written_in_four():
    piece = score(track(*((480 * i, 480, 60, 80) for i in range(16))))
    piece.time_signatures.append(symusic.TimeSignature(0, 1, 4))
    assert "<beats>4</beats>" in musicxml(piece)


def test_names_of_people_are_not_names_of_instruments():
    piece = score(
        track((0, 480, 60, 80), name="Composed by J. Doe 1999", program=73), track((0, 480, 40, 80), name="MIDI Out #2", program=33)
    )
    assert re.findall(r"<part-name>([^<]*)<", musicxml(piece)) == ["Flute", "Fingered electric bass"]


def test_titles_cannot_break_out():
    text = musicxml(chorale(), EngravingOptions(title="</work-title><x>&", composer='"<b>'))
    assert ElementTree.fromstring(text).findtext("work/work-title") == "</work-title><x>&"


@pytest.mark.parametrize(
    "piece", [score(), score(track()), score(track((0, 9, 36, 9), drums=True))], ids=["no tracks", "no notes", "drums"]
)
def test_nothing_to_write_is_said(piece):
    with pytest.raises(UsageError, match="no notes to write"):
        musicxml(piece, EngravingOptions(drums=False))


def test_what_no_page_could_hold_is_refused():
    with pytest.raises(NotEnoughMemory):
        musicxml(score(track((0, 1920 * 6000, 60, 80))))


NOTES = st.lists(st.tuples(st.integers(0, 8000), st.integers(0, 3000), st.integers(0, 127), st.integers(1, 127)), min_size=1, max_size=40)
METRES = st.lists(st.tuples(st.integers(0, 9000), st.integers(1, 20), st.sampled_from([1, 2, 4, 8, 16, 32, 64])), max_size=3)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(NOTES, METRES, st.integers(0, 127), st.booleans())
def test_any_score_becomes_bars_that_are_full(notes, metres, program, drums):
    piece = score(track(*notes, program=program), *([track(*notes[:10], drums=True)] if drums else []))
    for time, numerator, denominator in metres:
        piece.time_signatures.append(symusic.TimeSignature(time, numerator, denominator))
    for measure, lengths in voices_of(musicxml(piece)):
        assert len(set(lengths.values())) == 1, (measure.get("number"), lengths)
