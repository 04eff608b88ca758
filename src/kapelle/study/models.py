"""The study of models by seeds: the same request to each model, or to each stage of one, with the same seeds.

Takes composers and seeds; gives a plan and its maker. Unless first tries are asked for, it is composed as a user would get it: with
new attempts where a result is degenerate, which the tables count. A folder of real music can stand among the models. For a band, a seed is
fixed latents: the same for every stage of its training, since they have the same shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kapelle.errors import UsageError
from kapelle.study.composers import Composer, Library
from kapelle.study.plan import Axis, Cell, Plan

if TYPE_CHECKING:
    from kapelle.composing.piece import Piece
    from kapelle.study.cell import Music, Nothing

NOTE = (
    "The same request to every model, with the same seeds. Pieces are as anyone gets them: where a first try was degenerate another one "
    "was made, and the tables count what is still wrong."
)

Subject = Composer | Library


def plan(subjects: Sequence[Subject], seeds: Sequence[int], *, axis: str = "seed", title: str = "", note: str = NOTE) -> Plan:
    """Models by seeds.

    Args:
        subjects: Each with a label of its own.
        seeds: Each once.
        axis: What a seed is called: "latents" where it is that.
        title: For people; made of the models if left out.
        note: For people.

    Raises:
        UsageError: Two have one label, or a seed is there twice.
    """
    labels = tuple(one.label for one in subjects)
    if len(set(labels)) < len(labels):
        raise UsageError("two models of the study are called {names}", names=", ".join(sorted(labels)), hint="give each a label of its own")
    asked: dict[str, Any] = {one.label: _asked(one) for one in subjects}
    lengths = {f"{one.wish.length.amount:g} {one.wish.length.unit}" for one in subjects if isinstance(one, Composer)}
    settings = {
        **({"length": lengths.pop()} if len(lengths) == 1 else {}),
        "requests": asked,
        "bundles": {one.label: one.digest for one in subjects if isinstance(one, Composer)},
    }
    axes = (Axis("model", labels, paged=True), Axis(axis, tuple(str(seed) for seed in seeds)))
    return Plan("models", title or f"{', '.join(labels)}: {len(seeds)} seeds", axes, settings, note)


def _asked(one: Subject) -> dict[str, Any]:
    """What identifies a model's part of a study; no path, since where a bundle lies changes nothing."""
    if isinstance(one, Library):
        return {"files": one.digest, "bars": one.n_bars}
    return one.wish.to_json() | {"seed": None, "model": one.label} | ({"first_try": True} if one.first_try else {})


@dataclass(frozen=True)
class Maker:
    """Composes the piece of a cell."""

    subjects: tuple[Subject, ...]
    seeds: tuple[int, ...]

    def __call__(self, cell: Cell) -> Piece | Music | Nothing:
        """The piece of a cell, or why there is none."""
        subject = next(one for one in self.subjects if one.label == cell.values["model"])
        seed = int(next(value for name, value in cell.values.items() if name != "model"))
        return subject.piece(seed, self.seeds.index(seed))
