"""Many files through `clean`, over processes, with a cache that an interrupted run goes on from.

Takes files in order, gives their results in the same order, in batches. A finished batch is kept as one file under a hash of its
contents, the settings and the versions that decide the result; a damaged one is made again. Workers end with their parent, however
that ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from kapelle import config, interrupts
from kapelle.data.clean import ALL, CleaningRules, CleanPiece, Rejected, Take, clean
from kapelle.data.storage import put
from kapelle.errors import NotEnoughMemory
from kapelle.score import limits
from kapelle.tokens import remi

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from multiprocessing.synchronize import Event

BATCH = 32
"""Files that are kept together in the cache."""

EDITION = 2
"""Raise it when `clean` gives other results for the same bytes: older cache entries are then not used."""

Result = CleanPiece | Rejected
Work = TypeVar("Work")
Done = TypeVar("Done")


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


@dataclass(frozen=True)
class Job:
    """One batch for one worker."""

    files: tuple[tuple[Path, Take, Path | None], ...]
    spec: remi.RemiSpec
    rules: CleaningRules
    cache: Path


class _GivenUp(Exception):  # the way out of a batch that nobody waits for any more
    pass


_given_up: Event | None = None
"""In a worker: set when the others are to stop."""


def clean_all(
    files: Sequence[File], spec: remi.RemiSpec, rules: CleaningRules, cache: Path, processes: int
) -> Generator[tuple[Sequence[File], list[Result]], None, None]:
    """The results of all files, in batches, in order; closing the iterator ends the workers within one file's time.

    Raises:
        NotEnoughMemory: The system ended a worker.
        StorageError: The cache cannot be written.
    """
    batches = [files[i : i + BATCH] for i in range(0, len(files), BATCH)]
    jobs = [Job(tuple((file.path, file.take, file.grid) for file in batch), spec, rules, cache) for batch in batches]
    cache.mkdir(parents=True, exist_ok=True)
    for leftover in cache.glob(".*.npz"):
        leftover.unlink(missing_ok=True)
    with closing(over_processes(_clean_batch, jobs, processes)) as cleaned:
        yield from zip(batches, cleaned, strict=True)


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
    parent = parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _clean_batch(job: Job) -> list[Result]:
    contents = [_content(path) for path, _, _ in job.files]
    grids = [_content(grid) if grid else None for _, _, grid in job.files]
    place = job.cache / f"{_key(job, [*contents, *grids])}.npz"
    if (held := _load_batch(place, len(contents))) is not None:
        return held
    words = remi.vocabulary(job.spec)
    results: list[Result] = []
    for data, grid, (_, take, _) in zip(contents, grids, job.files, strict=True):
        if _given_up is not None and _given_up.is_set():
            raise _GivenUp
        results.append(Rejected("cannot be opened") if data is None else clean(data, job.spec, words, job.rules, take, grid))
    put(place, lambda temporary: _save_batch(temporary, results))
    return results


def _content(path: Path) -> bytes | None:
    """The bytes of a file, a little over the limit if it is too large to be read; None if it cannot be opened."""
    try:
        with path.open("rb") as file:
            return file.read(limits.DEFAULT.bytes + 1)
    except OSError:
        return None


def _key(job: Job, contents: Sequence[bytes | None]) -> str:
    takes = [config.plain(take) for _, take, _ in job.files]
    versions = [EDITION, version("symusic")]
    key = hashlib.sha256(json.dumps([versions, config.plain(job.spec), config.plain(job.rules), takes], sort_keys=True).encode())
    for data in contents:
        key.update(b"absent" if data is None else hashlib.sha256(data).digest())
    return key.hexdigest()[:32]


def _save_batch(place: Path, results: Sequence[Result]) -> None:
    facts: list[dict[str, Any]] = []
    for result in results:
        table = config.plain(result)
        table.pop("ids", None)
        facts.append(table)
    arrays = {f"ids{i}": result.ids.astype(np.uint16) for i, result in enumerate(results) if isinstance(result, CleanPiece)}
    with place.open("wb") as file:
        np.savez(file, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)  # type: ignore[arg-type]


def _load_batch(place: Path, n_files: int) -> list[Result] | None:
    """What the cache holds; None if it holds nothing or something damaged."""
    if not place.is_file():
        return None
    try:
        with np.load(place, allow_pickle=False) as held:
            facts = json.loads(held["facts"].tobytes())
            results: list[Result] = [
                Rejected(**fact)
                if "reason" in fact
                else CleanPiece(**{**fact, "ids": held[f"ids{i}"].astype(np.int64), "instruments": tuple(fact["instruments"])})
                for i, fact in enumerate(facts)
            ]
        return results if len(results) == n_files else None
    except Exception:  # zip, zlib, JSON and numpy each have their own way to say it; it is made again in any case
        return None
