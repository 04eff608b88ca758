"""What recalling the last pitch classes gains: bits per note on held-out pieces, of the network alone and leaning on what it heard.

    python benchmarks/recall.py --shards SHARDS --data DIR [--model chopin]

`SHARDS` is a folder of `kapelle data prepare`, for its parts; `DIR` holds the packs that its files are named in. The best weight, window
and smoothing are looked for on the validation part alone. Writes benchmarks/results/recall.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import kapelle
from kapelle.composing import recall
from kapelle.composing.chopin_plan import Model, opened
from kapelle.tokens import chords

RESULTS = Path(__file__).parent / "results" / "recall.json"
GRID = {"items": (8, 16, 32), "weight": (0.5, 1.0, 1.5), "smoothing": (0.1, 0.3, 1.0)}


@dataclass(frozen=True)
class Piece:
    """A piece as the network finds it.

    Args:
        logs: (K, S) log-probabilities of the symbols at every item.
        symbols: (K,) the row of the symbol that came.
        bits: Of all that the network foretold beside them: duration, loudness, offset.
        notes: In the piece.
    """

    logs: np.ndarray
    symbols: np.ndarray
    bits: float
    notes: int


def heard(model: Model, path: Path) -> Piece:
    """A file, every id of it foretold by the network from those before it."""
    words = model.words
    ids = np.array([words["BOS_None"], *chords.encode(chords.items(path, model.spec.positions_per_beat), model.spec, words).ids.tolist()])
    model.session.reset()
    logits = model.session.score(ids[:-1]).astype(np.float64)
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    known = words.ids("Symbol")
    places = np.flatnonzero(np.isin(ids[1:], known))
    symbols = np.searchsorted(known, ids[1:][places])
    of_symbols = logs[places][:, known]
    own = of_symbols - np.logaddexp.reduce(of_symbols, axis=1, keepdims=True)
    others = -logs[np.arange(len(ids) - 1), ids[1:]].sum() + own[np.arange(len(symbols)), symbols].sum()
    notes = np.array(chords.notes_per_id(words))[symbols].sum()
    return Piece(own, symbols, float(others / np.log(2)), int(notes))


def bits_per_note(pieces: list[Piece], shares: np.ndarray, items: int, weight: float, smoothing: float) -> float:
    """Of all pieces together, with the recall of such a setting."""
    bits = notes = 0.0
    for piece in pieces:
        each = np.arange(len(piece.symbols))
        so_far = np.concatenate([np.zeros((1, 12)), np.cumsum(shares[piece.symbols] > 0, axis=0)])
        counts = so_far[each] - so_far[np.maximum(each - items, 0)]
        logs = piece.logs + recall.leaning(counts, shares, weight, smoothing)
        bits += piece.bits - (logs[each, piece.symbols] - np.logaddexp.reduce(logs, axis=1)).sum() / np.log(2)
        notes += piece.notes
    return bits / notes


def measure(name: str, shards: Path, data: Path) -> dict[str, Any]:
    """The figures."""
    held = kapelle.bundle(name)
    model = opened(held)
    files = json.loads((shards / "files.json").read_text(encoding="utf-8"))
    parts = {part: [heard(model, data / row["file"]) for row in files if row["part"] == part] for part in ("validation", "test")}
    shares = recall.pitch_class_shares(model.words)
    settings: list[dict[str, Any]] = [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]
    best = min(settings, key=lambda setting: bits_per_note(parts["validation"], shares, **setting))
    used: dict[str, Any] = {"items": recall.ITEMS, "weight": recall.WEIGHT, "smoothing": recall.SMOOTHING}
    kinds: dict[str, dict[str, Any]] = {"alone": {**used, "weight": 0.0}, "recalling": used, "best": best}
    figures = {part: {kind: round(bits_per_note(pieces, shares, **kinds[kind]), 3) for kind in kinds} for part, pieces in parts.items()}
    return {"model": held.name, "bundle": held.hash, "used": used, "best": best, "bits_per_note": figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="chopin", help="bundle name or path")
    parser.add_argument("--shards", type=Path, required=True, help="the shards that it was trained on")
    parser.add_argument("--data", type=Path, required=True, help="folder of the unpacked packs")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where to write the figures")
    given = parser.parse_args()
    found = measure(given.model, given.shards, given.data)
    print(json.dumps(found, indent=1))
    given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
