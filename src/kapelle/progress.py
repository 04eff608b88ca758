"""What long work is given so that it tells how far it is, and can be stopped; and what stands for nobody who listens.

Work takes a `Report` and calls it as it goes on, and asks ``cancelled()`` between its steps: when that is true it raises `Interrupted`.
Nothing is drawn here: that is the business of whoever asked for the work.
"""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[int, int], None]
"""Called with (done, in all)."""


def quiet(done: int, total: int) -> None:
    """No progress shown."""


def never() -> bool:
    """Nobody stops this."""
    return False
