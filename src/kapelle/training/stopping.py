"""When a run should end early: Ctrl-C, SIGTERM, a time limit, in any of its processes.

The first signal only sets a flag: the loop ends its step, saves and leaves. A second Ctrl-C does not wait; what was saved stays.
"""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class LeaveOff(Exception):  # no error: the way out of a step or a validation that can be done again
    """The piece of work in progress is given up; nothing of it has changed the network."""


@dataclass
class Stop:
    """What is known about ending.

    Args:
        max_minutes: The time limit; 0: none.
    """

    max_minutes: float = 0.0
    asked: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def late(self) -> bool:
        """The time limit is over."""
        return 0 < self.max_minutes * 60 < time.monotonic() - self.started

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Inside, Ctrl-C and SIGTERM set `asked`; afterwards they do what they did before."""
        kinds = (signal.SIGINT, signal.SIGTERM)
        try:
            before = [signal.signal(kind, self._hear) for kind in kinds]
        except ValueError:  # not in the main thread: whoever started us stops us
            yield
            return
        try:
            yield
        finally:
            for kind, handler in zip(kinds, before, strict=True):
                signal.signal(kind, handler)
