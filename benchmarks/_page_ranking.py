"""The section of docs/reference/figures.md about choosing the best of many."""

from __future__ import annotations

from typing import Any

LABELS = {
    "overlap": "overlap", "kld": "KLD, nats", "deviation": "mean deviation", "frechet": "Fréchet", "precision": "precision",
    "recall": "recall", "density": "density", "coverage": "coverage", "recognised": "recognised", "probability": "p of genre",
}  # fmt: skip
BETTER_LOW = ("kld", "deviation", "frechet")
DIGITS = {"frechet": 2, "recognised": 2, "probability": 2}


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def _ranking(found: dict[str, Any]) -> str:
    names = list(LABELS)
    first = next(iter(found["test"].values()))
    rows = [("held-out music", *(f"{found['real'][name]:.{DIGITS.get(name, 3)}f}" for name in names))]
    rows.append(("random", *(f"{first[name]['random']:.{DIGITS.get(name, 3)}f}" for name in names)))
    rows += [(method, *(_told(one[name], name) for name in names)) for method, one in found["test"].items()]
    shown = ("genre", "likelihood", "typical")
    tuned = [
        (*(f"{row['weights'][part]:g}" for part in shown), f"{row['overlap']:.3f}", f"{row['kld']:.3f}", f"{row['deviation']:.3f}",
         f"{row['probability']:.2f}")
        for row in found["tuned"]
    ]  # fmt: skip
    known = [(genre, *(f"{one[name]:.0%}" for name in ("real", "random", "score"))) for genre, one in found["recognised"].items()]
    groups = sum(found["groups"].values())
    return (
        "## Choosing the best of many\n\n`python benchmarks/ranking.py report --pool DIR --real DIR --fit DIR --keep DIR`; genre-small, "
        f"pieces of 16 bars, the best of {found['of']}: {groups} choices for each method, of candidates that had no part in finding the "
        f"weights. Overlap, KLD and deviation (in deviations of real music): means over {len(found['metrics'])} metrics; Fréchet to "
        f"coverage: points of genre-judge; against {found['compared_with']} held-out pieces of pop, jazz and classical, sixty at a time. "
        "Recognised: by genre-judge, all four genres. In brackets: the difference from random choices among the same candidates, with its "
        "95 % interval (jackknife over blocks of seeds); **bold** where it excludes 0 for the better, *slanted* for the worse.\n\n"
        + _table(("chosen by", *LABELS.values()), rows)
        + "\nRecognised by genre-judge, by genre:\n\n"
        + _table(("genre", "held-out music", "random", "score"), known)
        + "\nWeights tried on the other half of the candidates, beside 1 for human and obedience and 0.25 for novelty, against other "
        "music; probability by genre-midi, which ranks. Taken: of those whose overlap is within 0.01 of the best, the one with most "
        "weight on the genre, then the one with fewest parts.\n\n" + _table((*shown, "overlap", "KLD", "deviation", "p of genre"), tuned)
    )


def _told(one: dict[str, float], name: str) -> str:
    digits = DIGITS.get(name, 3)
    gap = f"{one['difference']:+.{digits}f}: {one['low']:+.{digits}f} to {one['high']:+.{digits}f}"
    text = f"{one['chosen']:.{digits}f} ({gap})"
    sign = -1 if name in BETTER_LOW else 1
    if min(sign * one["low"], sign * one["high"]) > 0:
        return f"**{text}**"
    return f"*{text}*" if max(sign * one["low"], sign * one["high"]) < 0 else text


SECTIONS = {"ranking": _ranking}
