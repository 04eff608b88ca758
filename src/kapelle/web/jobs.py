"""Jobs: what was asked and is done by workers, with the events that tell how it goes.

Takes a verb and its body; gives `Job` and `Event`. A job is queued, running, and then done, failed or cancelled: once. Whatever changes a
job is one statement that names the state, and the worker, that it changes from; so none is claimed by two or ends twice, whoever dies
when. It does no work itself.
"""

from __future__ import annotations

import builtins
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kapelle.errors import KapelleError, UsageError
from kapelle.web.database import Database, Row
from kapelle.web.faults import error_table
from kapelle.web.folder import NotFound, known_id, new_id

QUEUED, RUNNING, DONE, FAILED, CANCELLED = STATES = ("queued", "running", "done", "failed", "cancelled")
ENDED = (DONE, FAILED, CANCELLED)

MAX_WAITING = 64
"""Jobs that may wait; more are refused."""

MAX_ATTEMPTS = 2
"""So often a job is begun; if the worker dies each time, it is the job that kills it."""

SLOW = ("rank", "evaluate")
"""Verbs that may hold all workers but one."""

SLOW_COUNT = 4
"""A job of more pieces counts as slow too."""

EVENTS_S = 24 * 3600.0
"""So long the events of a job are kept after its end."""

JOBS_S = 30 * 24 * 3600.0
"""So long a job is kept after its end."""


class QueueFull(KapelleError):
    """As many jobs wait as may wait."""

    status = 503
    retry_after_s = 5


@dataclass(frozen=True)
class Job:
    """A job.

    Args:
        id: Its id.
        verb: What is done.
        body: What was asked, as it was sent.
        state: One of `STATES`.
        created: When it was put, in seconds since 1970; the other times likewise.
        started: When a worker last began with it.
        finished: When it ended.
        key: By which it is not put twice; empty if none was given.
        client: Who put it.
        worker: Who does it or did it.
        attempts: How often it was begun.
        progress: 0 to 1.
        cancel: Whether somebody wants it to end.
        pieces: Ids of the pieces that are ready.
        result: What came out, if it is done.
        error: What went wrong, if it failed: see `kapelle.web.faults.error_table`.
        position: Its place in the queue from 1; 0 if it does not wait.
    """

    id: str
    verb: str
    body: Mapping[str, Any]
    state: str
    created: float
    started: float | None = None
    finished: float | None = None
    key: str = ""
    client: str = ""
    worker: str = ""
    attempts: int = 0
    progress: float = 0.0
    cancel: bool = False
    pieces: tuple[str, ...] = ()
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    position: int = 0

    @property
    def ended(self) -> bool:
        """Whether it is done, failed or cancelled."""
        return self.state in ENDED

    def as_dict(self) -> dict[str, Any]:
        """The job for JSON. `error` is the table of `faults.error_table`: who shows it puts it into the reader's language."""
        names = ("id", "verb", "state", "position", "progress", "created", "started", "finished", "attempts", "result", "error")
        return {name: getattr(self, name) for name in names} | {"pieces": list(self.pieces)}


