"""What a sound file says of itself: title, artist, comment, licence and the like, in the file's own way of saying so.

Takes and gives plain texts by the names in `KEYS`; every text may hold any language and several lines. FLAC, OGG and Opus have Vorbis
comments, which libsndfile writes well. In WAV it loses the licence, and everything after about 2,000 bytes; in MP3 it loses the licence,
the copyright and the software, and every letter beyond ASCII: so these two are written and read here. No date is ever written, so bytes
repeat. `files.write` calls this; sound is neither read nor changed here.

Known differences: a WAV's INFO list has no place for a licence, so that one is kept as ILIC, which players pass over, and texts are
UTF-8, which players today expect, where the standard of 1991 knew only the code page of the machine.

Source: Microsoft and IBM, Multimedia Programming Interface and Data Specifications 1.0 (INFO list); ID3 tag version 2.3.0, id3.org.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from kapelle.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from pathlib import Path

KEYS = ("title", "artist", "album", "genre", "comment", "copyright", "license", "software")
"""What can be said, by the names that libsndfile uses too."""

MAX_CHARACTERS = 10_000
MAX_READ_BYTES = 1 << 20  # of one text or tag of a foreign file

_INFO = {
    "title": b"INAM", "artist": b"IART", "album": b"IPRD", "genre": b"IGNR", "comment": b"ICMT", "copyright": b"ICOP",
    "license": b"ILIC", "software": b"ISFT",
}  # fmt: skip
_ID3 = {
    "title": b"TIT2", "artist": b"TPE1", "album": b"TALB", "genre": b"TCON", "comment": b"COMM", "copyright": b"TCOP",
    "license": b"TXXX", "software": b"TSSE",
}  # fmt: skip
_DESCRIBED = {b"COMM": "", b"TXXX": "LICENSE"}
"""Frames that may stand several times, and the description of ours."""

_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")


def check(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags without empty ones, in the order of `KEYS`.

    Raises:
        UnknownName: A key is not one of `KEYS`.
        UsageError: A text is longer than `MAX_CHARACTERS`, or holds what is no text.
    """
    for key, text in tags.items():
        if key not in KEYS:
            raise UnknownName("tag", key, KEYS)
        if len(text) > MAX_CHARACTERS:
            raise UsageError("the tag {key} has {n:,} characters; at most {limit:,} are kept", key=key, n=len(text), limit=MAX_CHARACTERS)
        if not all(map(_is_text, text)):
            raise UsageError("the tag {key} holds signs that are no text", key=key)
    return {key: tags[key] for key in KEYS if tags.get(key)}


def add(path: Path, tags: Mapping[str, str]) -> None:
    """Put tags that were checked into a finished WAV or MP3 of ours, in place; no other format needs it."""
    with path.open("r+b") as file:
        if file.read(4) == b"RIFF":
            _add_info(file, tags)
        else:
            file.seek(0)
            sound = file.read()
            file.seek(0)
            file.write(_id3(tags) + sound)


def read(path: Path) -> dict[str, str]:
    """What the sound file at `path` says of itself, as far as it has a name in `KEYS`; empty for one that says nothing.

    The file was opened by `files`, which knows that it is sound.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            found = dict(_read_info(file))
        elif head[:3] == b"ID3":
            found = dict(_read_id3(file, head))
        else:
            return {}
    return _ours(found)


def of_libsndfile(file: Any) -> dict[str, str]:
    """What an open `soundfile.SoundFile` says, without what libsndfile adds of itself."""
    said = file.copy_metadata()
    found = {key: str(said[key]).removesuffix(f" ({_library()})") for key in KEYS if said.get(key)}
    return _ours({key: text for key, text in found.items() if (key, text) != ("software", _library().partition("-")[0])})


def _ours(found: Mapping[str, str]) -> dict[str, str]:
    """Texts of any program as such that `check` takes: without carriage returns and other signs that are no text, cut where too long."""
    texts = {key: found[key].replace("\r\n", "\n").replace("\r", "\n")[:MAX_CHARACTERS] for key in KEYS if key in found}
    clean = {key: "".join(sign for sign in text if _is_text(sign)) for key, text in texts.items()}
    return {key: text for key, text in clean.items() if text}


def _is_text(sign: str) -> bool:
    return (ord(sign) >= 32 or sign in "\t\n") and not 0xD800 <= ord(sign) < 0xE000


def _library() -> str:
    import soundfile

    return f"libsndfile-{soundfile.__libsndfile_version__}"


def _add_info(file: BinaryIO, tags: Mapping[str, str]) -> None:
    """A list of texts after the samples, and the new length of the whole at the front."""
    body = b"INFO"
    for key, text in tags.items():
        data = text.encode() + b"\0"
        body += _INFO[key] + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    file.seek(0, 2)  # libsndfile has made it even, as chunks must be
    file.write(b"LIST" + struct.pack("<I", len(body)) + body)
    end = file.tell()
    file.seek(4)
    file.write(struct.pack("<I", min(end - 8, 0xFFFF_FFFF)))


def _read_info(file: BinaryIO) -> Iterator[tuple[str, str]]:
    names = {name: key for key, name in _INFO.items()}
    for name, size in _chunks(file):
        if name == b"LIST" and size <= MAX_READ_BYTES:
            body = file.read(size)
            if body[:4] == b"INFO":
                for part, data in _parts(body[4:]):
                    if part in names:
                        yield names[part], _decoded(data.split(b"\0")[0])


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Name and size of every chunk of a RIFF file, with the file standing at its body."""
    place = 12
    while len(head := _read_at(file, place, 8)) == 8:
        size = struct.unpack("<I", head[4:])[0]
        yield head[:4], size
        place += 8 + size + size % 2


