"""The same work on many things: in this process, in several of this machine, or on the machines of a Ray cluster.

Takes a function of a module (it is sent by its name) and things that can be pickled; gives the results in the order of the things, while
later ones are still being worked on. Who does a piece of work changes nothing about its result: the work draws its random numbers from
seeds of its own. It keeps a bounded number of things under way, so ten thousand cost no more memory than a hundred.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import TYPE_CHECKING, Any, TypeVar

from kapelle import chance, interrupts
from kapelle.errors import KapelleError, Missing, NotEnoughMemory, UnknownName, UsageError

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event as Flag

Thing = TypeVar("Thing")
Result = TypeVar("Result")

ENGINES = ("local", "ray")
UNDER_WAY = 8
"""Things under way for each process, those included whose results wait for an earlier one."""


@dataclass(frozen=True)
class Workers:
    """Who does the work.

    Args:
        processes: Processes of this machine; 1: this one. On a cluster, tasks at a time; 1: as many as it has processors.
        engine: ``local``, or ``ray``: the cluster at $RAY_ADDRESS, or one on this machine where that is unset (extra ``distributed``).
            Every machine of a cluster needs this version of Kapelle, and the bundles that are named.

    Raises:
        UsageError: `processes` is below 1, or there is no such engine.
    """

    processes: int = 1
    engine: str = "local"

    def __post_init__(self) -> None:
        if self.processes < 1:
            raise UsageError("processes must be 1 or more, not {processes}", processes=self.processes)
        if self.engine not in ENGINES:
            raise UnknownName("engine", self.engine, ENGINES)

    def map(
        self, work: Callable[[Thing], Result], things: Sequence[Thing], progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Iterator[Result]:
        """The results, in the order of `things`.

        Args:
            work: A function of a module, or a `functools.partial` of one. It may ask `stopped` now and then.
            things: What it is called with, one after the other.
            progress: Called with (results given, results in all) after each.

        Raises:
            KapelleError: Whatever `work` raises comes through, at the place of its thing.
            NotEnoughMemory: The system ended a process.
            Missing: Ray is asked for and not installed.
        """
        if self.engine == "ray":
            results = _on_ray(work, things, self.processes)
        elif self.processes == 1 or len(things) < 2:
            results = (work(thing) for thing in things)
        else:
            results = _in_processes(work, things, min(self.processes, len(things)))
        for done, result in enumerate(results, 1):
            yield result
            progress(done, len(things))


_asked_to_stop: Callable[[], bool] = bool


def stopped() -> bool:
    """In a worker, or inside `asking`: whether nobody waits for its result any more; elsewhere False."""
    return _asked_to_stop()


@contextmanager
def asking(stop: Callable[[], bool]) -> Iterator[None]:
    """Inside, `stopped` asks `stop`: for a process that does somebody's work by itself, and may be told to leave it."""
    global _asked_to_stop
    before, _asked_to_stop = _asked_to_stop, stop
    try:
        yield
    finally:
        _asked_to_stop = before


def _in_processes(work: Callable[[Any], Any], things: Sequence[Any], processes: int) -> Iterator[Any]:
    context = get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(processes, context, _begin, (stop,))
    under_way: deque[Future[Any]] = deque()
    waiting = iter(things)
    try:
        while True:
            with interrupts.held_back(), _one_thread_each():  # processes begin when something is submitted
                for thing in waiting:
                    under_way.append(pool.submit(work, thing))
                    if len(under_way) >= UNDER_WAY * processes:
                        break
            if not under_way:
                return
            yield under_way.popleft().result()
    except BrokenProcessPool as error:
        raise NotEnoughMemory("the system ended a process that was at work", hint="use fewer processes") from error
    finally:  # also when the caller wants no more
        stop.set()
        pool.shutdown(cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Inside, new processes do linear algebra on one thread: on as many threads as there are processors each would wait for all others."""
    missing = [name for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS") if name not in os.environ]
    os.environ.update(dict.fromkeys(missing, "1"))
    try:
        yield
    finally:
        for name in missing:
            os.environ.pop(name, None)


def _begin(stop: Flag) -> None:
    """In a new process: Ctrl-C is its master's business, who says when to stop."""
    global _asked_to_stop
    _asked_to_stop = stop.is_set
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_master()


def end_with_master() -> None:
    """In a new process: end when the one that began it is gone. One that was killed says nothing, and its workers would wait for ever."""
    master = parent_process()
    if master is None:
        return

    def follow() -> None:
        master.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _on_ray(work: Callable[[Any], Any], things: Sequence[Any], at_a_time: int) -> Iterator[Any]:
    """A task of the cluster for each thing, in order. An error of ours travels as a value, since Ray wraps what is raised.

    They are plain tasks: those of Ray Data leave threads behind when the caller wants no more, which connect anew once Ray is shut down.
    """
    if not things:
        return
    with _cluster(at_a_time) as ray:
        call = ray.remote(_on_a_machine)
        most = at_a_time if at_a_time > 1 else UNDER_WAY * int(ray.cluster_resources().get("CPU", 1))
        under_way: deque[Any] = deque()  # also those whose results wait for an earlier one
        at_work: list[Any] = []
        waiting = iter(things)
        try:
            while True:
                room = min(most - len(at_work), UNDER_WAY * most - len(under_way))
                new = [call.remote(work, thing) for thing in islice(waiting, room)]
                under_way.extend(new)
                at_work.extend(new)
                if not under_way:
                    return
                if at_work:
                    _, at_work = ray.wait(at_work)
                while under_way and under_way[0] not in at_work:
                    result = ray.get(under_way.popleft())
                    if isinstance(result, KapelleError):
                        raise result
                    yield result
        except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError) as error:
            raise NotEnoughMemory("the system ended a process that was at work", hint="use fewer processes") from error
        finally:  # also when the caller wants no more
            for task in at_work:
                ray.cancel(task, force=True)


def _on_a_machine(work: Callable[[Any], Any], thing: Any) -> Any:
    try:
        return work(thing)
    except KapelleError as error:
        return error


@contextmanager
def _cluster(at_a_time: int) -> Iterator[Any]:
    """Ray, connected; a cluster that was begun for this ends with it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    try:
        import ray
    except ImportError as error:
        raise Missing("Ray is not installed", hint='pip install "kapelle[distributed]"') from error
    if ray.is_initialized():
        yield ray
        return
    address = os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"address": address} if address else {"address": "local", "include_dashboard": False}
    if not address and at_a_time > 1:
        options["num_cpus"] = at_a_time
    paths = os.pathsep.join(path for path in sys.path if path)
    options["runtime_env"] = {} if address else {"env_vars": {"PYTHONPATH": paths}}
    try:
        with _unchanged():
            ray.init(**options, log_to_driver=False, logging_level="error")
        yield ray
    finally:
        with chance.kept():
            ray.shutdown()


@contextmanager
def _unchanged() -> Iterator[None]:
    """Inside, Ray begins; afterwards SIGTERM and `breakpoint` do what they did before, and the random state is the caller's."""
    hears, hook = signal.getsignal(signal.SIGTERM), os.environ.get("PYTHONBREAKPOINT")
    with chance.kept():
        try:
            yield
        finally:
            if threading.current_thread() is threading.main_thread() and hears is not None:  # None: not Python's, nor Ray's to take
                signal.signal(signal.SIGTERM, hears)
            os.environ.pop("PYTHONBREAKPOINT", None)
            if hook is not None:
                os.environ["PYTHONBREAKPOINT"] = hook
