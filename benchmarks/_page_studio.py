"""The section of docs/reference/figures.md about the first sound of the studio's page."""

from __future__ import annotations

from typing import Any

WORDS = {
    "job": "the server has taken the job",
    "notes": "the first notes are drawn",
    "sound": "the first two seconds are rendered",
    "playing": "they are fetched, decoded and placed on the clock",
    "heard": "the analyser behind the limiter hears them",
    "done": "the whole piece is composed",
}


def first_sound(found: dict[str, Any]) -> str:
    """A row for each step between the click and the music."""
    lines = [("seconds after the click (medians)", ""), ("---", "---")]
    lines += [(words, f"{found['steps_s'][step]:.2f}") for step, words in WORDS.items()]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return (
        f"## From the click to the first sound\n\n`python benchmarks/first_sound.py`; the default model, Chromium {found['chromium']} "
        f"and the server on the same {found['cores']} cores, {found['rounds']} rounds. Median {found['median_s']:.2f} s (goal: below "
        f"{found['goal_s']:g} s), longest {found['longest_s']:.2f} s; {found['first_after_start_s']:.2f} s for the first piece after the "
        f"server's start.\n\n{table}\n"
    )


SECTIONS = {"first_sound": first_sound}
