"""What a MIDI port is, and one in memory that remembers what it was sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol


class Port(Protocol):
    """Where messages go."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def virtual(self) -> bool:
        """It was made by this program: nobody hears it until something is connected to it."""

    def send(self, message: bytes) -> None:
        """Send one whole message, now.

        Raises:
            Missing: The port is gone.
        """

    def close(self) -> None:
        """Let it go; more than once does no harm."""


@dataclass
class MemoryPort:
    """A port that leads nowhere: for tests and measurements.

    Args:
        name: What it is called.
        now: The clock by which messages get their times; all at 0 if left out.
        virtual: As in `Port`.
    """

    name: str = "memory"
    now: Callable[[], float] = lambda: 0.0
    virtual: bool = False
    sent: list[tuple[float, bytes]] = field(default_factory=list)
    """Time and bytes of every message."""
    closed: bool = False

    def send(self, message: bytes) -> None:
        """Remember a message and its time."""
        self.sent.append((self.now(), bytes(message)))

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True
