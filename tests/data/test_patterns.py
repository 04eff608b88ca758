"""The classical ways to find a theme: on melodies small enough to count by hand, and on the released marks of three songs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import symusic
from hypothesis import given, settings
from hypothesis import strategies as st

from kapelle.data import patterns
from kapelle.errors import UsageError
from kapelle.score.melody import MELODY_NOTE

Melody = np.ndarray


def melody(*notes: tuple[int, int]) -> Melody:
    """Notes of two sixteenths from (start, pitch)."""
    return np.array([(start, 2, pitch, 80) for start, pitch in notes], MELODY_NOTE)


def line(*pitches: int) -> Melody:
    return melody(*((4 * i, pitch) for i, pitch in enumerate(pitches)))


TUNE = (60, 62, 64, 65, 67)


# --- the correlative matrix ---------------------------------------------------------------------------------------------


def test_the_matrix_counts_how_long_two_places_have_agreed() -> None:
    table = patterns.matrix(np.array([1, 2, 3, 1, 2, 1]))
    assert table.tolist() == [
        [0, 0, 0, 1, 0, 1],
        [0, 0, 0, 0, 2, 0],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]


def test_steps_of_the_scale_let_a_third_be_major_or_minor() -> None:
    steps = patterns.steps_of_scale(line(60, 64, 67, 72, 65, 69, 71, 60, 63, 67, 72))
    assert (steps - steps[0]).tolist() == [0, 2, 4, 7, 3, 5, 6, 0, 2, 4, 7]


def test_the_longest_repeated_stretch_is_found_whatever_its_rhythm() -> None:
    found = patterns.correlative_matrix(melody(*zip((0, 4, 8, 12, 16, 40, 41, 42, 43, 44), TUNE + TUNE, strict=True)))
    assert found is not None and found.occurrences == ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))


def test_the_length_is_capped_and_then_the_most_frequent_wins() -> None:
    found = patterns.correlative_matrix(line(*TUNE, 72, *TUNE, 74, *TUNE[:3]), longest=3)
    assert found is not None and found.occurrences == ((0, 1, 2), (6, 7, 8), (12, 13, 14))


def test_occurrences_share_no_note() -> None:
    found = patterns.correlative_matrix(line(60, 60, 60, 60, 60))
    assert found is not None and found.occurrences == ((0, 1), (2, 3))


@pytest.mark.parametrize("notes", [line(), line(60), line(60, 62, 64)])
def test_what_never_comes_back_has_no_pattern(notes: Melody) -> None:
    assert patterns.correlative_matrix(notes) is None


# --- cosiatec -------------------------------------------------------------------------------------------------------------


def test_a_pattern_that_moves_in_time_and_pitch_is_one_class() -> None:
    shape = ((0, 60), (3, 64), (5, 62), (11, 71))
    moved = [(start + 32 * i, pitch + 2 * i) for i in range(3) for start, pitch in shape]
    found = patterns.cosiatec(melody(*moved))
    assert found is not None and found.occurrences == ((0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11))
    assert found.regions(melody(*moved)) == [(0, 13), (32, 45), (64, 77)]


def test_its_notes_need_not_be_neighbours() -> None:
    notes = melody((0, 60), (4, 61), (8, 67), (12, 72), (100, 60), (107, 80), (108, 67), (112, 72))
    found = patterns.cosiatec(notes)
    assert found is not None and found.occurrences == ((0, 2, 3), (4, 6, 7))


def test_of_a_class_and_its_conjugate_the_more_compact_is_taken() -> None:
    """Three notes, far apart, each of which starts a run of the same four: the run is the theme, not the three."""
    notes = melody(*((far + near, 60 + near % 7) for far in (0, 100, 207) for near in (0, 3, 5, 10)))
    found = patterns.cosiatec(notes)
    assert found is not None and [len(one) for one in found.occurrences] == [4, 4, 4]


def test_occurrences_that_overlap_an_earlier_one_are_dropped() -> None:
    found = patterns.cosiatec(line(60, 62, 64, 66, 68))  # all steps alike: two notes, four times
    assert found is not None
    assert all(one[0] > other[-1] for other, one in zip(found.occurrences, found.occurrences[1:], strict=False))


def test_all_classes_together_cover_each_note_once() -> None:
    shape = ((0, 60), (3, 64), (5, 62))
    other = ((0, 71), (2, 76), (9, 50))
    notes = melody(*sorted([(s + t, p) for t in (0, 40, 80) for s, p in shape] + [(s + t, p) for t in (20, 103) for s, p in other]))
    covered = [{place for one in cls for place in one} for cls in patterns.classes(notes)]
    assert covered[0] == {0, 1, 2, 6, 7, 8, 9, 10, 11} and covered[1] == {3, 4, 5, 12, 13, 14}
    assert len(covered) == 2


@pytest.mark.parametrize("notes", [line(), line(60), line(60, 62)])
def test_too_few_notes_have_no_class(notes: Melody) -> None:
    assert patterns.cosiatec(notes) is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(60, 66)), max_size=24))
def test_every_class_is_what_it_says(steps: list[tuple[int, int]]) -> None:
    starts = np.cumsum([step for step, _ in steps])
    notes = melody(*((int(start), pitch) for start, (_, pitch) in zip(starts, steps, strict=True)))
    points = np.stack([notes["start"], notes["pitch"]], axis=1)
    for cls in patterns.classes(notes):
        shapes = {tuple(map(tuple, points[list(one)] - points[one[0]])) for one in cls}
        assert (len(shapes) == 1 and len(cls) > 1) or len(cls[0]) > 1
    found = patterns.correlative_matrix(notes)
    if found is not None:
        values = patterns.steps_of_scale(notes)
        assert len({tuple(values[list(one)]) for one in found.occurrences}) == 1
        assert len(found.notes) == len(set(found.notes))


def test_other_arrays_are_refused() -> None:
    with pytest.raises(UsageError, match="MELODY_NOTE"):
        patterns.cosiatec(np.zeros((3, 2)))


# --- beats ----------------------------------------------------------------------------------------------------------------


def test_a_beat_belongs_to_a_theme_if_a_note_of_it_begins_there() -> None:
    notes = melody((0, 60), (3, 62), (4, 64), (9, 65), (16, 60))
    assert patterns.beats(notes, (1, 3)) == {0, 2}
    assert patterns.beats_of_regions(notes, [(3, 9), (16, 20)]) == {0, 1, 4}
    assert patterns.beats(notes, ()) == frozenset()


def test_f1_of_beats() -> None:
    assert patterns.f1({1, 2, 3}, {2, 3, 4, 5}) == pytest.approx(4 / 7)
    assert patterns.f1(set(), set()) == 1 and patterns.f1({1}, set()) == 0 and patterns.f1({1}, {2}) == 0


PUBLISHED = {
    "065": {"Cm": (0.677, 0.702, 0.637), "Cosiatec": (0.551, 0.574, 0.486)},
    "310": {"Cm": (0.340, 0.000, 0.783), "Cosiatec": (0.664, 0.000, 0.486)},
    "449": {"Cm": (0.306, 0.776, 0.253), "Cosiatec": (0.057, 0.367, 0.467)},
}
WAYS = {"Cm": patterns.correlative_matrix, "Cosiatec": patterns.cosiatec}


def _marked(path: Path) -> tuple[Melody, list[int]]:
    """The melody of a file of marks, and the places of the notes that are marked."""
    score = symusic.Score(path)
    step = score.ticks_per_quarter // 4
    notes = sorted((n.time // step, n.pitch, n.duration // step, t.name == "Theme Regions") for t in score.tracks for n in t.notes)
    melody = np.array([(start, max(1, duration), pitch, 80) for start, pitch, duration, _ in notes], MELODY_NOTE)
    return melody, [place for place, note in enumerate(notes) if note[3]]


@pytest.mark.parametrize("song", PUBLISHED)
@pytest.mark.parametrize("way", WAYS)
def test_the_released_marks_are_found_note_for_note(song: str, way: str) -> None:
    if not os.environ.get("KAPELLE_DATA"):
        pytest.skip("KAPELLE_DATA names no folder of data packs")
    folder = Path(os.environ["KAPELLE_DATA"]) / "theme_reference" / "retrieval" / song
    notes, marked = _marked(folder / f"{song}_{way}.mid")
    found = WAYS[way](notes)
    assert found is not None and list(found.notes) == marked
    for annotator, value in enumerate(PUBLISHED[song][way]):
        theirs = patterns.beats(*_marked(folder / f"{song}_Annotator_{annotator}.mid"))
        assert patterns.f1(patterns.beats(notes, found.notes), theirs) == pytest.approx(value, abs=0.03)
