"""An evaluation as one page that needs nothing beside it: tables, plots, pieces to look at, and where it all is from.

Takes an `Evaluation`; gives HTML. It opens from the disk without a network, light or dark.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from kapelle.judging import report
from kapelle.judging import report_pictures as pictures
from kapelle.judging.evaluation import BASELINE, REAL
from kapelle.metrics.piece import METRICS
from kapelle.pages.markup import page, table, text

if TYPE_CHECKING:
    from kapelle.judging.evaluation import Evaluation
    from kapelle.judging.report import Table

DETAILS = ("Intra-set and inter-set distances", "Files")
"""Tables for those who ask for them."""

EMBEDDED = ("precision", "recall", "density", "coverage")


def page_of(found: Evaluation) -> str:
    """The page."""
    return page("Evaluation", _body(found))


def _body(found: Evaluation) -> Iterator[str]:
    yield pictures.STYLE
    yield f"<h1>Evaluation</h1><p>{text(report.summary(found))}</p>"
    if found.remarks:
        yield f'<ul class="bad">{"".join(f"<li>{text(remark)}</li>" for remark in found.remarks)}</ul>'
    first, *others = report.tables(found)
    yield from _table(first)
    yield from _intervals(found)
    yield from _histograms(found)
    for one in others:
        if one.title not in DETAILS:
            yield from _table(one)
    yield from _samples(found)
    yield "<h2>Details</h2>"
    for one in others:
        if one.title in DETAILS:
            yield f"<details><summary>{text(one.title)}</summary>"
            yield f"<p>{text(one.about)}</p>{table(one.head, one.rows)}</details>"
    yield from _definitions()
    lines = "".join(f"<li><code>{text(line)}</code></li>" for line in report.provenance(found))
    yield "<details><summary>Every file: row, half of the reference, SHA-256, first bar of the excerpt, name</summary>"
    yield f'<ul class="muted">{lines}</ul></details>'


def _table(one: Table) -> Iterator[str]:
    yield f"<h2>{text(one.title)}</h2><p>{text(one.about)}</p>{table(one.head, one.rows)}"


def _legend(found: Evaluation) -> str:
    """Which colour is whose: real music is the bars, baselines are dashed."""
    parts = []
    for place, row in enumerate(found.rows):
        if row.kind == REAL:
            parts.append(f'<span><i class="{pictures.GREY}" style="background: var(--c); opacity: .35"></i>{text(row.name)}</span>')
        else:
            parts.append(f'<span><i class="{pictures.colour(place)}" style="background: var(--c)"></i>{text(row.name)}</span>')
    return f'<p class="legend">{"".join(parts)}</p>'


def _intervals(found: Evaluation) -> Iterator[str]:
    """The figures of the first table as dots with intervals."""
    figures = {name: [getattr(row.sets.neighbours, name) for row in found.rows] for name in EMBEDDED}
    figures |= {"Fréchet": [row.sets.frechet for row in found.rows], "two-sample": [row.sets.two_sample for row in found.rows]}
    plots = []
    for name, estimates in figures.items():
        names = [pictures.GREY if row.kind == REAL else pictures.colour(place) for place, row in enumerate(found.rows)]
        rows = [(row.name, shade, one) for row, shade, one in zip(found.rows, names, estimates, strict=True)]
        drawn = pictures.intervals(rows)
        if drawn:
            plots.append(f"<div><h3>{text(name)}</h3>{drawn}</div>")
    if plots:
        yield f'<div class="plots">{"".join(plots)}</div>'


def _histograms(found: Evaluation) -> Iterator[str]:
    """A plot for each metric: all real pieces, and every other row."""
    real = next(row.name for row in found.rows if row.kind == REAL)
    plots = []
    for name, metric in METRICS.items():
        others = [
            (f"{pictures.colour(place)}{' dashed' if row.kind == BASELINE else ''}", found.values(row.name, name))
            for place, row in enumerate(found.rows)
            if row.kind != REAL
        ]
        drawn = pictures.histogram(found.values(real, name), others)
        if drawn:
            unit = f", {metric.unit}" if metric.unit else ""
            plots.append(f'<div title="{text(metric.about)}"><h3>{text(metric.label + unit)}</h3>{drawn}</div>')
    if plots:
        yield "<h2>Distributions of metrics</h2><p>Share of pieces by value. Real music is the bars; baselines are dashed.</p>"
        yield f'{_legend(found)}<div class="plots">{"".join(plots)}</div>'


def _samples(found: Evaluation) -> Iterator[str]:
    """A few pieces of every row; which ones is decided by their bytes and the seed, not by how they are."""
    if not found.samples:
        return
    about = "Not chosen: the first in an order that hashes decide. Beside each piano roll, how alike any two of its bars are."
    yield f"<h2>Pieces</h2><p>{about}</p>"
    for name, some in groupby(found.samples, key=lambda sample: sample.row):
        cards = "".join(
            f'<div class="card"><div class="pair">{pictures.roll(sample.score, found.options.bars)}'
            f'{pictures.self_similarity(sample.score, found.options.bars)}</div><span class="muted">{text(sample.name)}</span></div>'
            for sample in some
        )
        yield f'<h3>{text(name)}</h3><div class="samples">{cards}</div>'


def _definitions() -> Iterator[str]:
    rows = [(metric.label, metric.unit, metric.about) for metric in METRICS.values()]
    yield "<details><summary>What the metrics are</summary>"
    yield f"{table(('metric', 'unit', 'what it is'), rows, numbers_from=3)}</details>"
