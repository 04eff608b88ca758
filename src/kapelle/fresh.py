"""A new file under a name that nobody has, with the permissions that any other new file of the user gets.

What `tempfile` makes only its owner can read. To widen that by the process's umask one would have to ask for it, and it can only be asked
for by changing it: for all threads at once, and for good where two of them ask at the same time. So the system applies it here.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path


def file_in(folder: Path, prefix: str, suffix: str) -> tuple[int, Path]:
    """A file that was just made, open for reading and writing, and its path; who calls closes and deletes it.

    Args:
        folder: Where, a folder that is there.
        prefix: How its name begins.
        suffix: How it ends.

    Raises:
        OSError: As the operating system says.
    """
    while True:
        path = folder / f"{prefix}{secrets.token_hex(6)}{suffix}"
        with suppress(FileExistsError):
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666), path
