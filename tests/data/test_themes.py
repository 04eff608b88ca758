"""Themes: cutting, clustering, the changes that do not matter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from kapelle.data import themes
from kapelle.data.themes import MAJOR, Changes, Fragment, Search
from kapelle.score.melody import MELODY_NOTE

DRAW = np.random.default_rng(0)


def melody(*rows: tuple[int, int, int]) -> NDArray[np.void]:
    """Notes of (start, duration, pitch)."""
    return np.array([(start, duration, pitch, 80) for start, duration, pitch in rows], MELODY_NOTE)


def phrase(bar: int, *pitches: int) -> list[tuple[int, int, int]]:
    """Quarters from a bar on."""
    return [(16 * bar + 4 * i, 4, pitch) for i, pitch in enumerate(pitches)]


A = (60, 62, 64, 65, 67, 67, 65, 64)
B = (72, 71, 69, 60, 62, 76, 74, 60)
C = (55, 60, 55, 60, 55, 50, 45, 40)
SONG = melody(*phrase(0, *A), *phrase(2, *B), *phrase(4, *A), *phrase(6, *C), *phrase(8, *A), *phrase(10, *B))


def by_intervals(found: Sequence[Fragment]) -> NDArray[np.float32]:
    """An embedding without a network: the intervals, scaled to length 1."""
    read = themes.features(found)
    rows = np.zeros((len(found), 33), np.float32)
    for row, (interval, n) in enumerate(zip(read["interval"], (read["onset"] > 0).sum(1), strict=True)):
        rows[row, :n] = np.where(interval[:n] > 0, interval[:n] - 25, 0)
        rows[row, 32] = 1
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_fragments_overlap_by_their_hop_and_end_within_the_piece() -> None:
    assert [one.bar for one in themes.fragments(SONG, 12)] == list(range(11))
    assert [one.bar for one in themes.fragments(SONG, 12, hop=2)] == [0, 2, 4, 6, 8, 10]
    assert [one.bar for one in themes.fragments(SONG, 12, bars=4, hop=4)] == [0, 4, 8]
    assert themes.fragments(SONG, 1) == []


def test_a_fragment_counts_from_its_own_bar_line() -> None:
    one = themes.fragments(SONG, 12)[3]
    assert one.notes["start"].tolist() == [0, 4, 8, 12, 16, 20, 24, 28]
    assert one.notes["pitch"].tolist() == [62, 76, 74, 60, 60, 62, 64, 65]


def test_features_are_those_of_a_transposition_too() -> None:
    higher = SONG.copy()
    higher["pitch"] += 5
    first, second = (themes.features(themes.fragments(song, 12, hop=2)) for song in (SONG, higher))
    for name, size in themes.SIZES.items():
        assert (first[name] == second[name]).all() and first[name].min() >= 0 and first[name].max() < size


def test_features_fill_up_with_zeros_and_keep_to_their_ids() -> None:
    wide = melody((0, 200, 0), (3, 1, 127), (31, 9, 64))
    read = themes.features([Fragment(0, wide), Fragment(1, wide[:1]), Fragment(2, wide[:0])])
    assert {name: array.shape for name, array in read.items()} == dict.fromkeys(themes.SIZES, (3, 3))
    assert read["onset"].tolist() == [[1, 4, 32], [1, 0, 0], [0, 0, 0]]
    assert read["duration"].tolist() == [[32, 1, 9], [32, 0, 0], [0, 0, 0]]
    assert read["pitch"][0].tolist() == [1, 49, 25] and read["interval"][0].tolist() == [25, 49, 1]
    assert {name: array.shape for name, array in themes.features([]).items()} == dict.fromkeys(themes.SIZES, (0, 1))


def test_the_theme_is_what_comes_back_most_often() -> None:
    found = themes.find(SONG, 12, by_intervals, eps=0.05, search=Search(hop=2))
    assert found is not None
    assert (found.bar, found.bars, found.recurrences) == (0, 2, (0, 4, 8))
    assert found.regions == [(0, 2), (4, 6), (8, 10)]
    assert (found.n_fragments, found.n_clusters, found.spread) == (6, 2, 0.0)


def test_what_overlaps_counts_once() -> None:
    same = melody(*(note for bar in range(6) for note in phrase(bar, 60, 62, 64, 62)))
    found = themes.find(same, 6, by_intervals, eps=0.05)
    assert found is not None and found.recurrences == (0, 2, 4) and found.n_fragments == 5
    assert themes.apart([1, 2, 3, 5, 6, 9], 2) == [1, 3, 5, 9]


def test_a_melody_without_a_theme_has_none() -> None:
    assert themes.find(SONG[:0], 12, by_intervals) is None
    assert themes.find(SONG[:8], 2, by_intervals) is None
    assert themes.find(melody(*phrase(0, *A), *phrase(2, *B)), 4, by_intervals, eps=0.05, search=Search(hop=2)) is None
    thin = melody((0, 4, 60), (32, 4, 60))
    assert themes.find(thin, 4, by_intervals, search=Search(hop=2)) is None


@pytest.mark.parametrize("min_samples", [1, 2, 3, 5])
def test_dbscan_labels_points_as_the_reference_does(min_samples: int) -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    for seed in range(20):
        points = np.random.default_rng(seed).normal(size=(60, 3))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        wanted = cluster.DBSCAN(eps=0.3, min_samples=min_samples).fit_predict(points)
        assert (themes.dbscan(points, 0.3, min_samples) == wanted).all()


def test_dbscan_of_few_points() -> None:
    assert themes.dbscan(np.zeros((0, 4)), 0.1, 2).tolist() == []
    assert themes.dbscan(np.zeros((1, 4)), 0.1, 2).tolist() == [-1]
    assert themes.dbscan(np.zeros((3, 4)), 0.1, 2).tolist() == [0, 0, 0]
    assert themes.dbscan(np.array([[0.0], [1.0], [2.0], [9.0], [3.0]]), 1.0, 2).tolist() == [0, 0, 0, -1, 0]


def test_a_shift_on_the_scale_keeps_the_contour_and_stays_in_the_key() -> None:
    tune = melody((0, 4, 60), (4, 4, 64), (8, 4, 67), (12, 4, 71), (16, 4, 61))
    assert themes.shifted_on_scale(tune, 1, 0)["pitch"].tolist() == [62, 65, 69, 72, 63]  # C sharp stays a half tone above its degree
    assert themes.shifted_on_scale(tune, -1, 0)["pitch"].tolist() == [59, 62, 65, 69, 60]
    assert themes.shifted_on_scale(tune, 7, 0)["pitch"].tolist() == [72, 76, 79, 83, 73]
    assert themes.shifted_on_scale(tune, -14, 0)["pitch"].tolist() == [36, 40, 43, 47, 37]
    assert themes.shifted_on_scale(melody((0, 4, 69), (4, 4, 67)), 1, 2)["pitch"].tolist() == [71, 69]
    assert themes.shifted_on_scale(melody((0, 4, 126), (4, 4, 127)), 4, 0)["pitch"].max() <= 127
    assert themes.shifted_on_scale(melody((0, 4, 0), (4, 4, 1)), -4, 0)["pitch"].min() >= 0


def test_a_shift_there_and_back_changes_nothing_in_the_scale() -> None:
    for tonic in (0, 1, 6, 11):
        for degrees in range(-9, 10):
            tune = melody(*((i, 1, pitch) for i, pitch in enumerate(p for p in range(50, 80) if (p - tonic) % 12 in MAJOR)))
            there = themes.shifted_on_scale(tune, degrees, tonic)
            assert {(int(pitch) - tonic) % 12 for pitch in there["pitch"]} <= set(MAJOR)
            assert (themes.shifted_on_scale(there, -degrees, tonic) == tune).all()


def test_notes_are_split_and_joined() -> None:
    tune = melody((0, 4, 60), (4, 5, 62), (9, 1, 64))
    split = themes.with_one_split(tune, 1)
    assert split.tolist() == [(0, 4, 60, 80), (4, 2, 62, 80), (6, 3, 62, 80), (9, 1, 64, 80)]
    assert (themes.with_two_joined(split, 1) == tune).all()
    assert (themes.with_one_split(tune, 2) == tune).all()
    assert (themes.with_two_joined(tune, 0) == tune).all() and (themes.with_two_joined(tune, 2) == tune).all()


def test_the_last_note_is_given_another_duration() -> None:
    tune = melody((0, 4, 60), (4, 5, 62))
    assert themes.with_last_lasting(tune, 9)["duration"].tolist() == [4, 9] and tune["duration"].tolist() == [4, 5]
    assert len(themes.with_last_lasting(tune[:0], 9)) == 0


def test_changes_keep_a_fragment_a_melody() -> None:
    for seed in range(200):
        draw = np.random.default_rng(seed)
        pitches = draw.integers(0, 128, 12)
        starts = np.sort(draw.choice(32, 12, replace=False))
        tune = melody(*((int(s), int(e - s), int(p)) for s, e, p in zip(starts, [*starts[1:], 32], pitches, strict=True)))
        other = themes.changed(tune, int(draw.integers(12)), draw, Changes())
        assert (np.diff(other["start"]) > 0).all() and (other["duration"] >= 1).all()
        assert (other["start"] + other["duration"] <= 32).all() and (other["start"][1:] >= (other["start"] + other["duration"])[:-1]).all()
        assert ((other["pitch"] >= 0) & (other["pitch"] <= 127)).all()


def test_no_changes_change_nothing() -> None:
    tune = themes.fragments(SONG, 12)[0].notes
    assert (themes.changed(tune, 0, DRAW, Changes(degrees=0, last=0, split=0, join=0)) == tune).all()
    assert len(themes.changed(tune[:1], 0, DRAW, Changes())) >= 1
