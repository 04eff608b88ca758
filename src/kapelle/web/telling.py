"""What a worker tells of its job: events in portions, so that a note costs no transaction, and the answer whether to go on.

Takes the events of one job, gives them to `Jobs`. The worker asks `cancelled` all the time; the database is asked ten times a second.
`message` says how an event of composing is told, here and by the server that keeps no jobs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kapelle.composing.events import BarDone, NotesAdded, Restarted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kapelle.composing.events import Note
    from kapelle.web.jobs import Jobs

Message = tuple[str, dict[str, Any]]
"""Name and data of an event, as ``GET /api/jobs/{id}/events`` tells them."""

PORTION_S = 0.04
"""Events wait so long for others, at most while the worker is asked whether to go on."""

ASK_S = 0.1
"""So seldom the database is asked whether the job is cancelled."""

AT_ONCE = ("sound", "piece", "restarted", "bar")
"""What nobody should wait for."""


def message(event: NotesAdded | BarDone | Restarted, number: int) -> Message:
    """What happened to the piece `number`, with times rounded to a tenth of a millisecond."""
    if isinstance(event, NotesAdded):
        return "notes", {"number": number, "notes": _rows(event.notes)}
    if isinstance(event, BarDone):
        return "bar", {"number": number, "bar": event.bar, "n_bars": event.n_bars, "end_s": round(event.end_s, 4)}
    return "restarted", {"number": number, "attempt": event.attempt, "reasons": list(event.reasons)}


def _rows(notes: Sequence[Note]) -> list[list[float]]:
    return [[round(n.start_s, 4), round(n.duration_s, 4), n.pitch, n.velocity, n.program, n.bar] for n in notes]


class Teller:
    """The voice of a job.

    Args:
        jobs: Where it is heard.
        job: Id of the job.
        worker: Id of the worker.
        leaving: Whether the worker is to give the job back.
    """

    def __init__(self, jobs: Jobs, job: str, worker: str, leaving: Callable[[], bool] = lambda: False) -> None:
        self.jobs, self.job, self.worker, self.leaving = jobs, job, worker, leaving
        self.lost = False
        """The job is not this worker's any more."""
        self.unwanted = False
        """The job was cancelled."""
        self._waiting: list[Message] = []
        self._progress = 0.0
        self._begun = self._told = self._asked = time.monotonic()

    def tell(self, name: str, data: Mapping[str, Any]) -> None:
        """Note an event."""
        self._waiting.append((name, dict(data)))
        if name in AT_ONCE or time.monotonic() - self._told >= PORTION_S:
            self.flush()

    def notes(self, number: int, notes: Sequence[Note]) -> None:
        """Note notes of the piece `number`: those that wait together become one event."""
        rows = _rows(notes)
        if self._waiting and self._waiting[-1][0] == "notes" and self._waiting[-1][1]["number"] == number:
            self._waiting[-1][1]["notes"] += rows
            if time.monotonic() - self._told >= PORTION_S:
                self.flush()
        else:
            self.tell("notes", {"number": number, "notes": rows})

    def progress(self, done: float) -> None:
        """Note how much is done, 0 to 1; it never goes back."""
        done = min(1.0, max(0.0, done))
        if done - self._progress < 0.005 and done < 1:
            return
        self._progress = done
        left = (time.monotonic() - self._begun) * (1 - done) / done
        self._waiting.append(("progress", {"done": round(done, 4), "left_s": round(left, 1)}))
        if time.monotonic() - self._told >= PORTION_S:
            self.flush()

    def flush(self) -> None:
        """Have all heard that waits."""
        if self._waiting and not self.lost:
            answer = self.jobs.tell(self.job, self.worker, self._waiting, self._progress)
            self.lost, self.unwanted = answer is None, bool(answer)
            self._told = self._asked = time.monotonic()
        self._waiting = []

    def cancelled(self) -> bool:
        """Whether the work is to end: the job is cancelled or lost, or the worker leaves."""
        now = time.monotonic()
        if self._waiting and now - self._told >= PORTION_S:
            self.flush()
        if now - self._asked >= ASK_S and not (self.lost or self.unwanted):
            self.unwanted = self.jobs.is_cancelled(self.job, self.worker)
            self._asked = now
        return self.lost or self.unwanted or self.leaving()
