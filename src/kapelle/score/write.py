"""A score written as a Standard MIDI File of type 1, byte for byte the same for the same score.

The first track conducts: tempi, metres, keys, markers and, if given, one text that tells where the piece is from. Then one named
track per instrument follows. Every track ends at one tick: the final bar line, or later if a note sounds longer. Drums get
channel 10. Up to 15 pitched tracks get a channel each; more than that share one channel per program, and where there are more
than 15 programs, those that lie next to each other in the table of General MIDI share one, with a program change before a note
wherever the instrument changes.

Values outside of what a file can hold are brought to the nearest that fits. Nothing that depends on time, place or version is
written. Two notes of one pitch that overlap in a track cannot be told apart in a file: use `edit.resolve_overlaps` first.

Source: Standard MIDI Files 1.0, MIDI Manufacturers Association, RP-001.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from symusic import Score, Track

from kapelle import fresh
from kapelle.errors import StorageError, UsageError
from kapelle.score import units
from kapelle.score.instruments import program_name

Event = tuple[int, int, bytes]
"""Tick, rank among the events of one tick (low first), bytes."""

_PITCHED_CHANNELS = tuple(channel for channel in range(16) if channel != 9)
_MAX_DELTA = 0x0FFF_FFFF
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
# Within one tick: names and programs, then what ends, then controls, then what begins. A note that ends and one of the same
# pitch that begins at that tick must come in this order, or readers pair them wrongly.
_SET_UP, _OFF, _CONTROL, _CHANGE, _ON = range(5)


def write(score: Score, path: str | Path, *, text: str = "", end_ticks: int | None = None, force: bool = False) -> Path:
    """`score` in the file `path`, which is returned. The file appears whole or not at all.

    Args:
        score: A score in ticks.
        path: Where to; folders on the way are made.
        text: One line about where the piece is from, kept in the file as a text event.
        end_ticks: Where the piece ends; the bar line after the last note if left out.
        force: Replace a file that is there already.

    Raises:
        UsageError: There is such a file, and `force` is not set.
        StorageError: The disk is full, or writing is not allowed there.
    """
    path = Path(path)
    if not force and _exists(path):
        raise UsageError("{path} exists already", path=path, hint="choose another name, or overwrite it with --force")
    write_bytes(path, to_bytes(score, text=text, end_ticks=end_ticks))
    return path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that cannot be: writing will say why
        return False


def write_bytes(path: Path, data: bytes, *, durable: bool = True) -> None:
    """`data` in the file `path`, by way of a temporary file beside it: a reader never sees half of it.

    Args:
        path: Where to; folders on the way are made.
        data: What to write.
        durable: Wait until it would survive a power cut; not worth it for what can be made again.

    Raises:
        StorageError: The disk is full, or writing is not allowed there.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = fresh.file_in(path.parent, ".kapelle-", ".part")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) in _FULL:
            raise StorageError("the disk is full: cannot write {path}", path=path, hint="make room on the disk, then try again") from error
        why = getattr(error, "strerror", None) or error
        raise StorageError("cannot write {path}: {why}", path=path, why=why, hint="choose a folder that you may write to") from error
    finally:  # after Ctrl-C too
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def to_bytes(score: Score, *, text: str = "", end_ticks: int | None = None) -> bytes:
    """`score` as the bytes of a Standard MIDI File of type 1.

    Args:
        score: A score in ticks.
        text: One line about where the piece is from, kept as a text event at tick 0; none if empty.
        end_ticks: Where all tracks end; the bar line after the last note if left out. Later if a note sounds longer. Tempi, metres,
            keys and markers after it are left out, controls after it moved there.
    """
    parts = [list(_conductor(score, text)), *instruments(score)[0]]
    end = units.final_bar_line(score) if end_ticks is None else end_ticks
    end = max([end, 0, *(tick for part in parts for tick, _, data in part if data[0] & 0xF0 == 0x80)])
    parts[0] = [event for event in parts[0] if event[0] <= end]
    chunks = [_chunk([(min(tick, end), rank, data) for tick, rank, data in part], end) for part in parts]
    tpq = min(max(score.tpq, 1), 32767)
    return b"MThd" + b"".join(n.to_bytes(size, "big") for n, size in ((6, 4), (1, 2), (len(chunks), 2), (tpq, 2))) + b"".join(chunks)


def instruments(score: Score) -> tuple[list[list[Event]], list[int]]:
    """The events of every track that has notes, and the channels that several programs share.

    They are not in order of time: first come name, program and controls, then every note, its end behind its beginning.
    """
    tracks = [track for track in score.tracks if len(track.notes)]
    channels, shared = _channels(tracks)
    parts = [list(_instrument(track, channel)) for track, channel in zip(tracks, channels, strict=True)]
    for channel in shared:
        _change_programs([i for i, other in enumerate(channels) if other == channel], tracks, channel, parts)
    return parts, shared


def _chunk(events: list[Event], end: int) -> bytes:
    """The events of one track as a chunk that ends at the tick `end`."""
    out, now = bytearray(), 0
    for tick, _, data in sorted(events, key=lambda event: event[:2]):
        out += _delta(tick - now) + data
        now = tick
    out += _delta(end - now) + b"\xff\x2f\x00"
    return b"MTrk" + len(out).to_bytes(4, "big") + bytes(out)


