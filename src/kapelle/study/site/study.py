"""The pages of a study: one with everything, and one for every model, stage or band of it.

Takes results and the folder they are in; gives HTML by the name of its file, all links relative. On the first page stand the counts, the
pieces themselves unless they are many, and the tables; on the others the pieces of one value of an axis, with the same tables of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.pages.markup import figure, page, table, text
from kapelle.study import figures
from kapelle.study.plan import Axis, slug
from kapelle.study.site import pieces, statistics
from kapelle.study.site.pieces import Place, said

if TYPE_CHECKING:
    from kapelle.study.run import Results

PAGES = "pages"
MOST_ON_INDEX = 60
"""With more pieces than these, they are shown on the pages of their models alone."""


def pages(results: Results, folder: Path) -> dict[str, str]:
    """Name of each file, from `folder` -> the page."""
    names = _names(results)
    out = {"index.html": page(results.plan.title, _index(results, folder, names))}
    for (axis, value), name in names.items():
        place = Place(folder, "../")
        title = f"{said(axis, value)} – {results.plan.title}"
        out[name] = page(title, _of_value(results, axis, value, place))
    return out


def _names(results: Results) -> dict[tuple[Axis, str], str]:
    """Value of an axis -> the file of its page."""
    out: dict[tuple[Axis, str], str] = {}
    for axis in results.plan.axes:
        for value in axis.values if axis.paged else ():
            out[axis, value] = f"{PAGES}/{slug(axis.name)}-{axis.slugs[value]}.html"
    return out


def _index(results: Results, folder: Path, names: dict[tuple[Axis, str], str]) -> Iterator[str]:
    plan, place = results.plan, Place(folder, "")
    yield f"<header><h1>{text(plan.title)}</h1>"
    for paragraph in plan.note.split("\n\n"):
        if paragraph:
            yield f"<p>{text(' '.join(paragraph.split()))}</p>"
    yield f"<p>{_counted(results)}</p>"
    settings = ", ".join(f"{name}: {value}" for name, value in plan.settings.items() if isinstance(value, str | int | float))
    links = [f'<a href="{name}" download>{name}</a>' for name in ("results.json", "results.csv", "mosaic.png") if (folder / name).is_file()]
    yield f'<p class="muted">{text(settings)}<br>{" ".join(links)}</p>'
    if results.missing:
        names_of = ", ".join(results.missing)
        yield f'<p class="bad">{text(f"Not installed, so that their tables are not here: {names_of}.")}</p>'
    yield "</header>"
    if names:
        lists = (_links(axis, names) for axis in plan.axes if axis.paged)
        yield f'<nav aria-label="Pages">{"".join(lists)}</nav>'
    yield "<main>"
    if len(results.rows) <= MOST_ON_INDEX:
        yield "<h2>Pieces</h2>"
        yield from pieces.grids(results.rows, plan.axes, place)
    yield from statistics.of_all(results)
    yield from _explained(results)
    yield "</main>"


def _links(axis: Axis, names: dict[tuple[Axis, str], str]) -> str:
    """The pages of an axis."""
    items = "".join(f'<li><a href="{name}">{text(one.label(value))}</a></li>' for (one, value), name in names.items() if one is axis)
    return f"<ul><li>By {text(axis.name)}:</li>{items}</ul>"


def _of_value(results: Results, axis: Axis, value: str, place: Place) -> Iterator[str]:
    """The page of one value: its pieces, by the other axes, and their tables."""
    rows = [row for row in results.rows if row["values"][axis.name] == value]
    yield f'<nav aria-label="Pages"><a href="../index.html">{text(results.plan.title)}</a></nav>'
    yield f"<header><h1>{text(said(axis, value))}</h1><p>{_counted_of(rows)}</p>{_bundle(results, axis, value)}</header><main>"
    yield from pieces.grids(rows, [one for one in results.plan.axes if one is not axis], place)
    yield from statistics.of_some(rows, results, axis.label(value))
    yield "</main>"


def _bundle(results: Results, axis: Axis, value: str) -> str:
    hashes: Any = results.plan.settings.get("bundles", {})
    return f'<p class="muted">{text(f"bundle {hashes[value][:16]}")}</p>' if isinstance(hashes, dict) and value in hashes else ""


def _counted(results: Results) -> str:
    """What became of the cells, in a sentence."""
    counts = results.counts
    parts = [f"{counts['made']} of {counts['cells']} cells are pieces", f"{counts['empty']} empty"]
    parts += [f"{counts['failed']} failed"] if counts["failed"] else []
    parts += [f"{counts['short']} shorter than {results.plan.least_s:g} s", f"{counts['degenerate']} degenerate"]
    return text("; ".join(parts) + ".")


def _counted_of(rows: list[dict[str, Any]]) -> str:
    made = [row for row in rows if row["measures"]]
    notes = sum(row["measures"]["notes"] for row in made) / len(made) if made else float("nan")
    return text(f"{len(made)} of {len(rows)} cells are pieces; {figure(notes)} notes on average.")


def _explained(results: Results) -> Iterator[str]:
    table_of = figures.known()
    yield "<h2>What the figures are</h2>"
    yield table(["figure", "what it is"], [[figures.label(name), table_of[name]] for name in results.figures], numbers_from=2)
