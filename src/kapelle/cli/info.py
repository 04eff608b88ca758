"""``kapelle info``: what is in a MIDI file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli.flags import argument

if TYPE_CHECKING:
    from kapelle.cli.console import Console

PITCHES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    source: Path = argument(help="MIDI file to look at", metavar="FILE.mid")


def run(arguments: Arguments, console: Console) -> None:
    """Read and tell."""
    from kapelle import api
    from kapelle.score.instruments import program_name

    found = api.info_file(arguments.source)
    if console.as_json:
        console.data({"file": arguments.source, **found.as_dict()})
        return
    texts = console.texts
    console.line(str(arguments.source))
    console.facts(
        {
            "bars": found.n_bars,
            "notes": found.n_notes,
            "seconds": f"{found.duration_s:.2f}",
            "key": texts.key(found.key) if found.key else None,
            "key signature": texts.key(found.signature) if found.signature else None,
            "tempo": ", ".join(f"{tempo:g}" for tempo in found.tempos_bpm) + (" ..." if found.n_tempos > len(found.tempos_bpm) else ""),
            "metre": ", ".join(found.metres) + (" ..." if found.n_metres > len(found.metres) else ""),
            "voices at once": found.polyphony,
            "ticks per quarter note": found.tpq,
        }
    )
    if not found.tracks:
        return
    rows = []
    for track in found.tracks:
        instrument = program_name(track.program, is_drum=track.is_drum, lang=texts.language)
        rows.append((track.name, instrument, track.n_notes, _range(track.lowest, track.highest), track.polyphony))
    console.line()
    console.table(("track", "instrument", "notes", "range", "voices at once"), rows, numbers=("notes", "voices at once"))


def _range(lowest: int | None, highest: int | None) -> str:
    """Two pitches by name, C4 being the middle C."""
    if lowest is None or highest is None:
        return ""
    return " - ".join(f"{PITCHES[pitch % 12]}{pitch // 12 - 1}" for pitch in (lowest, highest))
