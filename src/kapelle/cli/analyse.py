"""``kapelle analyse``: what a MIDI file is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.flags import argument, option
from kapelle.cli.pieces import claim

if TYPE_CHECKING:
    from kapelle.cli.console import Console
    from kapelle.score.analysis import Analysis, KeyEstimate

SHOWN_CHANGES = 8
ROWS = 48
"""Rows of chords on the terminal."""

IN_A_ROW = 8


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    source: Path = argument(help="MIDI file to analyse", metavar="FILE.mid")
    output: Path | None = option(None, help="picture to write too: .png or .svg", short="-o", metavar="OUT.png")
    chords: str = option("bar", help="a chord for each of these", choices=("bar", "beat"))
    theme: str = option("light", help="colours", choices=("light", "dark"))
    force: bool = option(False, help="replace files that are there already")


def run(arguments: Arguments, console: Console) -> None:
    """Analyse, draw if asked, tell."""
    from kapelle import api

    claim([arguments.output] if arguments.output else [], force=arguments.force)
    found = api.analyse_file(arguments.source, arguments.output, per=arguments.chords, theme=arguments.theme, force=arguments.force)
    if console.as_json:
        console.data({"file": arguments.source, "picture": arguments.output, **found.as_dict()})
        return
    console.line(str(arguments.source))
    _show_facts(found, console)
    console.line()
    rows = [(one.track, one.instrument, one.n_notes, f"{one.lowest_name} - {one.highest_name}".strip(" -")) for one in found.ranges]
    console.table(("track", "instrument", "notes", "range"), rows, numbers=("notes",))
    _show_chords(found, console)
    if arguments.output:
        console.line()
        console.line(str(arguments.output))


def _show_facts(found: Analysis, console: Console) -> None:
    from kapelle.score.analysis import PITCHES

    density, texts = found.density, console.texts

    def told(estimate: KeyEstimate | None) -> str | None:
        return f"{texts.key(estimate.key)} ({estimate.correlation:.2f}, +{estimate.lead:.2f})" if estimate else None

    classes = sorted(zip(found.pitch_classes, PITCHES, strict=True), reverse=True)
    console.facts(
        {
            "key": texts.key(found.key) if found.key else None,
            "key by Kapelle": told(found.estimate),
            "key by music21": told(found.estimate_music21),
            "key signature": texts.key(found.signature) if found.signature else None,
            "metre": _changes(list(found.metres), console),
            "tempo": _tempo([bpm for _, bpm in found.tempos], console),
            "bars": found.n_bars,
            "seconds": f"{found.duration_s:.2f}",
            "notes": found.n_notes,
            "notes per bar": f"{density.per_bar:g} ({min(density.by_bar)} - {max(density.by_bar)})",
            "notes per second": f"{density.per_s:g}",
            "voices at once": f"{density.polyphony:g} (- {density.most_at_once})",
            "pitch classes": ", ".join(f"{name} {share:.0%}" for share, name in classes if share >= 0.005),
        }
    )


def _changes(changes: list[tuple[int, str]], console: Console) -> str:
    """``4/4, 3/4 (bar 9)``: the first ones, and how many follow."""
    shown = [changes[0][1], *(f"{value} ({console.texts('bar {bar}', bar=bar)})" for bar, value in changes[1:SHOWN_CHANGES])]
    more = len(changes) - SHOWN_CHANGES
    return ", ".join(shown) + (f" ... +{more}" if more > 0 else "")


def _tempo(tempi: list[float], console: Console) -> str:
    """``120``, or the first tempo and how far the others lie apart."""
    if len(tempi) == 1:
        return f"{tempi[0]:g}"
    return console.texts("{first}, then {low} to {high}", first=f"{tempi[0]:g}", low=f"{min(tempi):g}", high=f"{max(tempi):g}")


def _show_chords(found: Analysis, console: Console) -> None:
    """Rows of chords with their numerals, as many as a reader bears."""
    if not found.chords:
        return
    rows = []
    for start in range(0, len(found.chords), IN_A_ROW):
        some = found.chords[start : start + IN_A_ROW]
        rows.append((some[0].bar, *(f"{one.name}\n{one.roman}" if one.name else "-" for one in some)))
    console.line()
    console.table(("bar", *[""] * IN_A_ROW), [(*row, *[""] * (IN_A_ROW + 1 - len(row))) for row in rows[:ROWS]], numbers=("bar",))
    if len(rows) > ROWS:
        console.note("the first {shown} of {found} chords; --json tells all", shown=ROWS * IN_A_ROW, found=len(found.chords))
