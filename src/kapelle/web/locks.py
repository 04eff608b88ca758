"""How a process shows that it lives: a lock of the operating system on a file, which goes when the process goes, however it ends.

Takes a path, gives a `Lock` that is held until it is released or the process is gone; `is_held` asks whether somebody has it.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from kapelle.errors import StorageError


class Lock:
    """A lock that this process holds.

    Args:
        path: The file; made if it is not there.

    Raises:
        StorageError: It cannot be made, or somebody else has it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            while True:
                self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)  # not handed down to other programs
                had = False
                try:
                    _lock(self._handle, wait=True)
                    had = _is_still(path, self._handle)
                finally:
                    if not had:
                        os.close(self._handle)
                if had:  # else somebody tidied it away before we had it
                    return
        except OSError as error:
            raise StorageError("cannot lock {path}: {why}", path=path, why=error.strerror) from error

    def release(self) -> None:
        """Give it up, and delete the file."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        with suppress(OSError):
            os.close(self._handle)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock; the file of one that nobody holds is deleted."""
    while True:
        try:
            handle = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return False
        except OSError:
            return True  # who cannot look must not take anybody for dead
        try:
            _lock(handle, wait=False)
            if _is_still(path, handle):  # else another one tidied it away, and somebody may hold a new one
                with suppress(OSError):
                    path.unlink(missing_ok=True)
                return False
        except OSError:
            return True
        finally:
            os.close(handle)


def _is_still(path: Path, handle: int) -> bool:
    """Whether the file that is open is the one of that name."""
    try:
        return sys.platform == "win32" or os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int, *, wait: bool) -> None:
        msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(handle: int, *, wait: bool) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