def _read_at(file: BinaryIO, place: int, size: int) -> bytes:
    file.seek(place)
    return file.read(size)


def _parts(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    while place + 8 <= len(body):
        size = struct.unpack_from("<I", body, place + 4)[0]
        yield body[place : place + 4], body[place + 8 : place + 8 + size]
        place += 8 + size + size % 2


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:  # of a program that writes the code page of its machine
        return data.decode("cp1252", "replace")


def _id3(tags: Mapping[str, str]) -> bytes:
    """A whole tag of version 2.3."""
    frames = b"".join(_frame(_ID3[key], text) for key, text in tags.items())
    return b"ID3\x03\x00\x00" + _synchsafe(len(frames)) + frames


def _frame(name: bytes, text: str) -> bytes:
    plain = all(ord(sign) < 256 for sign in text)
    body = (b"\x00" if plain else b"\x01") + (b"eng" if name == b"COMM" else b"")
    if name in _DESCRIBED:
        body += _encoded(_DESCRIBED[name], plain) + bytes(1 if plain else 2)
    body += _encoded(text, plain)
    return name + struct.pack(">IH", len(body), 0) + body


def _encoded(text: str, plain: bool) -> bytes:
    return text.encode("latin-1") if plain else b"\xff\xfe" + text.encode("utf-16-le")


def _synchsafe(number: int) -> bytes:
    """28 bits in four bytes that never look like the beginning of sound."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def _number(data: bytes, *, synchsafe: bool) -> int:
    return sum(byte << shift for byte, shift in zip(data, (21, 14, 7, 0), strict=False)) if synchsafe else int.from_bytes(data, "big")


def _read_id3(file: BinaryIO, head: bytes) -> Iterator[tuple[str, str]]:
    """The texts of a tag of version 2.3 or 2.4, unless its bytes are mangled to pass through players of the nineties."""
    version, flags, size = head[3], head[5], _number(head[6:10], synchsafe=True)
    if version not in (3, 4) or flags & 0xC0 or size > MAX_READ_BYTES:
        return
    body = _read_at(file, 10, size)
    names = {name: key for key, name in _ID3.items()}
    place = 0
    while place + 10 <= len(body) and body[place]:
        size = _number(body[place + 4 : place + 8], synchsafe=version == 4)
        name, data = body[place : place + 4], body[place + 10 : place + 10 + size]
        if name in names and len(data) > 1 and data[0] < len(_ENCODINGS):
            texts = _texts(data, name, _ENCODINGS[data[0]])
            if name not in _DESCRIBED or texts[0].upper() == _DESCRIBED[name]:
                yield names[name], texts[-1]
        place += 10 + size


def _texts(data: bytes, name: bytes, encoding: str) -> list[str]:
    """Description, if the frame has one, and text."""
    body = data[4:] if name == b"COMM" else data[1:]
    parts = _split(body) if encoding.startswith("utf-16") else body.split(b"\0")
    return [part.decode(encoding, "replace") for part in parts[: 2 if name in _DESCRIBED else 1]]


def _split(body: bytes) -> list[bytes]:
    """The parts between zeros of two bytes, at even places."""
    parts, start = [], 0
    for place in range(0, len(body) - 1, 2):
        if body[place : place + 2] == b"\0\0":
            parts.append(body[start:place])
            start = place + 2
    return [*parts, body[start:]]
