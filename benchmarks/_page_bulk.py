"""The section of docs/reference/figures.md about many pieces."""

from __future__ import annotations

from typing import Any

COLUMNS = ("model", "engine", "processes", "pieces", "seconds", "pieces a second", "notes a second", "exact in bars", "not degenerate",
           "peak MB of the master", "SHA-256")  # fmt: skip


def bulk(found: dict[str, Any]) -> str:
    """A row for each way of composing many pieces."""
    rows = [[row["model"], row["engine"], row["processes"], row["pieces"], f"{row['seconds']:.0f}", f"{row['pieces_a_second']:.1f}",
             f"{row['notes'] / row['seconds']:.0f}", row["exact"], row["sound"], f"{row['master_mb']:.0f}", row["sha256"][:12]]
            for row in (found["many"], *found["compared"])]  # fmt: skip
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    table = "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
    return (
        f"## Many pieces\n\n`python benchmarks/bulk.py`; pieces of {found['bars']} bars, times by the clock with the start of processes or "
        f"of the cluster. The same SHA-256: the same bytes, whoever composed.\n\n{table}\n"
    )


SECTIONS = {"bulk": bulk}
