"""What comes back in real music, in the same music with its bars shuffled, and in composed pieces: whether metrics of structure hear it.

    python benchmarks/metrics_order.py NAME=FOLDER... [--bars 16] [--pieces 150] [--seed 0] [--json PATH]

Every FOLDER holds MIDI files, of which some that are long enough are drawn by the seed; their first bars are measured. Shuffled: the
bars of each piece, once, in another order, the notes of a bar staying together. A metric of order must tell the two apart: `above` is the
share of pairs, one of each, in which the music as it is has the greater value; 0.5 is no better than tossing a coin.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.errors import MidiError
from kapelle.metrics import bootstrap, structure
from kapelle.metrics.excerpt import Excerpt, excerpt
from kapelle.score.read import read

if TYPE_CHECKING:
    from collections.abc import Iterator

FIGURES = {
    "structureness": structure.structureness,
    "bar_recurrence": structure.bar_recurrence,
    "compression_ratio": structure.compression_ratio,
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--bars", type=int, default=16)
    parser.add_argument("--pieces", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    draw = np.random.default_rng(options.seed)
    sets: dict[str, Any] = {}
    for given in options.folders:
        name, _, folder = given.partition("=")
        pieces = list(_excerpts(Path(folder), options.bars, options.pieces, draw))
        if not pieces:
            print(f"no piece of {options.bars} bars in {folder}", file=sys.stderr)
            return 2
        sets[name] = {"pieces": len(pieces), **_compared(pieces, draw)}
    found = {"bars": options.bars, "seed": options.seed, "sets": sets}
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))
    return 0


def _excerpts(folder: Path, n_bars: int, most: int, draw: np.random.Generator) -> Iterator[Excerpt]:
    """The first bars of some pieces that are so long."""
    paths = sorted(folder.rglob("*.mid"))
    n = 0
    for number in draw.permutation(len(paths)).tolist():
        if n == most:
            return
        try:
            score = read(paths[number])
        except MidiError:
            continue
        if excerpt(score).n_bars >= n_bars and len(excerpt(score, n_bars).onset):
            n += 1
            yield excerpt(score, n_bars)


def _compared(pieces: list[Excerpt], draw: np.random.Generator) -> dict[str, Any]:
    """Each figure of the music, with its interval, of the shuffled music, and how often the first is above the second."""
    shuffled = [_shuffled(piece, draw) for piece in pieces]
    out: dict[str, Any] = {}
    for name, function in FIGURES.items():
        values, others = (np.array([function(piece) for piece in some]) for some in (pieces, shuffled))
        above = (values[:, None] > others[None]).mean() + 0.5 * (values[:, None] == others[None]).mean()
        out[name] = {"music": asdict(bootstrap.mean(values)), "shuffled": asdict(bootstrap.mean(others)), "above": float(above)}
    return out


def _shuffled(notes: Excerpt, draw: np.random.Generator) -> Excerpt:
    """The same bars in another order; notes end at the end of their bar."""
    order = draw.permutation(notes.n_bars)
    lengths = np.diff(notes.lines)[order]
    lines = np.append(0, np.cumsum(lengths))
    place = np.argsort(order)[notes.bar]
    end = np.minimum(notes.end, notes.lines[notes.bar + 1])
    moved = lines[place] - notes.lines[notes.bar]
    rows = np.lexsort((notes.pitch, notes.onset + moved))
    none = np.zeros(0, np.int64)
    return Excerpt((notes.onset + moved)[rows], (end + moved)[rows], notes.pitch[rows], none, none, lines, notes.length, notes.tpq)


if __name__ == "__main__":
    sys.exit(main())
