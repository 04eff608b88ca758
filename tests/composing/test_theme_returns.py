"""Where a theme comes back: what was asked is met, and what cannot be is refused in one line."""

from __future__ import annotations

import pytest

from kapelle.composing.theme_returns import Returns, plan_returns, sections_of
from kapelle.errors import CannotObey, UsageError


def starts(theme_bars: str = "", form: str = "", n_bars: int = 32, length: int = 2) -> tuple[int, ...] | None:
    return plan_returns(theme_bars, form, n_bars=n_bars, length=length).starts


def lines(form: str, n_bars: int) -> list[int]:
    return [section.first_bar for section in sections_of(form, n_bars)]


def test_nothing_said_leaves_it_to_the_model():
    assert plan_returns("", " ", n_bars=16, length=2) == Returns(None, ())


@pytest.mark.parametrize("text", ["1,9,17,25", " 25, 9 17;1 "])
def test_named_bars_count_from_one(text):
    assert starts(text) == (0, 8, 16, 24)


def test_the_theme_may_begin_late_end_with_the_piece_and_follow_itself():
    assert starts("3,5,31") == (2, 4, 30)
    assert starts("1", n_bars=8, length=8) == (0,)


def test_sections_called_a_open_with_the_theme():
    assert starts(form="AABA") == (0, 8, 24)
    assert starts(form="aa' b-a2") == (0, 8, 24)
    assert starts(form="ААВА") == (0, 8, 24)  # typed in Cyrillic
    assert starts(form="BA", n_bars=8) == (4,)


def test_sections_of_uneven_forms_are_whole_groups_of_bars():
    assert lines("ABA", 32) == [0, 12, 20]
    assert lines("AABA", 16) == [0, 4, 8, 12]
    assert lines("AABA", 10) == [0, 2, 5, 8]
    assert lines("ABACA", 5) == [0, 1, 2, 3, 4]
    last = sections_of("ABA", 32)[-1]
    assert (last.first_bar, last.end_bar, last.letter) == (20, 32, "A")


@pytest.mark.parametrize("n_bars", range(1, 130))
def test_sections_fill_the_piece_without_a_gap(n_bars):
    for n in range(1, min(n_bars, 16) + 1):
        found = sections_of("A" * n, n_bars)
        assert [s.end_bar for s in found] == [*(s.first_bar for s in found[1:]), n_bars]
        assert found[0].first_bar == 0
        assert all(s.first_bar < s.end_bar for s in found)


@pytest.mark.parametrize(
    ("asked", "kind", "says"),
    [
        ({"theme_bars": "1", "form": "AB"}, UsageError, "both say where"),
        ({"theme_bars": "one"}, UsageError, "takes numbers of bars"),
        ({"theme_bars": "-3"}, UsageError, "takes numbers of bars"),
        ({"theme_bars": ","}, UsageError, "takes numbers of bars"),
        ({"theme_bars": "0,9"}, CannotObey, "begins in bar 0"),
        ({"theme_bars": "32"}, CannotObey, "does not fit into 32 bars"),
        ({"theme_bars": "99999999999999999999"}, CannotObey, "does not fit into 32 bars"),
        ({"theme_bars": "1,2"}, CannotObey, "bar 1 and again in bar 2"),
        ({"theme_bars": "5,5"}, CannotObey, "bar 5 and again in bar 5"),
        ({"form": "A+B"}, UsageError, "a row of letters"),
        ({"form": "123"}, UsageError, "a row of letters"),
        ({"form": "BCB"}, UsageError, "has no A"),
        ({"form": "A" * 33}, CannotObey, "has 33 sections, and the piece 32 bars"),
        ({"form": "AABA", "length": 6, "n_bars": 16}, CannotObey, "section A in bar 1 of the form AABA has 4 bars, and the theme has 6"),
    ],
)
def test_what_cannot_be_is_refused(asked, kind, says):
    with pytest.raises(kind, match=says):
        starts(**asked)
