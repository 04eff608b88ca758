"""Does choosing the best of many help? Distances of the chosen pieces and of pieces chosen at random from real music, on held-out pieces.

    python benchmarks/ranking.py report --pool DIR --real DIR --fit DIR --keep DIR [--json PATH]
    python benchmarks/ranking.py reference --shards MODEL=DIR ... [--fit DIR]

`report`: DIR of --pool holds ``rank-GENRE`` folders, 1,280 pieces of 16 bars each by `genre-small` with the seeds from 100000 on, as
``kapelle compose --genre GENRE --bars 16 --seed 100000 --count 1280`` makes them. --real: music that neither the composer nor what ranks
has learned from, files ``GENRE--NAME.mid``; --fit: music that they have, likewise. Groups of 32 neighbouring seeds are what a user gets
from ``--best 1 --of 32``; each method chooses one of each group.

Weights are tried on the seeds below 100640, against one half of the music of --fit (the other half is what `outlier` is fitted on). What is
reported is measured on the other seeds, against the music of --real, by figures that had no say in a choice: metrics of `metrics.piece`,
and genres and points of `genre-judge`. Set distances are over pop, jazz and classical together; there is too little held-out edm. Intervals
are 95 %, by a jackknife over blocks of 32 neighbouring seeds, of differences from random choices among the same candidates.

`reference`: writes src/kapelle/judging/reference.npz, the real music that `kapelle rank` compares with, from the training part of shards.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

sys.path.insert(0, str(Path(__file__).parent))

from _ranking_measured import GENRES, Set, collected

from kapelle.classifiers import midi_features
from kapelle.judging import outliers
from kapelle.judging.choosing import Choice
from kapelle.judging.panel import Asked, Measured
from kapelle.judging.rank import PARTS, Weights, ranked
from kapelle.judging.reference import Reference
from kapelle.metrics import distance, piece

GROUP, SPLIT = 32, 100_640
SETS = ("pop", "jazz", "classical")
"""Genres with enough held-out music for distances of sets."""
REGROUPED = 6
"""Ways of putting candidates together."""
NEAR = 0.01
"""Of an overlap: less is chance."""
K = 5
"""Neighbours."""
FIT = 240
"""Pieces of a genre, at most, of the music of --fit."""

Floats = NDArray[np.float64]
Values = Callable[[Set, NDArray[np.int64]], Floats]  # candidates of one group -> higher is better


@dataclass(frozen=True)
class Method:
    """A way of choosing, measured."""

    name: str
    weights: Weights | None = None
    by: str = "score"
    values: Values | None = None  # instead of the ways of `kapelle.judging`


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.command == "reference":
        import _ranking_reference

        return _ranking_reference.main(options)
    report = _report(options)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report["test"], indent=1))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    report = commands.add_parser("report")
    for name in ("pool", "real", "fit", "keep"):
        report.add_argument(f"--{name}", type=Path, required=True)
    report.add_argument("--json", type=Path)
    report.add_argument("--processes", type=int, default=1)
    reference = commands.add_parser("reference")
    reference.add_argument("--shards", nargs="+", required=True, metavar="MODEL=DIR")
    reference.add_argument("-o", "--output", type=Path, default=None)
    return parser


# --- what is measured -------------------------------------------------------------------------------------------------------------


def _sets(options: argparse.Namespace) -> tuple[Set, Set, Set]:
    """Candidates, real music that is held out, music to fit and tune on."""
    pool = [(str(path), genre, False) for genre in GENRES for path in sorted((options.pool / f"rank-{genre}").glob("*.mid"))]
    real = [(str(path), path.name.partition("--")[0], True) for path in sorted(options.real.glob("*.mid"))]
    every = sorted(options.fit.glob("*.mid"))
    random.Random(1).shuffle(every)
    fit = [(str(path), genre, True) for genre in GENRES for path in [one for one in every if one.name.startswith(f"{genre}--")][:FIT]]
    out = []
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("measuring")
        for name, jobs in (("pool", pool), ("real", real), ("fit", fit)):

            def moved(aspect: str, done: int, total: int, name: str = name) -> None:
                progress.update(task, description=f"{name}: {aspect}", completed=done, total=total)

            out.append(collected(jobs, name, options.keep, options.processes, moved))
    return out[0], out[1], out[2]


def _groups(pool: Set, genre: str, *, tuning: bool) -> list[NDArray[np.int64]]:
    """Places of the candidates of every group of neighbouring seeds."""
    numbers = pool.number[(pool.genre == genre) & ((pool.number < SPLIT) == tuning)]
    starts = range(int(numbers.min()), int(numbers.max()) + 1, GROUP) if len(numbers) else ()
    places = [np.flatnonzero((pool.genre == genre) & (pool.number >= start) & (pool.number < start + GROUP)) for start in starts]
    return [group for group in places if len(group) == GROUP]


def _reference(fit: Set, music: Set) -> Reference:
    """Where music lies that nothing is measured on, and how surprising it is."""
    middle = outliers.fit(fit.features, fit.genre.tolist(), midi_features.NAMES)
    bits = {genre: (float(np.nanmean(own)), float(np.nanstd(own))) for genre in GENRES if len(own := music.bits[music.genre == genre])}
    return Reference(middle, bits)


def _measured(pool: Set, place: int) -> Measured:
    """A candidate as the panel told of it."""
    genre = str(pool.genre[place])
    shares = dict(zip(GENRES, pool.by_genre[place].tolist(), strict=True))
    broken = () if pool.sound[place] else ("degenerate",)
    bits, human = float(pool.bits[place]), float(pool.human[place])
    return Measured(
        str(pool.number[place]),
        Asked(genre=genre),
        genre,
        pool.features[place],
        None if np.isnan(pool.by_genre[place]).any() else shares,
        None if np.isnan(human) else human,
        None if np.isnan(bits) else bits,
        degenerate=broken,
    )


def chosen(pool: Set, group: NDArray[np.int64], method: Method, reference: Reference) -> int:
    """The place of the candidate that a method takes from a group."""
    if method.values is not None:
        found = np.where(pool.sound[group] | ~pool.sound[group].any(), np.nan_to_num(method.values(pool, group), nan=-np.inf), -np.inf)
        return int(group[np.argmax(found)])
    rows = [_measured(pool, place) for place in group.tolist()]
    return int(group[ranked(rows, method.weights, Choice(by=method.by), reference).rows[0].index])


# --- how far it is from real music -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Real:
    """Music to be near to."""

    metrics: Floats
    points: Floats
    mean: Floats
    deviation: Floats
    used: list[int]
    reach: Floats  # to the k-th nearest other piece

    @classmethod
    def of(cls, music: Set) -> Real:
        """The music of `SETS`, as many pieces of each, taken evenly."""
        most = min(int((music.genre == genre).sum()) for genre in SETS)
        own = [np.flatnonzero(music.genre == genre) for genre in SETS]
        places = np.concatenate([places[np.linspace(0, len(places) - 1, most).astype(int)] for places in own])  # by name: all sources
        metrics = music.metrics[places]
        deviation = np.nanstd(metrics, axis=0)
        used = np.flatnonzero((deviation > 1e-9) & (np.isfinite(metrics).mean(axis=0) > 0.9)).tolist()
        points = music.points[places].astype(np.float64)
        apart = distance.apart(points, points)
        np.fill_diagonal(apart, np.inf)
        reach = np.partition(apart, K - 1, axis=1)[:, K - 1]
        return cls(metrics, points, np.nanmean(metrics, axis=0), deviation, used, reach)


MEASURES = {
    "overlap": "overlap of metrics' densities", "kld": "KLD of metrics, nats", "deviation": "mean |deviation| of metrics",
    "frechet": "Fréchet distance", "precision": "precision", "recall": "recall", "density": "density", "coverage": "coverage",
    "recognised": "recognised as its genre", "probability": "probability of its genre",
}  # fmt: skip
BETTER_LOW = ("kld", "deviation", "frechet")


def distances(pool: Set, places: NDArray[np.int64], real: Real, *, points: bool = True) -> dict[str, float]:
    """How far chosen pieces are from real music; genres outside `SETS` count for recognition alone."""
    held = np.isin(pool.genre[places], SETS)
    metrics = pool.metrics[places[held]]
    usable = [place for place in real.used if np.isfinite(metrics[:, place]).sum() > 2 and np.nanstd(metrics[:, place]) > 1e-9]
    far = np.abs(np.nanmean(metrics[:, real.used], axis=0) - real.mean[real.used]) / real.deviation[real.used]
    out = {
        "overlap": float(np.mean([distance.overlap(metrics[:, one], real.metrics[:, one]) for one in usable])),
        "kld": float(np.mean([distance.kld(metrics[:, one], real.metrics[:, one]) for one in usable])),
        "deviation": float(far.mean()),
    }
    if points:
        embedded = pool.points[places[held]].astype(np.float64)
        out["frechet"] = distance.frechet(embedded, real.points)
        out |= _neighbours(embedded, real)
        labels = np.array([_judge_classes().index(genre) for genre in pool.genre[places]])
        out["recognised"] = float((pool.judged[places].argmax(axis=1) == labels).mean())
        out["probability"] = float(pool.judged[places, labels].mean())
    return out


def _neighbours(made: Floats, real: Real) -> dict[str, float]:
    """The values of `metrics.neighbours`, without the intervals that it draws: ours are over groups."""
    apart = distance.apart(real.points, made)
    own = distance.apart(made, made)
    np.fill_diagonal(own, np.inf)
    in_real, in_made = apart <= real.reach[:, None], apart <= np.partition(own, K - 1, axis=1)[:, K - 1][None]
    return {"precision": float(in_real.any(axis=0).mean()), "recall": float(in_made.any(axis=1).mean()),
            "density": float(in_real.sum(axis=0).mean() / K), "coverage": float(in_real.any(axis=1).mean())}  # fmt: skip


def _judge_classes() -> tuple[str, ...]:
    from _ranking_measured import judge

    return tuple(judge().classes)


def compared(pool: Set, method: Method, reference: Reference, real: Real) -> dict[str, Any]:
    """Measures of the chosen, of random choices, and the difference with its interval, by leaving out blocks of seeds in turn.

    Which candidates meet in a group is chance too: all figures are means over `REGROUPED` ways of putting candidates together.
    """
    groups = {genre: _groups(pool, genre, tuning=False) for genre in GENRES}
    n_blocks = min(map(len, groups.values()))
    whole = _sides(pool, groups, method, reference, real)
    left_out = [
        _sides(pool, {genre: own[:block] + own[block + 1 :] for genre, own in groups.items()}, method, reference, real)
        for block in range(n_blocks)
    ]
    out = {}
    for name in whole[0]:
        gap = whole[0][name] - whole[1][name]
        gaps = np.array([ours[name] - theirs[name] for ours, theirs in left_out])
        reach = 1.96 * float(np.sqrt((n_blocks - 1) * gaps.var()))
        out[name] = {"chosen": whole[0][name], "random": whole[1][name], "difference": gap, "low": gap - reach, "high": gap + reach}
    return out


def _sides(
    pool: Set, groups: dict[str, list[NDArray[np.int64]]], method: Method, reference: Reference, real: Real
) -> tuple[dict[str, float], dict[str, float]]:
    """Measures of what a method chooses, and of random choices, from the candidates of `groups` put together anew."""
    draw = np.random.Generator(np.random.Philox(20))
    ours, theirs = [], []
    for _ in range(REGROUPED):
        again = {genre: np.array_split(draw.permutation(np.concatenate(own)), len(own)) for genre, own in groups.items()}
        ours.append(distances(pool, np.array([chosen(pool, group, method, reference) for own in again.values() for group in own]), real))
        picked = [np.array([draw.choice(group) for own in again.values() for group in own]) for _ in range(2)]
        theirs += [distances(pool, places, real) for places in picked]
    return _mean(ours), _mean(theirs)


def _mean(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


# --- tuning and report ------------------------------------------------------------------------------------------------------------


def _tuned(pool: Set, reference: Reference, real: Real) -> list[dict[str, Any]]:
    """Weights tried on the tuning half, the best first: by the overlap of metrics, over other groupings of the same candidates."""
    draw = np.random.Generator(np.random.Philox(7))
    every = {genre: np.concatenate(_groups(pool, genre, tuning=True)) for genre in SETS}
    rounds = [{genre: list(np.array_split(draw.permutation(every[genre]), len(every[genre]) // GROUP)) for genre in SETS} for _ in range(6)]
    out = []
    for genre, likelihood, typical in itertools.product((0.0, 0.25, 0.5, 0.75, 1.0), (0.0, 0.25), (0.0, 0.25)):
        weights = Weights(genre=genre, likelihood=likelihood, typical=typical, human=1.0)
        method = Method("", weights)
        found = []
        for groups in rounds:
            taken = np.array([chosen(pool, group, method, reference) for genre in SETS for group in groups[genre]])
            own = pool.by_genre[taken, [GENRES.index(genre) for genre in pool.genre[taken]]]
            found.append({**distances(pool, taken, real, points=False), "probability": float(own.mean())})
        out.append({"weights": weights.as_dict(), **{name: float(np.mean([one[name] for one in found])) for name in found[0]}})
        print({name: weights.as_dict()[name] for name in ("genre", "likelihood", "typical")}, out[-1], file=sys.stderr, flush=True)
    return sorted(out, key=lambda row: -row["overlap"])


def taken(tuned: list[dict[str, Any]]) -> dict[str, Any]:
    """The row whose weights become the defaults: of those near the best, the one with most weight on the genre, then the simplest."""
    near = [row for row in tuned if row["overlap"] >= tuned[0]["overlap"] - NEAR]
    return max(near, key=lambda row: (row["weights"]["genre"], -sum(map(bool, row["weights"].values())), row["overlap"]))


def _methods(fit: Set) -> list[Method]:
    """What is compared on the test half."""
    nothing = dict.fromkeys(PARTS, 0.0)
    return [
        Method("score", Weights()),
        Method("genre", by="genre"),
        Method("human", by="human"),
        Method("outlier", by="outlier"),
        Method("isolation forest", values=_forest(fit)),
        Method("cluster", by="cluster"),
        Method("likelihood", Weights(**{**nothing, "likelihood": 1.0})),
        Method("least surprising", values=lambda pool, group: -pool.bits[group]),
    ]


def _forest(fit: Set) -> Values:
    """scikit-learn's, one for each genre, on the rows that `outlier` is fitted on."""
    from sklearn.ensemble import IsolationForest

    forests = {
        genre: IsolationForest(n_estimators=200, random_state=0).fit(np.nan_to_num(fit.features[fit.genre == genre])) for genre in GENRES
    }
    return lambda pool, group: forests[str(pool.genre[group[0]])].score_samples(np.nan_to_num(pool.features[group]))


