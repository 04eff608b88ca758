"""Short work in processes of its own: parsing what came from outside, drawing, rendering. Whoever takes too long is killed.

Takes functions of a module, by name, and arguments that can be pickled; gives their results. A process is replaced when its time is over
or when it dies, so that no file can hold a server. So many wait at most; more are told to come again. Jobs that compose are not done here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import signal
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect

from kapelle import interrupts
from kapelle.errors import NotEnoughMemory, UsageError
from kapelle.web import errors, faults
from kapelle.web.errors import Refused
from kapelle.workers import end_with_master

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_log = logging.getLogger("kapelle.web")

Work = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function of a module and its arguments."""

Gone = Callable[[], Awaitable[bool]]

LIMIT_S = 20.0
START_S = 60.0
"""A process that has not begun by then has failed; a machine may be very busy."""

WAITING = 32
"""Pieces of work that may wait for each process."""

MEMORY = 8 << 30
"""Bytes of address space that a process may have, where the system can limit that."""


class Helpers:
    """Some processes that do short work.

    Args:
        n: How many.
        waiting: Pieces of work that may wait.
        warm: What `start` has every process do first.
        place: For temporary files, which a process that is killed leaves behind; where the system has them if left out.
    """

    def __init__(self, n: int = 2, waiting: int | None = None, warm: Callable[[], object] | None = None, place: Path | None = None) -> None:
        self.n, self.warm, self.place = max(1, n), warm, place
        self.most = self.n * (1 + (WAITING if waiting is None else waiting))
        self.under_way = 0
        self._free: list[_Helper] = []
        self._all: set[_Helper] = set()
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(self.n, "kapelle-quick")
        self._turns = asyncio.Semaphore(self.n)
        self._long_turns = asyncio.Semaphore(max(1, self.n - 1))
        self._closed = False

    async def run(self, function: Callable[..., Any], /, *args: Any, limit_s: float = LIMIT_S, gone: Gone | None = None) -> Any:
        """What `function` returns, done in a helper.

        Args:
            function: A function of a module.
            args: Its arguments.
            limit_s: Seconds that it may take, without waiting for its turn. What may take longer than `LIMIT_S` leaves one process free.
            gone: Tells whether whoever asked has gone away; asked when its turn has come.

        Raises:
            KapelleError: Whatever the function raises, as one of ours.
            Refused: 503, too much waits; 422, it took too long.
            ClientDisconnect: Nobody wants it any more.
        """
        if self._closed or self.under_way >= self.most:
            raise errors.busy(2.0)
        self.under_way += 1
        try:
            async with self._long_turns if limit_s > LIMIT_S else contextlib.nullcontext(), self._turns:
                if gone is not None and (await gone() or await gone()):  # the first look may only find that nothing was sent along
                    raise ClientDisconnect
                return await asyncio.get_running_loop().run_in_executor(self._threads, self._do, (function, args), limit_s)
        finally:
            self.under_way -= 1

    def start(self) -> None:
        """Begin all processes, so that the first work need not wait for one."""
        for helper in [self._taken() for _ in range(self.n)]:
            try:
                if self.warm is not None:
                    helper.do((self.warm, ()), START_S)
            except Exception as error:  # who asks will be told why
                if not self._closed:
                    _log.warning("a helper could not begin: %s", error)
            self._give_back(helper)

    def close(self) -> None:
        """End all processes, whatever they do."""
        self._closed = True
        with self._lock:
            held, self._all = self._all, set()
        for helper in held:
            helper.kill()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _do(self, work: Work, limit_s: float) -> Any:
        helper = self._taken()
        try:
            result = helper.do(work, limit_s)
        except _Lost as lost:
            self._drop(helper)
            if not self._closed:
                _log.warning("a helper is replaced: %s", lost.why)
            raise lost.why from None
        except BaseException:
            self._give_back(helper)
            raise
        self._give_back(helper)
        return result

    def _taken(self) -> _Helper:
        with self._lock:
            while self._free:
                helper = self._free.pop()
                if helper.process.is_alive():
                    return helper
                self._all.discard(helper)
            if self._closed:
                raise errors.busy(2.0)
            helper = _Helper(self.place)
            self._all.add(helper)
            return helper

    def _give_back(self, helper: _Helper) -> None:
        with self._lock:
            if len(self._all) <= self.n:
                self._free.append(helper)
                return
        self._drop(helper)  # work came while all were beginning

    def _drop(self, helper: _Helper) -> None:
        with self._lock:
            self._all.discard(helper)
        helper.kill()


class _Lost(Exception):
    """A helper is of no use any more."""

    def __init__(self, why: Exception) -> None:
        self.why = why


class _Helper:
    """One process, from outside."""

    def __init__(self, place: Path | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, place), daemon=True, name="kapelle-quick")
        if sys.platform != "win32":
            resource_tracker.ensure_running()  # begun by the first process that is started, it would lift what is held back
        with interrupts.held_back():
            self.process.start()
        theirs.close()
        self._ready = False

    def do(self, work: Work, limit_s: float) -> Any:
        """The result of `work`.

        Raises:
            _Lost: The process died or took too long.
        """
        try:
            if not self._ready:
                if not self.pipe.poll(START_S):
                    raise EOFError
                self.pipe.recv()
                self._ready = True
            self.pipe.send(work)
            if not self.pipe.poll(limit_s):
                raise _Lost(_too_long(limit_s))
            good, result = self.pipe.recv()
        except (EOFError, OSError) as error:
            raise _Lost(
                NotEnoughMemory("the system ended a process that was at work", hint="close other programs, or ask for less at once")
            ) from error
        if good:
            return result
        raise result

    def kill(self) -> None:
        """End it now."""
        with contextlib.suppress(Exception):
            self.process.kill()
        self.pipe.close()
        self.process.join(0.5)


def _too_long(limit_s: float) -> Refused:
    return Refused(
        422,
        UsageError("that took longer than {seconds:g} s and was given up", seconds=limit_s, hint="try a shorter piece"),
        kind="TooLong",
    )


# --- inside a helper --------------------------------------------------------------------------------------------------------------


def _serve(pipe: Connection, place: Path | None) -> None:
    """Do what comes through a pipe, until it closes or the server is gone."""
    if place is not None:
        tempfile.tempdir = str(place)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's business
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    logging.getLogger("kapelle").setLevel(logging.ERROR)  # what is odd about a file is told in the answer, not on a terminal
    end_with_master()
    _limit_memory()
    with contextlib.suppress(EOFError, OSError):
        pipe.send("ready")
        while True:
            pipe.send(_outcome(*pipe.recv()))


def _outcome(function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[bool, Any]:
    """Whether it went well; the result, or the error as one of ours."""
    try:
        return True, function(*args)
    except Exception as error:
        return False, faults.ours(error)


def _limit_memory() -> None:
    if sys.platform == "win32":
        return
    import resource

    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
