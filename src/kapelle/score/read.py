"""Foreign MIDI bytes as a score: the only door through which they come in.

Takes a path or bytes; gives a `symusic.Score` in ticks with one track per instrument (track, channel and program of the file),
or one `MidiError` that says what is wrong and where. Whatever the bytes are, the answer comes in bounded time and memory: sizes
are checked first, events are counted while they are read, and nothing loops over ticks or bars. What the score holds is safe to
work with: pitches and velocities in range, no note shorter than a tick, tempi of 3.5 to 3,000 bpm, metres whose bars last at
least a tick, nothing after the limits.

Odd files are read for what they mean. Division by frames (SMPTE) becomes ticks per quarter note at a steady tempo, the
independent patterns of format 2 follow one another bar by bar, and where a track is damaged, what stands before the damage is
kept. All that was repaired or left out is counted in the `Report`; what costs music is logged as a warning too. It does not
quantise, guess a metre, or interpret system exclusive messages.

The bytes are parsed here, not by symusic: version 0.5.9 lets ticks wrap round at 2**31, keeps negative velocities, drops notes
never released without a word, and refuses SMPTE division, long headers and RMID. It would be some 15 times as fast; a note
costs about a microsecond here.
"""

from __future__ import annotations

import logging
import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from symusic import KeySignature, Score, Tempo, TextMeta, TimeSignature

from kapelle.errors import MidiError, Missing, StorageError
from kapelle.score import units
from kapelle.score.container import Container, open_container
from kapelle.score.edit import concat
from kapelle.score.events import Budget, TrackEvents, read_events
from kapelle.score.limits import DEFAULT, Limits
from kapelle.score.parts import instruments

_log = logging.getLogger(__name__)

_MIN_MSPQ = 20_000
_MAX_TICK = 2**30
_FRAME_RATES = {24: (24, 1), 25: (25, 1), 29: (30_000, 1001), 30: (30, 1)}
_LOST_NOTES_QUARTERS = 16
"""A note never released ends with its track, but lasts at most so many quarter notes."""

REPAIRS: Mapping[str, str] = {
    "riff": "unwrapped from RIFF",
    "leading_bytes": "bytes before the header passed over",
    "trailing_bytes": "bytes after the last track passed over",
    "header": "a header longer than it need be",
    "format": "an unknown format, read as format 1",
    "track_count": "another number of tracks than the header says",
    "track_length": "tracks of another length than they say",
    "alien_chunks": "unknown chunks passed over",
    "patterns": "independent patterns (format 2) put one after another",
    "smpte": "time in frames (SMPTE) turned into ticks per quarter note",
    "no_end_of_track": "tracks without an end",
    "damaged_tracks": "tracks read up to a damage",
    "bytes_given_up": "bytes after a damage given up",
    "illegal_messages": "messages that have no place in a file passed over",
    "values": "values over 127 lowered to 127",
    "stray_releases": "ends of notes that never began passed over",
    "unreleased": "notes never released, ended with their track",
    "zero_length": "notes of no length given one tick",
    "tempos": "impossible tempi passed over or brought in range",
    "metres": "impossible metres passed over",
    "keys": "impossible key signatures passed over",
    "texts": "texts beyond the limit passed over",
    "encodings": "texts that are not UTF-8 read as Latin-1",
    "late_events": "events after the last note passed over",
    "idle_controls": "controls of channels without notes passed over",
}
"""What a report counts, and what it means."""

_LOSSES = ("damaged_tracks", "bytes_given_up")


@dataclass(frozen=True)
class Report:
    """What was odd about a file.

    Attributes:
        format: 0, 1 or 2, as the header says (unknown ones count as 1).
        counts: How often each of `REPAIRS` was made; only those that were.
        damage: For each track that was cut short, what was wrong and where.
        texts: Its text events, 64 per track at most; a file written by Kapelle tells here where it is from.
    """

    format: int = 1
    counts: Mapping[str, int] = field(default_factory=dict)
    damage: tuple[MidiError, ...] = ()
    texts: tuple[str, ...] = ()

    @property
    def lossless(self) -> bool:
        """True if no music was given up."""
        return not any(name in self.counts for name in _LOSSES)

    def lines(self) -> list[str]:
        """One English line per kind of repair, and one per damage."""
        return [f"{number} x {REPAIRS[name]}" for name, number in self.counts.items()] + [str(error) for error in self.damage]


def read(source: str | Path | bytes, limits: Limits = DEFAULT) -> Score:
    """The score in a MIDI file, or in bytes of one; what had to be repaired is logged. A file without notes gives a score without tracks.

    Args:
        source: A path, or the bytes themselves.
        limits: How large the piece may be.

    Raises:
        MidiError: The bytes are no MIDI file, damaged before the first note, or beyond the limits.
        Missing: There is no such file.
        StorageError: It may not be read.
    """
    score, report = read_with_report(source, limits)
    if not report.lossless:
        _log.warning("%s: %s", _name(source), "; ".join(report.lines()))
    return score


