"""What archives say of their members: readers of zip, of tar (plain, gz, bz2, xz) and of folders, with limits on what reading costs.

Takes a file that may hold anything; gives its members one by one, as they call themselves. Refused here: links, devices, pipes, sparse
and encrypted members, a list of contents or a header too large for memory, an end that is missing. Names and sizes are judged, and
files written, in `archive`.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from kapelle.errors import UnreadableInput

PIECE = 1 << 16
XZ_MEMORY = 256 << 20
_FOREIGN = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, OverflowError, NotImplementedError,
    RuntimeError, OSError,
)  # fmt: skip
"""What the readers of archives raise on bytes that are none."""


@dataclass(frozen=True)
class Limits:
    """The largest archive that is unpacked.

    Args:
        members: Entries, folders included.
        total_bytes: Of all files together.
        ratio: Unpacked bytes for each byte of the archive, once `grace_bytes` were unpacked.
        grace_bytes: See `ratio`.
        depth: Folders in a name.
        path_bytes: A whole name, in UTF-8.
        name_bytes: One part of a name.
        directory_bytes: The list of contents at the end of a zip file.
    """

    members: int = 500_000
    total_bytes: int = 64 << 30
    ratio: int = 100
    grace_bytes: int = 64 << 20
    depth: int = 24
    path_bytes: int = 1000
    name_bytes: int = 250
    directory_bytes: int = 64 << 20


@dataclass(frozen=True)
class Member:
    """An entry, as it calls itself."""

    name: str
    size: int
    is_folder: bool
    at: int  # bytes of the archive read so far
    open: Callable[[], IO[bytes] | None]


def kind_of(path: Path) -> str:
    """``zip`` or ``tar`` (compressed or not), or a few words on what else a file seems to be, by its first bytes."""
    with understood(path):
        with path.open("rb") as file:
            head = file.read(512)
        if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            return "zip"
        if _looks_like_tar(head):
            return "tar"
        if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")):
            with path.open("rb") as file:
                return "tar" if _looks_like_tar(_decompressed(file, head).read(512)) else "one compressed file"
    for start, what in ((b"Rar!", "rar"), (b"7z\xbc\xaf", "7z"), (b"MThd", "a MIDI file")):
        if head.startswith(start):
            return what
    if head.lstrip()[:200].lower().startswith((b"<!doctype html", b"<html", b"<?xml", b"<head")):
        return "a web page"
    return "something else" if head else "an empty file"


@contextmanager
def understood(archive: Path) -> Iterator[None]:
    """Inside, what the readers of archives raise becomes UnreadableInput."""
    try:
        yield
    except _FOREIGN as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        raise UnreadableInput("{path} is damaged: {why}", path=archive, why=why) from error


def readable(name: str) -> str:
    """A name whose undecodable bytes are read as Latin-1."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogateescape").decode("latin-1") if _escaped(name) else name.encode("utf-8", "replace").decode()
    return name


def _escaped(name: str) -> bool:
    return all(not 0xD800 <= ord(char) <= 0xDFFF or 0xDC80 <= ord(char) <= 0xDCFF for char in name)


def zip_members(archive: Path, limits: Limits) -> Iterator[Member]:
    """The members of a zip file, judged by its list of contents.

    Raises:
        UnreadableInput: One of them is refused, or the archive is damaged.
    """
    _check_directory(archive, limits)
    done = 0
    with zipfile.ZipFile(archive) as held:
        for info in held.infolist():
            done += info.compress_size
            kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == 3 else 0
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _not_plain(archive, info.orig_filename)
            if info.flag_bits & 0x1:
                raise UnreadableInput("{path} needs a password", path=archive, hint="unpack it by hand and give the folder")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                hint = "unpack it by hand and give the folder"
                raise UnreadableInput("{path} is compressed in a way that is not read here", path=archive, hint=hint)
            is_folder = info.orig_filename.endswith(("/", "\\")) or kind == stat.S_IFDIR
            yield Member(info.orig_filename, info.file_size, is_folder, done, _opener(held, info))


def _opener(held: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: held.open(info)


def _check_directory(archive: Path, limits: Limits) -> None:
    """Refuse a zip file whose list of contents is too large before it is read into memory."""
    with archive.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 65_557 - 20))
        tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise UnreadableInput("{path} is damaged: {why}", path=archive, why="the end is missing")
    listed = int.from_bytes(tail[end + 12 : end + 16], "little")
    if listed == 0xFFFFFFFF:  # told by the larger record; it lies between the list and the end
        listed = size - int.from_bytes(tail[end + 16 : end + 20], "little") if tail[end + 16 : end + 20] != b"\xff" * 4 else 0
        locator = tail.rfind(b"PK\x06\x07", 0, end)
        where = int.from_bytes(tail[locator + 8 : locator + 16], "little") if locator >= 0 else size
        with archive.open("rb") as file:
            file.seek(min(where, size))
            record = file.read(56)
        listed = max(listed, int.from_bytes(record[40:48], "little") if record.startswith(b"PK\x06\x06") else size)
    if listed > limits.directory_bytes:
        raise UnreadableInput("{path} holds more than {limit:,} members", path=archive, limit=limits.members)


