"""A studio, opened: folder, database, jobs and library in one.

Takes the folder, gives `Studio`. Only the server repairs a damaged database and lists the pieces anew; workers open what is there.
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kapelle.web import database as databases
from kapelle.web.database import Database
from kapelle.web.folder import Folder, open_folder
from kapelle.web.jobs import MAX_WAITING, Jobs
from kapelle.web.library import Library
from kapelle.web.locks import is_held

SOUNDS_S = 3600.0
"""So long the sounds of a job are kept after its end."""

YOUNG_S = 3600.0
"""A file that nothing knows of is left alone for so long."""


@dataclass(frozen=True)
class Studio:
    """Everything that a studio keeps."""

    folder: Folder
    database: Database
    jobs: Jobs
    library: Library

    def purge(self, now: float | None = None) -> None:
        """Delete what has had its time: sounds, events, jobs and their reports, uploads, the trash, and what was left half done."""
        now = time.time() if now is None else now
        forgotten = self.jobs.purge(now)
        for job in [*self.jobs.finished_before(now - SOUNDS_S), *forgotten]:
            shutil.rmtree(self.folder.job(job), ignore_errors=True)
        for job in forgotten:
            self.folder.report(job).unlink(missing_ok=True)
        self.library.purge(now)
        self.drop_used_uploads()
        self.sweep(now)

    def sweep(self, now: float) -> None:
        """Delete files that nothing knows of, as a power cut or a lost database leaves them; young ones may be on their way."""
        known = {name: {row["id"] for row in self.database.rows(f"SELECT id FROM {name}")} for name in ("uploads", "jobs")}
        parts = [*self.folder.pieces.glob("*/.kapelle-*.part"), *self.folder.path.glob("*/.kapelle-*.part")]
        uploads = [path for path in self.folder.uploads.glob("*.mid") if path.stem not in known["uploads"]]
        jobs = [path for path in self.folder.jobs.iterdir() if path.name not in known["jobs"]]
        for path in (*parts, *uploads, *jobs):
            with suppress(OSError):
                if path.stat().st_mtime < now - YOUNG_S:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def drop_used_uploads(self) -> None:
        """Delete the uploads whose jobs have all ended."""
        used = self.database.rows(
            "SELECT id FROM uploads WHERE EXISTS (SELECT 1 FROM jobs WHERE finished >= uploads.created AND instr(body, uploads.id)) "
            "AND NOT EXISTS (SELECT 1 FROM jobs WHERE state IN ('queued', 'running') AND instr(body, uploads.id))"
        )
        for row in used:
            self.library.drop_upload(row["id"])

    def is_alive(self, worker: str) -> bool:
        """Whether a worker lives."""
        return is_held(self.folder.lock(worker))

    def tidy_locks(self) -> None:
        """Delete the locks that dead workers left behind."""
        for path in self.folder.workers.glob("*.lock"):
            is_held(path)


def open_studio(named: str | Path | None = None, *, most_waiting: int = MAX_WAITING, repair: bool = False) -> Studio:
    """The studio in a folder, which is made if it is not there.

    Args:
        named: The folder; the user's own if left out.
        most_waiting: Jobs that may wait.
        repair: Set a damaged database aside, and list pieces that lie on the disk alone.

    Raises:
        StorageError: The folder cannot be used; the database is newer than this program, or is damaged and not to be repaired.
    """
    folder = open_folder(named)
    if repair:
        databases.repair(folder.database)
    database = Database(folder.database)
    studio = Studio(folder, database, Jobs(database, most_waiting), Library(database, folder))
    if repair:
        studio.tidy_locks()
        studio.library.rebuild()
    return studio
