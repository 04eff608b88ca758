from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapelle.data.split import PARTS, TEST, TRAIN, VALIDATION, assign, group_key, half

GROUPS = st.lists(st.tuples(st.sampled_from("pjec"), st.integers(0, 30).map(str)), min_size=1, max_size=120)


@given(GROUPS, st.floats(0, 0.4), st.floats(0, 0.4))
def test_no_group_is_in_two_parts(groups: list[tuple[str, str]], validation: float, test: float) -> None:
    parts = assign(groups, validation, test)
    assert len(parts) == len(groups) and set(parts) <= {TRAIN, VALIDATION, TEST}
    assert len({(group, part) for (_, group), part in zip(groups, parts, strict=True)}) == len({group for _, group in groups})


@given(GROUPS, st.randoms())
def test_the_order_of_the_files_does_not_matter(groups: list[tuple[str, str]], draw: object) -> None:
    shuffled = list(groups)
    draw.shuffle(shuffled)  # type: ignore[attr-defined]
    assert dict(zip(groups, assign(groups, 0.1, 0.2), strict=True)) == dict(zip(shuffled, assign(shuffled, 0.1, 0.2), strict=True))


def test_every_genre_has_its_share_held_out() -> None:
    groups = [(genre, f"{genre}{artist}") for genre in "pj" for artist in range(100) for _ in range(3)]
    parts = assign(groups, 0.04, 0.08)
    for genre in "pj":
        counts = Counter(PARTS[part] for (own, _), part in zip(groups, parts, strict=True) if own == genre)
        assert counts["test"] / 300 == pytest.approx(0.08, abs=0.02) and counts["validation"] / 300 == pytest.approx(0.04, abs=0.02)


def test_one_prolific_artist_does_not_become_the_test() -> None:
    groups = [("c", "chopin")] * 90 + [("c", f"other{i}") for i in range(30)]
    assert dict(zip(groups, assign(groups, 0.05, 0.1), strict=True))[("c", "chopin")] == TRAIN


@pytest.mark.parametrize("n", range(3, 20))
@pytest.mark.parametrize(("validation", "test"), [(0.04, 0.08), (0.15, 0.0), (0.01, 0.4), (0.4, 0.3)])
def test_few_pieces_leave_one_for_validation_and_one_for_training(n: int, validation: float, test: float) -> None:
    parts = assign([("p", f"song {i}") for i in range(n)], validation, test)
    assert VALIDATION in parts and TRAIN in parts


def test_the_smallest_group_is_held_out_where_no_share_is_large_enough() -> None:
    groups = [("p", "a")] * 9 + [("p", "b")] * 2 + [("p", "c")] * 5
    parts = assign(groups, 0.04, 0.08)
    assert {group for (_, group), part in zip(groups, parts, strict=True) if part == VALIDATION} == {"b"}
    assert TEST not in parts


def test_two_groups_are_both_for_training() -> None:
    assert assign([("p", "a"), ("p", "b")], 0.04, 0.0) == [TRAIN, TRAIN]


def test_nothing_held_out_when_nothing_is_asked() -> None:
    assert assign([("p", "a"), ("p", "b")], 0.0, 0.0) == [TRAIN, TRAIN]


@pytest.mark.parametrize(
    ("name", "key"),
    [("Frédéric Chopin", "chopin"), ("chopin", "chopin"), ("Bach, J.S.", "s"), ("Чайковский", "Чайковский"), ("", ""), ("AC/DC", "dc")],
)
def test_the_key_of_a_name(name: str, key: str) -> None:
    assert group_key(name) == key


def test_halves_are_fixed_for_good() -> None:
    assert [half(name) for name in ("chopin", "bach", "mozart", "The Beatles", "Queen", "001")] == [1, 1, 1, 0, 0, 1]


def test_an_artist_is_in_one_half_however_the_name_is_written() -> None:
    assert half("Frédéric Chopin") == half("chopin") == half(group_key("F. CHOPIN"))


def test_halves_are_about_equal() -> None:
    assert 450 < sum(half(str(n)) for n in range(1000)) < 550
