"""Ctrl-C while processes are started: they are born deaf to it, so that none dies of it before it can look after itself.

A terminal sends Ctrl-C to every process of a command. A worker that is still importing would end with a traceback; what to do about
Ctrl-C is its master's business alone. Windows has no signal masks; there nothing is held back.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_back() -> Iterator[None]:
    """Inside, this thread is deaf to Ctrl-C until the end, and processes that it starts are for good; other threads may still hear it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
