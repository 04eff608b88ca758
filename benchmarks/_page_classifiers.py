"""The sections of docs/reference/figures.md about trees that hear MIDI: see `_page.py`, which puts them on the page."""

from __future__ import annotations

from typing import Any

import _texts

KEYS = ("balanced_accuracy", "baseline", "log_loss", "calibration_error")
HEAD = ("what", "artists", "pieces", "right (95 %)", "balanced", "always the most frequent", "log loss, nats", "calibration error",
        "excerpts right")  # fmt: skip


def trees(found: dict[str, Any]) -> str:
    """genre-midi and human-or-generated on what they never saw."""
    genres, origin = found["genres"], found["origin"]
    confusion = [(name, *row) for name, row in genres["confusion"].items()]
    pools = [(name, one["n"], _texts.interval(one["found"])) for name, one in origin["pools"].items()]
    single = [(row["feature"], *(f"{row[key]:.2f}" for key in ("human", "generated", "area"))) for row in origin["single"]]
    chance = 1 / len(genres["classes"])
    return (
        "## Trees that hear MIDI\n\n`python benchmarks/genre_midi.py --genres TABLE --origin TABLE --pool FOLDER`; pieces: the mean "
        "of their excerpts. Mixed collections: without POP909 and piano-midi.de. Four genres: the probabilities of the others left out. "
        f"Intervals over artists. `genre-midi`, chance {chance:.3f} balanced; it warns of {genres['warned']:.1%} of these pieces that "
        f"they are unlike its training music:\n\n{_texts.table(HEAD, _rows(genres))}\n"
        "Confusions by piece; rows: what it is, columns: what it is taken for.\n\n"
        f"{_texts.table(('', *genres['confusion']), confusion)}\n"
        f"`human-or-generated`:\n\n{_texts.table(HEAD, _rows(origin))}\n"
        "Pieces of genre-small of seeds that it never saw, taken for composed:\n\n"
        f"{_texts.table(('folder', 'pieces', 'found (95 %)'), pools)}\n"
        "What one feature alone tells (area: how often the composed one of two pieces has more of it, 0.5 is chance), medians, without "
        f"POP909:\n\n{_texts.table(('feature', 'human', 'composed', 'area'), single)}"
    )


def _rows(told: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (name, one["artists"], one["pieces"]["n"], _texts.interval(one["pieces"]["interval"]),
         *(f"{one['pieces'][key]:.3f}" for key in KEYS),
         f"{one['excerpts']['accuracy']:.3f}")
        for name, one in told["sets"].items()
    ]  # fmt: skip


SECTIONS = {"genre_midi": trees}
