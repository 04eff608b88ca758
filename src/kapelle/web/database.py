"""The studio's database: SQLite, a connection for each thread of each process, brought up to date by numbered migrations.

Gives rows and transactions; foreign errors become ours here. What the tables mean is the business of `jobs` and `library`. A database that
is damaged is set aside under another name by `repair`, never deleted; one that is newer than this program is left as it is.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any

from kapelle.errors import StorageError

_log = logging.getLogger(__name__)

BUSY_S = 10.0
"""So long one writer waits for another."""

BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_REASONS = {
    sqlite3.SQLITE_FULL: ("the disk is full: {path} cannot grow", "make room on the disk, then try again"),
    sqlite3.SQLITE_BUSY: ("the studio's database is busy", "try again in a moment"),
    sqlite3.SQLITE_LOCKED: ("the studio's database is busy", "try again in a moment"),
    sqlite3.SQLITE_READONLY: ("{path} may not be written to", "name another folder: --folder"),
    sqlite3.SQLITE_PERM: ("{path} may not be written to", "name another folder: --folder"),
    sqlite3.SQLITE_CANTOPEN: ("{path} cannot be opened", "name another folder: --folder"),
    sqlite3.SQLITE_IOERR: ("{path} cannot be read or written: the disk failed or is full", "look after the disk, then try again"),
    sqlite3.SQLITE_CORRUPT: ("{path} is damaged", "start the studio again: it sets the file aside and lists the pieces anew"),
    sqlite3.SQLITE_NOTADB: ("{path} is damaged", "start the studio again: it sets the file aside and lists the pieces anew"),
}
"""Code of SQLite -> message and hint."""

Row = sqlite3.Row


class DatabaseBusy(StorageError):
    """Another process has been writing for longer than one waits."""

    status = 503
    retry_after_s = 5


class Database:
    """A database that is up to date.

    Args:
        path: The file; made if it is not there.

    Raises:
        StorageError: It cannot be opened, is damaged, or is newer than this program; `DatabaseBusy`: somebody else has it locked.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        with self._translated():
            _migrate(self)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of a question, or of a change that returns some."""
        with self._translated():
            return self._connection().execute(sql, values).fetchall()

    def one(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        """The first row; None if there is none."""
        found = self.rows(sql, values)
        return found[0] if found else None

    def version(self) -> int:
        """A number that is another one after any other connection wrote: a cheap way to see that there is news."""
        row = self.one("PRAGMA data_version")
        return int(row[0]) if row else 0

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all that is done with the connection is kept, or nothing of it if the block raises."""
        connection = self._connection()
        with self._translated():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has rolled back already
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the connection of this thread; the next question opens another."""
        held = getattr(self._local, "held", None)
        if held is not None and held[0] == os.getpid():
            held[1].close()
        self._local.held = None

    def _connection(self) -> sqlite3.Connection:
        held = getattr(self._local, "held", None)
        if held is None or held[0] != os.getpid():  # a connection must not cross a fork
            with self._translated():
                held = os.getpid(), _connect(self.path)
            self._local.held = held
        connection: sqlite3.Connection = held[1]
        return connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            reason = _REASONS.get(code_of(error))
            if reason is None:  # a mistake of ours
                raise
            kind = DatabaseBusy if code_of(error) in BUSY else StorageError
            raise kind(reason[0], path=self.path, hint=reason[1]) from error


def code_of(error: sqlite3.Error) -> int:
    """SQLite's primary code of an error; -1 if it has none."""
    code = getattr(error, "sqlite_errorcode", None)
    return -1 if code is None else int(code) & 0xFF


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    try:
        connection.execute(f"PRAGMA busy_timeout = {int(1000 * BUSY_S)}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # in WAL mode a crash of the program loses nothing
        connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


# --- migrations -------------------------------------------------------------------------------------------------------------------


def migrations() -> list[tuple[int, str]]:
    """Number and SQL of every migration, in order; they count from 1 without a gap."""
    files = sorted((item for item in resources.files("kapelle.web").joinpath("migrations").iterdir() if item.name.endswith(".sql")),
                   key=lambda item: item.name)  # fmt: skip
    return [(int(item.name[:4]), item.read_text(encoding="utf-8")) for item in files]


def _migrate(database: Database) -> None:
    known = migrations()
    newest = known[-1][0]
    for number, sql in known:
        if _version(database) >= number:
            continue
        with database.writing() as connection:
            if _version(database) < number:  # another process may have been first
                for statement in statements(sql):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
    found = _version(database)
    if found > newest:
        database.close()
        raise StorageError(
            "{path} was written by a newer version of Kapelle (its version is {found}, ours {ours})",
            path=database.path, found=found, ours=newest, hint="install that version, or name another folder: --folder",
        )  # fmt: skip


def _version(database: Database) -> int:
    row = database.one("PRAGMA user_version")
    return int(row[0]) if row else 0


def statements(sql: str) -> list[str]:
    """The statements of a script: `executescript` would end the transaction that it runs in."""
    out, text = [], ""
    for line in sql.splitlines():
        text += line + "\n"
        if sqlite3.complete_statement(text):
            out.append(text)
            text = ""
    return out


# --- damage -----------------------------------------------------------------------------------------------------------------------


def repair(path: Path) -> Path | None:
    """Set a damaged database aside; where it lies now, or None if it is sound or not there.

    To be called where nobody else has it open.

    Raises:
        StorageError: It cannot be read or moved.
    """
    if not path.exists() or not _is_damaged(path):
        return None
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        path.replace(aside)
        for suffix in ("-wal", "-shm"):
            beside = path.with_name(path.name + suffix)
            if beside.exists():
                beside.replace(aside.with_name(aside.name + suffix))
    except OSError as error:
        raise StorageError("{path} is damaged and cannot be set aside: {why}", path=path, why=error.strerror) from error
    _log.warning("%s was damaged and is now %s; the library is made again from the pieces", path, aside)
    return aside


def _is_damaged(path: Path) -> bool:
    try:
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        try:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok")
        finally:
            connection.close()
    except sqlite3.Error as error:
        if code_of(error) in DAMAGED:
            return True
        reason = _REASONS.get(code_of(error), ("{path} cannot be opened", ""))
        raise StorageError(reason[0], path=path, hint=reason[1]) from error