@dataclass(frozen=True)
class Event:
    """Something that happened to a job.

    Args:
        number: Grows with time over all jobs.
        job: Id of the job.
        name: What happened.
        data: More about it.
    """

    number: int
    job: str
    name: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Jobs:
    """All jobs of a studio.

    Args:
        database: Where they are kept.
        most: Jobs that may wait.
    """

    def __init__(self, database: Database, most: int = MAX_WAITING) -> None:
        self.database = database
        self.most = most

    # --- who asks -----------------------------------------------------------------------------------------------------------------

    def put(self, verb: str, body: Mapping[str, Any], *, key: str = "", client: str = "") -> Job:
        """A new job, waiting; or the one that was put with the same key, verb and body.

        Raises:
            QueueFull: Too many wait.
            UsageError: The key was used for something else.
        """
        text = _json(body)
        with self.database.writing() as connection:
            if key:
                old = connection.execute("SELECT * FROM jobs WHERE key = ?", (key,)).fetchone()
                if old is not None and (old["verb"], old["body"]) == (verb, text):
                    return self._placed(_job(old))
                if old is not None:
                    raise UsageError("the key {key!r} was used for another job", key=key[:80], hint="give every job a key of its own")
            waiting = connection.execute("SELECT count(*) FROM jobs WHERE state = 'queued'").fetchone()[0]
            if waiting >= self.most:
                raise QueueFull("{n} jobs are waiting already", n=waiting, hint="try again in a few seconds")
            row = connection.execute(
                "INSERT INTO jobs (id, verb, body, key, client, slow, created) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING *",
                (new_id(), verb, text, key or None, client, is_slow(verb, body), time.time()),
            ).fetchone()
            _tell(connection, row["id"], "state", {"state": QUEUED, "position": waiting + 1})
        return self._placed(_job(row))

    def get(self, id: str) -> Job:
        """The job.

        Raises:
            NotFound: There is none.
        """
        row = self.database.one("SELECT * FROM jobs WHERE id = ?", (known_id(id),))
        if row is None:
            raise NotFound("there is no job {id!r}", id=id)
        return self._placed(_job(row))

    def list(self, states: Sequence[str] = (), limit: int = 100) -> list[Job]:
        """Jobs in some states (all if none are named), the newest first."""
        marks = ", ".join("?" * len(states))
        where = f"WHERE state IN ({marks})" if states else ""
        rows = self.database.rows(f"SELECT * FROM jobs {where} ORDER BY created DESC, rowid DESC LIMIT ?", (*states, limit))
        return [self._placed(_job(row)) for row in rows]

    def cancel(self, id: str) -> bool:
        """Whether the job could still be stopped: at once if it waits, within a moment if it runs.

        Raises:
            NotFound: There is none.
        """
        known_id(id)
        with self.database.writing() as connection:
            ended = connection.execute(
                "UPDATE jobs SET state = 'cancelled', finished = ?, cancel = 1 WHERE id = ? AND state = 'queued'", (time.time(), id)
            ).rowcount
            if ended:
                _tell(connection, id, "cancelled", {})
                return True
            running = connection.execute("UPDATE jobs SET cancel = 1 WHERE id = ? AND state = 'running'", (id,)).rowcount
        self.get(id)
        return bool(running)

    def events_after(self, number: int, job: str | None = None, limit: int = 2000) -> builtins.list[Event]:
        """Events after the one with a number, of a job or of all, the oldest first."""
        of, values = ("AND job = ?", (number, job, limit)) if job is not None else ("", (number, limit))
        rows = self.database.rows(f"SELECT * FROM events WHERE number > ? {of} ORDER BY number LIMIT ?", values)
        return [Event(row["number"], row["job"], row["name"], json.loads(row["data"])) for row in rows]

    def last_event(self) -> int:
        """The number of the newest event; 0 if there never was one."""
        row = self.database.one("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
        return int(row[0]) if row else 0

    def n_waiting(self) -> int:
        """Jobs that wait."""
        row = self.database.one("SELECT count(*) FROM jobs WHERE state = 'queued'")
        return int(row[0]) if row else 0

    def position(self, id: str) -> int:
        """The place of a job in the queue, from 1; 0 if it does not wait."""
        row = self.database.one(
            "SELECT count(*) FROM jobs AS mine JOIN jobs AS other ON other.state = 'queued' "
            "AND (other.created, other.rowid) <= (mine.created, mine.rowid) WHERE mine.id = ? AND mine.state = 'queued'",
            (id,),
        )
        return int(row[0]) if row else 0

    # --- who works ----------------------------------------------------------------------------------------------------------------

    def claim(self, worker: str, most_slow: int = 1) -> Job | None:
        """The job that waits longest, which is this worker's now; None if there is none.

        Args:
            worker: Its id.
            most_slow: Slow jobs that may run at a time.
        """
        if self.database.one("SELECT 1 FROM jobs WHERE state = 'queued' LIMIT 1") is None:
            return None  # a question locks nobody out
        with self.database.writing() as connection:
            row = connection.execute(
                "UPDATE jobs SET state = 'running', worker = ?, started = ?, attempts = attempts + 1, progress = 0 WHERE id = ("
                "SELECT id FROM jobs WHERE state = 'queued' AND "
                "(slow = 0 OR (SELECT count(*) FROM jobs WHERE state = 'running' AND slow = 1) < ?) "
                "ORDER BY created, rowid LIMIT 1) AND state = 'queued' RETURNING *",
                (worker, time.time(), most_slow),
            ).fetchone()
            if row is None:
                return None
            _tell(connection, row["id"], "state", {"state": RUNNING, "position": 0})
        return _job(row)

    def tell(self, id: str, worker: str, events: Sequence[tuple[str, Mapping[str, Any]]], progress: float | None = None) -> bool | None:
        """Note what happened; whether the job is to be cancelled, or None if it is not this worker's any more (then nothing is noted)."""
        with self.database.writing() as connection:
            row = connection.execute(
                "UPDATE jobs SET progress = coalesce(?, progress) WHERE id = ? AND worker = ? AND state = 'running' "
                "RETURNING cancel, pieces",
                (progress, id, worker),
            ).fetchone()
            if row is None:
                return None
            for name, data in events:
                _tell(connection, id, name, data)
            new = [data["id"] for name, data in events if name == "piece"]
            if new:
                pieces = list(dict.fromkeys([*json.loads(row["pieces"]), *new]))
                connection.execute("UPDATE jobs SET pieces = ? WHERE id = ?", (json.dumps(pieces), id))
        return bool(row["cancel"])

    def is_cancelled(self, id: str, worker: str) -> bool:
        """Whether a running job is to end: it is cancelled, or not this worker's any more."""
        row = self.database.one("SELECT cancel FROM jobs WHERE id = ? AND worker = ? AND state = 'running'", (id, worker))
        return row is None or bool(row["cancel"])

    def finish(self, id: str, worker: str, result: Mapping[str, Any]) -> bool:
        """End a job well; False if it was not this worker's to end."""
        return self._end(id, worker, DONE, {"result": result})

    def fail(self, id: str, worker: str, error: KapelleError) -> bool:
        """End a job with an error; False if it was not this worker's to end."""
        return self._end(id, worker, FAILED, {"error": error_table(error)})

    def end_cancelled(self, id: str, worker: str) -> bool:
        """End a job that was to end; False if it was not this worker's to end."""
        return self._end(id, worker, CANCELLED, {})

    def release(self, id: str, worker: str) -> bool:
        """Give a job back to the queue, as if it had not been begun; False if it was not this worker's."""
        return self._requeue(id, worker, count=False)

    def requeue_dead(self, is_alive: Callable[[str], bool]) -> int:
        """Put the jobs of dead workers back into the queue, and fail those that were begun too often; how many there were."""
        dead = [row for row in self.database.rows("SELECT id, worker, attempts, cancel FROM jobs WHERE state = 'running'")
                if not is_alive(row["worker"])]  # fmt: skip
        for row in dead:
            if row["cancel"]:
                self.end_cancelled(row["id"], row["worker"])
            elif row["attempts"] >= MAX_ATTEMPTS:
                self.fail(row["id"], row["worker"], given_up(row["attempts"]))
            else:
                self._requeue(row["id"], row["worker"], count=True)
        return len(dead)

    def purge(self, now: float | None = None) -> builtins.list[str]:
        """Forget old events and old jobs; ids of the jobs that are forgotten."""
        now = time.time() if now is None else now
        with self.database.writing() as connection:
            connection.execute("DELETE FROM events WHERE job IN (SELECT id FROM jobs WHERE finished < ?)", (now - EVENTS_S,))
            return [row["id"] for row in connection.execute("DELETE FROM jobs WHERE finished < ? RETURNING id", (now - JOBS_S,))]

    def finished_before(self, moment: float) -> builtins.list[str]:
        """Ids of the jobs that ended before a moment."""
        return [row["id"] for row in self.database.rows("SELECT id FROM jobs WHERE finished < ?", (moment,))]

    def _end(self, id: str, worker: str, state: str, what: Mapping[str, Any]) -> bool:
        column, value = next(((name, _json(table)) for name, table in what.items()), ("error", None))
        with self.database.writing() as connection:
            row = connection.execute(
                f"UPDATE jobs SET state = ?, finished = ?, progress = CASE WHEN ? = 'done' THEN 1 ELSE progress END, {column} = ? "
                "WHERE id = ? AND worker = ? AND state = 'running' RETURNING pieces",
                (state, time.time(), state, value, id, worker),
            ).fetchone()
            if row is None:
                return False
            _tell(connection, id, state, {"pieces": json.loads(row["pieces"]), **what} if state == DONE else what)
        return True

    def _requeue(self, id: str, worker: str, *, count: bool) -> bool:
        with self.database.writing() as connection:
            row = connection.execute(
                "UPDATE jobs SET state = 'queued', worker = NULL, started = NULL, attempts = attempts - ? "
                "WHERE id = ? AND worker = ? AND state = 'running' RETURNING id",
                (0 if count else 1, id, worker),
            ).fetchone()
            if row is None:
                return False
            _tell(connection, id, "state", {"state": QUEUED, "position": 1})
        return True

    def _placed(self, job: Job) -> Job:
        return replace(job, position=self.position(job.id)) if job.state == QUEUED else job


def is_slow(verb: str, body: Mapping[str, Any]) -> bool:
    """Whether a job may take long, so that such jobs must not hold every worker."""
    return verb in SLOW or bool(body.get("best") or body.get("of")) or _number(body.get("count")) > SLOW_COUNT


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) else 0


