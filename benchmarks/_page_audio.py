"""The sections of docs/reference/figures.md about trees that hear sound: see `_page.py`, which puts them on the page."""

from __future__ import annotations

from typing import Any

import _texts

HEAD = ("what", "artists", "pieces", "right (95 %)", "balanced", "always the most frequent", "log loss, nats", "calibration error")


def audio(found: dict[str, Any]) -> str:
    """genre-audio on artists, players and instruments that it never met."""
    ways = {name: one for name, one in found["ways"].items() if isinstance(one, dict)}
    confusion = [(name, *row) for name, row in found["confusion"].items()]
    warned = [(*row, f"{one['warned']:.0%}") for row, one in zip(_rows(ways), ways.values(), strict=True)]
    arranged = found.get("arrangements")
    text = (
        "## Trees that hear sound\n\n`python benchmarks/genre_audio.py DATA TABLE --arrangements FOLDER`; one half minute of a piece. "
        "Mixed collections: without POP909 and piano-midi.de. Four genres: the probabilities of the others left out. Intervals over "
        f"artists. {found['training rows']:,} renderings to learn from; chance {1 / len(found['classes']):.3f} balanced; "
        f"{found['ways']['features']} features of half a minute take {found['ways']['cpu_s']:.2f} CPU seconds.\n\n"
        f"{_texts.table(HEAD, _rows(found['sets']))}\n"
        "Confusions; rows: what it is, columns: what it is taken for.\n\n"
        f"{_texts.table(('', *found['confusion']), confusion)}\n"
        "Some of these pieces, played in other ways than the recipe does; the last column: verdicts that come with a warning.\n\n"
        f"{_texts.table((*HEAD, 'warned'), warned)}"
    )
    if arranged:
        row = (*_rows({"arrangements with drums and many tracks": arranged})[0], f"{arranged['warned']:.0%}")
        text += f"\nMusic of another kind than any that it learned from:\n\n{_texts.table((*HEAD, 'warned'), [row])}"
    return text


def gtzan(found: dict[str, Any]) -> str:
    """The trees of GTZAN's table, peers and mistakes."""
    right = [(name, _texts.interval(one)) for name, one in found["right"].items()]
    confusion = [(name, *row, f"{found['recall'][name]:.0%}") for name, row in found["confusion"].items()]
    called = ", ".join(f"{name} {n}" for name, n in found["called when fed scaled rows"].items())
    fresh = found["without the same rows again"]
    rendered = found.get("renderings")
    checked = ""
    if rendered:
        often = ", ".join(f"{name} ({share:.0%})" for name, share in rendered["often outside"].items()) or "none"
        checked = (
            f"\nOf {rendered['files']} renderings of arrangements with drums, the median has "
            f"{rendered['median share of features inside']:.0%} of its features "
            f"where 99 % of the training rows have theirs; inside for fewer than three in four: {often}.\n"
        )
    return (
        f"## GTZAN's feature table\n\n`python benchmarks/gtzan.py CSV`; {found['rows']['train']} rows to learn from, "
        f"{found['rows']['test']} to test, seed 42; always the most frequent class: {found['baseline']:.3f}. "
        f"Fed scaled rows the trees say: {called}.\n\n"
        f"{_texts.table(('who', 'right (95 %)'), right)}\n"
        f"Without test rows that are training rows too, number for number ({fresh['test']} are left), the trees are right in "
        f"{fresh['value']:.3f}. Log loss {found['log_loss']:.3f} nats, calibration error {found['calibration_error']:.3f}.\n\n"
        f"{_texts.table(('', *found['confusion'], 'found'), confusion)}{checked}"
    )


def _rows(sets: dict[str, Any]) -> list[tuple[Any, ...]]:
    keys = ("balanced_accuracy", "baseline", "log_loss", "calibration_error")
    return [
        (name, one["artists"], one["n"], _texts.interval(one["interval"]), *(f"{one[key]:.3f}" for key in keys))
        for name, one in sets.items()
    ]


SECTIONS = {"genre_audio": audio, "gtzan": gtzan}
