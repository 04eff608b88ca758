"""The section of docs/reference/figures.md about the sizes of published sound models: see `_page.py`, which puts it on the page."""

from __future__ import annotations

from typing import Any

import _texts


def sizes(found: dict[str, Any]) -> str:
    """How many numbers models and their parts have."""
    rows = [(name, f"{n / 1e6:,.1f}") for name, n in {**found["models"], **found["parts"]}.items()]
    return (
        "## Sizes of text-to-audio models\n\n`python benchmarks/sound_models.py`; millions of numbers to load, counted in the published "
        "configurations without their weights; of AudioLDM2, a quarter of the bytes of its published safetensors.\n\n"
        + _texts.table(("model or part", "millions"), rows)
    )


SECTIONS = {"sound_models": sizes}
