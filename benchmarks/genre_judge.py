"""The genre judge on artists that it never heard: accuracy, calibration, confusions, beside the majority and a plain model of features.

    python benchmarks/genre_judge.py SHARDS [--bundle NAME] [--card FILE] [--json FILE]

SHARDS are made by `kapelle data prepare DATA --recipe genre-judge`. The test part is told whole and without the collections that are
mostly of one kind (POP909, piano-midi.de), and so is the half of the artists that the judge did not learn from. The plain model is a
multinomial regression on the features of ``kapelle.classifiers.midi_features`` of the same training pieces, its penalty chosen on the
validation part (needs scikit-learn). Balanced accuracy averages over classes; 1 / classes is chance.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.bundles import load
from kapelle.bundles.session import Classifier
from kapelle.classifiers import judge, midi_features
from kapelle.classifiers.note_grid import GROUPS, Grid
from kapelle.data import roll_shards, roll_windows
from kapelle.metrics.classification import Classification, by_piece, classification

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kapelle.data.roll_shards import Rolls

PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1)
NAMES = {
    "test": "test artists",
    "test, mixed collections": "... without POP909 and piano-midi.de",
    "other half": "the other half's artists",
}
MOSTLY_ONE = ("pop909", "piano_midi_de")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("--bundle", default=judge.NAME)
    parser.add_argument("--plain", action="store_true", help="also the plain model")
    parser.add_argument("--card", type=Path, default=None, help="where to write Markdown for the card")
    parser.add_argument("--json", type=Path, default=None, help="where to write the result")
    given = parser.parse_args(arguments)
    rolls, bundle = roll_shards.read(given.shards), load.load(load.find(given.bundle))
    report, tables = measured(rolls, Classifier(bundle))
    if given.plain:
        report["plain"] = plain(rolls)
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if given.card:
        given.card.write_text(card(report, tables["test"]), encoding="utf-8")
    print(json.dumps({name: report[name] for name in ("pieces", "windows") if name in report} | {"plain": report.get("plain")}, indent=1))
    return 0


def places_of(rolls: Rolls) -> dict[str, NDArray[np.int64]]:
    """What is measured: name -> places of pieces."""
    test = rolls.of("test")
    mixed = [s for s, source in enumerate(rolls.info["sources"]) if not str(source["folder"]).startswith(MOSTLY_ONE)]
    return {
        "test": test,
        "test, mixed collections": test[np.isin(rolls.pieces["source"][test], mixed)],
        "other half": rolls.of("other"),
    }


def measured(rolls: Rolls, session: Classifier) -> tuple[dict[str, Any], dict[str, Classification]]:
    """The figures, and those with tables by name of what is measured."""
    sets = places_of(rolls)
    rows, owners = _windows(rolls, session, np.unique(np.concatenate(list(sets.values()))))
    pieces, windows, tables = {}, {}, {}
    for name, places in sets.items():
        inside = np.isin(owners, places)
        labels = rolls.pieces["label"].astype(np.int64)
        windows[name] = classification(rows[inside], labels[owners[inside]], rolls.classes).as_dict()
        means, first = by_piece(rows[inside], owners[inside])
        tables[name] = classification(means, labels[owners[inside][first]], rolls.classes)
        alike = calibration_alike(means, labels[owners[inside][first]])
        pieces[name] = tables[name].as_dict() | {"calibration_error_alike": alike} | {"recall": tables[name].tables()["recall"]}
    told = {"classes": list(rolls.classes), "training": {name: row["train"] for name, row in rolls.info["pieces"].items()}}
    return {**told, "pieces": pieces, "windows": windows, "confusion": tables["test"].tables()["confusion"]}, tables


def _windows(rolls: Rolls, session: Classifier, places: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(W, C) the probabilities of all windows of some pieces, as in use; (W,) whose each is."""
    rows, owners = [], []
    for place in places:
        starts = roll_windows.starts(rolls.lines(int(place)), judge.MOST_WINDOWS)
        cells = [roll_windows.cells(roll_windows.cut(rolls.notes(int(place)), start)) for start in starts]
        rows.append(session.predict(np.stack(cells).astype(np.float32)))
        owners += [int(place)] * len(starts)
    return np.concatenate(rows).astype(np.float64), np.array(owners)