def tar_members(archive: Path, limits: Limits) -> Iterator[Member]:
    """The members of a tar file, read forward; each must be read before the next is asked for.

    Raises:
        UnreadableInput: One of them is refused, or the archive is damaged.
    """
    with archive.open("rb") as file:
        metered = _Metered(_decompressed(file, _head(file)))
        with tarfile.open(fileobj=metered, mode="r:") as held:  # type: ignore[call-overload]
            while (info := held.next()) is not None:
                held.members = []  # what was unpacked need not be remembered
                if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE) or info.sparse is not None:
                    raise _not_plain(archive, info.name)
                yield Member(info.name, 0 if info.isdir() else info.size, info.isdir(), file.tell(), _extractor(held, info))
        if metered.last.strip(b"\0") or len(metered.last) != tarfile.BLOCKSIZE:  # tarfile takes a damaged header for the end
            raise UnreadableInput("{path} is damaged: {why}", path=archive, why="the end is missing")
        metered.drain(limits.grace_bytes)  # so that the checksum of the compression is compared


def _extractor(held: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], IO[bytes] | None]:
    return lambda: held.extractfile(info)


def folder_members(folder: Path) -> Iterator[Member]:
    """The files and folders below a folder, in the order of their names.

    Raises:
        UnreadableInput: One of them is refused, or the archive is damaged.
    """
    for path in sorted(folder.rglob("*")):
        found = path.lstat()
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            raise _not_plain(folder, path.name)
        is_folder = stat.S_ISDIR(found.st_mode)
        yield Member(path.relative_to(folder).as_posix(), 0 if is_folder else found.st_size, is_folder, 0, _reader(path))


def _reader(path: Path) -> Callable[[], IO[bytes]]:
    return lambda: path.open("rb")


def _not_plain(archive: Path, name: str) -> UnreadableInput:
    why = UnreadableInput("{name!r} is a link, a device or another thing that is no plain file", name=readable(name)[:200])
    return UnreadableInput("{path} is refused: {why}", path=archive, why=why, hint="nothing of it was unpacked")


def _head(file: IO[bytes]) -> bytes:
    head = file.read(6)
    file.seek(0)
    return head


def _looks_like_tar(head: bytes) -> bool:
    """Whether a block is the header of a tar member: its checksum is right."""
    if len(head) < tarfile.BLOCKSIZE or not head[:1].strip(b"\0"):
        return False
    try:
        written = int(head[148:156].split(b"\0")[0].strip() or b"-1", 8)
    except ValueError:
        return False
    return written == sum(head[:148]) + 8 * ord(" ") + sum(head[156:512])


def _decompressed(file: IO[bytes], head: bytes) -> Any:
    """Something with `read` that gives the bytes of the tar file itself."""
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if head.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if head.startswith(b"\xfd7zXZ\0"):
        return io.BufferedReader(_Xz(file))
    return file


class _Xz(io.RawIOBase):
    """An xz stream read with a limit of memory, which the module's own file objects do not have."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.decoder = file, lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self.decoder.eof:
            more = self.file.read(PIECE) if self.decoder.needs_input else b""
            if self.decoder.needs_input and not more:
                raise EOFError("the end is missing")
            if piece := self.decoder.decompress(more, len(buffer)):
                buffer[: len(piece)] = piece
                return len(piece)
        return 0


class _Metered:
    """What tarfile reads from: forward only, and never much at once, so that a header cannot ask for all memory."""

    def __init__(self, source: Any) -> None:
        self.source, self.place, self.last = source, 0, b""

    def read(self, n: int = -1) -> bytes:
        if not 0 <= n <= PIECE:
            raise ValueError("a header is too large")
        self.last = self.source.read(n)
        self.place += len(self.last)
        return self.last

    def tell(self) -> int:
        return self.place

    def seek(self, place: int, whence: int = 0) -> int:
        if whence or place < self.place:
            raise ValueError("the members are not in order")
        while self.place < place and self.read(min(PIECE, place - self.place)):
            pass
        return self.place

    def drain(self, most: int) -> None:
        """Read to the end, which must come within so many bytes."""
        end = self.place + most
        while self.read(PIECE):
            if self.place > end:
                raise ValueError("there is more behind the end")
