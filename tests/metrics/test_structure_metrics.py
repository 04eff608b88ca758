"""Self-similarity, structureness and the compression ratio on pieces whose form is known."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from kapelle.metrics import structure
from kapelle.metrics.excerpt import excerpt
from kapelle.score import edit
from measured import line, notes, piece, random_piece, repeated

BARS = {
    "A": line(60, 64, 67, 64), "B": line(65, 69, 72, 69), "C": line(67, 71, 74, 71),
    "D": line(62, 66, 69, 66), "E": line(61, 65, 68, 73), "F": line(58, 63, 66, 70), "-": [],
}  # fmt: skip


def form(letters: str):
    return piece([(4 * bar + at, length, pitch) for bar, letter in enumerate(letters) for at, length, pitch in BARS[letter]])


def similarity(letters: str, n_bars: int | None = None):
    return structure.self_similarity(excerpt(form(letters), n_bars))


def structureness(letters: str) -> float:
    return structure.structureness(excerpt(form(letters)))


def test_a_bar_is_like_itself_and_like_its_repetition():
    found = similarity("ABA")
    assert found.shape == (3, 3)
    assert np.diag(found).tolist() == pytest.approx([1, 1, 1])
    assert found[0, 2] == pytest.approx(1)
    assert found[0, 1] < 0.5
    assert (found == found.T).all()


def test_likeness_is_the_cosine_of_what_sounds_when():
    rows = [(0, 2, 60), (2, 2, 62), (4, 2, 60), (6, 2, 64), (8, 4, 60)]
    found = structure.self_similarity(notes(rows))
    assert found[0, 1] == pytest.approx(1 / 2)
    assert found[0, 2] == pytest.approx(1 / 2)  # half of the time the same: 8 of 16 slices, both of length 4


def test_a_silent_bar_is_like_nothing():
    found = similarity("A-A", 4)
    assert found[1].tolist() == found[3].tolist() == [0, 0, 0, 0]
    assert found[0, 2] == pytest.approx(1)


def test_octaves_and_tracks_make_no_difference_and_transposition_does():
    high = [(at + 4, length, pitch + 12) for at, length, pitch in BARS["A"]]
    assert structure.self_similarity(notes([*BARS["A"], *high]))[0, 1] == pytest.approx(1)
    other = [(at + 4, length, pitch + 1) for at, length, pitch in BARS["A"]]
    assert structure.self_similarity(notes([*BARS["A"], *other]))[0, 1] < 0.3


def test_a_note_held_over_a_bar_line_sounds_in_both_bars():
    assert structure.self_similarity(notes([(0, 8, 60)]))[0, 1] == pytest.approx(1)


def test_bars_of_two_metres_are_laid_upon_one_another():
    rows = [(0, 4, 60), (4, 3, 60)]
    assert structure.self_similarity(notes(rows, metres=[(0, 4, 4), (4, 3, 4)]))[0, 1] == pytest.approx(1)


def test_only_the_first_bars_of_a_long_piece_are_compared():
    assert structure.self_similarity(notes(repeated(BARS["A"], 600))).shape == (structure.MAX_BARS,) * 2


def test_bars_recur_in_whatever_order():
    def recurrence(letters, n_bars=None):
        return structure.bar_recurrence(excerpt(form(letters), n_bars))

    assert recurrence("ABAB") == recurrence("AABB") == recurrence("AAAA") == pytest.approx(1)
    assert recurrence("ABA") == pytest.approx((1 + 1 + similarity("AB")[0, 1]) / 3)
    assert recurrence("A-A-", 8) == pytest.approx(1)
    assert math.isnan(recurrence("A---", 4))
    assert math.isnan(recurrence(""))


def test_a_form_that_returns_in_order_is_above_chance():
    assert structureness("ABCDABCDABCDABCD") == pytest.approx(1)
    assert structureness("ABCDABCD") > 0.7
    assert structureness("ABABABAB") == pytest.approx(1)


def test_the_same_bars_out_of_order_are_at_chance():
    draw = np.random.default_rng(1)
    values = [structureness("".join(draw.permutation(list("ABCD" * 4)))) for _ in range(200)]
    assert np.mean(values) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("letters", ["AAAAAAAA", "ABCDEF"])
def test_without_contrast_or_return_there_is_no_structure(letters):
    assert structureness(letters) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("letters", ["", "A", "ABA"])
def test_too_short_for_two_phrases(letters):
    assert math.isnan(structureness(letters))


def test_silence_has_no_structure():
    assert math.isnan(structure.structureness(notes(n_bars=8)))
    assert math.isnan(structure.structureness(notes(drums=repeated([(0, 1, 36)], 8))))


def test_structureness_of_a_long_piece_in_parts_is_that_at_once(monkeypatch):
    found = similarity("ABCDABCE")
    at_once = structure.structureness_of(found)
    monkeypatch.setattr(structure, "_AT_ONCE", 64)
    assert structure.structureness_of(found) == pytest.approx(at_once)


@pytest.mark.parametrize(
    ("numbers", "n_phrases"),
    [([0], 1), ([0, 1, 2], 3), ([0] * 100, 2), ([0, 1] * 8, 3), ([0, 1, 0, 1, 0, 1, 2], 4), ([0, 1, 2, 1, 2, 0], 5)],
)
def test_phrases_are_the_longest_met_before(numbers, n_phrases):
    assert structure._n_phrases(np.array(numbers)) == n_phrases


@pytest.mark.parametrize("seed", range(5))
def test_the_parse_is_the_plain_one(seed):
    numbers = np.random.default_rng(seed).integers(0, 3, 80).tolist()
    place, n_phrases = 0, 0
    while place < len(numbers):
        longest = max((_common(numbers, begin, place) for begin in range(place)), default=0)
        place += max(longest, 1)
        n_phrases += 1
    assert structure._n_phrases(np.array(numbers)) == n_phrases


def _common(numbers, begin, place):
    length = 0
    while place + length < len(numbers) and numbers[begin + length] == numbers[place + length]:
        length += 1
    return length


def test_very_many_symbols_are_told_apart():
    many = np.arange(60_000)
    assert structure._n_phrases(many) == 60_000


def test_notes_of_one_step_are_one_chord_however_they_are_spread():
    together = [(at, 1, number) for at in range(4) for number in (60, 64, 67)]
    spread = [(at + 0.01 * place * (-1) ** (at % 2 + 1) + 0.02, 1, number) for at in range(4) for place, number in enumerate((60, 64, 67))]
    assert structure.compression_ratio(notes(spread)) == structure.compression_ratio(notes(together)) == 12 / 5


def test_beyond_the_window_nothing_is_remembered(monkeypatch):
    monkeypatch.setattr(structure, "WINDOW_NOTES", 4)
    assert structure._n_phrases(np.array([0, 1, 2, 3, 4, 0, 1])) == 7


def test_compression_ratio_of_a_repeated_bar():
    eight = line(60, 64, 67, 72, 71, 67, 65, 62, length=0.5)
    assert structure.compression_ratio(notes(eight)) == pytest.approx(8 / 8)
    assert structure.compression_ratio(notes(repeated(eight, 16))) == pytest.approx(12.8)


def test_compression_does_not_depend_on_order_in_the_file_or_resolution():
    score = random_piece(2, tpq=12)
    ratio = structure.compression_ratio(excerpt(score))
    other = score.copy()
    other.tracks = other.tracks[::-1]
    assert structure.compression_ratio(excerpt(other)) == ratio
    assert structure.compression_ratio(excerpt(edit.resample(score, 480))) == ratio


def test_one_note_and_none():
    assert structure.compression_ratio(notes([(0, 1, 60)])) == 1.0
    assert math.isnan(structure.compression_ratio(notes()))


def test_a_long_piece_is_short_work():
    draw = np.random.default_rng(0)
    rows = [(float(at), 1.0, int(pitch)) for at, pitch in zip(np.arange(50_000) / 4, draw.integers(40, 80, 50_000), strict=True)]
    found = notes(rows)
    begun = time.process_time()
    assert structure.compression_ratio(found) > 1
    assert math.isfinite(structure.structureness(found))
    assert time.process_time() - begun < 5