def calibration_alike(probabilities: NDArray[np.float64], labels: NDArray[np.int64], bins: int = 10) -> float:
    """The calibration error if all classes were equally frequent, as the judge supposes; 0 to 1.

    Args:
        probabilities: (P, C).
        labels: (P,).
        bins: Of confidence.
    """
    weights = 1 / np.bincount(labels)[labels]
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    place = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [abs(float((weights * (sure - right))[place == i].sum())) for i in range(bins)]
    return sum(gaps) / float(weights.sum())


def plain(rolls: Rolls) -> dict[str, Any]:
    """The same figures of a regression on features; the classes weigh alike."""
    from sklearn.linear_model import LogisticRegression

    sets = places_of(rolls) | {"train": rolls.of("train"), "validation": rolls.of("validation")}
    rows = {name: _features(rolls, places) for name, places in sets.items()}
    labels = {name: rolls.pieces["label"][places].astype(np.int64) for name, places in sets.items()}
    middle, spread = np.nanmedian(rows["train"], axis=0), np.maximum(np.nanstd(rows["train"], axis=0), 1e-6)
    scaled = {name: np.clip((np.where(np.isnan(table), middle, table) - middle) / spread, -5, 5) for name, table in rows.items()}
    found = []
    for penalty in PENALTIES:
        model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=500).fit(scaled["train"], labels["train"])
        loss = classification(model.predict_proba(scaled["validation"]), labels["validation"], rolls.classes).log_loss
        found.append((loss, penalty, model))
    _, penalty, model = min(found, key=lambda one: one[0])
    told = {name: classification(model.predict_proba(scaled[name]), labels[name], rolls.classes).as_dict() for name in NAMES}
    return {"penalty": penalty, "features": scaled["train"].shape[1], "pieces": told}


def _features(rolls: Rolls, places: NDArray[np.int64]) -> NDArray[np.float64]:
    """(P, F) of pieces as they are in the shards: one piano."""
    alone = (1.0, *[0.0] * (len(GROUPS) - 1))
    out = []
    for place in places:
        notes, lines = rolls.notes(int(place)), rolls.lines(int(place)).astype(np.int64)
        columns = [notes[name].astype(np.int64) for name in ("start", "end", "pitch")]
        out.append(midi_features.measure(Grid(*columns, lines, alone, 0.0)))
    return np.array(out, np.float64)


def card(report: dict[str, Any], test: Classification) -> str:
    """Markdown for the card."""
    head = ("measured on", "rows", "accuracy", "balanced", "always the most frequent", "log loss, nats", "calibration error")
    rows = [
        (
            f"{NAMES[name]}, {what}",
            one["n"],
            *(f"{one[key]:.3f}" for key in ("accuracy", "balanced_accuracy", "baseline", "log_loss", "calibration_error")),
        )
        for what in ("pieces", "windows")
        for name, one in report[what].items()
    ]
    if "plain" in report:
        rows += [
            (f"regression on {report['plain']['features']} features: {NAMES[name]}", one["n"],
             *(f"{one[key]:.3f}" for key in ("accuracy", "balanced_accuracy", "baseline", "log_loss", "calibration_error")))
            for name, one in report["plain"]["pieces"].items()
        ]  # fmt: skip
    lines = [head, ("---",) * len(head), *rows]
    table = "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
    return (
        "## On artists that it never heard\n\n"
        "Genres are those of a collection's artists, not of its pieces, and many pieces would fit several: nobody can reach 1. "
        f"Chance is {1 / len(report['classes']):.3f} balanced. Training saw one half of the artists; genre-midi saw the other.\n\n"
        f"{table}\n\nTest artists, by piece:\n\n{test.markdown()}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
