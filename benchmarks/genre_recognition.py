"""How often each genre's composed pieces are recognised, next to real ones: by the classifier that ranks, and by the judge that does not.

    python benchmarks/genre_recognition.py --real FOLDER [--pool NAME=FOLDER ...] [--compose N] [--most N] [--json FILE]

A folder of a pool, or of real music, has pieces called GENRE--NAME.mid, or a folder for each genre whose name ends in -GENRE. Real pieces
are cut to 16 bars as `kapelle evaluate` cuts them. ``--compose N`` adds N pieces of 16 bars of every other model that ships, seeds from 0,
of each genre where the model has them. Both classifiers know eight genres; "recognised" is asked among the four that are composed, so
chance is 0.25, and mean probabilities are of all eight. Intervals: 95 %, bootstrap over pieces.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import kapelle
from kapelle import composing
from kapelle.classifiers.judge import NAME as JUDGE
from kapelle.classifiers.opening import opened
from kapelle.errors import KapelleError
from kapelle.judging.excerpts import SHORT_BARS, How, Job, cut, first_bar
from kapelle.metrics import bootstrap
from kapelle.score import units
from kapelle.score.read import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from symusic import Score

    from kapelle.classifiers.verdict import Verdict

FOUR = ("pop", "jazz", "edm", "classical")
CLASSIFIERS = ("genre-midi", JUDGE)
OTHERS = ("remi-lstm", "ensemble", "chopin", "bridge", "band-composer")
BARS = 16
REAL = "real, held out"


@dataclass(frozen=True)
class Piece:
    """One piece to be recognised."""

    music: str
    genre: str  # asked for, or of the real piece; empty where there is none
    score: Score


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--real", type=Path, required=True, help="held-out music")
    parser.add_argument("--pool", action="append", default=[], help="composed pieces", metavar="NAME=FOLDER")
    parser.add_argument("--compose", type=int, default=0, help="pieces of each genre of every other model", metavar="N")
    parser.add_argument("--keep", type=Path, default=None, help="folder that keeps what was composed")
    parser.add_argument("--most", type=int, default=160, help="pieces of a genre of a folder, from the first on")
    parser.add_argument("--judge", default=JUDGE, help="bundle of the judge, by name or folder")
    parser.add_argument("--json", type=Path, default=None, help="where to write the result")
    given = parser.parse_args(arguments)
    rows: dict[tuple[str, str], list[Piece]] = defaultdict(list)
    short = 0
    for name, folder in [(REAL, given.real), *(pair.split("=", 1) for pair in given.pool)]:
        for genre, path in files(Path(folder), given.most):
            piece = of_file(name, genre, path)
            short += piece is None
            if piece:
                rows[name, genre].append(piece)
    for piece in composed(given.compose, given.keep):
        rows[piece.music, piece.genre].append(piece)
    report = {"bars": BARS, "four": FOUR, "left_out": short, "classifiers": {}}
    for name in CLASSIFIERS:
        classifier = opened(given.judge if name == JUDGE else name)
        found = {key: classifier.classify_many([piece.score for piece in pieces]) for key, pieces in rows.items()}  # type: ignore[union-attr,arg-type]
        report["classifiers"][name] = [row(*key, verdicts) for key, verdicts in found.items()]
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for name, lines in report["classifiers"].items():
        print(name)
        for line in lines:
            shares = " ".join(f"{genre} {share:.2f}" for genre, share in line["argmax"].items())
            print(f"  {line['music']}, {line['genre'] or '-'} ({line['n']}): {shares}")
    return 0


def files(folder: Path, most: int) -> Iterator[tuple[str, Path]]:
    """Genre and path of every piece, `most` of each genre."""
    counts: dict[str, int] = defaultdict(int)
    for path in sorted(folder.rglob("*.mid")):
        genre = path.name.split("--")[0] if "--" in path.name else path.parent.name.rsplit("-", 1)[-1]
        if genre in FOUR and counts[genre] < most:
            counts[genre] += 1
            yield genre, path


def of_file(music: str, genre: str, path: Path) -> Piece | None:
    """The 16 bars of a file that are looked at; None if it has fewer."""
    import hashlib

    try:
        score = read(path)
    except KapelleError:
        return None
    n_bars = units.n_bars(score)
    if n_bars < BARS - SHORT_BARS:
        return None
    how = How(bars=BARS)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Piece(music, genre, cut(score, first_bar(digest, n_bars, how), Job(path.name, path, how)))


def composed(n: int, keep: Path | None) -> Iterator[Piece]:
    """`n` pieces of every other model, of each genre where it has them; those that `keep` holds are not composed again."""
    for model in OTHERS if n else ():
        manifest = kapelle.bundle(model).manifest
        known = "genre" in composing.way_of(manifest.codec).Options.__dataclass_fields__
        genres = (manifest.options.get("genres") if known else None) or [""]
        for genre in genres:
            for seed in range(n):
                place = (keep or Path()) / model / f"{genre or 'any'}-{seed}.mid"
                if keep is None or not place.is_file():
                    data = kapelle.compose(model=model, seed=seed, bars=BARS, **({"genre": genre} if genre else {})).to_midi()
                if keep is not None and not place.is_file():
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(data)
                music = model if genre in (*FOUR, "") else f"{model} ({genre})"
                yield Piece(music, genre if genre in FOUR else "", read(data if keep is None else place))
            print(f"{model} {genre}: {n} composed", file=sys.stderr)


def row(music: str, genre: str, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """What is said of the pieces of one kind."""
    among = [verdict.among(FOUR) for verdict in verdicts]
    labels = [one.label for one in among]
    table = np.array([list(verdict.probabilities.values()) for verdict in verdicts])
    four = np.array([[one.probabilities[name] for name in FOUR] for one in among])
    return {
        "music": music,
        "genre": genre,
        "n": len(verdicts),
        "argmax": {name: labels.count(name) / len(labels) for name in FOUR},
        "recognised": estimate(bootstrap.share([label == genre for label in labels])) if genre else None,
        "probability": estimate(bootstrap.mean(four[:, FOUR.index(genre)])) if genre else None,
        "mean": {name: estimate(bootstrap.mean(table[:, place])) for place, name in enumerate(verdicts[0].probabilities)},
    }


def estimate(found: bootstrap.Estimate) -> dict[str, float]:
    """A figure and its interval for JSON."""
    return {"value": found.value, "low": found.low, "high": found.high}


if __name__ == "__main__":
    raise SystemExit(main())
