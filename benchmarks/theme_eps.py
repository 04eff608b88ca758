"""How far apart two fragments of one theme may be: eps, chosen by how stable clusters are on songs whose themes nobody has marked.

    python benchmarks/theme_eps.py SHARDS [--bundle theme-encoder] [--draws 4] [--picture PATH] [--json PATH]

SHARDS is a folder of fragment shards made with the recipe theme-encoder. Looked at are the songs that the encoder has not learned from,
but for the six whose themes people have marked: those are kept for `benchmarks/theme_retrieval.py`.

Every fragment of a song is changed at random, as in training (moved on its scale, another last note, notes split and joined), `--draws`
times. What is one theme should stay one: for every eps, all pairs of draws are clustered and compared by the adjusted Rand index (0 as by
chance, 1 the same), points of no cluster each being a cluster of their own, and two clusterings that are both of one cluster, or both of
none, being worth nothing. **eps is the largest whose mean index lies within 0.01 of the best**: as much variation as costs no stability.

Beside it: three neighbours to a core instead of two; fragments of six or eight notes at least instead of four; and how much themes depend
on the bar from which fragments are counted, if they begin in every bar (hop 1) or in every other (hop 2): Cohen's kappa of the bars that
are theme in a song and in the same song without its first bar. It needs scikit-learn, and for a picture matplotlib.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import adjusted_rand_score

from kapelle.composing.embedding import NAME, embedder
from kapelle.data import fragment_shards, themes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kapelle.data.fragment_shards import Fragments
    from kapelle.data.themes import Embed, Fragment

MARKED = ("065", "284", "310", "422", "449", "464")
GRID = tuple(round(0.05 * step, 2) for step in range(1, 27))
NEAR_BEST = 0.01
SEED = 11


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("--bundle", default=NAME)
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    held = fragment_shards.read(options.shards)
    songs = unmarked(held, options.shards)
    found = measured(held, songs, embedder(options.bundle), options.draws)
    for row in found["curve"]:
        print(
            f"eps {row['eps']:.2f}  index {row['index']:.3f}  clusters {row['clusters']:5.1f}  largest {row['largest']:.2f}",
            file=sys.stderr,
        )
    print({key: value for key, value in found.items() if key != "curve"})
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if options.picture:
        draw(found, options.picture)
    return 0


def unmarked(held: Fragments, folder: Path) -> list[NDArray[np.int64]]:
    """The fragments of every song of validation and test that nobody has marked."""
    kept = [Path(row["file"]).stem for row in json.loads((folder / "files.json").read_text(encoding="utf-8")) if "part" in row]
    songs = [*held.by_song("validation"), *held.by_song("test")]
    return [places for places in songs if kept[int(held.table["song"][places[0]])] not in MARKED]


def measured(held: Fragments, songs: Sequence[NDArray[np.int64]], embed: Embed, n_draws: int) -> dict[str, Any]:
    """The curve, what is chosen, and what else was tried."""
    draw = np.random.default_rng(SEED)
    points, counts = [], []
    for places in songs:
        own = [held.fragment(int(place)) for place in places]
        tonic = int(held.table["tonic"][places[0]])
        points.append([embed(_changed(own, tonic, draw)) for _ in range(n_draws)])
        counts.append(np.array([len(one.notes) for one in own]))
    originals = [embed([held.fragment(int(place)) for place in places]) for places in songs]
    curve = []
    for eps in GRID:
        labels = [themes.dbscan(own, eps, 2) for own in originals]
        curve.append(
            {
                "eps": eps,
                "index": _index(points, eps, 2),
                "index_3": _index(points, eps, 3),
                "clusters": _rounded([row.max() + 1 for row in labels]),
                "largest": _rounded([np.bincount(row[row >= 0]).max() / len(row) if row.max() >= 0 else 0 for row in labels]),
            }
        )
    best = max(row["index"] for row in curve)
    eps = max(row["eps"] for row in curve if row["index"] >= best - NEAR_BEST)
    fewest = {}
    for n in (4, 6, 8):
        chosen = [[one[own >= n] for one in draws] for draws, own in zip(points, counts, strict=True)]
        fewest[str(n)] = {"index": _index(chosen, eps, 2), "kept": _rounded([np.mean(own >= n) for own in counts])}
    hops = {str(hop): _rounded([_begun_later(held, places, one, eps, hop) for places, one in zip(songs, originals, strict=True)])
            for hop in (1, 2)}  # fmt: skip
    return {"songs": len(songs), "fragments": sum(map(len, songs)), "draws": n_draws, "eps": eps, "best": best, "fewest_notes": fewest,
            "hop_kappa": hops, "curve": curve}  # fmt: skip


def _changed(own: Sequence[Fragment], tonic: int, draw: np.random.Generator) -> list[Fragment]:
    return [themes.Fragment(one.bar, themes.changed(one.notes, tonic, draw, themes.Changes())) for one in own]


def _index(points: Sequence[Sequence[NDArray[np.float32]]], eps: float, min_samples: int) -> float:
    """The mean adjusted Rand index over all pairs of draws of all songs."""
    out = []
    for draws in points:
        labels = [_alone(themes.dbscan(own, eps, min_samples)) for own in draws if len(own)]
        out += [_agreement(one, other) for one, other in combinations(labels, 2)]
    return _rounded(out)


def _alone(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Points of no cluster as clusters of one."""
    return np.where(labels < 0, len(labels) + np.arange(len(labels)), labels)


def _agreement(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    sizes = {len(np.unique(one)), len(np.unique(other))}
    return 0.0 if sizes in ({1}, {len(one)}) else float(adjusted_rand_score(one, other))


def _begun_later(held: Fragments, places: NDArray[np.int64], points: NDArray[np.float32], eps: float, hop: int) -> float:
    """Cohen's kappa of the bars that are theme, when fragments are counted from the first bar and from the second."""
    bars = held.table["bar"][places]
    n_bars = int(bars.max()) + themes.BARS
    marks = []
    for first in (0, 1):
        chosen = (bars >= first) & ((bars - first) % hop == 0)
        found = themes.chosen([held.fragment(int(place)) for place in places[chosen]], points[chosen], eps)
        mark = np.zeros(n_bars, np.bool_)
        for start, stop in found.regions if found else ():
            mark[start:stop] = True
        marks.append(mark)
    one, other = marks
    chance = one.mean() * other.mean() + (1 - one.mean()) * (1 - other.mean())
    return 1.0 if chance >= 1 else float(((one == other).mean() - chance) / (1 - chance))


def _rounded(values: Sequence[Any]) -> float:
    return round(float(np.mean(values)), 4)


def draw(found: dict[str, Any], path: Path) -> None:
    """The curve as a picture."""
    from matplotlib.figure import Figure

    eps = [row["eps"] for row in found["curve"]]
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(eps, [row["index"] for row in found["curve"]], color="#1f5fa8", label="adjusted Rand index of two changes, 2 to a core")
    axes.plot(eps, [row["index_3"] for row in found["curve"]], color="#1f5fa8", linestyle=":", label="the same, 3 to a core")
    axes.plot(eps, [row["largest"] for row in found["curve"]], color="#b0543c", label="share of fragments in the largest cluster")
    axes.axvline(found["eps"], color="#444444", linewidth=1, linestyle="--", label=f"chosen: {found['eps']:g}")
    axes.set(xlabel="eps", xlim=(0, eps[-1]), ylim=(0, 1.02), title=f"{found['songs']} songs that nobody has marked")
    axes.legend(loc=(0.3, 0.22), fontsize=8)
    figure.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    raise SystemExit(main())
