"""Python's global random state, kept as it was where a library draws from it: whoever seeded it is to find his own numbers there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

_TURN = RLock()


@contextmanager
def kept() -> Iterator[None]:
    """Inside, libraries may draw from Python's global random state; afterwards it is as before. To be short, and never over a yield.

    One thread after the other: else one of two could put back what the other had drawn by then.
    """
    with _TURN:
        state = random.getstate()
        try:
            yield
        finally:
            random.setstate(state)
