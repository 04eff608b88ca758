from __future__ import annotations

import json
import pickle

import pytest

from kapelle.classifiers.verdict import Verdict, verdict
from kapelle.errors import UsageError

SURE = Verdict("m", "h", {"pop": 0.0, "jazz": 1.0, "edm": 0.0, "classical": 0.0})
EVEN = Verdict("m", "h", {"pop": 0.25, "jazz": 0.25, "edm": 0.25, "classical": 0.25})


def test_a_sure_word() -> None:
    assert (SURE.label, SURE.confidence, SURE.entropy) == ("jazz", 1.0, 0.0)


def test_no_word_at_all() -> None:
    assert (EVEN.label, EVEN.confidence, EVEN.entropy) == ("pop", 0.25, 2.0)


def test_among_fewer_classes() -> None:
    made = Verdict("m", "h", {"pop": 0.2, "jazz": 0.6, "rock": 0.2}).among(("pop", "rock"))
    assert made.probabilities == {"pop": 0.5, "rock": 0.5}
    assert SURE.among(("pop", "edm")).probabilities == {"pop": 0.5, "edm": 0.5}


@pytest.mark.parametrize("classes", [(), ("polka",)])
def test_among_classes_that_it_does_not_know(classes: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        SURE.among(classes)


def test_it_goes_into_json_whole() -> None:
    made = verdict("m", "h", ("a", "b"), (0.25, 0.75), ("odd",))
    table = json.loads(json.dumps(made.as_dict()))
    assert table["probabilities"] == {"a": 0.25, "b": 0.75}
    assert table["label"] == "b" and table["warnings"] == ["odd"]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError):
        verdict("m", "h", ("a", "b"), (1.0,))


def test_it_crosses_a_process_border() -> None:
    assert pickle.loads(pickle.dumps(SURE)) == SURE
    made = verdict("m", "h", ("a", "b"), (0.25, 0.75))
    assert pickle.loads(pickle.dumps(made)) == made
