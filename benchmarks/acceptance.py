"""The promises about composing, counted: valid, exact, not degenerate, obedient, faithful to what is extended.

    python benchmarks/acceptance.py                 all counts, about ten minutes; writes benchmarks/results/acceptance.json
    python benchmarks/acceptance.py --share 0.1     the tenth that `make test` runs
    python benchmarks/acceptance.py --model chopin  of another model; writes benchmarks/results/acceptance-chopin.json

What a model cannot be asked is left out: of a model without genres one row counts all its compositions, and so on.
Everything is read back from the written MIDI bytes. A line of the result reads: how many were asked, how many held.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

import kapelle
from kapelle import composing
from kapelle.metrics import obedience
from kapelle.metrics.degenerate import degeneracy
from kapelle.score import units
from kapelle.score.instruments import program_of
from kapelle.score.keys import ALL_KEYS

RESULTS = Path(__file__).parent / "results"
BARS = 16
PER_GENRE = REQUESTS = EXTENSIONS = 100
METRES = ("4/4", "3/4", "6/8", "2/4", "12/8", "5/4", "9/8", "6/4", "3/8")
BANDS = ("piano", "organ", "harp", "flute,piano", "violin,cello", "flute,piano,bass", "vibraphone,guitar,bass", "oboe,violin,viola,cello")
BANDS_OF_FAMILIES = (
    "piano,bass,drums",
    "guitar,bass,drums",
    "flute,piano",
    "electric piano 1,synth bass 1,drums",
    "trumpet,guitar,bass,drums",
    "piano",
)
"""For models that know instruments by family."""
FIVE = (
    "drums,piano,guitar,bass,strings",
    "drums,honky-tonk piano,synth bass 1",
    "electric piano 1,violin",
    "drums,distortion guitar,picked electric bass",
    "nylon-string guitar,bass,strings",
    "piano",
)
"""For models that make five tracks at once."""


LENGTHS: dict[str, dict[str, Any]] = {"compose": {"bars": BARS}, "notes": {"notes": 100, "temperature": 1.5}}
"""How long the pieces of a kind are; 16 bars where it says nothing."""


@dataclass(frozen=True)
class Task:
    """One composition and what is to be checked of it."""

    kind: str
    seed: int
    model: str
    wish: tuple[tuple[str, Any], ...]


def tasks(model: str, share: float) -> list[Task]:
    """All that is counted; a share of it keeps the same seeds from the first on."""
    count = lambda full: max(1, round(full * share))  # noqa: E731
    manifest = kapelle.bundle(model).manifest
    options = composing.way_of(manifest.codec).Options.__dataclass_fields__
    named = manifest.options.get("genres") if "genre" in options else ()
    genres: list[tuple[Any, ...]] = [(("genre", genre),) for genre in sorted(named or ())] or [()]
    out = [Task("compose", seed, model, genre) for genre in genres for seed in range(count(PER_GENRE))]
    bands = FIVE if manifest.codec == "roll" else BANDS_OF_FAMILIES if manifest.options.get("families") else BANDS
    tempi = np.random.default_rng(0).uniform(40, 220, REQUESTS).round(1)
    for seed in range(count(REQUESTS)):
        asked = {
            "key": str(ALL_KEYS[seed * 7 % 24]),
            "tempo": float(tempi[seed]),
            "metre": METRES[seed % len(METRES)],
            "instruments": bands[seed % len(bands)],
        }
        out += [Task(name, seed, model, (*genres[seed % len(genres)], (name, wish))) for name, wish in asked.items() if name in options]
        if manifest.codec == "chords":
            out.append(Task("notes", seed, model, ()))
    if manifest.codec != "roll":  # what makes phrases at once goes on from nothing
        out += [Task("extend", seed, model, genres[seed % len(genres)]) for seed in range(count(EXTENSIONS))]
    return out


def check(task: Task) -> dict[str, Any]:
    """Compose, read back, and say what held."""
    wish = dict(task.wish)
    if task.kind == "extend":
        return _check_extension(task, wish)
    length = LENGTHS.get(task.kind, LENGTHS["compose"])
    piece = kapelle.compose(model=task.model, seed=task.seed, **wish, **length)
    data = piece.to_midi()
    score = kapelle.read_midi(data)
    found = {"bars": units.n_bars(score), "notes": sum(len(track.notes) for track in score.tracks)}
    held = {
        "valid": piece.report.dropped == 0 and not piece.report.problems,
        "exact": all(found[unit] == length[unit] for unit in found if unit in length),
        "sound": not degeneracy(score, length.get("bars", found["bars"])).reasons,
        "first": piece.report.attempts == 1,
    }
    if task.kind in OBEYED:
        held["obeyed"] = OBEYED[task.kind](score, wish[task.kind])
    return {"kind": task.kind, "genre": wish.get("genre", ""), "failures": list(piece.report.first_failures), **held}


def _check_extension(task: Task, wish: dict[str, Any]) -> dict[str, Any]:
    of_items = kapelle.bundle(task.model).manifest.codec == "chords"  # needs a seed of 40 notes and chords
    length = {"notes": 100 + task.seed} if of_items else {"bars": 4 + task.seed % 9}
    source = kapelle.compose(model=task.model, seed=10_000 + task.seed, **length, **wish).to_midi()
    piece = kapelle.extend(source, model=task.model, bars=8, seed=task.seed)
    before, after = kapelle.read_midi(source), kapelle.read_midi(piece.to_midi())
    end = units.final_bar_line(before)
    held = {
        "kept": _notes(before, end) == _notes(after, end),
        "exact": units.n_bars(after) == units.n_bars(before) + 8,
        "tempo": units.bpm_at(before, end) == units.bpm_at(after, units.final_bar_line(after)),
        "sound": not piece.report.problems,
        "first": piece.report.attempts == 1,
    }
    return {"kind": task.kind, "failures": list(piece.report.first_failures), **held}


def _notes(score: Any, end: int) -> list[tuple[int, int, int, int, int]]:
    return sorted((n.time, n.duration, n.pitch, n.velocity, t.program) for t in score.tracks for n in t.notes if n.time < end)


def _metre(score: Any, name: str) -> bool:
    above, below = name.split("/")
    return obedience.metre(score, (int(above), int(below))).obeyed


OBEYED: dict[str, Callable[[Any, Any], bool]] = {
    "key": lambda score, key: obedience.key(score, key).obeyed,
    "tempo": lambda score, bpm: obedience.tempo(score, bpm).obeyed,
    "metre": _metre,
    "instruments": lambda score, names: obedience.instruments(score, [program_of(name) for name in names.split(",")]).obeyed,
}


def count(results: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The counts of each kind of task, and why first tries failed."""
    out: dict[str, Any] = {}
    for result in results:
        name = result["kind"] if result["kind"] != "compose" else f"compose {result['genre']}".strip()
        row = out.setdefault(name, Counter())
        row["asked"] += 1
        for key, value in result.items():
            if isinstance(value, bool):
                row[key] += value
        for reason in result["failures"]:
            row[f"first try: {reason}"] += 1
    return {name: dict(row) for name, row in out.items()}


