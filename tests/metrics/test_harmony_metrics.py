"""Chord progression irregularity: successions of three counted by hand."""

from __future__ import annotations

import math

import pytest

from kapelle.metrics import harmony
from measured import line, notes

TRIADS = {"C": (60, 64, 67), "F": (65, 69, 72), "G": (67, 71, 74), "Am": (57, 60, 64), "Dm": (62, 65, 69), "E": (64, 68, 71)}
AS_NUMBERS = {"C": (0, ""), "F": (5, ""), "G": (7, ""), "Am": (9, "m"), "Dm": (2, "m"), "E": (4, "")}


def bars(names: str, **more):
    """A triad in each bar, by name; a dash is a bar of silence."""
    rows = [(4 * bar, 4, pitch) for bar, name in enumerate(names.split()) if name != "-" for pitch in TRIADS[name]]
    return notes(rows, **more)


@pytest.mark.parametrize(
    ("names", "irregularity"),
    [
        ("C F G", 1.0),
        ("C F G C F G", 3 / 4),
        ("C C C C C C C C", 1 / 6),
        ("C Am F G C Am F G", 4 / 6),
        ("C F C F C F C F", 2 / 6),
        ("C Am F G Dm E", 1.0),
    ],
)
def test_it_is_different_successions_over_all(names, irregularity):
    assert harmony.chord_progression_irregularity(bars(names)) == pytest.approx(irregularity)


@pytest.mark.parametrize("names", ["C", "C F", "C - F"])
def test_fewer_than_three_chords_have_no_succession(names):
    assert math.isnan(harmony.chord_progression_irregularity(bars(names)))


def test_silent_bars_are_passed_over():
    assert harmony.progression(bars("C - F - - G")) == [AS_NUMBERS[name] for name in ("C", "F", "G")]


def test_the_bass_makes_no_other_chord():
    rows = [(4 * bar, 4, pitch) for bar, pitches in enumerate(((48, 64, 67), (52, 60, 67), (55, 60, 64))) for pitch in pitches]
    assert harmony.progression(notes(rows)) == [AS_NUMBERS["C"]] * 3


def test_every_root_and_kind_is_told_apart():
    assert harmony.progression(bars(" ".join(TRIADS))) == list(AS_NUMBERS.values())


def test_drums_and_single_notes_make_no_chord():
    assert math.isnan(harmony.chord_progression_irregularity(notes(drums=[(bar * 4, 1, 36) for bar in range(8)])))
    assert math.isnan(harmony.chord_progression_irregularity(notes(line(*[60] * 32))))
    assert math.isnan(harmony.chord_progression_irregularity(notes()))


def test_bars_beyond_those_asked_do_not_count():
    found = notes([(4 * bar, 4, pitch) for bar, name in enumerate(("C", "F", "G", "E")) for pitch in TRIADS[name]], 3)
    assert harmony.progression(found) == [AS_NUMBERS[name] for name in ("C", "F", "G")]