def _delta(ticks: int) -> bytes:
    """A distance in time; one too long for the format is bridged by empty text events."""
    bridge = b""
    while ticks > _MAX_DELTA:
        bridge += _varlen(_MAX_DELTA) + b"\xff\x01\x00"
        ticks -= _MAX_DELTA
    return bridge + _varlen(ticks)


def _varlen(number: int) -> bytes:
    out = [number & 0x7F]
    while number := number >> 7:
        out.append(number & 0x7F | 0x80)
    return bytes(reversed(out))


def _meta(kind: int, data: bytes) -> bytes:
    return bytes((0xFF, kind)) + _varlen(len(data)) + data


def _conductor(score: Score, text: str) -> Iterator[Event]:
    """The events of the first track."""
    if text:
        yield 0, _SET_UP, _meta(0x01, text.encode("utf-8", "replace"))
    metres, tempi = units.metre_map(score), units.tempo_map(score)
    for tick, numerator, denominator in zip(metres.ticks.tolist(), metres.numerators.tolist(), metres.denominators.tolist(), strict=True):
        power = min(max(round(float(np.log2(denominator))), 0), 7)
        yield tick, _OFF, _meta(0x58, bytes((min(numerator, 255), power, 24, 8)))
    for signature in score.key_signatures:
        sharps = min(max(signature.key, -7), 7)
        yield max(signature.time, 0), _OFF, _meta(0x59, bytes((sharps & 0xFF, 1 if signature.tonality else 0)))
    for tick, mspq in zip(tempi.ticks.tolist(), tempi.mspq.tolist(), strict=True):
        yield tick, _CONTROL, _meta(0x51, min(max(mspq, 1), 0xFF_FFFF).to_bytes(3, "big"))
    for marker in score.markers:
        yield max(marker.time, 0), _ON, _meta(0x06, marker.text.encode("utf-8", "replace"))


def _instrument(track: Track, channel: int) -> Iterator[Event]:
    """The events of the track of one instrument."""
    program = _seven_bits(track.program)
    name = track.name or program_name(program, is_drum=track.is_drum)
    yield 0, _SET_UP, _meta(0x03, name.encode("utf-8", "replace"))
    yield 0, _SET_UP, bytes((0xC0 | channel, program))
    for lyric in track.lyrics:
        yield max(lyric.time, 0), _CONTROL, _meta(0x05, lyric.text.encode("utf-8", "replace"))
    yield from _controls(track, channel)
    on, off = 0x90 | channel, 0x80 | channel
    notes = track.notes.numpy()
    starts = np.maximum(notes["time"].astype(np.int64), 0)
    ends = np.maximum(notes["time"].astype(np.int64) + notes["duration"], starts + 1)
    pitches, velocities = np.clip(notes["pitch"], 0, 127), np.clip(notes["velocity"], 1, 127)
    order = np.lexsort((velocities, ends, pitches, starts))
    columns = (column[order].tolist() for column in (starts, ends, pitches, velocities))
    for start, end, pitch, velocity in zip(*columns, strict=True):
        yield start, _ON, bytes((on, pitch, velocity))
        yield end, _OFF, bytes((off, pitch, 0))


def _controls(track: Track, channel: int) -> Iterator[Event]:
    """Control changes and pitch bends; pedals where no control change tells of them."""
    pedal_seen = False
    for control in track.controls:
        pedal_seen |= control.number == 64
        yield max(control.time, 0), _CONTROL, bytes((0xB0 | channel, _seven_bits(control.number), _seven_bits(control.value)))
    for bend in track.pitch_bends:
        value = min(max(bend.value + 8192, 0), 16383)
        yield max(bend.time, 0), _CONTROL, bytes((0xE0 | channel, value & 0x7F, value >> 7))
    for pedal in () if pedal_seen else track.pedals:
        yield max(pedal.time, 0), _CHANGE, bytes((0xB0 | channel, 64, 127))
        yield max(pedal.time + pedal.duration, 0), _OFF, bytes((0xB0 | channel, 64, 0))


def _seven_bits(value: int) -> int:
    return min(max(value, 0), 127)


def _channels(tracks: Sequence[Track]) -> tuple[list[int], list[int]]:
    """The channel of each track, and the channels on which more than one program plays."""
    pitched = [track for track in tracks if not track.is_drum]
    if len(pitched) <= len(_PITCHED_CHANNELS):
        free = iter(_PITCHED_CHANNELS)
        return [9 if track.is_drum else next(free) for track in tracks], []
    programs = sorted({_seven_bits(track.program) for track in pitched})
    groups = min(len(programs), len(_PITCHED_CHANNELS))
    of = {program: _PITCHED_CHANNELS[i * groups // len(programs)] for i, program in enumerate(programs)}
    used = list(of.values())
    shared = sorted({channel for channel in used if used.count(channel) > 1})
    return [9 if track.is_drum else of[_seven_bits(track.program)] for track in tracks], shared


def _change_programs(members: Iterable[int], tracks: Sequence[Track], channel: int, parts: list[list[Any]]) -> None:
    """Add a program change to the events of every track whose note follows one of another program on its channel."""
    firsts = [(int(tick), i) for i in members for tick in np.unique(tracks[i].notes.numpy()["time"])]
    sounding = None
    for tick, i in sorted(firsts):
        program = _seven_bits(tracks[i].program)
        if program != sounding:
            parts[i].append((max(tick, 0), _CHANGE, bytes((0xC0 | channel, program))))
            sounding = program
