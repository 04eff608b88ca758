"""The page of a study: every piece with its player and its picture, what became of each cell, and the statistics of all.

Takes results and the folder they are in; gives HTML whose links are relative. The last axis makes the columns, the one before it the rows,
those before that make sections.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kapelle.study import measures, tables
from kapelle.pages.markup import figure, page, table, text

if TYPE_CHECKING:
    from kapelle.study.plan import Axis
    from kapelle.study.run import Results

MOST_COLUMNS = 6
SOUNDS = ("ogg", "mp3", "flac", "wav")


def study(results: Results, folder: Path) -> str:
    """The page."""
    return page(results.plan.title, _body(results, folder))


def _body(results: Results, folder: Path) -> Iterator[str]:
    plan = results.plan
    yield f"<h1>{text(plan.title)}</h1>"
    for paragraph in plan.note.split("\n\n"):
        if paragraph:
            yield f"<p>{text(paragraph)}</p>"
    yield f"<p>{_counted(results)}</p>"
    settings = ", ".join(f"{name}: {value}" for name, value in plan.settings.items() if isinstance(value, str | int | float))
    links = [f'<a href="{name}">{name}</a>' for name in ("results.json", "results.csv", "mosaic.png") if (folder / name).is_file()]
    yield f'<p class="muted">{text(settings)}<br>{" ".join(links)}</p>'
    rows = {tuple(row["values"].values()): row for row in results.rows}
    *outer, last = plan.axes
    sections, side = (outer[:-1], outer[-1]) if outer else ([], None)
    for values in product(*(axis.values for axis in sections)):
        if values:
            yield f"<h2>{text(', '.join(_said(axis, value) for axis, value in zip(sections, values, strict=True)))}</h2>"
        yield _grid(rows, values, side, last, folder)
    yield from _figures(results)


def _counted(results: Results) -> str:
    """What became of the cells, in a sentence."""
    counts = results.counts
    parts = [
        f"{counts['made']} of {counts['cells']} cells are pieces",
        f"{counts['empty']} empty",
        f"{counts['short']} shorter than {results.plan.least_s:g} s",
        f"{counts['degenerate']} degenerate",
    ]
    return text("; ".join(parts) + ".")


def _said(axis: Axis, value: str) -> str:
    return f"{axis.name}: {axis.label(value)}"


def _grid(rows: Mapping[tuple[str, ...], dict[str, Any]], before: tuple[str, ...], side: Axis | None, last: Axis, folder: Path) -> str:
    """Cells in rows and columns; where the last axis is long, in as many columns as the window has room for."""
    if len(last.values) > MOST_COLUMNS:
        parts = []
        for value in side.values if side else ("",):
            key = (*before, value) if side else before
            cards = "".join(
                f'<div class="card"><b>{text(_said(last, one))}</b><br>{_cell(rows[(*key, one)], folder)}</div>' for one in last.values
            )
            parts.append(f'{f"<h3>{text(_said(side, value))}</h3>" if side else ""}<div class="cards">{cards}</div>')
        return "".join(parts)
    head = "".join(f"<th>{text(_said(last, value))}</th>" for value in last.values)
    lines = []
    for value in side.values if side else ("",):
        key = (*before, value) if side else before
        cells = "".join(f'<td class="cell">{_cell(rows[(*key, column)], folder)}</td>' for column in last.values)
        lines.append(f"<tr><th>{text(_said(side, value)) if side else ''}</th>{cells}</tr>")
    return f'<div class="wide"><table><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _cell(row: dict[str, Any], folder: Path) -> str:
    """A piece: picture, player, file, figures, and what is wrong with it."""
    if row["empty"]:
        return f'<span class="bad">empty</span><br><span class="muted">{text(row["empty"])}</span>'
    base = f"cells/{quote(row['name'])}"
    sound = next((suffix for suffix in SOUNDS if (folder / "cells" / f"{row['name']}.{suffix}").is_file()), "")
    parts = [f'<img src="{base}.png" alt="piano roll" loading="lazy">']
    if sound:
        parts.append(f'<audio controls preload="none" src="{base}.{sound}"></audio>')
    found = row["measures"]
    parts.append(f'<a href="{base}.mid">MIDI</a> <span class="muted">{found["seconds"]:.0f} s, {found["notes"]:.0f} notes</span>')
    wrong = ["short"] if row["short"] else []
    wrong += row["problems"]
    if wrong:
        parts.append(f'<br><span class="bad">{text("; ".join(wrong))}</span>')
    return "".join(parts)


def _figures(results: Results) -> Iterator[str]:
    """Statistics of all pieces, and means by the values of every axis."""
    names = list(measures.MEASURES)
    yield "<h2>All pieces</h2>"
    found = tables.statistics(results.rows, names)
    yield table(["", *tables.STATISTICS], [[name, *_row(found[name], tables.STATISTICS)] for name in names])
    for axis, values in tables.by_axis(results.rows, results.plan.axes, names).items():
        if len(values) < 2 or len(values) == len(results.rows):
            continue
        told = next(one for one in results.plan.axes if one.name == axis)
        columns = ["made", "empty", "short", "degenerate", *names]
        yield f"<h2>Means by {text(axis)}</h2>"
        yield table([axis, *columns], [[told.label(value), *_row(one, columns)] for value, one in values.items()])
    yield "<h2>What the figures are</h2>"
    yield table(["figure", "what it is"], measures.MEASURES.items(), numbers_from=2)


def _row(one: Mapping[str, float], names: Sequence[str]) -> list[str]:
    return [figure(one[name]) for name in names]
