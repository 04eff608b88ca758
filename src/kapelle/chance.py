"""Python's global random state, kept as it was where a library draws from it: whoever seeded it is to find his own numbers there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept() -> Iterator[None]:
    """Inside, libraries may draw from Python's global random state; afterwards it is as before. To be short, and never over a yield."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)
