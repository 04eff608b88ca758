"""A file of the web as a file on the disk: resumed where it broke off, tried again with patience, checked, whole or absent.

Takes what is wanted and a path; gives the path with the number of bytes and the sha256 that came. While it comes, the bytes are in
``NAME.part`` and what is known of them in ``NAME.part.json``. Going on asks for the rest under the condition that the file is still
the same one (If-Range with its ETag or date); a server that knows no ranges, or has another file by now, begins anew. A published
length and sha256 are checked; a wrong file is deleted, and after a resumed download asked for once more in whole.

It does not know what is in the file.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from kapelle.data import web
from kapelle.data.storage import put_text, sync, writing
from kapelle.errors import Interrupted, NetworkError, StorageError

MOST_BYTES = 64 << 30
MOST_TRIES = 100
BUSY = (408, 425, 429, 500, 502, 503, 504)
"""Answers after which it makes sense to ask again."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Wanted:
    """What to download.

    Args:
        url: Where it is.
        rules: Where it may lead.
        size: Bytes, if they are known.
        sha256: In hexadecimal, if it is known.
        patience: With the server.
        token: Of whoever asks, for the host of `url` alone; empty for none.
    """

    url: str
    rules: web.Rules
    size: int | None = None
    sha256: str | None = None
    patience: web.Patience = field(default_factory=web.Patience)
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Downloaded:
    """A file that came.

    Args:
        path: Of the file.
        size: Bytes.
        sha256: In hexadecimal.
    """

    path: Path
    size: int
    sha256: str


class _Again(Exception):
    """To be asked again; never leaves this file."""

    def __init__(self, why: str, pause_s: float = 0.0) -> None:
        super().__init__(why)
        self.pause_s = pause_s


def download(wanted: Wanted, path: Path, progress: Progress = lambda done, total: None) -> Downloaded:
    """The file at `path`, which is there only when it is whole.

    Args:
        wanted: What and from where.
        path: To write; what an earlier call left beside it is used.
        progress: Called with (bytes here, bytes in all); the second is 0 while it is not known.

    Raises:
        NetworkError: It cannot be had, or what came is not what was published.
        StorageError: The disk is full, or writing is not allowed; what came is kept.
        Interrupted: Ctrl-C or SIGTERM; what came is kept.
    """
    part = _Part(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if not path.exists():
            _bring(wanted, part, progress)
        found = digest(path)
        if part.resumed and wanted.sha256 and found.sha256 != wanted.sha256:  # the file may have changed between two tries
            part.discard(path)
            _bring(wanted, part, progress)
            found = digest(path)
    except KeyboardInterrupt as error:
        raise Interrupted(
            "stopped; {done:,} bytes are kept in {path}", done=part.size, path=part.path, hint="the same command goes on from there"
        ) from error
    _compare(wanted, found, part)
    return found


def digest(path: Path) -> Downloaded:
    """Size and sha256 of a file."""
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            sha256.update(piece)
        return Downloaded(path, file.tell(), sha256.hexdigest())


class _Part:
    """The bytes that are here so far, and what is known of the file that they begin."""

    def __init__(self, path: Path) -> None:
        self.final, self.path, self.note = path, path.with_name(path.name + ".part"), path.with_name(path.name + ".part.json")
        self.resumed = False

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def known(self, url: str) -> dict[str, str]:
        """ETag, date and total of the file; empty for bytes from another address."""
        try:
            held = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(k): str(v) for k, v in held.items()} if isinstance(held, dict) and held.get("url") == url else {}

    def begin(self, known: dict[str, str]) -> None:
        """Empty, with a new note."""
        with writing(self.path):
            self.path.write_bytes(b"")
            put_text(self.note, json.dumps(known) + "\n")

    def append(self, piece: bytes) -> None:
        with writing(self.path), self.path.open("ab", buffering=0) as file:
            rest = memoryview(piece)
            while rest:
                rest = rest[file.write(rest) :]

    def discard(self, *more: Path) -> None:
        with writing(self.path):
            for path in (self.path, self.note, *more):
                path.unlink(missing_ok=True)

    def finish(self) -> None:
        with writing(self.final):
            sync(self.path)
            self.path.replace(self.final)
            self.note.unlink(missing_ok=True)


def _bring(wanted: Wanted, part: _Part, progress: Progress) -> None:
    """Try until the file is whole, or until several tries in a row brought nothing new."""
    host, patience = web.host_of(wanted.url), wanted.patience
    best, fruitless = part.size, 0
    part.resumed = best > 0
    for attempt in range(MOST_TRIES):
        try:
            _once(wanted, part, progress)
            part.finish()
            return
        except (_Again, OSError, HTTPException) as error:
            fruitless = 0 if part.size >= best + patience.slow_bytes else fruitless + 1
            at_once = attempt == 0 and not best and web.is_absent(error)  # no network at all: waiting would not bring it
            if fruitless >= patience.attempts or at_once:
                raise web.failed(host, error) from error
            asked = error.pause_s if isinstance(error, _Again) else 0.0
            pause = max(asked, patience.pause_s * 2 ** max(0, fruitless - 1))
            best, part.resumed = max(best, part.size), True
            time.sleep(min(pause, patience.longest_pause_s))
    raise NetworkError("{host} broke off {n} times", host=host, n=MOST_TRIES, hint="the same command goes on where it ended")


