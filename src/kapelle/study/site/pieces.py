"""The pieces of a study on a page: picture, player, files and what is wrong with each, in a grid or as cards.

Takes rows and axes; gives markup. The last axis makes the columns, the one before it the rows, those before that make sections.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kapelle.pages.markup import text
from kapelle.study.cell import CELLS

if TYPE_CHECKING:
    from kapelle.study.plan import Axis

MOST_COLUMNS = 6
SOUNDS = ("ogg", "mp3", "flac", "wav")
"""Which is played if there are several: the smallest that every browser knows."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a page is.

    Args:
        folder: Of the study.
        up: What leads from the page to it: "" or "../".
    """

    folder: Path
    up: str


def said(axis: Axis, value: str) -> str:
    """A value with the name of its axis."""
    return f"{axis.name}: {axis.label(value)}"


def grids(rows: Sequence[Row], axes: Sequence[Axis], place: Place) -> Iterator[str]:
    """All pieces of some rows, each found by its values on `axes`."""
    table = {tuple(row["values"][axis.name] for axis in axes): row for row in rows}
    if not axes:
        yield f'<div class="cards">{"".join(_card("", row, place) for row in rows)}</div>'
        return
    *outer, last = axes
    sections, side = (outer[:-1], outer[-1]) if outer else ([], None)
    for values in product(*(axis.values for axis in sections)):
        if values:
            yield f"<h2>{text(', '.join(said(axis, value) for axis, value in zip(sections, values, strict=True)))}</h2>"
        yield _grid(table, values, side, last, place)


def _grid(rows: Mapping[tuple[str, ...], Row], before: tuple[str, ...], side: Axis | None, last: Axis, place: Place) -> str:
    """Cells in rows and columns; where the last axis is long or alone, in as many columns as the window has room for."""
    if side is None or len(last.values) > MOST_COLUMNS:
        parts = []
        for value in side.values if side else ("",):
            key = (*before, value) if side else before
            cards = "".join(_card(said(last, one), rows[(*key, one)], place) for one in last.values)
            parts.append(f'{f"<h3>{text(said(side, value))}</h3>" if side else ""}<div class="cards">{cards}</div>')
        return "".join(parts)
    head = "".join(f'<th scope="col">{text(said(last, value))}</th>' for value in last.values)
    lines = []
    for value in side.values:
        cells = "".join(
            f'<td class="cell" data-label="{text(said(last, one))}">{cell(rows[(*before, value, one)], place)}</td>' for one in last.values
        )
        lines.append(f'<tr><th scope="row">{text(said(side, value))}</th>{cells}</tr>')
    return f'<div class="wide"><table class="grid"><thead><tr><td></td>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _card(title: str, row: Row, place: Place) -> str:
    return f'<div class="card"><b>{text(title)}</b>{cell(row, place)}</div>'


def cell(row: Row, place: Place) -> str:
    """A piece: picture, player, files, figures, and what is wrong with it."""
    if row["empty"] or row["failed"]:
        kind, why = ("empty", row["empty"]) if row["empty"] else ("failed", row["failed"])
        return f'<div><span class="bad">{kind}</span><br><span class="muted">{text(why)}</span></div>'
    base, here = f"{place.up}{CELLS}/{quote(row['name'])}", place.folder / CELLS
    name = ", ".join(row["values"].values())
    there = [suffix for suffix in SOUNDS if (here / f"{row['name']}.{suffix}").is_file()]
    found = row["measures"]
    parts = [f'<img class="roll" src="{base}.png" alt="{text(f"piano roll of {name}")}" loading="lazy">']
    if there:
        parts.append(f'<audio controls preload="none" src="{base}.{there[0]}" aria-label="{text(f"sound of {name}")}"></audio>')
    links = " ".join(f'<a href="{base}.{suffix}" download>{_called(suffix)}</a>' for suffix in ("mid", *there))
    parts.append(f'<div>{links} <span class="muted">{found["seconds"]:.0f} s, {found["notes"]:.0f} notes</span></div>')
    wrong = (["short"] if row["short"] else []) + row["problems"] + row["faults"]
    if wrong:
        parts.append(f'<div class="bad">{text("; ".join(wrong))}</div>')
    return "".join(parts)


def _called(suffix: str) -> str:
    return "MIDI" if suffix == "mid" else suffix.upper()
