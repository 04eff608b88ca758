"""The tables of a study on a page: statistics of its figures, means by the values of its axes, what goes with them, what classifiers say.

Takes results; gives markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kapelle.pages.markup import figure, table, text
from kapelle.study import figures, tables

if TYPE_CHECKING:
    from kapelle.study.plan import Axis
    from kapelle.study.run import Results

COUNTS = ("made", "empty", "failed", "short", "degenerate")
MOST_VALUES = 12
"""Of an axis without pages that has more values, such as a hundred seeds, no means are shown: results.json has them."""


def of_all(results: Results) -> Iterator[str]:
    """All tables of a study."""
    names = results.figures
    yield "<h2>All pieces</h2>"
    yield _statistics(results.rows, names)
    for axis, values in results.tables.by_axis.items():
        told = _axis(results, axis)
        if len(values) < 2 or len(values) == len(results.rows) or (len(values) > MOST_VALUES and not told.paged):
            continue
        columns = [*COUNTS, *names]
        yield f"<h2>Means by {text(axis)}</h2>"
        yield table(
            [axis, *COUNTS, *map(figures.label, names)], [[told.label(value), *_row(one, columns)] for value, one in values.items()]
        )
    yield from _effects(results)
    for name in results.classifiers:
        yield from _opinions(results, name)


def of_some(rows: Sequence[Mapping[str, Any]], results: Results, label: str) -> Iterator[str]:
    """Statistics of some pieces, and what classifiers say of them."""
    yield "<h2>Statistics</h2>"
    yield _statistics(rows, results.figures)
    for name in results.classifiers:
        found = tables.opinion(rows, name)
        if found["count"]:
            yield f"<h2>What {text(name)} says</h2>"
            yield _probabilities(found, label)


def _statistics(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    found = tables.statistics(rows, names)
    return table(["figure", *tables.STATISTICS], [[figures.label(name), *_row(found[name], tables.STATISTICS)] for name in names])


def _effects(results: Results) -> Iterator[str]:
    """How much of each figure goes with each axis."""
    found = results.tables.effects
    if not found:
        return
    yield "<h2>What goes with what</h2>"
    yield (
        "<p>Share of a figure's variance that lies between the values of an axis (eta squared), and in brackets how often the pieces "
        "in a random order have as much. A share without a small chance says nothing.</p>"
    )
    rows = []
    for name in results.figures:
        cells = [_effect(one[name]) for one in found.values()]
        if any(cell != "–" for cell in cells):
            rows.append([figures.label(name), *cells])
    yield table(["figure", *found], rows)


def _effect(one: Mapping[str, float]) -> str:
    share = figure(one["eta_squared"])
    return share if share == "–" else f"{share} ({one['chance']:.3f})"


def _opinions(results: Results, name: str) -> Iterator[str]:
    """What a classifier says of all pieces and of those of each model."""
    found = results.tables.opinions[name]
    if not found["all"]["count"]:
        return
    yield f"<h2>What {text(name)} says</h2>"
    yield _probabilities(found["all"], "all pieces")
    for axis, values in found["by_axis"].items():
        told = _axis(results, axis)
        if len(values) < 2 or not told.paged:
            continue
        labels, said = list(found["all"]["statistics"]), [(told.label(value), one) for value, one in values.items() if one["count"]]
        rows = [[label, str(one["count"]), *_means(one, labels), _winner(one), _spread(one)] for label, one in said]
        caption = f"mean probabilities by {axis}; spread: standard deviation of a class, mean over the classes, and its 95 % interval"
        yield table([axis, "pieces", *labels, "most often", "spread"], rows, caption=caption)
        for label, one in said:
            yield f"<details><summary>{text(f'{axis}: {label}')}</summary>{_probabilities(one, label)}</details>"


def _means(one: Mapping[str, Any], labels: Sequence[str]) -> list[str]:
    return [figure(one["statistics"][label]["mean"]) for label in labels]


def _probabilities(found: Mapping[str, Any], label: str) -> str:
    """The table of the thesis: a column for each class."""
    classes = list(found["statistics"])
    rows = [[name, *(figure(found["statistics"][one][name]) for one in classes)] for name in tables.STATISTICS]
    rows.append(["most probable in", *(str(found["winners"][one]) for one in classes)])
    warned = f"; {found['warned']} of {found['count']} are unlike what it learned from" if found["warned"] else ""
    return table(["probability", *classes], rows, caption=f"{label}{warned}")


def _winner(one: Mapping[str, Any]) -> str:
    best = max(one["winners"], key=one["winners"].__getitem__)
    return f"{best} ({one['winners'][best]})"


def _spread(one: Mapping[str, Any]) -> str:
    found = one["spread"]
    return f"{figure(found['value'])} ({figure(found['low'])} to {figure(found['high'])})"


def _axis(results: Results, name: str) -> Axis:
    return next(one for one in results.plan.axes if one.name == name)


def _row(one: Mapping[str, float], names: Sequence[str]) -> list[str]:
    return [figure(one[name]) for name in names]
