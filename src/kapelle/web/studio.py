"""A studio, opened: folder, database, jobs and library in one.

Takes the folder, gives `Studio`. Only the server repairs a damaged database and lists the pieces anew; workers open what is there.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from kapelle.web import database as databases
from kapelle.web.database import Database
from kapelle.web.folder import Folder, open_folder
from kapelle.web.jobs import MAX_WAITING, Jobs
from kapelle.web.library import Library

SOUNDS_S = 3600.0
"""So long the sounds of a job are kept after its end."""


@dataclass(frozen=True)
class Studio:
    """Everything that a studio keeps."""

    folder: Folder
    database: Database
    jobs: Jobs
    library: Library

    def purge(self, now: float | None = None) -> None:
        """Delete what has had its time: sounds, events, jobs, uploads, the trash."""
        now = time.time() if now is None else now
        for job in [*self.jobs.finished_before(now - SOUNDS_S), *self.jobs.purge(now)]:
            shutil.rmtree(self.folder.job(job), ignore_errors=True)
        self.library.purge(now)


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
        studio.library.rebuild()
    return studio
