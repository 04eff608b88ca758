"""Which figures a study has of every piece: its own and all metrics of a piece.

Takes a piece, or music that is none of ours; gives numbers by name, NaN where there is nothing to measure. What each is stands in `known`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kapelle.errors import UnknownName
from kapelle.metrics.piece import METRICS, measure
from kapelle.study import measures

if TYPE_CHECKING:
    from kapelle.study.cell import Music


def known() -> dict[str, str]:
    """Figure -> what it is, the study's own first."""
    return dict(measures.MEASURES) | {name: _about(name) for name in METRICS}


def label(name: str) -> str:
    """What a figure is called on a page."""
    return METRICS[name].label if name in METRICS else name


def chosen(names: Sequence[str] = ()) -> tuple[str, ...]:
    """The figures of those names; all if none is named.

    Raises:
        UnknownName: There is no such figure.
    """
    table = known()
    for name in names:
        if name not in table:
            raise UnknownName("figure", name, table)
    return tuple(dict.fromkeys(names)) or tuple(table)


def of_music(music: Music) -> dict[str, float]:
    """All figures of `known`."""
    return measures.of_music(music) | measure(music.score, music.n_bars)


def _about(name: str) -> str:
    metric = METRICS[name]
    unit = f", {metric.unit}" if metric.unit else ""
    return f"{metric.about}{unit}"


def columns(figures: Mapping[str, float], names: Sequence[str]) -> list[float]:
    """The figures of some names, NaN for those that are not there."""
    return [figures.get(name, float("nan")) for name in names]
