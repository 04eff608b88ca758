"""Files that are whole or absent: written aside, synced, renamed; and the operating system's refusals as StorageError.

Takes a path and what to write. Nothing here knows what the files mean. Used by data preparation and by training.
"""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.errors import StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Inside, an OSError becomes a StorageError that names `place`.

    Raises:
        StorageError: The disk is full, or writing is not allowed there.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            "cannot write to {place}: {why}",
            place=place,
            why=error.strerror or error,
            hint="free some space or choose another folder with -o; what was complete before is untouched",
        ) from error


@contextmanager
def alone(work: Path, place: Path) -> Iterator[None]:
    """Inside, no other process has the folder `work`, which is made. Where the system has no such locks (Windows), nothing is checked.

    Args:
        work: To work in.
        place: That it belongs to, for the message.

    Raises:
        UsageError: One has.
        StorageError: It cannot be made.
    """
    with writing(work):
        work.mkdir(parents=True, exist_ok=True)
        file = (work / ".lock").open("a")
    with file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            pass
        except OSError as error:
            raise UsageError("another process is fetching to {place}", place=place, hint="wait until it ends") from error
        yield


def put(path: Path, write: Callable[[Path], object]) -> None:
    """Make `path` with `write`, which is given a temporary name beside it; a kill leaves the old file or the new one.

    Whoever has the old file open or mapped keeps it; of several who write at once, one is the last.

    Raises:
        OSError: As the operating system says; wrap it in `writing`.
    """
    temporary = path.with_name(f".{os.getpid()}-{threading.get_ident()}-{path.name}")
    try:
        write(temporary)
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def put_text(path: Path, text: str) -> None:
    """Make the text file `path` as `put` does, in UTF-8."""
    put(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline="\n"))


def put_arrays(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> str:
    """Write every array as ``NAME.npy`` into a folder, and return the fingerprint of them all: a SHA-256 of names, shapes and contents.

    Raises:
        OSError: As the operating system says; wrap it in `writing`.
    """
    fingerprint = hashlib.sha256()
    for name, array in arrays.items():
        whole = np.ascontiguousarray(array)
        fingerprint.update(f"{name} {whole.dtype.descr} {whole.shape}".encode())
        fingerprint.update(whole.view(np.uint8).data if whole.size else b"")
        put(folder / f"{name}.npy", lambda place, whole=whole: _save(place, whole))  # type: ignore[misc]
    return fingerprint.hexdigest()


def _save(place: Path, array: NDArray[Any]) -> None:
    with place.open("wb") as file:  # given a name, numpy would add its own ending
        np.save(file, array, allow_pickle=False)


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk. Windows cannot do that for folders, and is not asked to."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
