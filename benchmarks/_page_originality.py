"""The section of docs/reference/figures.md about originality."""

from __future__ import annotations

from typing import Any

import _texts

MODELS = (
    "model", "pieces", "with a shared run, %", "people, %", "longest run: half of the pieces", "95 %", "longest", "people: half", "95 %",
    "longest", "share of notes, %", "people, %",
)  # fmt: skip
INDEXES = (
    "index of", "pieces", "fingerprints", "lookup, ms of CPU", "slowest", "held-out excerpts", "with a run", "not in the piece named",
    "shorter there than told", "shuffled excerpts with a run",
)  # fmt: skip


def originality(found: dict[str, Any]) -> str:
    """What models share with their training music, and what the indexes find."""
    rows = [_row(name, row) for name, row in found["models"].items()]
    keys = ("lookup_ms", "slowest_ms", "excerpts", "with_run", "not_there", "shorter_than_told", "shuffled_with_run")
    indexes = [[name, row["pieces"], f"{row['records']:,}", *(row[key] for key in keys)] for name, row in found["indexes"].items()]
    factors = list(next(iter(found["indexes"].values()))["planted"]) if found["indexes"] else []
    planted = [[name, *(row["planted"][factor] for factor in factors)] for name, row in found["indexes"].items()]
    return (
        "## Originality\n\n`python benchmarks/originality.py models`; pieces of 16 bars, looked for in the index of what their model "
        "learned from, beside excerpts of 16 bars of held-out human music of the same data. 0: no run was found, which means that none has "
        "12 notes or more. 95 % intervals in brackets.\n\n"
        + _texts.table(MODELS, rows)
        + "\n`python benchmarks/originality.py index MODEL SHARDS`; the longest run that was told for each held-out excerpt, held against "
        "the training music itself; goals: at most 50 ms for a lookup, no run that is not there. Shuffled: the same excerpts with their "
        "pitches in another order.\n\n"
        + _texts.table(INDEXES, indexes)
        + "\nCopies of 12 notes of a training line that are found, of a hundred: in another key, at a speed multiplied by a constant and "
        "rounded to 480 ticks a quarter, in the middle of held-out music. Goal: all.\n\n" + _texts.table(("index of", *factors), planted)
    )


def _row(name: str, row: dict[str, Any]) -> list[Any]:
    own = (row["longest"][key] for key in ("50%", "95%", "100%"))
    human = (row["longest_of_human"][key] for key in ("50%", "95%", "100%"))
    shares = (f"{100 * row[key]:.1f}" for key in ("share", "share_of_human"))
    return [name, row["pieces"], _interval(row["with"]), _interval(row["with_of_human"]), *own, *human, *shares]


def _interval(values: list[float]) -> str:
    value, low, high = (100 * one for one in values)
    return f"{value:.0f} ({low:.0f}-{high:.0f})"


SECTIONS = {"originality": originality}
