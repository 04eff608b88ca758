"""A process that does jobs: ``python -m kapelle.web.worker FOLDER``, started by `supervisor`.

It claims a job, does it by `verbs`, and ends it, one after the other. It is alive as long as it holds its lock: killed however, its job
goes back to the queue. When its standard input ends, which is when its parent is gone, it ends its job and then itself. On SIGTERM it gives
its job back and ends. It serves nothing and starts nothing.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from kapelle.errors import Interrupted, KapelleError, StorageError, UnknownName
from kapelle.web.faults import ours
from kapelle.web.folder import new_id
from kapelle.web.jobs import Job
from kapelle.web.locks import Lock
from kapelle.web.studio import Studio, open_studio
from kapelle.web.telling import Teller

_log = logging.getLogger("kapelle.web.worker")

IDLE_S = 0.03
"""So often a worker without a job looks for one."""

LOOK_S = 1.0
"""So often a worker without a job looks for jobs of dead ones."""

AGAIN = "the studio was started again"
"""Why a piece is composed anew."""

ENDING_TRIES = 30
"""So many seconds a job is tried to be ended where the disk is full."""

MODESTY = 5
"""Steps of priority below the server's and a DAW's: however much is composed, the page answers and other sound does not stutter."""


class Worker:
    """A worker.

    Args:
        studio: Whose jobs it does.
        of: Workers of the studio: slow jobs leave one of them free.
    """

    def __init__(self, studio: Studio, of: int = 1) -> None:
        self.id = new_id()
        self.studio = studio
        self.most_slow = max(1, of - 1)
        self.last_job = threading.Event()
        """No job is begun any more."""
        self.leaving = threading.Event()
        """The job is given back."""
        self._lock = Lock(studio.folder.lock(self.id))

    def run(self) -> None:
        """Do jobs until the worker is told to end."""
        looked = 0.0
        try:
            while not self.last_job.is_set():
                try:
                    job = self.studio.jobs.claim(self.id, self.most_slow)
                    if job is None and time.monotonic() - looked > LOOK_S:
                        looked = time.monotonic()
                        self.studio.jobs.requeue_dead(self.studio.is_alive)
                except StorageError as error:  # a full disk may have room again
                    _log.warning("%s", error)
                    self.last_job.wait(1.0)
                    continue
                if job is None:
                    self.last_job.wait(IDLE_S)
                else:
                    self.do(job)
        finally:
            self._lock.release()

    def do(self, job: Job) -> None:
        """Do a job and end it, unless somebody else has it by then."""
        jobs = self.studio.jobs
        teller = Teller(jobs, job.id, self.id, self.leaving.is_set)
        end: Callable[[], bool]
        full = False
        try:
            result = self._result(job, teller)
            end = partial(jobs.finish, job.id, self.id, result)
        except Interrupted as error:
            if teller.unwanted:
                end = partial(jobs.end_cancelled, job.id, self.id)
            elif self.leaving.is_set() or teller.lost:
                end = partial(jobs.release, job.id, self.id)
            else:
                end = partial(jobs.fail, job.id, self.id, error)
        except Exception as error:
            failure = ours(error)
            end = partial(jobs.fail, job.id, self.id, failure)
            full = isinstance(failure, StorageError)
        if full:  # the sounds of a job that failed may take the room that the next one needs
            shutil.rmtree(self.studio.folder.job(job.id), ignore_errors=True)
        self._end(job, end)

    def _result(self, job: Job, teller: Teller) -> dict[str, Any]:
        from kapelle.web.verbs import VERBS, Context

        if job.verb not in VERBS:
            raise UnknownName("verb", job.verb, VERBS)
        self._forget_half_pieces(job, teller)
        context = Context(job.id, self.studio.library, self.studio.folder, teller, job.pieces)
        context.check()
        result = VERBS[job.verb](job.body, context)
        teller.flush()
        return result

    def _forget_half_pieces(self, job: Job, teller: Teller) -> None:
        """Tell that pieces whose notes were told by a worker that died begin anew."""
        rows = self.studio.database.rows(
            "SELECT DISTINCT json_extract(data, '$.number') FROM events WHERE job = ? AND name = 'notes' EXCEPT "
            "SELECT json_extract(data, '$.number') FROM events WHERE job = ? AND name = 'piece'",
            (job.id, job.id),
        )
        for row in rows:
            teller.tell("restarted", {"number": row[0], "attempt": 1, "reasons": [AGAIN]})

    def _end(self, job: Job, end: Callable[[], bool]) -> None:
        """End a job, waiting for room where the disk is full; a worker that cannot goes, and its job back to the queue."""
        for _ in range(ENDING_TRIES):
            try:
                ended = end()
                break
            except StorageError as error:
                _log.warning("%s", error)
                time.sleep(1.0)
        else:
            raise SystemExit(StorageError.exit_code)
        if ended and not self.leaving.is_set():
            with suppress(StorageError):
                self._tidy(job)

    def _tidy(self, job: Job) -> None:
        """Delete what was only there for a job: its uploads, unless another job uses them, and its folder but for the sounds."""
        shutil.rmtree(self.studio.folder.job(job.id) / "evaluate", ignore_errors=True)
        self.studio.drop_used_uploads()


def warm() -> None:
    """Open what the first job will need: the default model, the SoundFont, a tone."""
    from kapelle import api
    from kapelle.composing.events import Note
    from kapelle.render import chunks

    tone = Note(0.0, 0.5, 60, 80, 0, 0)
    chunks.flac(chunks.chunk_of_notes([tone], 0))
    for event in api.compose_events(api.request(length=api.length_of(bars=1), seed=1)):
        del event


def _until_parent_ends(worker: Worker) -> None:
    """Wait for the end of standard input."""
    with suppress(OSError, ValueError):
        while os.read(sys.stdin.fileno(), 4096):
            pass
    worker.last_job.set()


def main(arguments: list[str] | None = None) -> None:
    """Be a worker."""
    parser = argparse.ArgumentParser(prog="python -m kapelle.web.worker", description="Does the jobs of a studio.")
    parser.add_argument("folder", help="the studio's folder")
    parser.add_argument("--of", type=int, default=1, help="workers of the studio")
    parser.add_argument("--alone", action="store_true", help="go on when standard input ends")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="worker: %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's business, who says when to end
    if hasattr(os, "nice"):
        os.nice(MODESTY)
    worker = Worker(open_studio(given.folder), given.of)

    def leave(number: int, frame: Any) -> None:
        worker.leaving.set()
        worker.last_job.set()

    signal.signal(signal.SIGTERM, leave)
    if not given.alone:
        threading.Thread(target=_until_parent_ends, args=(worker,), daemon=True).start()
    try:
        warm()
    except KapelleError as error:  # no default model: others may be there
        _log.warning("%s", error)
    worker.run()


if __name__ == "__main__":
    main()
