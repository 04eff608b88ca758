"""Lines and fingerprints: what they keep, what they ignore, and the promise of winnowing."""

import numpy as np
import symusic
from hypothesis import given, settings
from hypothesis import strategies as st

from kapelle.metrics import fingerprints
from kapelle.metrics.fingerprints import BASS, GRAM, GUARANTEED, MELODY, WINDOW, Line


def score_of(*tracks, tpq=480, drums=()):
    """A score of tracks of (start, duration, pitch)."""
    score = symusic.Score(tpq)
    for number, notes in enumerate(tracks):
        track = symusic.Track(program=0, is_drum=number in drums)
        for start, duration, pitch in notes:
            track.notes.append(symusic.Note(start, duration, pitch, 80))
        score.tracks.append(track)
    return score


def line_of(gaps, steps):
    start = np.concatenate([[0], np.cumsum(gaps)])
    return Line(MELODY, np.arange(len(start)), start, 60 + np.concatenate([[0], np.cumsum(steps)]))


def found(score):
    return fingerprints.lines(fingerprints.notes_of(score))


def test_the_top_line_takes_the_highest_of_a_chord_and_the_bass_the_lowest():
    melody, bass = found(score_of([(0, 480, 60), (0, 480, 64), (0, 480, 67), (480, 480, 62), (480, 480, 65)]))
    assert (melody.kind, melody.pitch.tolist(), melody.start.tolist()) == (MELODY, [67, 65], [0, 480])
    assert (bass.kind, bass.pitch.tolist()) == (BASS, [60, 62])


def test_a_lower_note_under_a_held_one_is_not_in_the_top_line_but_in_the_bass():
    melody, bass = found(score_of([(0, 960, 72), (240, 240, 60), (480, 240, 64), (960, 480, 71)]))
    assert melody.pitch.tolist() == [72, 71]
    assert bass.pitch.tolist() == [72, 60, 64, 71]  # the lower ones end before the next begins, so each note in turn is the lowest


def test_a_melody_that_overlaps_a_little_stays_whole():
    melody, _ = found(score_of([(0, 500, 72), (480, 500, 71), (960, 480, 69)]))
    assert melody.pitch.tolist() == [72, 71, 69]


def test_several_tracks_have_a_line_each_and_one_together_and_drums_none():
    lines = found(score_of([(0, 480, 60)], [(480, 480, 72)], [(0, 120, 36)], drums=(2,)))
    assert [(line.kind, line.pitch.tolist()) for line in lines] == [
        (MELODY, [60]), (MELODY, [72]), (MELODY, [60, 72]), (BASS, [60, 72])
    ]  # fmt: skip


def test_a_score_without_pitched_notes_has_empty_lines():
    assert [len(line.places) for line in found(score_of([(0, 120, 36)], drums=(0,)))] == [0, 0]
    assert [len(fingerprints.fingerprints(line)) for line in found(score_of())] == [0, 0]


def test_the_grid_puts_a_spread_chord_together():
    score = score_of([(1, 470, 60), (3, 470, 64), (478, 470, 62)])
    assert fingerprints.notes_of(score, 12).start.tolist() == [0, 0, 12]
    assert fingerprints.notes_of(score, 12).place.tolist() == [0, 1, 2]


GAPS = st.lists(st.sampled_from([1, 2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 36, 48]), min_size=GRAM + 5, max_size=40)
STEPS = st.integers(-12, 12)


@given(GAPS, st.data(), st.integers(-20, 20), st.sampled_from([1, 2, 3, 5, 7, 40]))
def test_moving_and_retiming_change_no_fingerprint(gaps, data, up, factor):
    steps = data.draw(st.lists(STEPS, min_size=len(gaps), max_size=len(gaps)))
    plain, other = line_of(gaps, steps), line_of([gap * factor for gap in gaps], steps)
    moved = Line(MELODY, other.places, other.start + 17, other.pitch + up)
    assert fingerprints.fingerprints(plain).tolist() == fingerprints.fingerprints(moved).tolist()


@settings(max_examples=300)
@given(st.data(), st.integers(GUARANTEED, 20))
def test_any_shared_run_of_twelve_notes_has_a_fingerprint_that_winnowing_keeps(data, length):
    """Whatever stands around it in the two lines."""
    gaps = st.sampled_from([1, 2, 3, 4, 6, 12])
    shared = [data.draw(st.lists(one, min_size=length - 1, max_size=length - 1)) for one in (gaps, STEPS)]
    around = [
        [data.draw(st.lists(one, min_size=n, max_size=n)) for one in (gaps, STEPS)] for n in data.draw(st.tuples(*[st.integers(0, 15)] * 4))
    ]
    kept = fingerprints.fingerprints(line_of(*(around[0][i] + shared[i] + around[1][i] for i in (0, 1))))
    asked = fingerprints.fingerprints(line_of(*(around[2][i] + shared[i] + around[3][i] for i in (0, 1))))
    first = len(around[2][0])
    inside = asked[first : first + length - GRAM + 1]
    assert set(kept[fingerprints.winnowed(kept)].tolist()) & set(inside.tolist())


def test_winnowing_keeps_the_smallest_of_every_window_and_of_equals_the_last():
    hashes = np.array([5, 3, 4, 9, 8, 8, 8], np.uint64)
    assert WINDOW == 3
    assert fingerprints.winnowed(hashes).tolist() == [1, 2, 5, 6]
    assert fingerprints.winnowed(hashes[:2]).tolist() == [1]
    assert fingerprints.winnowed(hashes[:0]).tolist() == []


def test_another_rhythm_or_interval_is_another_fingerprint():
    plain = fingerprints.fingerprints(line_of([1] * 9, [2] * 9))
    assert fingerprints.fingerprints(line_of([1] * 8 + [2], [2] * 9)) != plain
    assert fingerprints.fingerprints(line_of([1] * 9, [2] * 8 + [1])) != plain


def test_fingerprints_are_the_same_numbers_everywhere():
    """Indexes that ship hold them."""
    line = line_of([1, 2, 3, 4, 6, 12, 1, 2, 48], [2, -2, 5, 0, 12, -7, 1, 1, -1])
    assert fingerprints.fingerprints(line).tolist() == [3155782316256629294]
