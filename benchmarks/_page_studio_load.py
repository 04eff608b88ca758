"""The section of docs/reference/figures.md about the studio under load."""

from __future__ import annotations

from typing import Any


def studio_load(found: dict[str, Any]) -> str:
    """Counts beside their goals, then times as the users saw them."""
    refused = ", ".join(f"{n} x {code}" for code, n in found["answers_to_post"].items() if code != "202") or "none"
    counts = [
        ("jobs accepted", found["accepted"], ""),
        ("jobs lost", found["lost"], f"{found['goals']['lost']}"),
        ("pieces made twice", found["doubled"], "0"),
        ("jobs a minute", f"{found['jobs_a_minute']:g}", ""),
        ("asked to come again, and obeyed", refused, ""),
        ("POST of a job, p95, s", f"{found['post_s']['p95']:.3f}", f"< {found['goals']['post_p95_s']:g}"),
    ]
    told = {
        "post_s": "POST of a job",
        "first_notes_s": "to the first notes, waiting for others' jobs included",
        "first_sound_s": "to the first sound, likewise",
        "done_s": "to the piece",
        "fetch_s": "one fetch: notes, MIDI file, chunk of sound, state",
    }
    times = [(what, found[key]["n"], *(f"{found[key][cut]:.3f}" for cut in ("p50", "p95", "max"))) for key, what in told.items()]
    return (
        f"## The studio under load\n\n`python benchmarks/studio_load.py`; {found['users']} users for {found['seconds']:g} s, who wait for "
        f"nothing but the studio, {found['processes']} composing processes, {found['servers']} that answers; all of them on the same "
        f"{found['cores']} cores. Pieces of 4 to 8 bars by the default model.\n\n"
        + _table(("what", "count", "goal"), counts)
        + "\n"
        + _table(("seconds", "n", "median", "p95", "longest"), times)
    )


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


SECTIONS = {"studio_load": studio_load}