def _report(options: argparse.Namespace) -> dict[str, Any]:
    pool, held_out, music = _sets(options)
    first = np.arange(len(music.names)) % 2 == 0
    fit, other = music.of(np.flatnonzero(first)), music.of(np.flatnonzero(~first))
    reference = _reference(fit, fit)
    tuned = _tuned(pool, reference, Real.of(other))
    real = Real.of(held_out)
    groups = {genre: _groups(pool, genre, tuning=False) for genre in GENRES}
    test = {}
    for method in _methods(fit):
        test[method.name] = compared(pool, method, reference, real)
        print(method.name, {name: round(one["difference"], 3) for name, one in test[method.name].items()}, file=sys.stderr, flush=True)
    return {
        "candidates": len(pool.names), "groups": {genre: len(groups[genre]) for genre in GENRES}, "of": GROUP, "regrouped": REGROUPED,
        "held_out": {genre: int((held_out.genre == genre).sum()) for genre in GENRES}, "compared_with": len(real.metrics),
        "fit": {genre: int((fit.genre == genre).sum()) for genre in GENRES},
        "weights": Weights().as_dict(), "tuned": tuned,
        "test": test, "real": _of_real(held_out, 20), "recognised": _recognition(pool, held_out, groups, reference),
        "degenerate": int((~pool.sound).sum()), "metrics": [list(piece.METRICS)[one] for one in real.used],
    }  # fmt: skip


