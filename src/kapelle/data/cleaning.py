"""Many files read and cleaned, over processes, with a cache that an interrupted run goes on from.

Takes files in order and a `Reading`, which knows what is made of one; gives the results in the same order, in batches. A finished batch
is kept as one file under a hash of its contents, the settings and the versions that decide the result; a damaged one is made again.
Workers end with their parent, however that ends.
"""

from __future__ import annotations

import hashlib
import json
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from kapelle import config, interrupts
from kapelle.data.clean import ALL, CleaningRules, CleanPiece, Rejected, Take, clean
from kapelle.data.storage import put
from kapelle.errors import NotEnoughMemory
from kapelle.score import limits
from kapelle.tokens import remi
from kapelle.workers import end_with_master

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from multiprocessing.synchronize import Event

BATCH = 32
"""Files that are kept together in the cache."""

EDITION = 2
"""Raise it when `clean` gives other results for the same bytes: older cache entries are then not used."""

Result = CleanPiece | Rejected
Work = TypeVar("Work")
Done = TypeVar("Done")
Kept = TypeVar("Kept")
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class File:
    """One MIDI file and what its place says about it.

    Args:
        path: Where it is.
        source: Place of its source in the recipe.
        group: What must not be split: files of one group go to one part.
        composer: Number of its composer token; -1: none.
        take: What is taken of it.
        grid: The same music on the right bars; None: its own are right.
    """

    path: Path
    source: int
    group: str
    composer: int = -1
    take: Take = ALL
    grid: Path | None = None


class Reading(Protocol[Kept]):
    """What is made of a file for one codec. It travels to other processes: a frozen dataclass of a module."""

    arrays: ClassVar[tuple[str, ...]]
    """Names of the arrays of a result."""

    def settings(self, files: Sequence[File]) -> list[Any]:
        """All that decides the results of these files beside their contents, fit for JSON."""

    def read(self, data: bytes, file: File, grid: bytes | None) -> Kept | Rejected:
        """What a file's bytes are, put on the bars of `grid` if given; never raises on any bytes."""

    def taken_apart(self, result: Kept) -> tuple[dict[str, Any], Arrays]:
        """A result as facts fit for JSON, none of them called "reason", and arrays."""

    def put_together(self, facts: Mapping[str, Any], arrays: Arrays) -> Kept:
        """The result of which these are the parts."""


@dataclass(frozen=True)
class RemiReading:
    """Files as pieces in tokens."""

    spec: remi.RemiSpec
    rules: CleaningRules
    arrays: ClassVar[tuple[str, ...]] = ("ids",)

    def settings(self, files: Sequence[File]) -> list[Any]:
        """See `Reading`."""
        takes = [config.plain(file.take) for file in files]
        return [[EDITION, version("symusic")], config.plain(self.spec), config.plain(self.rules), takes]

    def read(self, data: bytes, file: File, grid: bytes | None) -> Result:
        """See `Reading`."""
        return clean(data, self.spec, remi.vocabulary(self.spec), self.rules, file.take, grid)

    def taken_apart(self, result: CleanPiece) -> tuple[dict[str, Any], Arrays]:
        """See `Reading`."""
        table = config.plain(result)
        table.pop("ids")
        return table, {"ids": result.ids.astype(np.uint16)}

    def put_together(self, facts: Mapping[str, Any], arrays: Arrays) -> CleanPiece:
        """See `Reading`."""
        return CleanPiece(**{**facts, "ids": arrays["ids"].astype(np.int64), "instruments": tuple(facts["instruments"])})


@dataclass(frozen=True)
class _Job(Generic[Kept]):
    """One batch for one worker."""

    files: tuple[File, ...]
    reading: Reading[Kept]
    cache: Path


class _GivenUp(Exception):  # the way out of a batch that nobody waits for any more
    pass


_given_up: Event | None = None
"""In a worker: set when the others are to stop."""


def clean_all(
    files: Sequence[File], spec: remi.RemiSpec, rules: CleaningRules, cache: Path, processes: int
) -> Generator[tuple[Sequence[File], list[Result]], None, None]:
    """What `clean` makes of all files, as `read_all` gives it."""
    return read_all(files, RemiReading(spec, rules), cache, processes)


