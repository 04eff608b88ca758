"""Filters keep what they should, and drawing repeats."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapelle.errors import UsageError
from kapelle.sampling.filters import discourage, draw, lean, merge, probabilities, sample
from kapelle.sampling.options import SamplingOptions

LOGITS = np.log(np.array([0.5, 0.25, 0.125, 0.125], np.float32))
PLAIN = SamplingOptions(top_p=1.0)


def test_plain_probabilities_are_the_softmax() -> None:
    assert probabilities(LOGITS, PLAIN) == pytest.approx([0.5, 0.25, 0.125, 0.125])


def test_temperature_sharpens_and_flattens() -> None:
    assert probabilities(LOGITS, SamplingOptions(temperature=0.5, top_p=1.0))[0] > 0.7
    assert probabilities(LOGITS, SamplingOptions(temperature=4.0, top_p=1.0))[0] < 0.34


def test_top_p_keeps_the_smallest_set_with_that_mass() -> None:
    assert probabilities(LOGITS, SamplingOptions(top_p=0.75)) == pytest.approx([2 / 3, 1 / 3, 0, 0])
    assert probabilities(LOGITS, SamplingOptions(top_p=0.76)) == pytest.approx([0.5714286, 0.2857143, 0.1428571, 0])


def test_top_p_always_keeps_the_first_token() -> None:
    assert probabilities(LOGITS, SamplingOptions(top_p=0.01)).tolist() == [1, 0, 0, 0]


def test_top_k_and_min_p() -> None:
    assert np.count_nonzero(probabilities(LOGITS, SamplingOptions(top_k=2, top_p=1.0))) == 2
    assert np.count_nonzero(probabilities(LOGITS, SamplingOptions(min_p=0.3, top_p=1.0))) == 2


def test_the_mask_comes_first() -> None:
    weights = probabilities(LOGITS, SamplingOptions(top_k=1), np.array([False, False, True, True]))
    assert weights.tolist() == [0, 0, 1, 0]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(-30, 30), min_size=2, max_size=40), st.floats(0.05, 5), st.floats(0.01, 1), st.integers(0, 50), st.integers(0, 2**32)
)
def test_any_logits_give_a_token_of_the_distribution(values: list[float], temperature: float, top_p: float, top_k: int, seed: int) -> None:
    options = SamplingOptions(temperature=temperature, top_p=top_p, top_k=top_k)
    weights = probabilities(np.array(values, np.float32), options)
    assert weights.sum() == pytest.approx(1)
    assert weights[draw(weights, np.random.default_rng(seed))] > 0


def test_drawing_follows_the_distribution() -> None:
    random = np.random.default_rng(0)
    counts = np.bincount([sample(LOGITS, PLAIN, random) for _ in range(8000)], minlength=4) / 8000
    assert counts == pytest.approx([0.5, 0.25, 0.125, 0.125], abs=0.02)


def test_entropy_grows_with_temperature() -> None:
    def entropy(temperature: float) -> float:
        weights = probabilities(LOGITS, SamplingOptions(temperature=temperature, top_p=1.0))
        return float(-(weights * np.log2(weights)).sum())

    values = [entropy(t) for t in (0.3, 0.7, 1.0, 1.5, 3.0)]
    assert values == sorted(values)


def test_what_means_the_same_shares_its_probability() -> None:
    mask = np.array([True, True, False, True])
    weights = probabilities(merge(LOGITS, (2, 3), mask), PLAIN, mask)
    assert weights == pytest.approx([0.5, 0.25, 0, 0.25])
    both = np.ones(4, bool)
    assert merge(LOGITS, (2, 3), both) is LOGITS


def test_discouraged_ids_become_less_likely() -> None:
    logits = np.array([2.0, -1.0, 0.5], np.float32)
    assert discourage(logits, [0, 1, 1], 2.0).tolist() == [1.0, -2.0, 0.5]
    assert discourage(logits, [0], 1.0) is logits


@pytest.mark.parametrize(
    "wrong", [{"temperature": 0.0}, {"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.5}, {"min_p": 1.0}, {"top_k": -1}]
)
def test_values_out_of_range_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong)).replace("_", "-")):
        SamplingOptions(**wrong)  # type: ignore[arg-type]


def test_leanings_are_added_to_a_copy() -> None:
    logits = np.zeros(3, np.float32)
    assert lean(logits, {}) is logits
    assert lean(logits, {2: 1.5, 0: 0.5}).tolist() == [0.5, 0.0, 1.5]
    assert logits.tolist() == [0, 0, 0]
