"""How good the trees of MIDI are: genre-midi on artists that it never saw, human-or-generated on seeds and artists that it never saw.

    python benchmarks/genre_midi.py --genres TABLE --origin TABLE [--pool FOLDER ...] [--json FILE]

A table is a folder of `kapelle data prepare` with the recipe of the bundle; its test part is measured, by excerpt and by piece (the mean of
the probabilities of its excerpts). ``--pool`` names folders of composed pieces of other seeds than those in the table. "Mixed collections"
leaves POP909 and piano-midi.de out, whose music is easy to tell by how it was arranged or played. Intervals: 95 %, bootstrap over artists.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.bundles import load
from kapelle.bundles.session import Classifier
from kapelle.classifiers.midi import MidiClassifier
from kapelle.data import feature_tables
from kapelle.errors import KapelleError
from kapelle.metrics import bootstrap
from kapelle.metrics.classification import among, by_piece, classification
from kapelle.score.read import read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

RESULTS = Path(__file__).parent / "results" / "genre_midi.json"
FOUR = ("pop", "jazz", "edm", "classical")
EASY = ("pop909_cl", "piano_midi_de")
GENRES, ORIGIN = "genre-midi", "human-or-generated"
SINGLE = 15
"""Features that alone tell composed pieces best, in the table."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--genres", type=Path, required=True, help="feature table of genre-midi")
    parser.add_argument("--origin", type=Path, required=True, help="feature table of human-or-generated")
    parser.add_argument("--pool", type=Path, action="append", default=[], help="folder of composed pieces of other seeds")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where to write the result")
    given = parser.parse_args(arguments)
    report = {"genres": genres(given.genres), "origin": origin(given.origin, given.pool)}
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: {key: value for key, value in told.items() if key != "confusion"} for name, told in report.items()}, indent=1))
    return 0


def genres(place: Path) -> dict[str, Any]:
    """The figures of genre-midi on the test part of its table."""
    table, found = asked(place, GENRES)
    what = table.table[table.places("test")]
    sources = [source["folder"] for source in table.info["sources"]]
    mixed = ~np.isin(what["source"], [sources.index(name) for name in EASY])
    places = [table.classes.index(name) for name in FOUR]
    of_four = np.isin(what["label"], places)
    out: dict[str, Any] = {"bundle": GENRES, "classes": list(table.classes), "features": len(table.names), "sets": {}}
    for name, here in (("all", np.ones(len(what), bool)), ("mixed collections", mixed)):
        out["sets"][f"eight genres, {name}"] = figures(found[here], what[here], table.classes)
        four = here & of_four
        moved = what[four].copy()
        moved["label"] = np.searchsorted(np.sort(places), moved["label"])
        out["sets"][f"four genres, {name}"] = figures(among(found[four], sorted(places)), moved, [table.classes[i] for i in sorted(places)])
    whole, first = by_piece(found, what["piece"])
    out["confusion"] = classification(whole, what["label"][first], table.classes).tables()["confusion"]
    out["warned"] = warned(load.load(GENRES), table, what["piece"])
    return out


def origin(place: Path, pools: Sequence[Path]) -> dict[str, Any]:
    """The figures of human-or-generated on the test part of its table and on pools, and what single features tell."""
    table, found = asked(place, ORIGIN)
    what = table.table[table.places("test")]
    out: dict[str, Any] = {"bundle": ORIGIN, "sets": {"test artists and seeds": figures(found, what, table.classes)}, "pools": {}}
    classifier = MidiClassifier(load.load(ORIGIN))
    for folder in pools:
        hits = []
        for path in sorted(folder.rglob("*.mid")):
            try:
                hits.append(classifier.classify(read(path)).label == "generated")
            except KapelleError:
                continue
        out["pools"][folder.name] = {"n": len(hits), "found": estimate(bootstrap.share(hits))}
    out["single"] = single(table)
    return out


def asked(place: Path, name: str) -> tuple[feature_tables.FeatureTable, NDArray[np.float64]]:
    """A table, and the probabilities of its test rows by the bundle that ships."""
    table, bundle = feature_tables.read(place), load.load(name)
    if tuple(bundle.manifest.options["features"]) != table.names:
        raise SystemExit(f"{place} has other features than {name}")
    rows = np.array(table.rows[table.places("test")])
    return table, Classifier(bundle).predict(rows).astype(np.float64)


def figures(found: NDArray[np.float64], what: NDArray[Any], classes: Sequence[str]) -> dict[str, Any]:
    """By piece and by excerpt; accuracy by piece with its interval over artists."""
    whole, first = by_piece(found, what["piece"])
    labels, groups = what["label"][first], what["group"][first]
    right = whole.argmax(1) == labels
    _, artist = np.unique(groups, return_inverse=True)
    pieces = classification(whole, labels, classes)
    return {
        "pieces": pieces.as_dict() | {"interval": estimate(bootstrap.ratio(np.bincount(artist, right), np.bincount(artist)))},
        "excerpts": classification(found, what["label"], classes).as_dict(),
        "recall": pieces.tables()["recall"],
        "artists": len(np.unique(groups)),
    }


def warned(bundle: load.Bundle, table: feature_tables.FeatureTable, pieces: NDArray[np.int32]) -> float:
    """The share of test pieces of which the classifier warns that they are unlike its training music."""
    classifier = MidiClassifier(bundle)
    rows = np.array(table.rows[table.places("test")])
    hits = [bool(classifier.odd(rows[pieces == piece])) for piece in np.unique(pieces)]
    return float(np.mean(hits))


def single(table: feature_tables.FeatureTable) -> list[dict[str, Any]]:
    """How well one feature alone tells composed pieces (area under the ROC curve, 0.5 is chance), POP909 left out; the best first."""
    sources = [source["folder"] for source in table.info["sources"]]
    here = np.flatnonzero((table.table["part"] == 0) & (table.table["source"] != sources.index(EASY[0])))
    made = table.table["label"][here] == table.classes.index("generated")
    out = []
    for i, name in enumerate(table.names):
        column = np.array(table.rows[here, i])
        there = np.isfinite(column)
        if there.sum() and made[there].any() and (~made[there]).any():
            means = float(np.median(column[there & ~made])), float(np.median(column[there & made]))
            out.append({"feature": name, "area": area(column[there], made[there]), "human": means[0], "generated": means[1]})
    return sorted(out, key=lambda row: -abs(row["area"] - 0.5))[:SINGLE]


def area(values: NDArray[np.floating], hits: NDArray[np.bool_]) -> float:
    """How often a hit has the greater value than another, ties as halves."""
    _, rank, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    n = int(hits.sum())
    return float((middle[rank][hits].sum() - n * (n + 1) / 2) / (n * (len(hits) - n)))


def estimate(found: bootstrap.Estimate) -> dict[str, float]:
    """A figure and its interval for JSON."""
    return {"value": found.value, "low": found.low, "high": found.high}


if __name__ == "__main__":
    raise SystemExit(main())
