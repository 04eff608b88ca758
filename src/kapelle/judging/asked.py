"""Whether a file has what was asked of it, where a recipe beside it says what that was.

``piece.mid`` and ``piece.json``, written by ``kapelle compose --save-recipe piece.json``. Takes the score of the whole file; what
was left to the model is not asked about.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kapelle.composing.piece import request_of
from kapelle.composing.request import ComposeRequest
from kapelle.errors import KapelleError
from kapelle.metrics import obedience
from kapelle.score import instruments

if TYPE_CHECKING:
    from pathlib import Path

    from symusic import Score

LEFT_OPEN = ("", "auto", None)


def of_file(score: Score, path: Path) -> dict[str, Any]:
    """``obeyed`` of a file whose recipe lies beside it, {} where none does; ``warnings`` if it is a broken one."""
    recipe = path.with_suffix(".json")
    if not recipe.is_file() or _of_somebody_else(recipe):
        return {}
    try:
        return {"obeyed": obeyed(score, request_of(recipe)[0])}
    except KapelleError as error:
        return {"warnings": (str(error),)}


def _of_somebody_else(recipe: Path) -> bool:
    """Whether it is JSON that does not set out to be a recipe, such as a cell of a study."""
    try:
        found = json.loads(recipe.read_bytes())
    except (OSError, ValueError):
        return False
    return not isinstance(found, dict) or "request" not in found


def obeyed(score: Score, wish: ComposeRequest) -> dict[str, bool]:
    """What a request asked of a piece, and whether the score has it."""
    options = {name: value for name, value in wish.options.items() if value not in LEFT_OPEN}
    out: dict[str, bool] = {}
    if wish.length.unit == "bars" and wish.prompt is None and wish.lead is None:
        out["bars"] = obedience.bars(score, int(wish.length.amount)).obeyed
    if "key" in options:
        out["key"] = obedience.key(score, str(options["key"])).obeyed
    if options.get("tempo"):
        out["tempo"] = obedience.tempo(score, float(options["tempo"])).obeyed
    if "metre" in options:
        above, _, below = str(options["metre"]).partition("/")
        out["metre"] = obedience.metre(score, (int(above), int(below))).obeyed
    named = options.get("instruments")
    if isinstance(named, str) and "=" not in named:  # with "=" one instrument takes the place of another: not all of them need to play
        programs = [instruments.program_of(name) for name in named.split(",") if name.strip()]
        out["instruments"] = obedience.instruments(score, programs).obeyed
    return out
