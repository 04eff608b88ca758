"""Ctrl-C while processes are started or something must be finished: it waits, and what is started is born deaf to it.

A terminal sends Ctrl-C to every process of a command. A worker that is still importing would end with a traceback; what to do about
Ctrl-C is its master's business alone. Windows has no signal masks; there processes are started as ever.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_back() -> Iterator[None]:
    """Inside, processes that this thread starts are deaf to Ctrl-C for good; and in the main thread, where Python raises it, it waits.

    The mask alone would keep it from one thread, and the system hands it to another, which lets Python raise it in the main thread.
    """
    with _waiting(), _masked():
        yield


@contextmanager
def _waiting() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):  # ignored, or the system's
        yield
        return
    heard: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if heard:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def _masked() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
