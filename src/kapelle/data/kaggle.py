"""A dataset of Kaggle, through its own package kagglehub, with the credentials that Kaggle documents.

Takes ``owner/name`` and a folder to work in; gives the folder into which kagglehub unpacked the set. What lies there is still from
outside: `archive.admit` looks at it before anything else does. kagglehub goes on by itself where a download broke off, shows its own
bar, and decides itself where it connects to.

Source: credentials as in the documentation of kagglehub 1.0 and of the Kaggle API.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from threading import Lock

from kapelle.data.catalogue import KAGGLE_SETTINGS
from kapelle.errors import Interrupted, KapelleError, Missing, NetworkError, StorageError, UnreadableInput

_FULL = (errno.ENOSPC, errno.EFBIG, errno.EACCES, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC))

_TURN = Lock()


def credentials(handle: str) -> str:
    """Where credentials were found: the name of a variable or of a file. They are not shown, and not tried.

    Args:
        handle: Of the set that they are for, ``owner/name``.

    Raises:
        Missing: There are none; the hint tells how to get them.
        UnreadableInput: kaggle.json is there, and is not what Kaggle gives out.
    """
    if os.environ.get("KAGGLE_API_TOKEN"):
        return "KAGGLE_API_TOKEN"
    if os.environ.get("KAGGLE_USERNAME") and os.environ.get("KAGGLE_KEY"):
        return "KAGGLE_KEY"
    folder = Path.home() / ".kaggle"
    for path in (folder / "access_token", folder / "access_token.txt"):
        if path.is_file():
            return str(path)
    path = Path(os.environ.get("KAGGLE_CONFIG_DIR") or folder) / "kaggle.json"
    if not path.is_file():
        hint = "make a token at {where} and put it into {path} or KAGGLE_API_TOKEN; or fetch {name}-zip, the same set without one"
        raise Missing("there are no Kaggle credentials", where=KAGGLE_SETTINGS, path=path, name=handle.rpartition("/")[2], hint=hint)
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        complete = all(isinstance(held[name], str) and held[name] for name in ("username", "key"))
    except (OSError, ValueError, TypeError, KeyError):
        complete = False
    if not complete:
        hint = "make a new one at {where}"
        raise UnreadableInput("{path} holds no Kaggle credentials", path=path, where=KAGGLE_SETTINGS, hint=hint)
    return str(path)


def download(handle: str, cache: Path) -> Path:
    """The folder of a set, downloaded and unpacked by kagglehub below `cache`.

    Args:
        handle: ``owner/name``.
        cache: A folder of ours; what an interrupted call left there is used.

    Raises:
        Missing: kagglehub is not installed, or there are no credentials.
        NetworkError: Kaggle cannot be reached, or does not give it.
        StorageError: The disk is full, or writing is not allowed.
        Interrupted: Ctrl-C or SIGTERM.
    """
    try:
        import kagglehub
    except ImportError as error:
        raise Missing("{module} is not installed", module="kagglehub", extra="data", hint="pip install 'kapelle[{extra}]'") from error
    credentials(handle)
    with _cached_in(cache), redirect_stdout(sys.stderr):  # it prints notices to stdout, where our result goes
        try:
            return Path(kagglehub.dataset_download(handle))
        except KeyboardInterrupt as error:
            raise Interrupted("interrupted; files that were finished are kept", hint="the same command goes on from there") from error
        except Exception as error:  # it raises what requests, zipfile and its own clients raise
            raise _ours(handle, error, cache) from error


def _ours(handle: str, error: Exception, cache: Path) -> KapelleError:
    status = getattr(getattr(error, "response", None), "status_code", None)
    why = " ".join(str(error).split())[:300] or type(error).__name__
    if status in (401, 403):
        hint = "make a new token at {where}, and open the page of the set once: some ask for consent"
        return NetworkError("Kaggle does not accept these credentials for {name}", name=handle, where=KAGGLE_SETTINGS, hint=hint)
    if isinstance(error, OSError) and error.errno in _FULL and not hasattr(error, "request"):
        hint = "free some space or choose another folder with -o; what was complete before is untouched"
        return StorageError("cannot write to {place}: {why}", place=cache, why=error.strerror, hint=hint)
    return NetworkError("Kaggle does not give {name}: {why}", name=handle, why=why, hint="is there a network here?")


@contextmanager
def _cached_in(cache: Path) -> Iterator[None]:
    """Inside, kagglehub downloads to `cache`: one thread after the other, since it is told so by a variable of the whole process."""
    with _TURN:
        before = os.environ.get("KAGGLEHUB_CACHE")
        os.environ["KAGGLEHUB_CACHE"] = str(cache)
        try:
            yield
        finally:
            if before is None:
                del os.environ["KAGGLEHUB_CACHE"]
            else:
                os.environ["KAGGLEHUB_CACHE"] = before
