"""How pieces were judged, for a page that has two languages: rankings as JSON in which every reason stands in each of them.

Takes what `kapelle.judging.rank` gives; adds ``said`` beside what `as_dict` tells in English. A worker does not know who will look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kapelle.texts import LANGUAGES, Texts

if TYPE_CHECKING:
    from kapelle.judging.panel import Reason
    from kapelle.judging.rank import Ranked, Ranking


def ranking_table(ranking: Ranking) -> dict[str, Any]:
    """A ranking for JSON; ``absent_said`` tells in each language why a part does not count."""
    table = ranking.as_dict()
    table["candidates"] = [row_table(row) for row in ranking.rows]
    table["absent_said"] = {name: _said(reason) for name, reason in ranking.absent.items()}
    return table


def row_table(row: Ranked) -> dict[str, Any]:
    """A candidate for JSON: each part has its reason as ``said``, and ``degenerate_said`` is what is wrong with it."""
    table = row.as_dict()
    for part in row.parts:
        table["parts"][part.name]["said"] = _said(part.reason)
    table["degenerate_said"] = [{language: Texts(language)(reason) for language in LANGUAGES} for reason in row.degenerate]
    return table


def _said(reason: Reason) -> dict[str, str]:
    return {language: Texts(language)(reason.template, **reason.values) for language in LANGUAGES}