def read_with_report(source: str | Path | bytes, limits: Limits = DEFAULT) -> tuple[Score, Report]:
    """The score in `source`, as `read` gives it, and what was repaired or left out on the way, which is not logged: the caller tells it."""
    found = read_file(source, limits)
    container, parts, counts = found.container, found.parts, found.counts
    damage = tuple(part.damage for part in parts if part.damage is not None)
    score = _score(parts, container, limits, counts, found.name)
    return score, Report(container.format, {key: counts[key] for key in REPAIRS if counts[key]}, damage, _texts(parts))


@dataclass(frozen=True)
class File:
    """A MIDI file taken apart, before it is a score.

    Attributes:
        data: Its bytes.
        name: What errors call it.
        container: Its header, and where its tracks are.
        parts: The events of each track.
        counts: What was repaired so far.
    """

    data: bytes
    name: str
    container: Container
    parts: list[TrackEvents]
    counts: Counter[str]


def read_file(source: str | Path | bytes, limits: Limits = DEFAULT, *, silent_notes: bool = False) -> File:
    """The events of `source`; where they are damaged before the first note, an error.

    Args:
        source: A path, or the bytes themselves.
        limits: How large the piece may be; bars and seconds are not known yet.
        silent_notes: Take a note-on of velocity 0 for a note, where none of its pitch sounds.

    Raises:
        MidiError: As in `read`.
        Missing: There is no such file.
        StorageError: It may not be read.
    """
    data, name = _load(source, limits)
    counts: Counter[str] = Counter()
    container = open_container(data, name, limits.tracks, counts)
    budget = Budget(limits, silent_notes)
    parts = [read_events(data, start, stop, budget, counts, name) for start, stop in container.tracks]
    damage = next((part.damage for part in parts if part.damage is not None), None)
    if damage is not None and not any(part.onset for part in parts):
        raise damage
    return File(data, name, container, parts, counts)


def _texts(parts: Sequence[TrackEvents]) -> tuple[str, ...]:
    return tuple(text for part in parts for text in part.texts)


def _name(source: str | Path | bytes) -> str:
    if isinstance(source, bytes | bytearray | memoryview):
        return "the file"
    return "".join(char if char.isprintable() else "?" for char in str(Path(source)))


