"""The section of docs/reference/figures.md about MIDI ports: see `_page.py`, which puts it on the page."""

from __future__ import annotations

from typing import Any

import _texts

COLUMNS = ("what is sent", "messages", "median", "95 % at most", "99 % at most", "latest")


def jitter(found: dict[str, Any]) -> str:
    """How late messages left, ours and mido's."""
    rows = [
        (name, f"{row['messages']:,}", *(f"{row[key]:.2f}" for key in ("median", "p95", "p99", "latest")))
        for name, row in found["late_ms"].items()
    ]
    return (
        f"## How late notes leave for a MIDI port\n\n`python benchmarks/live_jitter.py`; milliseconds, {found['rounds']} rounds of "
        f"{found['seconds']} s, a port in memory; load of the machine {found['load']:.1f}. Goal: 99 % of a file at most "
        f"{found['goal_ms']:g} ms late. mido's 99th percentile is {found['ratio']:.1f} times ours.\n\n{_texts.table(COLUMNS, rows)}"
    )


SECTIONS = {"live_jitter": jitter}
