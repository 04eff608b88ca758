"""``kapelle velocity``: other velocities for the notes of a MIDI file, above all where they are all but silent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.flags import argument, option
from kapelle.cli.pieces import MIDI, claim
from kapelle.errors import UsageError

if TYPE_CHECKING:
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    source: Path = argument(help="MIDI file whose notes have velocity 0 or 1", metavar="IN.mid")
    output: Path = option(help="MIDI file to write", short="-o", metavar="OUT.mid")
    value: int = option(50, help="velocity of every note", min=1, max=127)
    all_: bool = option(False, help="also where notes have velocities of their own")
    humanise: bool = option(False, help="louder on bars and beats, softer between, a little by chance")
    seed: int = option(0, help="of what --humanise leaves to chance", short="-s", min=0)
    force: bool = option(False, help="replace files that are there already")


def run(arguments: Arguments, console: Console) -> None:
    """Change, write, tell."""
    from kapelle import api

    out = arguments.output
    if out.suffix.lower() not in MIDI:
        raise UsageError("{path} must end in .mid", path=out)
    claim([out], force=arguments.force)
    made = api.velocity_file(
        arguments.source,
        out,
        value=arguments.value,
        every=arguments.all_,
        humanise=arguments.humanise,
        seed=arguments.seed,
        force=arguments.force,
    )
    if console.as_json:
        console.data({"file": out, "notes": made.n_notes, "before": made.before, "after": made.after})
        return
    console.line(str(out))
    console.facts({"notes": made.n_notes, "velocity": f"{_range(made.before)} -> {_range(made.after)}"})


def _range(ends: tuple[int, int]) -> str:
    return " - ".join(map(str, dict.fromkeys(ends)))
