"""The chunks of a MIDI file: foreign bytes in, the header's values and one stretch of bytes per track out.

It unwraps RIFF (RMID), steps over chunks that are none of ours, and looks for the next track where a length lies. It does not
look into the events of a track; `events` does. Positions in errors are bytes from the start of the file.

Source: Standard MIDI Files 1.0 (RP-001) and RMID (RP-029), MIDI Manufacturers Association.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from kapelle.errors import MidiError

_MAX_LEADING = 256
"""How many bytes before the header are passed over: old Macintosh archives put 128 there."""


@dataclass(frozen=True)
class Container:
    """What a file holds: its format 0, 1 or 2, its division, and where each track lies in `data`.

    `division` is as written: ticks per quarter note if positive; if negative, frames per second and ticks per frame in its two bytes.
    """

    data: bytes
    format: int
    division: int
    tracks: tuple[tuple[int, int], ...]


def open_container(data: bytes, name: str, max_tracks: int, counts: Counter[str]) -> Container:
    """The container in `data`, which errors call `name`; what is passed over is counted in `counts`.

    Raises:
        MidiError: The bytes are no MIDI file, or there are more than `max_tracks` tracks.
    """
    start, end = _midi_range(data, name, counts)
    if end - start < 14:
        raise MidiError("{name} ends inside its header, at byte {offset}", name=name, offset=end, hint="the file is cut off; get it again")
    length = int.from_bytes(data[start + 4 : start + 8], "big")
    form, declared, division = (int.from_bytes(data[start + at : start + at + 2], "big") for at in (8, 10, 12))
    if length < 6:
        raise MidiError("{name} has a header of {length} bytes at byte {offset}, 6 are needed", name=name, length=length, offset=start + 4)
    if division == 0:
        raise MidiError("{name} gives no unit of time (division 0 at byte {offset})", name=name, offset=start + 12)
    if form > 2:
        counts["format"] += 1
    pos = start + 8 + length
    if length > 6:
        counts["header"] += 1
        if pos > end:  # the length lies: the tracks begin where they always do
            pos = start + 14
    tracks = _tracks(data, pos, end, name, max_tracks, counts)
    if len(tracks) != declared:
        counts["track_count"] += 1
    return Container(data, form if form <= 2 else 1, division - 0x10000 if division & 0x8000 else division, tuple(tracks))


def _midi_range(data: bytes, name: str, counts: Counter[str]) -> tuple[int, int]:
    """Where the MIDI file inside `data` begins and ends."""
    if not data:
        raise MidiError("{name} is empty", name=name, hint="the file has no bytes; get it again")
    if data.startswith(b"MThd"):
        return 0, len(data)
    if data.startswith(b"RIFF"):
        return _inside_riff(data, name, counts)
    _refuse_other_formats(data, name)
    start = data.find(b"MThd", 0, _MAX_LEADING + 4)
    if start > 0 and data[start + 4 : start + 7] == b"\0\0\0":
        counts["leading_bytes"] += start
        return start, len(data)
    head = data[:512].lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html", b"<?xml", b"<head", b"<body")):
        raise MidiError("{name} is a web page or XML, not a MIDI file", name=name, hint="the download went wrong; get the file itself")
    if all(9 <= byte <= 13 or 32 <= byte < 127 for byte in data[:512]):
        raise MidiError("{name} is text, not a MIDI file", name=name, hint="MIDI files begin with the letters MThd")
    raise MidiError("{name} is not a MIDI file: it does not begin with MThd", name=name, hint="MIDI files begin with the letters MThd")


def _refuse_other_formats(data: bytes, name: str) -> None:
    """Raise the error that names what the bytes are instead, where their beginning tells."""
    if data.startswith(b"\x1f\x8b"):
        raise MidiError("{name} is packed with gzip", name=name, hint="unpack it first")
    if data.startswith(b"PK\x03\x04"):
        raise MidiError("{name} is a zip archive", name=name, hint="unpack it first")
    if data.startswith((b"ID3", b"OggS", b"fLaC")):
        raise MidiError("{name} is a sound recording, not a MIDI file", name=name)
    if data.startswith((b"%PDF", b"\x89PNG", b"\xff\xd8\xff")):
        raise MidiError("{name} is a picture or a PDF, not a MIDI file", name=name)


def _inside_riff(data: bytes, name: str, counts: Counter[str]) -> tuple[int, int]:
    """The range of the "data" chunk of a RIFF file of the kind RMID."""
    if data[8:12] != b"RMID":
        raise MidiError("{name} is a RIFF file without MIDI in it", name=name, hint="a .wav holds sound; what is needed is a .mid")
    pos = 12
    while pos + 8 <= len(data):
        length = int.from_bytes(data[pos + 4 : pos + 8], "little")
        if data[pos : pos + 4] == b"data" and data[pos + 8 : pos + 12] == b"MThd":
            counts["riff"] += 1
            return pos + 8, min(pos + 8 + length, len(data))
        pos += 8 + length + (length & 1)
    raise MidiError("{name} is a RIFF file without MIDI in it", name=name, hint="a .wav holds sound; what is needed is a .mid")


def _tracks(data: bytes, pos: int, end: int, name: str, max_tracks: int, counts: Counter[str]) -> list[tuple[int, int]]:
    tracks: list[tuple[int, int]] = []
    while pos + 8 <= end:
        kind = data[pos : pos + 4]
        stop = pos + 8 + int.from_bytes(data[pos + 4 : pos + 8], "big")
        honest = stop <= end and (end - stop < 8 or _is_chunk_name(data[stop : stop + 4]))
        if kind == b"MTrk":
            if len(tracks) == max_tracks:
                raise MidiError(
                    "{name} has more than {limit} tracks", name=name, limit=max_tracks, hint="the limit is the setting Limits.tracks"
                )
            if not honest:
                # A length that lies: the track goes on to the next one, or to the end of the file.
                found = data.find(b"MTrk", pos + 8, end)
                trailing = stop <= end and data[stop - 3 : stop] == b"\xff\x2f\x00"
                counts["trailing_bytes" if trailing and found < 0 else "track_length"] += 1
                stop = stop if trailing and found < 0 else (end if found < 0 else found)
            tracks.append((pos + 8, stop))
        elif _is_chunk_name(kind) and honest:
            counts["alien_chunks"] += 1
        else:
            found = data.find(b"MTrk", pos + 1, end)
            stop = end if found < 0 else found
            counts["trailing_bytes"] += stop - pos
        pos = stop
    if pos < end:
        counts["trailing_bytes"] += end - pos
    return tracks


def _is_chunk_name(four: bytes) -> bool:
    return len(four) == 4 and all(32 <= byte < 127 for byte in four)
