"""The only door through which an archive comes in: zip and tar (plain, gz, bz2, xz), and folders that another program unpacked.

Takes an archive that may hold anything, and a folder that is not there yet; gives that folder with plain files, or nothing at all.
Every name is judged and then made anew, so that it means the same on every system and stays inside. Refused, with the whole archive:
absolute names, ``..``, drives, NUL bytes, links, devices, pipes, sparse and encrypted members, more members, bytes, depth or length
of names than the limits allow, and a size out of proportion to the archive's own. Of members whose names are the same, also but for
case or the form of an accent, the first is kept and the others are counted. Modes, owners and times are not taken over; nothing is
unpacked a second time.

What the members hold is not looked at.
"""

from __future__ import annotations

import re
import shutil
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import IO

from kapelle.data.members import PIECE, Limits, Member, folder_members, kind_of, readable, tar_members, understood, zip_members
from kapelle.data.storage import writing
from kapelle.errors import UnreadableInput

LITTER = frozenset({".ds_store", "thumbs.db", "desktop.ini", "__macosx"})
"""What file managers add to archives; left out without a word, as is ``._NAME``."""

_DEVICES = frozenset({"con", "prn", "aux", "nul", "conin$", "conout$", *(f"{kind}{n}" for kind in ("com", "lpt") for n in "0123456789¹²³")})
_FORBIDDEN = frozenset('<>:"|?*\\')
_DRIVE = re.compile(r"[A-Za-z]:(/|$)")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Unpacked:
    """What came out.

    Args:
        files: Files written.
        size: Their bytes.
        same_name: Members left out because an earlier one had their name.
    """

    files: int
    size: int
    same_name: int


def unpack(
    archive: Path,
    into: Path,
    *,
    leave_out: Iterable[str] = (),
    limits: Limits | None = None,
    progress: Progress = lambda done, total: None,
) -> Unpacked:
    """Unpack an archive to the new folder `into`.

    Args:
        archive: A file of any content.
        into: A folder that is not there; it is not there afterwards either if anything fails.
        leave_out: Patterns, such as ``*/versions/*``, of names that are not unpacked.
        limits: The defaults if left out.
        progress: Called with (bytes of the archive read, bytes of the archive).

    Raises:
        UnreadableInput: It is no archive, is damaged, or something in it is refused.
        StorageError: The disk is full, or writing is not allowed.
    """
    limits, kind, packed = limits or Limits(), kind_of(archive), archive.stat().st_size
    members = {"zip": zip_members, "tar": tar_members}.get(kind)
    if members is None:
        hint = "zip, tar, tar.gz, tar.bz2 and tar.xz can be unpacked; with others, unpack by hand and give the folder"
        raise UnreadableInput("{path} is no archive: it looks like {why}", path=archive, why=kind, hint=hint)
    gate = _Gate(archive, into, limits, packed, tuple(leave_out))
    with _all_or_nothing(into), understood(archive):
        for member in members(archive, limits):
            gate.take(member)
            progress(min(member.at, packed), packed)
        return gate.result()


def admit(folder: Path, into: Path, *, leave_out: Iterable[str] = (), limits: Limits | None = None) -> Unpacked:
    """Copy a folder that another program unpacked to the new folder `into`, under the rules for archives.

    Raises:
        UnreadableInput: Something in it is refused.
        StorageError: The disk is full, or writing is not allowed.
    """
    limits = limits or Limits()
    gate = _Gate(folder, into, limits, 0, tuple(leave_out))
    with _all_or_nothing(into), understood(folder):
        for member in folder_members(folder):
            gate.take(member)
        return gate.result()


