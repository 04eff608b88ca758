"""``kapelle study answers FILES.csv --key KEY.json``: what listeners answered, with intervals, and how far they agree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.flags import argument, option

if TYPE_CHECKING:
    from kapelle.cli.console import Console
    from kapelle.metrics.bootstrap import Estimate


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    files: tuple[Path, ...] = argument(help="answers that listeners saved", metavar="FILE.csv")
    key: tuple[Path, ...] = option(help="key of the test; once for each test", metavar="FILE.json")
    seed: int = option(0, help="of the draws for the intervals", short="-s", min=0)


def run(arguments: Arguments, console: Console) -> None:
    """Count, tell."""
    from kapelle import api
    from kapelle.study.blind import QUESTIONS

    found = api.listening_answers(arguments.files, arguments.key, seed=arguments.seed)
    if console.as_json:
        console.data(found.as_dict())
        return
    console.facts({"listeners": len(found.listeners), "replaced": found.replaced or ""})
    if len(found.listeners) == 1:
        console.warn("there is one listener: the intervals say nothing of other people, and there is no agreement")
    if found.ratings:
        console.line()
        rows = [(group, found.counts[group], *(_shown(means[name]) for name in QUESTIONS)) for group, means in found.ratings.items()]
        console.table(("group", "answers", "harmonious", "rhythmic", "structured", "coherent", "overall"), rows, numbers=("answers",))
    if found.preferences:
        console.line()
        rows = [(first, second, n, _shown(share)) for first, second, n, share in found.preferences]
        console.table(("first", "second", "answers", "prefer the first"), rows, numbers=("answers",))
    agreed = {name: one for name, one in found.agreement.items() if not math.isnan(one["ordinal"])}
    if agreed:
        console.line()
        rows = [(name, f"{one['ordinal']:.3f}", f"{one['interval']:.3f}") for name, one in agreed.items()]
        console.table(("agreement", "alpha, ordinal", "alpha, interval"), rows)


def _shown(one: Estimate) -> str:
    return "" if math.isnan(one.value) else f"{one.value:.2f} ({one.low:.2f} – {one.high:.2f})"
