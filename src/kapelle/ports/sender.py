"""Messages sent on time: a queue by the clock, which measures how late it was and leaves silence behind.

Takes a port and messages with the times at which they are to leave; sends them. Times are absolute on a clock that only runs forward,
so that no delay adds up: a message that was late makes no later one late. Whatever ends it, Ctrl-C and errors included, notes that sound
are ended, pedals go up and controllers back. It knows no score and no tempo.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

from kapelle.errors import Missing
from kapelle.interrupts import held_back
from kapelle.ports import messages
from kapelle.ports.port import Port

_LONGEST_SLEEP_S = 0.25
"""Windows looks for Ctrl-C between sleeps."""


STALL_S = 1.0
"""A message that is later than this was held up by a process that stood still (Ctrl-Z, a lid that was closed): the music goes on where
it was, and does not hurry after the clock."""


class Timer(Protocol):
    """A clock that can be waited on."""

    def now(self) -> float:
        """Seconds since some moment; never runs back."""

    def wait(self, until_s: float) -> None:
        """Come back when the clock shows so much, or at once if it does already."""


class SystemTimer:
    """The clock of the machine."""

    def now(self) -> float:
        """Seconds of the finest clock that only runs forward."""
        return time.perf_counter()

    def wait(self, until_s: float) -> None:
        """Sleep until then."""
        while (left := until_s - time.perf_counter()) > 0:
            time.sleep(min(left, _LONGEST_SLEEP_S))


@dataclass(frozen=True)
class Lateness:
    """How late messages left, in seconds; all 0 if none did.

    Args:
        median_s: Half of them were no later.
        p99_s: All but one in a hundred were no later.
        latest_s: None was later.
    """

    median_s: float = 0.0
    p99_s: float = 0.0
    latest_s: float = 0.0


@dataclass
class Sender:
    """The queue of one port. As a context it silences the port when left.

    Args:
        port: Where to.
        timer: Which clock.

    Attributes:
        n_notes: Notes sent so far.
        n_messages: Messages sent so far.
        lost_s: How long the process stood still: its own clock, `now`, stood still as well.
        late_s: How late each message left that had a time.
    """

    port: Port
    timer: Timer = field(default_factory=SystemTimer)
    n_notes: int = 0
    n_messages: int = 0
    lost_s: float = 0.0
    late_s: list[float] = field(default_factory=list, repr=False)
    _queue: list[tuple[float, int, int, int, bytes]] = field(default_factory=list, repr=False)
    _count: int = 0
    _sounding: Counter[tuple[int, int]] = field(default_factory=Counter, repr=False)
    _channels: set[int] = field(default_factory=set, repr=False)

    def put(self, at_s: float, message: bytes, owner: int = 0) -> None:
        """Have a message sent at a time of the clock.

        Args:
            at_s: When; what is past already leaves as soon as can be.
            message: The bytes.
            owner: Whose it is, for `drop`.
        """
        self._count += 1
        heapq.heappush(self._queue, (at_s, messages.rank(message), self._count, owner, message))

    def put_all(self, zero_s: float, events: Iterable[tuple[float, bytes]], owner: int = 0) -> None:
        """Have many messages sent, whose times count from `zero_s`; those of one time and rank leave in the order given."""
        for at_s, message in events:
            self.put(zero_s + at_s, message, owner)

    def drop(self, owner: int = 0) -> None:
        """Forget what was not sent yet of one owner."""
        self._queue = [entry for entry in self._queue if entry[3] != owner]
        heapq.heapify(self._queue)

    def now(self) -> float:
        """What the clock shows, without the time that was lost."""
        return self.timer.now() - self.lost_s

    def run(self, until_s: float) -> None:
        """Send what is due until the clock shows so much, that moment included; then come back.

        Raises:
            Missing: The port is gone.
        """
        while self._queue and self._queue[0][0] <= until_s:
            at_s, _, _, _, message = self._queue[0]
            self.timer.wait(at_s + self.lost_s)
            if self.now() - at_s > STALL_S:
                self.lost_s += self.now() - at_s
            heapq.heappop(self._queue)
            self._send(message)
            self.late_s.append(max(0.0, self.now() - at_s))
        self.timer.wait(until_s + self.lost_s)

    def send_now(self, these: Iterable[bytes]) -> None:
        """Send messages past the queue."""
        for message in these:
            self._send(message)

    def hush(self) -> None:
        """End every note that sounds, lift pedals, put controllers back; Ctrl-C waits until that is done."""
        with held_back():
            for channel, pitch in [key for key, count in self._sounding.items() if count]:
                self._out(messages.note_off(channel, pitch))
            self._sounding.clear()
            for channel in sorted(self._channels):
                for message in messages.silence(channel):
                    self._out(message)

    def lateness(self) -> Lateness:
        """How late messages left that had a time."""
        late = sorted(self.late_s)
        if not late:
            return Lateness()
        return Lateness(late[len(late) // 2], late[int(0.99 * (len(late) - 1))], late[-1])

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._queue.clear()
        with suppress(Missing):  # a port that is gone is silent, and what went wrong is being told already
            self.hush()

    def _send(self, message: bytes) -> None:
        """Send a message and keep account of what sounds.

        Notes of one pitch may overlap, and a port knows only one of each: the later one is struck anew, and the last end counts.
        """
        kind = message[0] & 0xF0
        if kind < 0xF0:
            self._channels.add(message[0] & 0x0F)
        if kind in (messages.NOTE_ON, messages.NOTE_OFF):
            key = (message[0] & 0x0F, message[1])
            if kind == messages.NOTE_ON and message[2]:
                self._sounding[key] += 1  # before it is sent: whatever comes between, it will be ended
                self.n_notes += 1
                if self._sounding[key] > 1:
                    self._out(messages.note_off(*key))
            elif self._sounding[key] != 1:
                self._sounding[key] = max(0, self._sounding[key] - 1)
                return
            else:
                self._out(message)
                del self._sounding[key]
                return
        self._out(message)

    def _out(self, message: bytes) -> None:
        self.port.send(message)
        self.n_messages += 1