def given_up(attempts: int) -> KapelleError:
    """The error of a job whose worker died each time."""
    return KapelleError(
        "the job was begun {attempts} times, and each time the worker died", attempts=attempts,
        hint="there may be too little memory: ask for a shorter piece, or close other programs",
    )  # fmt: skip


def finite(value: Any) -> Any:
    """`value` for JSON: NaN and infinities, which JSON has not, become None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value


def _json(value: Any) -> str:
    return json.dumps(finite(value), separators=(",", ":"), sort_keys=True)


def _tell(connection: Any, job: str, name: str, data: Mapping[str, Any]) -> None:
    connection.execute(
        "INSERT INTO events (job, name, data) VALUES (?, ?, ?)", (job, name, json.dumps(finite(data), separators=(",", ":")))
    )


def _job(row: Row) -> Job:
    return Job(
        id=row["id"], verb=row["verb"], body=json.loads(row["body"]), state=row["state"], created=row["created"],
        started=row["started"], finished=row["finished"], key=row["key"] or "", client=row["client"], worker=row["worker"] or "",
        attempts=row["attempts"], progress=row["progress"], cancel=bool(row["cancel"]), pieces=tuple(json.loads(row["pieces"])),
        result=json.loads(row["result"]) if row["result"] else None, error=json.loads(row["error"]) if row["error"] else None,
    )  # fmt: skip
