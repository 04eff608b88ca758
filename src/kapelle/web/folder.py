"""Where a studio keeps its things: one folder, of which this module knows every path.

Takes the folder that the user names, gives `Folder`. Names of files are made here from ids, which are made here too: nothing that comes
from outside ever becomes a part of a path. It does not read or write what lies there.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from base64 import b32encode
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kapelle.bundles.load import home
from kapelle.errors import Missing, StorageError

ID = re.compile(r"[a-z2-7]{12}")


class NotFound(Missing):
    """There is no piece, upload or job of an id."""

    status = 404


def new_id() -> str:
    """A random id: 12 characters of a to z and 2 to 7, 60 bits."""
    return _id(secrets.token_bytes(8))


def id_of(*parts: object) -> str:
    """The id that belongs to `parts`: the same for the same ones, so that work done twice leaves one result."""
    return _id(hashlib.sha256("/".join(map(str, parts)).encode()).digest())


def _id(data: bytes) -> str:
    return b32encode(data).decode().lower()[:12]


def known_id(text: str) -> str:
    """`text`, if it can be an id.

    Raises:
        NotFound: It cannot.
    """
    if not ID.fullmatch(text):
        raise NotFound("there is nothing with the id {id!r}", id=text[:40].encode("utf-8", "replace").decode())
    return text


@dataclass(frozen=True)
class Folder:
    """The paths of a studio.

    Args:
        path: The folder that holds them all.
    """

    path: Path

    @property
    def database(self) -> Path:
        """The database of jobs, events and records."""
        return self.path / "studio.sqlite"

    @property
    def pieces(self) -> Path:
        """A folder for each piece."""
        return self.path / "pieces"

    @property
    def uploads(self) -> Path:
        """MIDI files that were sent and are not kept."""
        return self.path / "uploads"

    @property
    def jobs(self) -> Path:
        """A folder for what belongs to each job and passes."""
        return self.path / "jobs"

    @property
    def workers(self) -> Path:
        """The locks by which workers show that they live."""
        return self.path / "workers"

    @property
    def reports(self) -> Path:
        """Evaluations."""
        return self.path / "reports"

    def piece(self, id: str) -> Path:
        """The folder of a piece."""
        return self.pieces / known_id(id)

    def midi(self, id: str) -> Path:
        """The music of a piece."""
        return self.piece(id) / "piece.mid"

    def recipe(self, id: str) -> Path:
        """How a piece was made, and its record."""
        return self.piece(id) / "recipe.json"

    def upload(self, id: str) -> Path:
        """A file that was sent."""
        return self.uploads / f"{known_id(id)}.mid"

    def job(self, id: str) -> Path:
        """What belongs to a job."""
        return self.jobs / known_id(id)

    def sound(self, job: str, number: int, chunk: int, program: int) -> Path:
        """The sound of a program in a chunk of the piece `number` of a job."""
        return self.job(job) / "sound" / f"{int(number)}-{int(chunk)}-{int(program)}.flac"

    def report(self, id: str) -> Path:
        """The page of an evaluation."""
        return self.reports / f"{known_id(id)}.html"

    def lock(self, worker: str) -> Path:
        """What a worker holds as long as it lives."""
        return self.workers / f"{known_id(worker)}.lock"


def place(named: str | Path | None = None) -> Path:
    """The folder of the studio: `named`, else $KAPELLE_STUDIO, else the studio in the user's own place for Kapelle."""
    chosen = named or os.environ.get("KAPELLE_STUDIO")
    return (Path(chosen).expanduser() if chosen else home() / "studio").absolute()


def open_folder(named: str | Path | None = None) -> Folder:
    """The folder, made if it is not there; readable by its owner alone.

    Raises:
        StorageError: It cannot be made or written to.
    """
    folder = Folder(place(named))
    try:
        for path in (folder.path, folder.pieces, folder.uploads, folder.jobs, folder.workers, folder.reports):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(PermissionError):  # a folder of somebody else that we may write to
            folder.path.chmod(0o700)
        trial = folder.path / f".trial-{new_id()}"
        trial.touch()
        trial.unlink()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise StorageError(
            "the studio cannot use the folder {path}: {why}", path=folder.path, why=why, hint="name another: --folder"
        ) from error
    return folder