def _once(wanted: Wanted, part: _Part, progress: Progress) -> None:
    """One request, and its body appended to the part."""
    have, known = part.size, part.known(wanted.url)
    if have and known.get("total") == str(have):  # all came, but it was stopped before it had its name
        return
    headers = _condition(have, known, wanted.sha256)
    if have and not headers:
        have = 0
    if wanted.token:
        headers = {**headers, "Authorization": f"Bearer {wanted.token}"}
    with web.ask(wanted.url, wanted.rules, headers, wanted.patience) as answer:
        total = _begin(answer, wanted, part, have, known)
        done = part.size
        _check_room(part.path, total, done)
        progress(done, total or 0)
        for piece in answer.pieces():
            done += len(piece)
            if done > (total or MOST_BYTES):
                part.discard()
                raise NetworkError("{host} sends more than {n:,} bytes", host=answer.place.host, n=total or MOST_BYTES)
            part.append(piece)
            progress(done, total or 0)
    if total is not None and done < total:
        raise _Again("the connection was cut off")


def _condition(have: int, known: dict[str, str], sha256: str | None) -> dict[str, str]:
    """The headers that ask for the rest; none if it could not be told whether the rest belongs to what is here."""
    validator = known.get("etag") or known.get("modified")
    if not have or not known or not (validator or sha256):
        return {}
    return {"Range": f"bytes={have}-", **({"If-Range": validator} if validator else {})}


def _begin(answer: web.Answer, wanted: Wanted, part: _Part, have: int, known: dict[str, str]) -> int | None:
    """Make the part ready for the body of an answer, and return the bytes of the whole file, if they are known."""
    host, status = answer.place.host, answer.status
    if status in BUSY:
        pause = answer.headers.get("retry-after", "")
        raise _Again(f"it answers {status}", float(pause) if pause.isascii() and pause.isdigit() and len(pause) < 6 else 0.0)
    if status == 416 and have:  # what is here reaches beyond the end: it is another file by now
        part.discard()
        raise _Again("it no longer has the rest")
    if status not in (200, 206):
        hint = "the file may have moved: look for it by hand, then `kapelle data fetch FILE`"
        raise NetworkError("{host} answers {status} for {url}", host=host, status=status, url=wanted.url, hint=hint)
    now = {"etag": _strong(answer.headers.get("etag", "")), "modified": answer.headers.get("last-modified", "")}
    if status == 206:
        first, total = _range(answer.headers.get("content-range", ""))
        changed = any(known.get(key) and now[key] and known[key] != now[key] for key in now)
        if not have or first != have or changed or (total is not None and known.get("total") not in (None, "", str(total))):
            part.discard()
            raise _Again("the file has changed")
    else:
        total = answer.length
        part.begin({"url": wanted.url, **now, "total": "" if total is None else str(total)})
        part.resumed = False
    if wanted.size is not None and total not in (None, wanted.size):
        part.discard()
        raise NetworkError(
            "{host} has {n:,} bytes, and {m:,} were published", host=host, n=total, m=wanted.size,
            hint="the file has changed, or is not the right one; nothing of it was kept",
        )  # fmt: skip
    return total if total is not None else wanted.size


def _strong(etag: str) -> str:
    """An ETag that promises the same bytes; a weak one does not, and may not be used for ranges."""
    return etag if etag.startswith('"') else ""


def _range(text: str) -> tuple[int, int | None]:
    """First byte and total of a Content-Range; first -1 if it is none."""
    found = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", text.strip())
    if not found:
        return -1, None
    return int(found[1]), None if found[2] == "*" else int(found[2])


def _check_room(path: Path, total: int | None, have: int) -> None:
    """Raise before the disk is full, if it is known that it will be."""
    with writing(path):
        free = shutil.disk_usage(path.parent).free
    if total is not None and total - have > free:
        raise StorageError(
            "{path} needs {n:,} more bytes, and {free:,} are free", path=path.parent, n=total - have, free=free,
            hint="free some space or choose another folder with -o; what came is kept",
        )  # fmt: skip


def _compare(wanted: Wanted, found: Downloaded, part: _Part) -> None:
    """Delete a file that is not the published one, and say so."""
    if wanted.size is not None and found.size != wanted.size:
        part.discard(found.path)
        raise NetworkError("{n:,} bytes came, and {m:,} were published", n=found.size, m=wanted.size, hint="nothing of it was kept")
    if wanted.sha256 and found.sha256 != wanted.sha256.lower():
        part.discard(found.path)
        raise NetworkError(
            "what came has the sha256 {found}, and {published} was published", found=found.sha256, published=wanted.sha256,
            hint="the file has changed, or was changed on the way; nothing of it was kept",
        )  # fmt: skip
