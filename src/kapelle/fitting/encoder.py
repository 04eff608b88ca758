"""What `measure` is for an encoder of melodies: fragments are counted; what training says of held-out songs stands in its own figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kapelle.data import fragment_shards
from kapelle.errors import UsageError
from kapelle.fitting.schedule import Amount

if TYPE_CHECKING:
    from pathlib import Path

FEWEST_SONGS = 8
"""Every fragment is told from one of each other song: with fewer that says nothing."""


def amount(data: Path) -> Amount:
    """How much there is to learn from.

    Raises:
        UsageError: Too little.
    """
    shards = fragment_shards.read(data)
    songs = shards.by_song("train")
    if len(songs) < FEWEST_SONGS:
        why = ", ".join(f"{number} {reason}" for reason, number in shards.info.get("dropped", {}).items()) or "0"
        hint = "add songs in 4/4 with a clear melody; left out: {why}"
        raise UsageError(
            "{n} songs are too few to tell melodies apart, which takes {fewest}", n=len(songs), fewest=FEWEST_SONGS, why=why, hint=hint
        )
    return Amount(sum(map(len, songs)), sum(map(len, shards.by_song("validation"))), "fragments")


def music(data: Path) -> dict[str, Any]:
    """How much music shards hold: notes."""
    return {"notes": int(fragment_shards.read(data).info["notes"])}


def held_out(data: Path, run: Path, start: Path | None) -> dict[str, Any]:
    """Nothing beside the figures of the run."""
    return {}
