from __future__ import annotations

import math

import numpy as np
import pytest

from kapelle.metrics.classification import among, by_piece, classification

CLASSES = ("a", "b", "c")


def test_figures_by_hand() -> None:
    made = classification([[0.8, 0.1, 0.1], [0.6, 0.2, 0.2], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3]], [0, 1, 1, 1], CLASSES)
    assert made.n == 4
    assert made.accuracy == 0.75
    assert made.balanced_accuracy == pytest.approx((1 + 2 / 3) / 2)
    assert made.baseline == 0.75
    assert made.log_loss == pytest.approx(-(math.log(0.8) + math.log(0.2) + math.log(0.8) + math.log(0.5)) / 4)
    assert made.confusion == ((1, 0, 0), (1, 2, 0), (0, 0, 0))
    assert made.recall[:2] == (1.0, pytest.approx(2 / 3)) and math.isnan(made.recall[2])
    # bins (0.7, 0.8]: both right, 0.8 said; (0.5, 0.6]: wrong, 0.6 said; (0.4, 0.5]: right, 0.5 said
    assert made.calibration_error == pytest.approx((2 * 0.2 + 0.6 + 0.5) / 4)


def test_one_who_knows_nothing() -> None:
    made = classification(np.full((30, 3), 1 / 3), np.arange(30) % 3, CLASSES)
    assert made.log_loss == pytest.approx(math.log(3))
    assert made.balanced_accuracy == pytest.approx(1 / 3)
    assert made.calibration_error == pytest.approx(0, abs=1e-9)


def test_one_who_is_always_right_and_sure() -> None:
    made = classification(np.eye(3), [0, 1, 2], CLASSES)
    assert (made.accuracy, made.log_loss, made.calibration_error) == (1.0, 0.0, 0.0)


def test_sure_and_always_wrong() -> None:
    made = classification(np.eye(3), [1, 2, 0], CLASSES)
    assert (made.accuracy, made.calibration_error) == (0.0, 1.0)
    assert made.log_loss == pytest.approx(-math.log(1e-15))


def test_no_rows() -> None:
    made = classification(np.zeros((0, 3)), [], CLASSES)
    assert made.n == 0 and math.isnan(made.accuracy) and math.isnan(made.log_loss)
    assert made.as_dict()["accuracy"] is None
    assert made.tables()["reliability"] == []


def test_labels_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="labels"):
        classification(np.eye(3), [0, 1], CLASSES)


def test_the_tables_are_markdown() -> None:
    text = classification(np.eye(3), [0, 1, 1], CLASSES).markdown()
    assert text.splitlines()[0] == "| is \\ taken for | a | b | c | found |"
    assert "| b | 0 | 1 | 1 | 50% |" in text.splitlines()
    assert "| c | 0 | 0 | 0 | - |" in text.splitlines()


def test_among_fewer_classes() -> None:
    assert np.allclose(among([[0.2, 0.3, 0.5], [1, 0, 0]], [1, 2]), [[0.375, 0.625], [0.5, 0.5]])


def test_the_mean_of_a_pieces_rows() -> None:
    made, first = by_piece([[1, 0], [0.5, 0.5], [0, 1]], [7, 7, 3])
    assert np.allclose(made, [[0, 1], [0.75, 0.25]]) and first.tolist() == [2, 0]


def test_equal_to_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(0)
    given, right = draw.dirichlet(np.ones(3), 500), draw.integers(0, 3, 500)
    made = classification(given, right, CLASSES)
    said = given.argmax(1)
    assert made.accuracy == pytest.approx(metrics.accuracy_score(right, said))
    assert made.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(right, said))
    assert made.log_loss == pytest.approx(metrics.log_loss(right, given))
    assert np.array_equal(made.confusion, metrics.confusion_matrix(right, said))
