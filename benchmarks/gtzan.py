"""How good the trees of GTZAN's feature table are, what peers make of the same rows, and what two well-known mistakes do.

    python benchmarks/gtzan.py CSV [--arrangements FOLDER] [--json FILE]

CSV is the table features_30_sec.csv. The split is the usual one: 30 % for the test, seed 42. Beside the bundle: a support vector machine
(RBF, C = 10, standardised) and CatBoost as it comes, on the same rows. The first mistake feeds the trees rows that a scaler (to 0..1,
fitted on the training rows) has been over. The second lets trees see the column `length`: how many samples long each file is. All
recordings are half a minute of music; the rest is how somebody cut them. Intervals: 95 %, bootstrap over test rows.

The recordings are not at hand. ``--arrangements`` names a folder with index.csv of MIDI files with drums and many tracks: half a minute of
some is rendered, and it is counted which of its features lie where 99 % of the training rows do. Numbers of another definition, such as
deviations in place of variances, would not.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.audio.effects import normalise_peak
from kapelle.bundles import load
from kapelle.bundles.session import Classifier
from kapelle.classifiers.audio import AudioClassifier
from kapelle.classifiers.audio_features import features
from kapelle.data.split import TEST, TRAIN
from kapelle.data.table_collect import split
from kapelle.errors import KapelleError
from kapelle.metrics import bootstrap
from kapelle.metrics.classification import classification
from kapelle.render import soundfont
from kapelle.score import edit, units
from kapelle.score.read import read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

RESULTS = Path(__file__).parent / "results" / "gtzan.json"
BUNDLE = "gtzan"
SEED, SHARE = 42, 0.3
RENDERED = 40
"""Arrangements that are rendered."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("csv", type=Path)
    parser.add_argument("--arrangements", type=Path)
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    names, rows, labels = table(given.csv)
    bundle = load.load(BUNDLE)
    options = bundle.manifest.options
    places = [names.index(name) for name in options["features"]]
    report = figures(bundle, rows[:, places], rows, labels)
    if given.arrangements:
        report["renderings"] = inside(AudioClassifier(bundle), given.arrangements)
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))
    return 0


def table(path: Path) -> tuple[list[str], NDArray[np.float32], NDArray[np.str_]]:
    """The numbers of a table with their names, `length` among them, and the labels."""
    with path.open(encoding="utf-8", newline="") as lines:
        head, *body = csv.reader(lines)
    return head[1:-1], np.array([row[1:-1] for row in body], np.float32), np.array([row[-1] for row in body])


def figures(bundle: load.Bundle, rows: NDArray[np.float32], with_length: NDArray[np.float32], labels: NDArray[np.str_]) -> dict[str, Any]:
    classes = list(bundle.manifest.options["classes"])
    numbers = np.array([classes.index(label) for label in labels])
    parts = split(len(rows), SHARE, SEED)
    train, test = np.flatnonzero(parts == TRAIN), np.flatnonzero(parts == TEST)
    session = Classifier(bundle)
    found = session.predict(rows[test])
    told = classification(found, numbers[test], classes)
    scaled = session.predict(minmax(rows[train], rows[test]))
    known = {row.tobytes() for row in rows[train]}
    fresh = np.array([row.tobytes() not in known for row in rows[test]])
    peers = {
        "trees of the bundle": found.argmax(1),
        "support vector machine, RBF, C = 10, standardised": machine(rows, numbers, train, test),
        "CatBoost as it comes": boosted(rows, numbers, train, test),
        "mistake: the trees of the bundle, fed scaled rows": scaled.argmax(1),
        "mistake: support vector machine that sees the length of the file": machine(with_length, numbers, train, test),
        "mistake: CatBoost that sees the length of the file": boosted(with_length, numbers, train, test),
    }
    return {
        "bundle": bundle.name, "rows": {"train": len(train), "test": len(test)}, "baseline": told.baseline,
        "right": {name: estimate(guess == numbers[test]) for name, guess in peers.items()},
        "without the same rows again": {"test": int(fresh.sum()), **estimate((found.argmax(1) == numbers[test])[fresh])},
        "called when fed scaled rows": {classes[i]: n for i, n in Counter(scaled.argmax(1).tolist()).most_common()},
        "log_loss": told.log_loss, "calibration_error": told.calibration_error, "confusion": told.tables()["confusion"],
        "recall": told.tables()["recall"],
    }  # fmt: skip


def inside(asked: AudioClassifier, folder: Path) -> dict[str, Any]:
    """Which features of renderings lie where 99 % of the training rows do."""
    with (folder / "index.csv").open(encoding="utf-8", newline="") as lines:
        files = [row["path"] for row in csv.DictReader(lines) if row["drums"] == "1"]
    out = []
    for name in files[:: max(len(files) // RENDERED, 1)]:
        try:
            score = read(folder / name)
            start_s = max(units.duration_s(score) / 2 - 15.0, 0.0)
            half = edit.clip(score, *(int(units.seconds_to_ticks(score, at)) for at in (start_s, start_s + 30.0)))
            values = features(normalise_peak(soundfont.render(half, sample_rate=22_050, tail_s=0.0), -1.0)).values
        except KapelleError:
            continue
        missed = asked.outside(values[None, : len(asked.names)])
        out.append([name not in missed for name in asked.names])
    table = np.array(out)
    often = {name: float(share) for name, share in zip(asked.names, table.mean(0), strict=True) if share < 0.75}
    return {"files": len(table), "median share of features inside": float(np.median(table.mean(1))), "often outside": often}


def minmax(train: NDArray[np.float32], test: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = train.min(0), train.max(0)
    return (test - low) / (high - low)


def machine(rows: NDArray[np.float32], labels: NDArray[np.int64], train: NDArray[np.int64], test: NDArray[np.int64]) -> NDArray[np.int64]:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    made = make_pipeline(StandardScaler(), SVC(C=10)).fit(rows[train].astype(float), labels[train])
    guess: NDArray[np.int64] = made.predict(rows[test].astype(float))
    return guess


def boosted(rows: NDArray[np.float32], labels: NDArray[np.int64], train: NDArray[np.int64], test: NDArray[np.int64]) -> NDArray[np.int64]:
    from catboost import CatBoostClassifier

    model = CatBoostClassifier(random_seed=0, thread_count=1, allow_writing_files=False, logging_level="Silent")
    guess: NDArray[np.int64] = model.fit(rows[train], labels[train]).predict(rows[test]).ravel()
    return guess


def estimate(right: NDArray[np.bool_]) -> dict[str, float]:
    found = bootstrap.share(right.tolist())
    return {"value": found.value, "low": found.low, "high": found.high}


if __name__ == "__main__":
    raise SystemExit(main())
