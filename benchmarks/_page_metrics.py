"""The sections of docs/reference/figures.md about metrics of a piece: see `_page.py`, which puts them on the page."""

from __future__ import annotations

from typing import Any

import _texts

WORDS = {"structureness": "structureness", "bar_recurrence": "bar recurrence", "compression_ratio": "compression ratio"}


def speed(found: dict[str, Any]) -> str:
    """How long measuring takes."""
    rows = [
        (f"{found['metrics']} metrics of {found['pieces']:,} pieces of {found['bars']} bars", f"{found['measuring_s']:.1f} s"),
        ("... a piece, median", f"{found['median_ms']:.1f} ms"),
        ("... a piece, slowest", f"{found['slowest_ms']:.1f} ms"),
        ("reading the files", f"{found['reading_s']:.1f} s"),
    ]
    if "ratio" in found:
        rows.append((f"seven figures that muspy has too, {found['compared']} pieces, median", f"{found['ours_ms']:.2f} ms"))
        rows.append(("... muspy", f"{found['muspy_ms']:.2f} ms, {found['ratio']:.1f} x"))
    return (
        f"## Speed of metrics\n\n`python benchmarks/metrics_speed.py FOLDER`; CPU seconds of one process. Goal: 1,000 pieces in "
        f"{found['goal_s']:.0f} s on two cores.\n\n" + _texts.table(("what", "CPU time"), rows)
    )


def order(found: dict[str, Any]) -> str:
    """Which metrics hear the order of bars."""
    rows = [
        (
            name,
            one["pieces"],
            WORDS[key],
            _texts.interval(one[key]["music"]),
            _texts.interval(one[key]["shuffled"]),
            f"{one[key]['above']:.2f}",
        )
        for key in WORDS
        for name, one in found["sets"].items()
    ]
    folders = " ".join(f'"{name}=FOLDER"' for name in found["sets"])
    return (
        f"## Do metrics of structure hear order\n\n`python benchmarks/metrics_order.py {folders}`; the first {found['bars']} bars of "
        "pieces drawn from each folder, and the same with the bars of each in another order. Above: how often a piece as it is has "
        "more than one shuffled; 0.5 is chance. 95 % intervals.\n\n"
        + _texts.table(("music", "pieces", "metric", "as it is", "bars shuffled", "above"), rows)
    )


SECTIONS = {"metrics_speed": speed, "metrics_order": order}
