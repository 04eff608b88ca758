"""The n-gram baseline against the definition written out slowly, and against figures worked out by hand."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from kapelle.errors import UsageError
from kapelle.models import ngram

V = 7
Corpus = list[tuple[np.ndarray, np.ndarray]]


def corpus(seed: int, n_sequences: int = 12, length: int = 40) -> Corpus:
    """Sequences with habits: mostly i -> 2i + 1, sometimes anything but the last id; the first two ids are given."""
    rng, out = np.random.default_rng(seed), []
    for _ in range(n_sequences):
        ids = [int(rng.integers(V - 1))]
        for _ in range(length - 1):
            ids.append((2 * ids[-1] + 1) % (V - 1) if rng.random() < 0.7 else int(rng.integers(V - 1)))
        out.append((np.array(ids), np.arange(length) >= 2))
    return out


def everything(ids: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(ids), np.ones(len(ids), bool)


class Slow:
    """Interpolated Kneser-Ney with dictionaries, as the papers write it."""

    def __init__(self, sequences: Corpus, order: int, discounts: np.ndarray) -> None:
        self.order, self.discounts = order, discounts
        grams: Counter[tuple[int, ...]] = Counter()
        for ids, mask in sequences:
            padded = [V] * (order - 1) + ids.tolist()
            grams.update(tuple(padded[t : t + order]) for t in range(len(ids)) if mask[t])
        self.tables: dict[int, dict[tuple[int, ...], Counter[int]]] = {}
        for n in range(order, 0, -1):
            self.tables[n] = defaultdict(Counter)
            for gram, count in grams.items():
                self.tables[n][gram[:-1]][gram[-1]] = count
            grams = Counter(gram[1:] for gram in grams)

    def probability(self, context: list[int], word: int) -> float:
        history = ([V] * (self.order - 1) + context)[len(context) :]
        return self._at(self.order, tuple(history), word)

    def _at(self, n: int, history: tuple[int, ...], word: int) -> float:
        if n == 0:
            return 1 / V
        below = self._at(n - 1, history[1:], word)
        followers = self.tables[n].get(history)
        if not followers:
            return below
        taken = [self.discounts[n - 1][min(count, 3) - 1] for count in followers.values()]
        own = followers[word] - self.discounts[n - 1][min(followers[word], 3) - 1] if followers[word] else 0.0
        return (own + sum(taken) * below) / followers.total()


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_equals_the_definition_written_out_slowly(order: int) -> None:
    model = ngram.train(corpus(0), V, order)
    slow = Slow(corpus(0), order, model.discounts)
    for ids, _ in corpus(1, 3):
        expected = [-np.log2(slow.probability(ids[:t].tolist(), int(ids[t]))) for t in range(len(ids))]
        np.testing.assert_allclose(ngram.bits(model, ids), expected, rtol=1e-12)


def test_probabilities_sum_to_one_in_any_context() -> None:
    model = ngram.tune(ngram.train(corpus(0), V, 4), corpus(1))
    rng = np.random.default_rng(2)
    for length in (0, 1, 2, 3, 9):
        for _ in range(10):
            found = ngram.distribution(model, rng.integers(0, V, length))
            assert found.min() > 0
            assert found.sum() == pytest.approx(1, abs=1e-12)


def test_distribution_and_bits_are_the_same_figures() -> None:
    model, ids = ngram.train(corpus(0), V, 3), corpus(1)[0][0]
    for t in (0, 1, 7):
        assert -np.log2(ngram.distribution(model, ids[:t])[ids[t]]) == pytest.approx(ngram.bits(model, ids)[t])


def test_two_ids_by_hand() -> None:
    # bigrams: (boundary 0) (0 1) (1 0) (0 1), so 1 follows 0 twice, 0 follows 1 once; discounts 0.5, 1, 1.5 for want of counts
    model = ngram.train([everything([0, 1, 0, 1])], 2, 2)
    # unigrams by continuation: 0 stands after the boundary and 1: two; 1 stands after 0: one. p(1) = (1 - 0.5 + 1.5 * 0.5) / 3
    assert ngram.bits(model, [0, 1])[1] == pytest.approx(-np.log2((2 - 1 + 1 * (1.25 / 3)) / 2))


def test_lower_orders_count_contexts_not_occurrences() -> None:
    # 1 is frequent but only ever after 0; 2 is rarer and follows three different ids
    model = ngram.train([everything([0, 1] * 20 + [3, 2, 4, 2, 5, 2])], V, 2)
    after_unseen = ngram.distribution(model, [6])
    assert after_unseen[2] > after_unseen[1]


def test_ids_that_are_given_are_not_learnt() -> None:
    model = ngram.train([(np.array([5, 1, 2, 1, 2]), np.array([False, True, True, True, True]))], V, 1)
    found = ngram.distribution(model, [])
    assert found[5] == found[6] == found.min()


def test_the_start_of_a_sequence_is_a_context_of_its_own() -> None:
    model = ngram.train([everything([4, 0, 1, 0, 1, 0, 1])] * 5, V, 3)
    assert ngram.distribution(model, [])[4] > 0.5 > ngram.distribution(model, [0, 1])[4]


def test_tuning_makes_the_validation_set_cheaper_and_stays_in_bounds() -> None:
    model = ngram.train(corpus(0), V, 4)
    tuned = ngram.tune(model, corpus(1))

    def cost(m):
        return sum(ngram.bits(m, ids)[mask].sum() for ids, mask in corpus(1))

    assert cost(tuned) < cost(model)
    assert (tuned.discounts > 0).all() and (tuned.discounts <= [1, 2, 3]).all()
    rng = np.random.default_rng(0)
    for _ in range(40):  # nothing nearby is cheaper
        moved = np.clip(tuned.discounts + rng.normal(0, 0.05, tuned.discounts.shape), ngram.LEAST_DISCOUNT, [1, 2, 3])
        assert cost(ngram.NGram(V, model.levels, moved)) > cost(tuned) - 1e-3


def test_tuning_on_nothing_changes_nothing() -> None:
    model = ngram.train(corpus(0), V, 3)
    assert ngram.tune(model, []) is model


def test_a_longer_context_beats_unigrams_and_those_beat_uniform() -> None:
    held_out = corpus(1)

    def mean(order):
        model = ngram.tune(ngram.train(corpus(0, 60), V, order), held_out)
        return np.mean([ngram.bits(model, ids)[mask].mean() for ids, mask in held_out])

    assert mean(2) < mean(1) - 0.5
    assert mean(1) < np.log2(V)


def test_of_ids_that_tell_nothing_the_model_is_uniform() -> None:
    model = ngram.train([everything(list(range(8)))], 8, 1)
    np.testing.assert_allclose(ngram.bits(model, np.arange(8)), 3.0)


def test_an_id_never_seen_costs_a_finite_number_of_bits() -> None:
    model = ngram.train(corpus(0), 533, 5)
    found = ngram.bits(model, [500, 501, 532])
    assert np.isfinite(found).all() and found.min() > np.log2(V)


def test_rows_are_scored_side_by_side_as_alone() -> None:
    model = ngram.train(corpus(0), V, 5)
    rows = np.stack([ids for ids, _ in corpus(1)])
    np.testing.assert_array_equal(ngram.bits(model, rows)[3], ngram.bits(model, rows[3]))


@pytest.mark.parametrize(("ids", "order"), [([V], 2), ([-1], 2), ([0], 0), ([0], 22)])
def test_what_cannot_be_counted_is_refused(ids: list[int], order: int) -> None:
    with pytest.raises(UsageError):
        ngram.train([everything(ids)], V, order)


def test_nothing_to_learn_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to learn"):
        ngram.train([(np.array([1, 2]), np.zeros(2, bool))], V)
