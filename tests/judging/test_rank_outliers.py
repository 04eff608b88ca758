"""Distance from the middle of real music, and clusters of candidates."""

import numpy as np
import pytest

from kapelle.errors import UsageError
from kapelle.judging import clusters, outliers, reference
from kapelle.judging.reference import Reference

NAMES = ("a", "b", "c", "d")


def music(seed=0, n=200):
    """Two genres, correlated features, one of which never varies."""
    draw = np.random.default_rng(seed)
    base = draw.normal(size=(n, 2))
    rows = np.stack([base[:, 0], base[:, 0] + 0.1 * base[:, 1], 5 * base[:, 1], np.full(n, 7.0)], axis=1)
    labels = ["jazz" if place % 2 else "pop" for place in range(n)]
    rows[1::2, 2] += 20
    return rows, labels


def test_half_of_the_real_music_lies_within_a_distance_of_one_of_its_own_centre():
    rows, labels = music()
    middle = outliers.fit(rows, labels, NAMES)
    assert middle.groups == ("jazz", "pop")
    for genre in middle.groups:
        own = np.array([label == genre for label in labels])
        assert np.median(outliers.distances(rows[own], middle, genre)) == pytest.approx(1.0)
        assert np.median(outliers.distances(rows[~own], middle, genre)) > 1.3


def test_without_a_genre_the_nearest_centre_counts():
    rows, labels = music()
    middle = outliers.fit(rows, labels, NAMES)
    free = outliers.distances(rows, middle)
    both = np.stack([outliers.distances(rows, middle, genre) for genre in middle.groups])
    assert np.allclose(free, both.min(axis=0))
    assert np.allclose(outliers.distances(rows, middle, "polka"), free)


def test_a_break_of_a_correlation_is_further_out_than_a_step_along_it():
    rows, labels = music()
    middle = outliers.fit(rows, labels, NAMES)
    centre = rows[0::2].mean(axis=0)
    along, across = centre.copy(), centre.copy()
    along[:2] += 1.0
    across[:2] += (1.0, -1.0)
    near, far = outliers.distances(np.stack([along, across]), middle, "pop")
    assert far > 2 * near


def test_features_that_never_vary_or_are_no_numbers_do_not_count():
    rows, labels = music()
    middle = outliers.fit(rows, labels, NAMES)
    odd = rows[:1].copy()
    odd[0, 3] = 1e9
    assert outliers.distances(odd, middle, "pop") == pytest.approx(outliers.distances(rows[:1], middle, "pop"))
    odd[0, :] = np.nan
    assert np.isfinite(outliers.distances(odd, middle)).all()


def test_more_features_than_pieces_are_no_obstacle():
    draw = np.random.default_rng(1)
    middle = outliers.fit(draw.normal(size=(10, 40)), [""] * 10, [f"f{i}" for i in range(40)])
    assert np.isfinite(outliers.distances(draw.normal(size=(3, 40)), middle)).all()


def test_the_shrunk_covariance_is_that_of_ledoit_and_wolf():
    covariance = pytest.importorskip("sklearn.covariance")
    draw = np.random.default_rng(2)
    rows = draw.normal(size=(30, 12)) @ draw.normal(size=(12, 12))
    rows -= rows.mean(axis=0)
    theirs, share = covariance.ledoit_wolf(rows, assume_centered=True)
    assert 0 < share < 1
    ridge = 1e-3 * np.trace(rows.T @ rows / 30) / 12 * np.eye(12)  # ours adds this, so that it is never singular
    assert np.allclose(outliers.shrunk(rows), theirs + ridge, rtol=1e-6)


def test_too_few_pieces_and_wrong_shapes_are_refused():
    with pytest.raises(UsageError, match="too few"):
        outliers.fit(np.zeros((3, 4)), [""] * 3, NAMES)
    with pytest.raises(UsageError, match="do not fit"):
        outliers.fit(np.zeros((10, 3)), [""] * 10, NAMES)
    rows, labels = music()
    with pytest.raises(UsageError, match="do not fit"):
        outliers.distances(np.zeros((2, 3)), outliers.fit(rows, labels, NAMES))


def test_a_reference_comes_back_from_its_bytes_and_the_bytes_repeat(monkeypatch):
    monkeypatch.setattr(reference, "_is_current", lambda names: tuple(names) == NAMES)
    rows, labels = music()
    held = {"a-model": Reference(outliers.fit(rows, labels, NAMES), {"": (10.0, 1.0), "jazz": (11.0, 2.0)}), "b": Reference()}
    data = reference.packed(held)
    assert reference.packed(held) == data
    back = reference.unpacked(data)
    assert back["b"].middle is None
    assert back["a-model"].bits("jazz") == (11.0, 2.0)
    assert back["a-model"].bits("polka") == (10.0, 1.0)
    assert np.allclose(outliers.distances(rows, back["a-model"].middle), outliers.distances(rows, held["a-model"].middle), rtol=1e-4)


def test_a_reference_of_other_features_is_not_used(monkeypatch):
    monkeypatch.setattr(reference, "_is_current", lambda names: False)
    rows, labels = music()
    assert reference.unpacked(reference.packed({"m": Reference(outliers.fit(rows, labels, NAMES), {})}))["m"].middle is None


def blobs():
    draw = np.random.default_rng(3)
    return np.concatenate([draw.normal(at, 0.1, size=(n, 3)) for at, n in ((0, 5), (4, 12), (9, 8))])


def test_clusters_are_found_the_largest_first_and_repeat():
    found = clusters.clusters(blobs(), 3, seed=1)
    assert found.tolist() == [2] * 5 + [0] * 12 + [1] * 8
    assert (clusters.clusters(blobs(), 3, seed=1) == found).all()


def test_as_many_clusters_as_are_asked_for_are_made_even_of_equal_rows():
    assert sorted(set(clusters.clusters(np.zeros((6, 2)), 4).tolist())) == [0, 1, 2, 3]
    assert clusters.clusters(np.zeros((1, 2)), 1).tolist() == [0]
    for k in (0, 7):
        with pytest.raises(UsageError, match="cannot be made"):
            clusters.clusters(np.zeros((6, 2)), k)


def test_distances_to_the_own_centre_and_to_the_nearest_other_row():
    rows = np.array([[0.0], [2.0], [10.0]])
    assert clusters.to_own_centre(rows, np.array([0, 0, 1])).tolist() == [1, 1, 0]
    assert clusters.to_nearest_other(rows).tolist() == [2, 2, 8]
    assert clusters.to_nearest_other(rows[:1]).tolist() == [np.inf]
