"""``kapelle study bridge``: stages of a band by latents by stages of the Theme Transformer, on a page to listen to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.flags import option

if TYPE_CHECKING:
    from kapelle.cli.console import Console
    from kapelle.study.run import Results

SOUNDS = ("none", "ogg", "wav", "flac", "mp3")
NUMBERS = ("made", "empty", "short", "degenerate", "notes", "seconds")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    output: Path = option(
        Path("study-bridge"), help="folder for pieces, tables and the page; what is there is kept", short="-o", metavar="DIR"
    )
    theme_model: tuple[str, ...] = option((), help="stage of the Theme Transformer; once for each, theme if none is named", metavar="NAME")
    band_model: tuple[str, ...] = option(
        (), help="stage of the band; once for each, the five of band-tutorial if none is named", metavar="NAME"
    )
    latents: int = option(3, help="latents of each band", min=1, max=100)
    seed: int = option(20220529, help="seed of the first latents", short="-s", min=0)
    bars: int = option(32, help="length of every piece in bars", short="-b", min=2, max=512)
    theme_bars: int = option(2, help="bars of the band that are the theme", min=1, max=8)
    sound: str = option("ogg", help="sounds for the page", choices=SOUNDS)
    force: bool = option(False, help="make every cell again")


def run(arguments: Arguments, console: Console) -> None:
    """Make what is missing, tell what came of it."""
    from kapelle import api
    from kapelle.study.bridge import BANDS, THEMES, Asked

    asked = Asked(
        arguments.band_model or BANDS,
        arguments.theme_model or THEMES,
        arguments.latents,
        arguments.seed,
        arguments.bars,
        arguments.theme_bars,
    )
    with console.bar("composing") as move:
        results = api.study_bridge(arguments.output, asked, sound=arguments.sound, force=arguments.force, progress=move)
    show(results, arguments.output, console)


def show(results: Results, folder: Path, console: Console) -> None:
    """The counts, means by the values of each axis, and where the page is."""
    if console.as_json:
        console.data({"folder": folder, "page": folder / "index.html", "made": results.made, **results.as_dict()})
        return
    console.line(str(folder / "index.html"))
    counts = results.counts
    console.facts(
        {
            "cells": counts["cells"],
            "made": counts["made"],
            "empty": counts["empty"],
            "short": counts["short"],
            "degenerate": counts["degenerate"],
        }
    )
    table = results.as_dict()["by_axis"]
    for axis in results.plan.axes:
        if 1 < len(axis.values) < len(results.rows):  # else a row for each piece would say nothing new
            rows = [(axis.label(value), *_row(found)) for value, found in table[axis.name].items()]
            console.line()
            console.table((axis.name, "made", "empty", "short", "degenerate", "notes", "seconds"), rows, numbers=NUMBERS)


def _row(found: Mapping[str, float | None]) -> list[str]:
    """Counts, and means with a digit; nothing where there is none."""
    return [f"{found[name]:g}" for name in NUMBERS[:4]] + [
        "" if value is None else f"{value:.1f}" for value in (found["notes"], found["seconds"])
    ]