def safe_name(name: str, limits: Limits | None = None) -> tuple[str, ...]:
    """The parts of a member's name, made so that they stay inside and mean the same on every system; empty for the root itself.

    Raises:
        UnreadableInput: The name is one of an attack, or beyond the limits.
    """
    limits = limits or Limits()
    shown = readable(name)[:200]
    if "\0" in name:
        raise UnreadableInput("a name holds a NUL byte: {name!r}", name=shown)
    flat = name.replace("\\", "/")
    if flat.startswith("/") or _DRIVE.match(flat):
        raise UnreadableInput("a name is absolute: {name!r}", name=shown)
    parts = [part for part in flat.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UnreadableInput("a name leads out of the folder: {name!r}", name=shown)
    made = tuple(_safe_part(part) for part in parts)
    if len(made) > limits.depth + 1 or len("/".join(made).encode()) > limits.path_bytes:
        raise UnreadableInput("a name is too long or too deep: {name!r}", name=shown)
    if any(len(part.encode()) > limits.name_bytes for part in made):
        raise UnreadableInput("a name is too long or too deep: {name!r}", name=shown)
    return made


def _safe_part(part: str) -> str:
    text = "".join(char if char.isprintable() and char not in _FORBIDDEN else "_" for char in unicodedata.normalize("NFC", readable(part)))
    text = text.rstrip(". ")  # Windows drops them, and would make two names one
    if text.partition(".")[0].rstrip().casefold() in _DEVICES:
        text = "_" + text
    return text or "_"


class _Gate:
    """Judges members one by one, and writes those that may come in."""

    def __init__(self, archive: Path, into: Path, limits: Limits, packed: int, leave_out: tuple[str, ...]) -> None:
        self.archive, self.into, self.limits, self.packed, self.leave_out = archive, into, limits, packed, leave_out
        self.folders: dict[str, Path] = {"": into}  # by case-folded name: the folder as it was first written
        self.names: set[str] = set()
        self.members = self.files = self.size = self.same_name = 0

    def take(self, member: Member) -> None:
        """Write a member, or leave it out, or refuse the archive."""
        self.members += 1
        if self.members > self.limits.members:
            raise UnreadableInput("{path} holds more than {limit:,} members", path=self.archive, limit=self.limits.members)
        try:
            parts = safe_name(member.name, self.limits)
        except UnreadableInput as error:
            raise UnreadableInput("{path} is refused: {why}", path=self.archive, why=error, hint="nothing of it was unpacked") from error
        self._check_size(self.size + member.size)
        if not parts or any(part.casefold() in LITTER or part.startswith("._") for part in parts):
            return
        if member.is_folder or any(fnmatch("/".join(parts), pattern) for pattern in self.leave_out):
            return  # folders are made for the files in them
        key = _key(parts)
        if key in self.names:
            self.same_name += 1
            return
        self.names.add(key)
        with writing(self.into):
            path = self._folder(parts[:-1]) / parts[-1]
            if key in self.folders:
                raise UnreadableInput("{path} holds a file and a folder of one name: {name!r}", path=self.archive, name="/".join(parts))
            file = path.open("xb")
        with file:
            self._write(member, path, file)
        self.files += 1

    def _write(self, member: Member, path: Path, file: IO[bytes]) -> None:
        source = member.open()
        if source is None:
            raise UnreadableInput("{path} is damaged: {why}", path=self.archive, why="a member has no contents")
        written = 0
        with source:
            while piece := source.read(PIECE):
                written += len(piece)
                if written > member.size:
                    raise UnreadableInput("{path} is damaged: {why}", path=self.archive, why="a member is longer than it says")
                self._check_size(self.size + written)
                with writing(self.into):
                    file.write(piece)
        with writing(self.into):
            file.flush()
        if written != member.size:
            raise UnreadableInput("{path} is damaged: {why}", path=self.archive, why="a member is shorter than it says")
        self.size += written

    def _folder(self, parts: tuple[str, ...]) -> Path:
        """The folder of these names, made if it is not there; one that differs in case alone is the same."""
        path = self.into
        for n in range(1, len(parts) + 1):
            key = _key(parts[:n])
            if key in self.names:
                raise UnreadableInput("{path} holds a file and a folder of one name: {name!r}", path=self.archive, name="/".join(parts[:n]))
            if key not in self.folders:
                self.folders[key] = path / parts[n - 1]
                self.folders[key].mkdir()
            path = self.folders[key]
        return path

    def _check_size(self, size: int) -> None:
        limits = self.limits
        if size > limits.total_bytes:
            raise UnreadableInput(
                "{path} unpacks to more than {limit:,} bytes",
                path=self.archive,
                limit=limits.total_bytes,
                hint="nothing of it was unpacked",
            )
        if self.packed and size > limits.grace_bytes and size > limits.ratio * self.packed:
            raise UnreadableInput(
                "{path} unpacks to more than {ratio} times its size", path=self.archive, ratio=limits.ratio,
                hint="no archive of music does that; nothing of it was unpacked",
            )  # fmt: skip

    def result(self) -> Unpacked:
        """What came out.

        Raises:
            UnreadableInput: Nothing did.
        """
        if not self.files:
            raise UnreadableInput("{path} holds no files", path=self.archive)
        return Unpacked(self.files, self.size, self.same_name)


def _key(parts: tuple[str, ...]) -> str:
    """What two names have in common that a system may take for one."""
    return unicodedata.normalize("NFC", "/".join(parts).casefold())


@contextmanager
def _all_or_nothing(into: Path) -> Iterator[None]:
    with writing(into):
        into.mkdir(parents=True)
    try:
        yield
    except BaseException:
        shutil.rmtree(into, ignore_errors=True)
        raise
