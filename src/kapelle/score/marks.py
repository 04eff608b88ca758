"""Named stretches of a piece, such as themes and sections, kept in the file as MIDI markers.

A mark becomes two markers: its label where it begins, ``/`` and its label where it ends. Files from elsewhere have markers
without ends: such a mark lasts to the next marker that begins one, or to the final bar line.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from symusic import Score, TextMeta

from kapelle.score import units


@dataclass(frozen=True, order=True)
class Mark:
    """A stretch of a piece from the tick `start_ticks` up to `end_ticks`, called `label`."""

    start_ticks: int
    end_ticks: int
    label: str


def mark_bars(score: Score, start_bar: int, end_bar: int, label: str) -> Mark:
    """The mark of the bars `start_bar` up to and without `end_bar`, counted from 0."""
    return Mark(units.bars_to_ticks(score, start_bar), units.bars_to_ticks(score, end_bar), label)


def bars_of(score: Score, mark: Mark) -> tuple[int, int]:
    """The bar in which `mark` begins, and the one before whose bar line it ends: as a `range`, from 0."""
    lines = units.bar_starts(score, max(mark.end_ticks, mark.start_ticks + 1))
    return int(lines.searchsorted(mark.start_ticks, side="right")) - 1, int(lines.searchsorted(mark.end_ticks, side="left"))


def with_marks(score: Score, marks: Iterable[Mark]) -> Score:
    """`score` with `marks` as its markers, in place of those it had. Characters that cannot be shown become spaces."""
    out = score.copy()
    # At one tick, what ends comes before what begins; an empty mark still begins before it ends.
    events = []
    for mark in sorted(marks):
        label = "".join(char if char.isprintable() else " " for char in mark.label).strip().lstrip("/")
        end = max(mark.end_ticks, mark.start_ticks)
        events += [(mark.start_ticks, 1, label), (end, 0 if end > mark.start_ticks else 2, f"/{label}")]
    out.markers = [TextMeta(tick, label) for tick, _, label in sorted(events, key=lambda event: event[:2])]
    return out


def marks_of(score: Score) -> tuple[Mark, ...]:
    """The marks that the markers of `score` tell of, in order."""
    events = sorted(((marker.time, index, marker.text) for index, marker in enumerate(score.markers)), key=lambda event: event[:2])
    last = max([units.final_bar_line(score), *(tick for tick, _, _ in events)])
    ends: dict[str, list[int]] = {}
    found: list[Mark] = []
    following = last  # where the next marker that begins something stands, seen from the end
    for tick, _, label in reversed(events):
        if label.startswith("/"):
            ends.setdefault(label[1:], []).append(tick)
        elif label:
            mine = ends.get(label)
            found.append(Mark(tick, mine.pop() if mine else following, label))
            following = tick
    return tuple(sorted(found))
