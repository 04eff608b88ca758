"""News of jobs for whoever listens: one question to the database for all of them, many times a second, and none while nobody listens.

Takes the jobs of a studio; gives to each listener the events of one job, in order, from any number on. A listener holds no queue: it holds
the number of the last event that it was given. What is new lies in one short list per job; who was too slow for that reads the database.
So the memory of a server does not depend on how slowly a browser reads. It runs on one event loop and asks in threads.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kapelle.web import errors
from kapelle.web.jobs import Event

if TYPE_CHECKING:
    from kapelle.web.jobs import Jobs

_log = logging.getLogger("kapelle.web")

EVERY_S = 0.025
"""Between two questions, while somebody listens."""

TROUBLED_S = 0.5
"""Between two questions, when the last one failed."""

KEPT = 256
"""Events of a job that are held for its listeners."""

AT_ONCE = 1000
"""Events that one question brings."""

EACH = 32
"""Listeners of one job: so many tabs nobody has, and everything that happens is told to each of them."""

LAST = frozenset({"done", "failed", "cancelled"})
"""After these comes no event of a job."""


@dataclass
class _Channel:
    """The newest events of a job that somebody listens to.

    `floor`: every event of the job with a greater number is in `events`.
    """

    floor: int
    events: deque[Event] = field(default_factory=deque)
    listeners: set[asyncio.Event] = field(default_factory=set)

    def add(self, event: Event) -> None:
        self.events.append(event)
        if len(self.events) > KEPT:
            self.floor = self.events.popleft().number
        for news in self.listeners:
            news.set()


class Feed:
    """Tells listeners what happens to jobs.

    Args:
        jobs: Where events are.
        most: Listeners at a time.
    """

    def __init__(self, jobs: Jobs, most: int = 512) -> None:
        self.jobs, self.most = jobs, most
        self.n_listeners = 0
        self._seats: Counter[str] = Counter()
        self._channels: dict[str, _Channel] = {}
        self._number = 0
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    @contextmanager
    def seat(self, job: str) -> Iterator[None]:
        """A place for one who listens to a job, which is free again afterwards.

        Raises:
            Refused: 503, all are taken.
        """
        if self._closed or self.n_listeners >= self.most or self._seats[job] >= EACH:
            raise errors.busy(5.0)
        self.n_listeners += 1
        self._seats[job] += 1
        try:
            yield
        finally:
            self.n_listeners -= 1
            self._seats[job] -= 1
            if not self._seats[job]:
                del self._seats[job]

    async def follow(self, job: str, after: int = 0) -> AsyncIterator[Event]:
        """The events of a job after the one with a number, for who has a seat; ends after the last one, or when the feed is closed."""
        news = asyncio.Event()
        try:
            channel = await self._listen(job, news)
            while not self._closed:
                news.clear()
                found = await self._since(channel, job, after)
                for event in found:
                    yield event
                    after = event.number
                    if event.name in LAST:
                        return
                if not found and (last := await asyncio.to_thread(self._ended, job, after)):
                    yield last
                    return
                if after >= channel.floor:
                    await news.wait()
        finally:
            self._leave(job, news)

    async def close(self) -> None:
        """Let every listener go."""
        self._closed = True
        for channel in self._channels.values():
            for news in channel.listeners:
                news.set()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _listen(self, job: str, news: asyncio.Event) -> _Channel:
        if self._task is None or self._task.done():
            number = await asyncio.to_thread(self.jobs.last_event)
            if self._task is None or self._task.done():  # nobody else was faster
                self._number = number
                self._task = asyncio.create_task(self._poll())
        channel = self._channels.setdefault(job, _Channel(self._number))
        channel.listeners.add(news)
        return channel

    def _leave(self, job: str, news: asyncio.Event) -> None:
        channel = self._channels.get(job)
        if channel is not None:
            channel.listeners.discard(news)
            if not channel.listeners:
                del self._channels[job]

    async def _since(self, channel: _Channel, job: str, after: int) -> list[Event]:
        """Events after a number: from the list if it reaches back so far, else from the database."""
        if after >= channel.floor:
            return [event for event in channel.events if event.number > after]
        before = channel.floor
        found = await asyncio.to_thread(self.jobs.events_after, after, job, AT_ONCE)
        if not found and channel.floor == before:
            channel.floor = after  # there is nothing between: the list is complete from here on
        return found

    def _ended(self, job: str, after: int) -> Event | None:
        """The last event of a job that is over, all of whose events were told or have been deleted."""
        held = self.jobs.get(job)
        if not held.ended or self.jobs.events_after(after, job, 1):
            return None
        ends: dict[str, dict[str, Any]] = {
            "done": {"pieces": list(held.pieces), "result": held.result}, "failed": {"error": held.error},
        }  # fmt: skip
        data = ends.get(held.state, {})
        return Event(after, job, held.state, data)

    async def _poll(self) -> None:
        """Ask for news until nobody listens."""
        while self._channels and not self._closed:
            wait = EVERY_S
            try:
                found = await asyncio.to_thread(self.jobs.events_after, self._number, None, AT_ONCE)
            except Exception as error:  # whoever listens must not wait for ever because of one bad moment
                _log.warning("the studio's news cannot be read: %s", error)
                found, wait = [], TROUBLED_S
            for event in found:
                self._number = event.number
                channel = self._channels.get(event.job)
                if channel is not None:
                    channel.add(event)
            if len(found) < AT_ONCE:
                await asyncio.sleep(wait)
