"""Where a theme comes back: in bars that were named, at the head of the sections of a form, or where the model likes.

Takes what was asked, the bars of the piece and those of the theme; gives `Returns`, or one error that says what does not fit. Bars are
counted from 1 by people and from 0 in here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from kapelle.errors import CannotObey, UsageError

_SEPARATORS = re.compile(r"[\s,;:|'’′_0-9-]+")
_CYRILLIC = str.maketrans("АВСЕНКМОРТХ", "ABCEHKMOPTX")
"""Letters that look the same: a form typed on a Russian keyboard is the same form."""

THEME = "A"
"""The letter of the sections that open with the theme."""

UNITS = (4, 2)
"""Sections of uneven forms are whole groups of so many bars, if each then still has two groups."""


@dataclass(frozen=True)
class Section:
    """A part of a form: the bars `first_bar` up to and without `end_bar`, called `letter`."""

    first_bar: int
    end_bar: int
    letter: str


@dataclass(frozen=True)
class Returns:
    """Where the theme begins.

    Args:
        starts: Its first bars, ascending, from 0; None leaves them to the model.
        sections: Of the form; empty if none was given.
    """

    starts: tuple[int, ...] | None = None
    sections: tuple[Section, ...] = ()


def plan_returns(theme_bars: str, form: str, *, n_bars: int, length: int) -> Returns:
    """Where a theme of `length` bars begins in a piece of `n_bars`.

    Args:
        theme_bars: Bars from 1 on, such as ``1,9,17,25``; empty if none are named.
        form: Letters, such as ``AABA``: sections as equal as whole bars allow, those called A opening with the theme; empty for none.
        n_bars: Of the piece.
        length: Bars of the theme, at most `n_bars`.

    Raises:
        UsageError: Both are given, or one cannot be read.
        CannotObey: The theme has no room, or would begin again before it has ended.
    """
    if theme_bars.strip() and form.strip():
        raise UsageError("--theme-bars and --form both say where the theme returns", hint="leave one of the two out")
    if form.strip():
        sections = sections_of(form, n_bars)
        for section in sections:
            if section.letter == THEME and section.end_bar - section.first_bar < length:
                raise CannotObey(
                    "section {letter} in bar {bar} of the form {form} has {bars} bars, and the theme has {length}",
                    letter=THEME, bar=section.first_bar + 1, form=form.strip(), bars=section.end_bar - section.first_bar, length=length,
                    hint="give more --bars, or a shorter --theme-length",
                )  # fmt: skip
        return Returns(tuple(section.first_bar for section in sections if section.letter == THEME), sections)
    return Returns(_named(theme_bars, n_bars, length)) if theme_bars.strip() else Returns()


def sections_of(form: str, n_bars: int) -> tuple[Section, ...]:
    """The sections of a form: as equal as whole bars allow, of groups of four or two bars where there is room.

    Raises:
        UsageError: It is no row of letters, or has no A.
        CannotObey: There are more letters than bars.
    """
    letters = _SEPARATORS.sub("", form).upper().translate(_CYRILLIC)
    if not letters.isalpha() or not letters.isascii():
        raise UsageError("a form is a row of letters such as AABA, not {text!r}", text=form)
    if THEME not in letters:
        raise UsageError("the form {form} has no A: sections A are those that open with the theme", form=letters)
    share = n_bars / len(letters)
    if share < 1:
        raise CannotObey("the form {form} has {n} sections, and the piece {bars} bars", form=letters, n=len(letters), bars=n_bars)
    unit = next((one for one in UNITS if share >= 2 * one), 1)
    lines = [round(i * share / unit) * unit for i in range(len(letters))] + [n_bars]
    return tuple(Section(first, last, letter) for first, last, letter in zip(lines, lines[1:], letters, strict=False))


def _named(text: str, n_bars: int, length: int) -> tuple[int, ...]:
    """The bars that `text` names, from 0."""
    words = [word for word in re.split(r"[\s,;]+", text.strip()) if word]
    if not words or not all(word.isdecimal() for word in words):
        raise UsageError("--theme-bars takes numbers of bars such as 1,9,17,25, not {text!r}", text=text)
    bars = sorted(int(word) for word in words)
    for bar in bars:
        if bar < 1 or bar - 1 + length > n_bars:
            raise CannotObey(
                "a theme of {length} bars that begins in bar {bar} does not fit into {bars} bars", length=length, bar=bar, bars=n_bars,
                hint="bars are counted from 1; the last one it can begin in is {last}", last=max(n_bars - length + 1, 1),
            )  # fmt: skip
    for bar, following in pairwise(bars):
        if following - bar < length:
            raise CannotObey(
                "a theme of {length} bars cannot begin in bar {bar} and again in bar {following}", length=length, bar=bar,
                following=following, hint="leave {length} bars between, or give a shorter --theme-length",
            )  # fmt: skip
    return tuple(bar - 1 for bar in bars)
