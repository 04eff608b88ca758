"""Why everything was one genre in the thesis: a classifier that learned from raw features is asked scaled ones.

    python benchmarks/thesis_scaler.py FEATURES_30_SEC.csv [--json FILE]

The same forest, grown on the raw features of GTZAN (70 of 100 rows, seed 42), answers the held-out rows twice: as they are, and scaled to
0..1 as the thesis' program scaled them before asking. Needs catboost and scikit-learn.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np

TREES = 400


def main(arguments: list[str] | None = None) -> int:
    from catboost import CatBoostClassifier
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import MinMaxScaler

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--json", type=Path, default=None, help="where to write the result")
    given = parser.parse_args(arguments)
    with given.table.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    names = [name for name in table[0] if name not in ("filename", "label", "length")]
    rows = np.array([[float(row[name]) for name in names] for row in table])
    labels = np.array([row["label"] for row in table])
    train, test, known, truth = train_test_split(rows, labels, test_size=0.3, random_state=42)
    forest = CatBoostClassifier(iterations=TREES, depth=6, random_seed=20220512, verbose=False, allow_writing_files=False, thread_count=2)
    forest.fit(train, known)
    report = {"n": len(truth), "trees": TREES, "features": len(names), **_asked(forest, "raw", test, truth),
              **_asked(forest, "scaled", MinMaxScaler().fit(rows).transform(test), truth)}  # fmt: skip
    text = json.dumps(report, indent=1) + "\n"
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(text, encoding="utf-8")
    print(text, end="")
    return 0


def _asked(forest: object, name: str, rows: np.ndarray, truth: np.ndarray) -> dict[str, object]:
    """How often the forest is right about some rows, and what it says of them."""
    said = forest.predict(rows).ravel()  # type: ignore[attr-defined]
    mean = forest.predict_proba(rows).mean(axis=0)  # type: ignore[attr-defined]
    return {
        f"{name}_accuracy": float((said == truth).mean()),
        f"{name}_said": dict(Counter(said.tolist()).most_common()),
        f"{name}_mean_probabilities": {label: round(float(value), 3) for label, value in zip(forest.classes_, mean, strict=True)},  # type: ignore[attr-defined]
    }


if __name__ == "__main__":
    raise SystemExit(main())