def _of_real(held_out: Set, n: int) -> dict[str, float]:
    """What held-out music itself reaches: `n` pieces of a genre against all others."""
    draw = np.random.Generator(np.random.Philox(5))
    rows = []
    for _ in range(100):
        picked = np.concatenate([draw.permutation(np.flatnonzero(held_out.genre == genre))[:n] for genre in SETS])
        rest = np.setdiff1d(np.arange(len(held_out.names)), picked)
        rows.append(distances(held_out, picked, Real.of(held_out.of(rest))))
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _recognition(pool: Set, held_out: Set, groups: dict[str, list[NDArray[np.int64]]], reference: Reference) -> dict[str, Any]:
    """How often the stranger recognises the genre, by genre: of real music, of all candidates, of the chosen."""
    classes = _judge_classes()
    out = {}
    for genre in GENRES:
        place = classes.index(genre)
        taken = np.array([chosen(pool, group, Method("score", Weights()), reference) for group in groups[genre]])
        shown = {
            "real": held_out.judged[held_out.genre == genre],
            "random": pool.judged[np.concatenate(groups[genre])],
            "score": pool.judged[taken],
        }
        out[genre] = {name: float((rows.argmax(axis=1) == place).mean()) for name, rows in shown.items()}
    return out


if __name__ == "__main__":
    sys.exit(main())
