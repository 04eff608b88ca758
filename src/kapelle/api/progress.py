"""How the verbs tell how far they are."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[int, int], None]
"""Called with (done, in all)."""


def quiet(done: int, total: int) -> None:
    """No progress shown."""
