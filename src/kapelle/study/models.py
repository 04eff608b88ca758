"""The study of models by seeds: the same request to each model, or to each stage of one, with the same seeds.

Takes names of models and what is asked of them; gives a plan and its maker, by way of the function that composes. It is composed as a user
would get it: with new attempts where a result is degenerate, which the tables count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kapelle.composing.piece import Piece
from kapelle.composing.request import ComposeRequest
from kapelle.study.plan import Axis, Cell, Plan
from kapelle.study.run import Make

NOTE = (
    "The same request to every model, with the same seeds. Pieces are as anyone gets them: where a first try was degenerate another one "
    "was made, and the tables count what is still wrong."
)


def plan(wishes: Mapping[str, ComposeRequest], seeds: Sequence[int], hashes: Mapping[str, str]) -> Plan:
    """Models by seeds.

    Args:
        wishes: Model -> what is asked of it; seed and count do not matter.
        seeds: Each once.
        hashes: Model -> hash of its bundle, so that a study of other weights is another study.
    """
    asked: dict[str, Any] = {name: wish.to_json() | {"seed": None} for name, wish in wishes.items()}
    length = next(iter(wishes.values())).length
    settings = {"length": f"{length.amount:g} {length.unit}", "requests": asked, "bundles": dict(hashes)}
    axes = (Axis("model", tuple(wishes)), Axis("seed", tuple(str(seed) for seed in seeds)))
    title = f"{', '.join(wishes)}: {len(seeds)} seeds"
    return Plan("models", title, axes, settings, NOTE)


def maker(wishes: Mapping[str, ComposeRequest], compose: Callable[[ComposeRequest], Piece]) -> Make:
    """Composes the piece of a cell."""

    def make(cell: Cell) -> Piece:
        return compose(replace(wishes[cell.values["model"]], seed=int(cell.values["seed"]), count=1))

    return make
