"""``kapelle doctor``: what was found on this machine, and how to add what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Nothing can be asked."""


def run(arguments: Arguments, console: Console) -> None:
    """Look and tell."""
    del arguments
    from kapelle import api

    findings, texts = api.diagnose(), console.texts
    if console.as_json:
        rows = [
            {"part": item.part, "name": item.name, "found": item.found, "needed": item.needed, "detail": item.detail,
             "advice": texts(item.advice, **item.values) if item.advice else ""}
            for item in findings
        ]  # fmt: skip
        console.data({"findings": rows, "ready": all(item.found for item in findings if item.needed)})
        return
    part = ""
    for item in findings:
        if item.part != part:
            part = item.part
            console.line(texts(part))
        name = texts(item.name) if item.part in ("place", "model", "sound model") else item.name  # the others are names everywhere
        sign = "+" if item.found else "!" if item.needed else "-"
        console.line(f"  {sign} {name}{': ' if item.detail else ''}{texts(item.detail) if item.detail else ''}")
        if item.advice:
            console.line(f"      {texts(item.advice, **item.values)}")
    console.line()
    if all(item.found for item in findings if item.needed):
        console.line(texts("Kapelle can compose here."))
    else:
        console.line(texts("Kapelle cannot compose here yet: see the lines with an exclamation mark."))
