"""The sections of docs/reference/figures.md about genres told by classifiers: see `_page.py`, which puts them on the page."""

from __future__ import annotations

from typing import Any

import _texts

KEYS = ("accuracy", "balanced_accuracy", "baseline", "log_loss", "calibration_error")
SETS = {"test": "test artists", "test, mixed collections": "... without POP909, piano-midi.de", "other half": "the other half's artists"}
NOISE_FLOOR = "as it is"


def judge(found: dict[str, Any]) -> str:
    """The genre judge on artists that it never heard."""
    sides = [(f"genre-judge, {what}", found[what]) for what in ("pieces", "windows")]
    if "plain" in found:
        sides.append((f"regression on {found['plain']['features']} features, pieces", found["plain"]["pieces"]))
    rows = [(who, SETS[name], one["n"], *(f"{one[key]:.3f}" for key in KEYS)) for who, told in sides for name, one in told.items()]
    head = ("who", "artists", "rows", "accuracy", "balanced", "always the most frequent", "log loss, nats", "calibration error")
    confusion = [(name, *row) for name, row in found["confusion"].items()]
    return (
        "## The genre judge\n\n`python benchmarks/genre_judge.py SHARDS --plain`; genres are those of a collection's artists. Chance is "
        f"{1 / len(found['classes']):.3f} balanced.\n\n{_texts.table(head, rows)}\n"
        "Confusions on test artists, by piece; rows: what it is, columns: what it is taken for.\n\n"
        + _texts.table(("", *found["confusion"]), confusion)
    )


def recognition(found: dict[str, Any]) -> str:
    """How often composed pieces are recognised, next to real ones."""
    out = (
        f"## Genres recognised\n\n`python benchmarks/genre_recognition.py --real FOLDER --pool genre-small=FOLDER --compose 10`; "
        f"{found['bars']} bars of each piece. Shares: the likeliest of the four genres. Right: it is the one asked for, chance 0.25. "
        "95 % intervals over pieces, which say nothing where all are alike. `genre-midi` ranks; `genre-judge` learned from other "
        "artists and never does.\n"
    )
    four = found["four"]
    for name, unsorted in found["classifiers"].items():
        musics = list(dict.fromkeys(line["music"] for line in unsorted))
        rows = sorted(unsorted, key=lambda line: (musics.index(line["music"]), (*four, "").index(line["genre"])))
        lines = [
            (line["music"], line["genre"] or "-", line["n"], *(f"{line['argmax'][genre]:.0%}" for genre in four),
             _texts.interval(line["recognised"], 2), _texts.interval(line["probability"], 2))
            for line in rows
        ]  # fmt: skip
        head = ("music", "genre", "pieces", *four, "right", "its probability among the four")
        out += f"\n`{name}`:\n\n{_texts.table(head, lines)}"
        classes = list(rows[0]["mean"])
        lines = [(line["music"], line["genre"] or "-", *(_texts.interval(line["mean"][one], 2) for one in classes)) for line in rows]
        out += f"\nMean probabilities of all {len(classes)} genres:\n\n{_texts.table(('music', 'genre', *classes), lines)}"
    return out


def distances(found: dict[str, Any]) -> str:
    """Whether the embedding orders sets of pieces sensibly."""
    one, other = found["sizes"]
    rows = [
        (
            f"{name} (the noise floor)" if name == NOISE_FLOOR else name,
            _texts.interval(told["judge"], 2),
            _texts.interval(told["features"], 1),
        )
        for name, told in found["distances"].items()
    ]
    return (
        "## Distances in the judge's embedding\n\n`python benchmarks/embedding_distances.py FOLDER`; "
        f"{found['bars']} bars of held-out pieces. "
        f"Fréchet distance of half A ({one} pieces) to half B ({other}), with what was done to half B. 95 % intervals over pieces.\n\n"
        + _texts.table(("half B", "genre-judge", "features of `midi_features`, standardised"), rows)
    )


SECTIONS = {"genre_judge": judge, "genre_recognition": recognition, "embedding_distances": distances}