def read_all(
    files: Sequence[File], reading: Reading[Kept], cache: Path, processes: int
) -> Generator[tuple[Sequence[File], list[Kept | Rejected]], None, None]:
    """The results of all files, in batches, in order; closing the iterator ends the workers within one file's time.

    Raises:
        NotEnoughMemory: The system ended a worker.
        StorageError: The cache cannot be written.
    """
    batches = [files[i : i + BATCH] for i in range(0, len(files), BATCH)]
    jobs = [_Job(tuple(batch), reading, cache) for batch in batches]
    cache.mkdir(parents=True, exist_ok=True)
    for leftover in cache.glob(".*.npz"):
        leftover.unlink(missing_ok=True)
    with closing(over_processes(_read_batch, jobs, processes)) as results:
        yield from zip(batches, results, strict=True)


def over_processes(work: Callable[[Work], Done], jobs: Sequence[Work], processes: int) -> Generator[Done, None, None]:
    """What `work`, a function of a module, makes of every job, in order; closing the iterator ends the workers after the job in hand.

    Raises:
        NotEnoughMemory: The system ended a worker.
    """
    if processes <= 1 or len(jobs) == 1:
        yield from map(work, jobs)
        return
    context = get_context("spawn")
    given_up = context.Event()
    pool = ProcessPoolExecutor(min(processes, len(jobs)), mp_context=context, initializer=_begin_worker, initargs=(given_up,))
    try:
        with interrupts.held_back():
            results = pool.map(work, jobs)
        yield from results
    except BrokenProcessPool as error:
        raise NotEnoughMemory("the system ended a process that was reading files", hint="use fewer processes") from error
    finally:
        given_up.set()
        pool.shutdown(cancel_futures=True)


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, SIGTERM raises KeyboardInterrupt as Ctrl-C does."""
    try:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    except ValueError:  # not in the main thread: whoever started us stops us
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _begin_worker(given_up: Event) -> None:
    """Leave Ctrl-C to the parent, and end when it is gone."""
    global _given_up  # a pool has no other way to hand a worker something
    _given_up = given_up
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_master()


def _read_batch(job: _Job[Kept]) -> list[Kept | Rejected]:
    contents = [_content(file.path) for file in job.files]
    grids = [_content(file.grid) if file.grid else None for file in job.files]
    place = job.cache / f"{_key(job, [*contents, *grids])}.npz"
    if (held := _load_batch(place, job.reading, len(contents))) is not None:
        return held
    results: list[Kept | Rejected] = []
    for data, grid, file in zip(contents, grids, job.files, strict=True):
        if _given_up is not None and _given_up.is_set():
            raise _GivenUp
        results.append(Rejected("cannot be opened") if data is None else job.reading.read(data, file, grid))
    put(place, lambda temporary: _save_batch(temporary, job.reading, results))
    return results


def _content(path: Path) -> bytes | None:
    """The bytes of a file, a little over the limit if it is too large to be read; None if it cannot be opened."""
    try:
        with path.open("rb") as file:
            return file.read(limits.DEFAULT.bytes + 1)
    except OSError:
        return None


def _key(job: _Job[Kept], contents: Sequence[bytes | None]) -> str:
    key = hashlib.sha256(json.dumps(job.reading.settings(job.files), sort_keys=True).encode())
    for data in contents:
        key.update(b"absent" if data is None else hashlib.sha256(data).digest())
    return key.hexdigest()[:32]


def _save_batch(place: Path, reading: Reading[Kept], results: Sequence[Kept | Rejected]) -> None:
    facts: list[dict[str, Any]] = []
    arrays: Arrays = {}
    for i, result in enumerate(results):
        table, own = (config.plain(result), {}) if isinstance(result, Rejected) else reading.taken_apart(result)
        facts.append(table)
        arrays |= {f"{name}{i}": array for name, array in own.items()}
    with place.open("wb") as file:
        np.savez(file, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)  # type: ignore[arg-type]


def _load_batch(place: Path, reading: Reading[Kept], n_files: int) -> list[Kept | Rejected] | None:
    """What the cache holds; None if it holds nothing or something damaged."""
    if not place.is_file():
        return None
    try:
        with np.load(place, allow_pickle=False) as held:
            results = [
                Rejected(**fact) if "reason" in fact else reading.put_together(fact, {name: held[f"{name}{i}"] for name in reading.arrays})
                for i, fact in enumerate(json.loads(held["facts"].tobytes()))
            ]
        return results if len(results) == n_files else None
    except Exception:  # zip, zlib, JSON and numpy each have their own way to say it; it is made again in any case
        return None
