"""How often human music is degenerate by the rules for generated music: the share that no composer should be asked to stay below.

    python benchmarks/human_degeneracy.py SHARDS [--bars 16] [--json PATH]

SHARDS is a folder of token shards. From every test piece that is long enough one excerpt of whole bars is drawn, by a seed; its notes
are cut at the final bar line, as they are in a composed piece, so no excerpt is unreleased. An excerpt may end where no phrase ends.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.data import shards as shard_files
from kapelle.metrics import bootstrap
from kapelle.metrics.degenerate import Degeneracy, degeneracy
from kapelle.tokens import remi, vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator

    import symusic

    from kapelle.data.shards import Shards

TEST = 2


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("--bars", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    found, taken_ms = [], []
    for score in excerpts(shard_files.read(options.shards), options.bars, options.seed):
        started = time.process_time()
        found.append(degeneracy(score, options.bars))
        taken_ms.append(1e3 * (time.process_time() - started))
    rules: dict[str, Any] = {rule.name: asdict(bootstrap.share([getattr(one, rule.name) for one in found])) for rule in fields(Degeneracy)}
    rules["any"] = asdict(bootstrap.share([bool(one) for one in found]))
    report = {"bars": options.bars, "excerpts": len(found), "share": rules, "median_cpu_ms": round(float(np.median(taken_ms)), 2)}
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print("| rule | share of excerpts |\n|---|---|")
    for name, row in rules.items():
        print(f"| {name.replace('_', ' ')} | {100 * row['value']:.1f} % ({100 * row['low']:.1f} to {100 * row['high']:.1f}) |")
    print(f"\n{len(found)} excerpts of {options.bars} bars, one per test piece; 95 % intervals; {report['median_cpu_ms']} ms of CPU each.")
    return 0


def excerpts(shards: Shards, n_bars: int, seed: int) -> Iterator[symusic.Score]:
    """One excerpt of every test piece that has so many bars."""
    words, rest = vocabulary.load(shards.path / "tokenizer.json")
    spec = remi.spec_of(rest)
    draw = np.random.default_rng(seed)
    for piece in shards.pieces[shards.pieces["part"] == TEST]:
        room = int(piece["n_bars"]) - n_bars
        if room < 0:
            continue
        lines = np.append(shards.bars[int(piece["first_bar"]) : int(piece["first_bar"]) + int(piece["n_bars"])], piece["stop"])
        first = int(draw.integers(room + 1))
        decoded = remi.decode(shards.tokens[lines[first] : lines[first + n_bars]].tolist(), spec, words)
        for track in decoded.score.tracks:
            for note in track.notes:
                note.duration = min(note.duration, decoded.end_ticks - note.time)
        yield decoded.score


if __name__ == "__main__":
    sys.exit(main())
