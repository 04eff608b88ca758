"""Whether a lead comes back as it went in: bands around melodies of POP909, counted.

    python benchmarks/accompany.py DATA [--model band] [--shards SHARDS] [--count 20] [--json PATH]

DATA holds the unpacked packs `pop909` and `pop909_cl`. Most files of POP909 state a wrong metre; each is first brought onto the bar lines
of its corrected edition, as the data of the bands is, and those in 4/4 throughout are taken evenly over all; with `--shards`, over songs of
their test part alone, which no band that learned from those shards has met. Each such file goes through `kapelle accompany`, which
chooses the melody itself; what is checked is read back from the bytes that it would write:

notes       the melody's notes are the same, in time, length, pitch and loudness, down to the tick
clock       resolution, tempi and metres are the same
bars        the piece has as many bars as the lead's music
band        all other four tracks have notes, and in no more than half of the bars of the lead nobody plays
sound       the report names no problem
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _bands
import _texts
import numpy as np

from kapelle import api
from kapelle.data import align
from kapelle.errors import KapelleError, Missing
from kapelle.score import units, write
from kapelle.score.read import read

if TYPE_CHECKING:
    import symusic

CHECKS = ("notes", "clock", "bars", "band", "sound")
MELODY = "MELODY"
BAR_QUARTERS = 4


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="band")
    parser.add_argument("--shards", type=Path, help="take songs of their test part alone")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--track", default="", help="whose place the melody takes; that of its instrument if left out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    rows = []
    for number, (name, lead) in enumerate(leads(options.data, options.count, options.shards)):
        began = time.process_time()
        piece = api.accompany(lead, model=options.model, track=options.track, seed=number)
        data = piece.to_midi()
        rows.append({"file": name, "cpu_s": time.process_time() - began, **checked(read(lead), read(data), piece.report)})
    if not rows:
        raise Missing("no melodies in {path}", path=options.data, hint="fetch the packs pop909 and pop909_cl")
    report = {
        **_bands.identity(api.bundle(piece.request.model)), "asked": len(rows),
        "held": {check: sum(row[check] for row in rows) for check in CHECKS}, "melodies": rows,
    }  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(_bands.plain(report), indent=1) + "\n", encoding="utf-8")
    print(told(report))
    return 0 if all(held == len(rows) for held in report["held"].values()) else 1


def leads(data: Path, count: int, shards: Path | None) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of files in 4/4 with a melody, evenly over all."""
    paths = sorted(data.glob("pop909/*/[0-9][0-9][0-9].mid"))
    if shards:
        told_of = json.loads((shards / "files.json").read_text(encoding="utf-8"))
        test = {row["file"] for row in told_of if row.get("part") == "test"}
        paths = [path for path in paths if path.relative_to(data).as_posix() in test]
    found = []
    for path in paths[:: max(1, len(paths) // (2 * count))]:  # not all can be used
        score = on_its_bars(path, data / "pop909_cl" / path.name)
        if score is not None:
            found.append((path.relative_to(data).as_posix(), write.to_bytes(score)))
    for place in np.linspace(0, len(found) - 1, min(count, len(found))).astype(int):
        yield found[place]


def on_its_bars(path: Path, corrected: Path) -> symusic.Score | None:
    """The score with the bar lines of its corrected edition; None if there is none, or not in 4/4 throughout, or no melody."""
    try:
        score = align.onto(read(path), read(corrected))
    except KapelleError:
        return None
    if score is None or not any(track.name == MELODY and len(track.notes) for track in score.tracks):
        return None
    lines = units.bar_starts(score, units.end_ticks(score))
    return score if (np.diff(lines) == BAR_QUARTERS * score.tpq).all() else None


def checked(lead: symusic.Score, made: symusic.Score, report: Any) -> dict[str, Any]:
    """What held of a piece."""
    own = next(track for track in lead.tracks if track.name == MELODY)
    kept = [track for track in made.tracks if track.name == MELODY]
    band = [track for track in made.tracks if track.name != MELODY]
    alone = lead.copy()
    alone.tracks = [own]
    n_bars, length = units.n_bars(alone), BAR_QUARTERS * made.tpq
    played = np.zeros(n_bars, bool)
    for track in band:
        for note in track.notes:
            played[note.time // length : -(-note.end // length)] = True
    return {
        "notes": len(kept) == 1 and _notes(own) == _notes(kept[0]),
        "clock": _clock(lead) == _clock(made),
        "bars": units.n_bars(made) == n_bars == report.n_bars,
        "band": len(band) == 4 and all(len(track.notes) for track in band) and float(played.mean()) >= 0.5,
        "sound": not report.problems,
        "n_bars": n_bars, "n_notes": len(own.notes), "accompanied": float(played.mean()),
        "band_notes": {track.name: len(track.notes) for track in band}, "attempts": report.attempts,
    }  # fmt: skip


def _notes(track: symusic.Track) -> list[tuple[int, int, int, int]]:
    return sorted((note.time, note.duration, note.pitch, note.velocity) for note in track.notes)


def _clock(score: symusic.Score) -> tuple[Any, ...]:
    return (
        score.tpq,
        [(tempo.time, tempo.mspq) for tempo in score.tempos],
        [(metre.time, metre.numerator, metre.denominator) for metre in score.time_signatures],
    )


def told(report: dict[str, Any]) -> str:
    """For people."""
    mark = {True: "yes", False: "NO"}
    rows = [
        (row["file"], row["n_bars"], row["n_notes"], *(mark[row[check]] for check in CHECKS), f"{100 * row['accompanied']:.0f} %",
         sum(row["band_notes"].values()), f"{row['cpu_s']:.2f}") for row in report["melodies"]
    ]  # fmt: skip
    held = ", ".join(f"{check} {held}" for check, held in report["held"].items())
    head = ("melody", "bars", "notes of it", *CHECKS, "bars accompanied", "notes of the band", "CPU s")
    return f"{report['bundle']} around {report['asked']} melodies. Held: {held}.\n\n" + _texts.table(head, rows)


if __name__ == "__main__":
    sys.exit(main())