def run(model: str = "", share: float = 1.0, processes: int = 2) -> dict[str, Any]:
    """Counts by kind of task."""
    todo = tasks(model or kapelle.bundle().name, share)
    results = []
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for done, result in enumerate(pool.map(check, todo, chunksize=4), 1):
            results.append(result)
            if sys.stderr.isatty() or done % 100 == 0:
                print(f"\r{done} of {len(todo)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return count(results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="", help="bundle name or path; the default model if left out")
    parser.add_argument("--share", type=float, default=1.0, help="share of the counts, 0.01 to 1")
    parser.add_argument("--json", type=Path, default=None, help="where to write the counts")
    given = parser.parse_args()
    counts = run(given.model, given.share)
    names = sorted({key for row in counts.values() for key in row if not key.startswith("first try") and key != "asked"})
    print("| what | asked | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 2))
    for name, row in counts.items():
        print(f"| {name} | {row['asked']} | " + " | ".join(str(row.get(key, "")) for key in names) + " |")
    asked, first = (sum(row[key] for name, row in counts.items() if name.startswith("compose")) for key in ("asked", "first"))
    print(f"\nfirst-try failures of {asked} compositions: {100 * (1 - first / asked):.1f} % (goal: at most 5 %)")
    held = kapelle.bundle(given.model)
    table = {"model": held.name, "bundle": held.hash, "share": given.share, "counts": counts}
    out = given.json or RESULTS / (f"acceptance-{held.name}.json" if given.model else "acceptance.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