def _load(source: str | Path | bytes, limits: Limits) -> tuple[bytes, str]:
    """The bytes of `source`, and what errors call it."""
    name = _name(source)
    if isinstance(source, bytes | bytearray | memoryview):
        _check_size(len(source), name, limits)
        return bytes(source), name
    path = Path(source)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise MidiError("{name} is a folder, not a MIDI file", name=name, hint="name one of the files in it")
        if not stat.S_ISREG(status.st_mode):
            raise MidiError("{name} is not a regular file", name=name, hint="copy what it gives into a file first")
        _check_size(status.st_size, name, limits)
        with path.open("rb") as file:
            data = file.read(limits.bytes + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Missing("there is no file {name}", name=name, hint="check the name and the folder") from error
    except ValueError as error:
        raise Missing("{name} cannot be the name of a file", name=name, hint="check the name and the folder") from error
    except OSError as error:
        raise StorageError("cannot read {name}: {why}", name=name, why=error.strerror, hint="check that you may read it") from error
    _check_size(len(data), name, limits)
    return data, name


def _check_size(size: int, name: str, limits: Limits) -> None:
    if size > limits.bytes:
        raise MidiError(
            "{name} has {size} bytes, at most {limit} are read",
            name=name,
            size=size,
            limit=limits.bytes,
            hint="a piece of music is smaller; take a part of it",
        )


@dataclass(frozen=True)
class _Clock:
    """What a tick is: `tpq` of them to a quarter note; with `mspq`, all the time at that tempo (SMPTE)."""

    tpq: int
    mspq: int | None = None


def _clock(container: Container, name: str) -> _Clock:
    if container.division > 0:
        return _Clock(container.division)
    rate, ticks = -(container.division >> 8), container.division & 0xFF
    if rate not in _FRAME_RATES or not ticks:
        raise MidiError("{name} counts {rate} frames of {ticks} ticks per second: no such unit of time", name=name, rate=rate, ticks=ticks)
    numerator, denominator = _FRAME_RATES[rate]
    per_second = round(numerator / denominator) * ticks
    # A tick lasts exactly 1 / (rate * ticks) s: a quarter note of 0.5 s where that is a whole number of ticks, else of 1 s.
    halves = 2 if per_second % 2 == 0 else 1
    tpq = per_second // halves
    return _Clock(tpq, round(1e6 * tpq * denominator / (numerator * ticks)))


def _score(parts: list[TrackEvents], container: Container, limits: Limits, counts: Counter[str], name: str) -> Score:
    clock = _clock(container, name)
    if clock.mspq is not None:
        counts["smpte"] += 1
    if container.format != 2 or len(parts) < 2:
        return _stacked(parts, clock, limits, counts, name)
    counts["patterns"] += len(parts)
    scores = [_stacked([part], clock, limits, counts, name) for part in parts]
    total = sum(units.final_bar_line(score) for score in scores)
    if total > _MAX_TICK:
        raise _too_long(name, limits)
    joined = concat(scores)
    _check_length(units.metre_map(joined), units.tempo_map(joined), units.end_ticks(joined), limits, name)
    return joined


def _stacked(parts: list[TrackEvents], clock: _Clock, limits: Limits, counts: Counter[str], name: str) -> Score:
    """The tracks `parts`, which begin together, as one score."""
    columns = [_note_columns(part, clock.tpq, counts) for part in parts]
    end = max((int(notes["end"].max(initial=0)) for notes in columns), default=0)
    metres = _metres(parts, clock.tpq, end, counts)
    tempi = _tempi(parts, clock, end, counts)
    _check_length(metres, tempi, end, limits, name)
    score, last_line = Score(clock.tpq), int(units.make_bar_starts(metres, clock.tpq, end)[-1])
    for part, notes in zip(parts, columns, strict=True):
        score.tracks.extend(instruments(part, notes, last_line, counts))
        if len(score.tracks) > limits.tracks:
            raise MidiError("{name} has more than {limit} instruments", name=name, limit=limits.tracks, hint="take a part of it")
    score.tempos = Tempo.from_numpy(tempi.ticks.astype(np.int32), tempi.mspq.astype(np.int32))
    score.time_signatures = TimeSignature.from_numpy(
        metres.ticks.astype(np.int32), metres.numerators.astype(np.uint8), metres.denominators.astype(np.uint8)
    )
    score.key_signatures = [
        KeySignature(*key) for key in _until(end, sorted((key for part in parts for key in part.keys), key=_tick), counts)
    ]
    markers = sorted((marker for part in parts for marker in part.markers), key=_tick)
    score.markers = [TextMeta(*marker) for marker in _until(last_line, markers, counts)]
    return score


def _note_columns(part: TrackEvents, tpq: int, counts: Counter[str]) -> dict[str, Any]:
    """The notes of a track as int64 columns, each with an end after its onset."""
    onset, end = np.array(part.onset, np.int64), np.array(part.release, np.int64)
    hanging = end < 0
    end = np.where(hanging, np.minimum(max(part.end, 0), onset + _LOST_NOTES_QUARTERS * tpq), end)
    end = np.where(hanging & (end <= onset), onset + tpq, end)
    counts["zero_length"] += int((end <= onset).sum())
    return {
        "time": onset,
        "end": np.maximum(end, onset + 1),
        "pitch": np.array(part.pitch, np.int64),
        "velocity": np.array(part.velocity, np.int64),
        "slot": np.array(part.slot, np.int64),
    }


def _tick(event: tuple[Any, ...]) -> int:
    return int(event[0])


def _until(end: int, events: list[Any], counts: Counter[str]) -> list[Any]:
    """The events that do not come after the tick `end`."""
    kept = [event for event in events if event[0] <= end]
    counts["late_events"] += len(events) - len(kept)
    return kept


def _metres(parts: list[TrackEvents], tpq: int, end: int, counts: Counter[str]) -> units.MetreMap:
    events = _until(end, [metre for part in parts for metre in part.metres], counts)
    good = [metre for metre in events if metre[1] * 4 * tpq >= metre[2]]
    counts["metres"] += len(events) - len(good)
    columns = np.array(good, np.int64).reshape(-1, 3)
    return units.make_metre_map(columns[:, 0], columns[:, 1], columns[:, 2])


def _tempi(parts: list[TrackEvents], clock: _Clock, end: int, counts: Counter[str]) -> units.TempoMap:
    if clock.mspq is not None:
        return units.make_tempo_map([0], [clock.mspq], clock.tpq)
    columns = np.array(_until(end, [tempo for part in parts for tempo in part.tempos], counts), np.int64).reshape(-1, 2)
    counts["tempos"] += int((columns[:, 1] < _MIN_MSPQ).sum())
    return units.make_tempo_map(columns[:, 0], np.maximum(columns[:, 1], _MIN_MSPQ), clock.tpq)


def _check_length(metres: units.MetreMap, tempi: units.TempoMap, end: int, limits: Limits, name: str) -> None:
    if end > _MAX_TICK or float(tempi.to_seconds(end)) > limits.duration_s:
        raise _too_long(name, limits)
    if units.count_bars(metres, tempi.tpq, end) > limits.bars:
        raise MidiError("{name} has more than {limit} bars", name=name, limit=limits.bars, hint="take a part of it")


def _too_long(name: str, limits: Limits) -> MidiError:
    return MidiError(
        "{name} lasts longer than {limit} s",
        name=name,
        limit=f"{limits.duration_s:g}",
        hint="perhaps one pause in it is far too long; cut it, or take a part of the piece",
    )
