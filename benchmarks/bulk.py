"""Composing in bulk: many pieces over processes and over a Ray cluster, the same bytes from all of them, and how fast.

    python benchmarks/bulk.py [--model genre-small] [--bars 16] [--compared 100] [--many band --pieces 10000] [--processes 2] [--json PATH]

The first `compared` pieces are composed by this process, by several and by Ray (one machine; left out where Ray is not installed), and
the SHA-256 of all their bytes is compared. Before, `pieces` are composed by several processes and hashed as they come: nothing is kept, so
the peak of memory is that of the work. Times are by the clock, start of the processes included.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from kapelle import api
from kapelle.composing.request import Length
from kapelle.metrics.degenerate import degeneracy

SEED = 1_000_000


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="genre-small")
    parser.add_argument("--bars", type=int, default=16)
    parser.add_argument("--compared", type=int, default=100)
    parser.add_argument("--many", default="band", help="the model that composes very many")
    parser.add_argument("--pieces", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    found = measured(options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))
    return 0 if len({row["sha256"] for row in found["compared"]}) == 1 else 1


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Everything, for the page and for JSON."""
    ways = [("local", 1), ("local", options.processes)]
    if importlib.util.find_spec("ray"):
        ways.append(("ray", options.processes))
    many = composed(options.many, options.bars, options.pieces, "local", options.processes, told=True)
    compared = [composed(options.model, options.bars, options.compared, *way) for way in ways]
    return {"bars": options.bars, "compared": compared, "many": many}


def composed(model: str, bars: int, count: int, engine: str, processes: int, *, told: bool = False) -> dict[str, Any]:
    """Compose, hash, count."""
    began = time.monotonic()
    wish = api.request(model, length=Length(bars), seed=SEED, count=count)
    digest, notes, exact, sound = hashlib.sha256(), 0, 0, 0
    for number, piece in enumerate(api.compose_many(wish, processes=processes, engine=engine), 1):
        digest.update(piece.to_midi())
        notes += piece.report.n_notes
        exact += piece.report.n_bars == bars
        sound += not degeneracy(piece.score, bars)
        if told and number % 500 == 0:
            print(f"{number} of {count}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
    held = api.bundle(model)
    return {
        "model": held.name,
        "bundle": held.hash[:16],
        "engine": engine,
        "processes": processes,
        "pieces": count,
        "seconds": round(seconds, 1),
        "pieces_a_second": count / seconds,
        "notes": notes,
        "exact": exact,
        "sound": sound,
        "master_mb": peak,
        "largest_worker_mb": children,
        "sha256": digest.hexdigest(),
    }


if __name__ == "__main__":
    sys.exit(main())
