"""Who starts the workers, starts those again that died, and cleans up: a thread in the server.

Takes a studio and a number of workers; each is a process of its own that holds on to our pipe, so that it notices when we are gone. The
state of jobs is not kept here: a server that is killed loses nothing.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle import interrupts
from kapelle.errors import KapelleError

if TYPE_CHECKING:
    from kapelle.web.studio import Studio

_log = logging.getLogger("kapelle.web")

LOOK_S = 0.1
REQUEUE_S = 0.5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""A worker that died begins again after a pause, which doubles while it dies young."""

YOUNG_S = 60.0
CLEAN_S = 60.0
LEAVE_S = 10.0
"""A worker that is asked to give its job back gets so long."""


@dataclass
class _Place:
    """A place for a worker."""

    process: subprocess.Popen[bytes] | None = None
    begun: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    again_at: float = 0.0


class Supervisor:
    """The workers of a studio.

    Args:
        studio: Whose jobs they do.
        processes: How many.
    """

    def __init__(self, studio: Studio, processes: int = 1) -> None:
        self.studio = studio
        self._places = [_Place() for _ in range(processes)]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start the workers, and watch over them from now on."""
        for place in self._places:
            self._begin(place)
        self._thread.start()

    def n_alive(self) -> int:
        """Workers that run."""
        return sum(place.process is not None and place.process.poll() is None for place in self._places)

    def pids(self) -> list[int]:
        """Their process ids."""
        return [place.process.pid for place in self._places if place.process is not None and place.process.poll() is None]

    def stop(self, wait_s: float = 5.0) -> None:
        """End the workers: those that are done with their jobs within `wait_s` end them, the others give them back to the queue."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        processes = [place.process for place in self._places if place.process is not None]
        for process in processes:
            with suppress(OSError):
                process.stdin.close()  # type: ignore[union-attr]
        _wait(processes, wait_s)
        for process in processes:
            if process.poll() is None:
                process.terminate()
        _wait(processes, LEAVE_S)
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()

    def _watch(self) -> None:
        looked = cleaned = 0.0
        trouble = ""
        while not self._stop.wait(LOOK_S):
            now = time.monotonic()
            for place in self._places:
                self._look_after(place, now)
            if now - looked < REQUEUE_S:
                continue
            looked = now
            try:
                self.studio.jobs.requeue_dead(self.studio.is_alive)
                if now - cleaned > CLEAN_S:
                    cleaned = now
                    self.studio.purge()
                trouble = ""
            except Exception as error:  # whatever it is, the workers must be looked after
                if str(error) != trouble:  # once: a full disk stays full for long
                    _log.warning("%s", error, exc_info=None if isinstance(error, KapelleError) else error)
                trouble = str(error)

    def _look_after(self, place: _Place, now: float) -> None:
        if place.process is not None and place.process.poll() is not None:
            died_young = now - place.begun < YOUNG_S
            place.pause_s = min(2 * place.pause_s, LONGEST_PAUSE_S) if died_young else FIRST_PAUSE_S
            place.again_at = now + (place.pause_s if died_young else 0.0)
            _log.warning("a worker ended with %s; another begins in %.1f s", place.process.returncode, place.again_at - now)
            if place.process.stdin is not None:
                place.process.stdin.close()
            place.process = None
        if place.process is None and now >= place.again_at:
            self._begin(place)

    def _begin(self, place: _Place) -> None:
        place.begun = time.monotonic()
        try:
            with interrupts.held_back():
                place.process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "kapelle.web.worker", str(self.studio.folder.path), "--of", str(len(self._places))],
                    stdin=subprocess.PIPE,
                    env=_environment(len(self._places)),
                )
        except OSError as error:  # no memory or no processes left; later, perhaps
            _log.warning("no worker could be started: %s", error)
            place.again_at = place.begun + LONGEST_PAUSE_S


def _environment(processes: int) -> dict[str, str]:
    """The environment of a worker: this Kapelle, and linear algebra on one thread where there are several workers."""
    here = str(Path(__file__).parents[2])
    paths = [here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1") if processes > 1 else {}
    return {**threads, **os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def _wait(processes: list[subprocess.Popen[bytes]], seconds: float) -> None:
    until = time.monotonic() + seconds
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, until - time.monotonic()))
