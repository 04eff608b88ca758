"""The events of one track: bytes in, columns of notes, controls, tempi, metres, keys and texts out.

One pass over the bytes; memory and time grow with their number alone, whatever the deltas and lengths say. A note's end belongs
to the earliest open note of its pitch and channel. Where the bytes stop to make sense, what was read before stays and the rest is
given up, with the place and reason in `TrackEvents.damage`. Ticks are Python integers here: no sum of deltas can overflow.

Source: Standard MIDI Files 1.0 (RP-001); MIDI 1.0 Detailed Specification 4.2.
"""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from kapelle.errors import MidiError
from kapelle.score.limits import Limits

_SYSTEM_DATA_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}
"""How many bytes follow the messages that have no place in a file; none where not listed."""

_SOUND_OFF = (120, 123)
"""Controls that end all notes of their channel."""


@dataclass
class Budget:
    """How much has been read of what `limits` allow; shared by the tracks of a file."""

    limits: Limits
    silent_notes: bool = False
    """Take a note-on of velocity 0 for a note, where none of its pitch is open. By the standard it is an end, so this is for repairs."""
    events: int = 0
    notes: int = 0
    tempos: int = 0
    metres: int = 0
    texts: int = 0


def _column() -> array[int]:
    """An empty column of 64-bit integers: an eighth of the memory of a list."""
    return array("q")


@dataclass
class TrackEvents:
    """What one track says. Columns of one group have one length; ticks are absolute; a slot is channel * 128 + program."""

    name: str = ""
    onset: array[int] = field(default_factory=_column)
    release: array[int] = field(default_factory=_column)
    """-1: never released."""
    pitch: array[int] = field(default_factory=_column)
    velocity: array[int] = field(default_factory=_column)
    velocity_at: array[int] = field(default_factory=_column)
    """Which byte of the file the velocity is."""
    slot: array[int] = field(default_factory=_column)
    control_tick: array[int] = field(default_factory=_column)
    control: array[int] = field(default_factory=_column)
    """Channel, number and value, 7 bits each."""
    bend_tick: array[int] = field(default_factory=_column)
    bend: array[int] = field(default_factory=_column)
    """Channel, then the value 0 to 16383 in 14 bits; 8192 is no bend."""
    tempos: list[tuple[int, int]] = field(default_factory=list)
    """Tick, microseconds per quarter note."""
    metres: list[tuple[int, int, int]] = field(default_factory=list)
    """Tick, numerator, denominator."""
    keys: list[tuple[int, int, int]] = field(default_factory=list)
    """Tick, sharps -7 to 7, 0 for major or 1 for minor."""
    markers: list[tuple[int, str]] = field(default_factory=list)
    lyrics: list[tuple[int, str]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    end: int = 0
    damage: MidiError | None = None


def read_events(data: bytes, start: int, stop: int, budget: Budget, counts: Counter[str], name: str) -> TrackEvents:
    """The events in `data[start:stop]`; `name` is what errors call the file.

    Raises:
        MidiError: The budget is used up.
    """
    reader = _TrackReader(data[start:stop], start, budget, counts, name)
    try:
        reader.run()
    except IndexError:
        reader.out.damage = MidiError("{name}: an event is cut off at byte {offset}", name=name, offset=start + reader.at)
    except _Damage as damage:
        reader.out.damage = damage.error
    reader.finish()
    return reader.out


class _Damage(Exception):  # a signal inside this module, never seen outside
    def __init__(self, error: MidiError) -> None:
        super().__init__()
        self.error = error


class _TrackReader:
    """The state of reading one track."""

    def __init__(self, data: bytes, offset: int, budget: Budget, counts: Counter[str], name: str) -> None:
        self.data, self.offset, self.budget, self.counts, self.name = data, offset, budget, counts, name
        self.out = TrackEvents()
        self.open: list[dict[int, deque[int]]] = [{} for _ in range(16)]
        self.program = [0] * 16
        self.tick = 0
        self.at = 0
        self.ended = False
        self.metas: dict[int, Callable[[bytes], None]] = {
            0x01: self._text, 0x03: self._track_name, 0x05: self._lyric, 0x06: self._marker, 0x51: self._tempo,
            0x58: self._metre, 0x59: self._key,
        }  # fmt: skip

    def run(self) -> None:
        """Read to the end of the track or of the bytes. IndexError: an event is cut off, at `self.at`."""
        data, stop = self.data, len(self.data)
        pos = status = 0
        left = self.budget.limits.events - self.budget.events
        while pos < stop and not self.ended:
            self.at = pos
            left -= 1
            if left < 0:
                raise self._beyond("{name} has more than {limit} events", self.budget.limits.events)
            byte = data[pos]
            pos += 1
            if byte >= 0x80:
                byte, pos = self._varlen(byte & 0x7F, pos)
            self.tick += byte
            byte = data[pos]
            if byte >= 0xF0:
                pos = self._system(byte, pos + 1)
                continue
            if byte >= 0x80:
                status = byte
                pos += 1
            elif not status:
                raise self._damaged("{name}: a value without a command at byte {offset}", pos)
            pos = self._channel_event(status, pos)
        self.budget.events = self.budget.limits.events - left

    def _channel_event(self, status: int, pos: int) -> int:
        """Take the event of `status` whose values begin at `pos`; where the next event begins."""
        kind, channel, first = status & 0xF0, status & 0x0F, self.data[pos]
        if first > 127:
            raise self._damaged("{name}: a command where a value should be at byte {offset}", pos)
        if kind == 0xC0:
            self.program[channel] = first
            return pos + 1
        if kind == 0xD0:
            return pos + 1
        second = self.data[pos + 1]
        if second > 127:
            second = 127
            self.counts["values"] += 1
        if kind == 0x90 and (second or (self.budget.silent_notes and not self.open[channel].get(first))):
            self._note_on(channel, first, second, pos + 1)
        elif kind <= 0x90:
            self._note_off(channel, first)
        elif kind == 0xB0:
            self.out.control_tick.append(self.tick)
            self.out.control.append(channel << 14 | first << 7 | second)
            if first in _SOUND_OFF:
                self._sound_off(channel)
        elif kind == 0xE0:
            self.out.bend_tick.append(self.tick)
            self.out.bend.append(channel << 14 | second << 7 | first)
        return pos + 2

    def _note_on(self, channel: int, pitch: int, velocity: int, at: int) -> None:
        out = self.out
        self.budget.notes += 1
        if self.budget.notes > self.budget.limits.notes:
            raise self._beyond("{name} has more than {limit} notes", self.budget.limits.notes)
        waiting = self.open[channel].get(pitch)
        if waiting is None:
            waiting = self.open[channel][pitch] = deque()
        waiting.append(len(out.onset))
        out.onset.append(self.tick)
        out.release.append(-1)
        out.pitch.append(pitch)
        out.velocity.append(velocity)
        out.velocity_at.append(self.offset + at)
        out.slot.append(channel << 7 | self.program[channel])

    def _note_off(self, channel: int, pitch: int) -> None:
        waiting = self.open[channel].get(pitch)
        if waiting:
            self.out.release[waiting.popleft()] = self.tick
        else:
            self.counts["stray_releases"] += 1

    def _sound_off(self, channel: int) -> None:
        for waiting in self.open[channel].values():
            for index in waiting:
                self.out.release[index] = self.tick
        self.open[channel].clear()

    def _varlen(self, number: int, pos: int) -> tuple[int, int]:
        """A number of variable length whose first seven bits are read, and the position after it."""
        for _ in range(3):
            byte = self.data[pos]
            pos += 1
            number = number << 7 | byte & 0x7F
            if byte < 0x80:
                return number, pos
        raise self._damaged("{name}: a number of more than four bytes at byte {offset}", pos)

    def _system(self, status: int, pos: int) -> int:
        """Take a system or meta event whose status byte is read; where the next event begins."""
        if 0xF0 < status < 0xFF and status != 0xF7:
            self.counts["illegal_messages"] += 1
            return pos + _SYSTEM_DATA_BYTES.get(status, 0)
        kind = 0
        if status == 0xFF:
            kind = self.data[pos]
            pos += 1
        length = self.data[pos]
        pos += 1
        if length >= 0x80:
            length, pos = self._varlen(length & 0x7F, pos)
        if pos + length > len(self.data):
            raise self._damaged("{name}: an event says it goes on past the end of its track, at byte {offset}", self.at)
        if status == 0xFF:
            if kind == 0x2F:
                self.ended = True
            elif kind in self.metas:
                self.metas[kind](self.data[pos : pos + length])
        return pos + length

    def _tempo(self, data: bytes) -> None:
        self.budget.tempos += 1
        if self.budget.tempos > self.budget.limits.tempos:
            raise self._beyond("{name} has more than {limit} changes of tempo", self.budget.limits.tempos)
        mspq = int.from_bytes(data[:3], "big")
        if len(data) < 3 or mspq == 0:
            self.counts["tempos"] += 1
        else:
            self.out.tempos.append((self.tick, mspq))

    def _metre(self, data: bytes) -> None:
        self.budget.metres += 1
        if self.budget.metres > self.budget.limits.metres:
            raise self._beyond("{name} has more than {limit} changes of metre", self.budget.limits.metres)
        if len(data) < 2 or data[0] == 0 or data[1] > 6:
            self.counts["metres"] += 1
        else:
            self.out.metres.append((self.tick, data[0], 1 << data[1]))

    def _key(self, data: bytes) -> None:
        sharps = data[0] - 256 if data and data[0] > 127 else data[0] if data else 99
        if len(data) < 2 or not -7 <= sharps <= 7 or data[1] > 1 or len(self.out.keys) >= 10_000:
            self.counts["keys"] += 1
        else:
            self.out.keys.append((self.tick, sharps, data[1]))

    def _track_name(self, data: bytes) -> None:
        if not self.out.name:
            self.out.name = self._decoded(data, 200)

    def _marker(self, data: bytes) -> None:
        if self._text_left():
            self.out.markers.append((self.tick, self._decoded(data, 200)))

    def _lyric(self, data: bytes) -> None:
        if self._text_left():
            self.out.lyrics.append((self.tick, self._decoded(data, 200)))

    def _text(self, data: bytes) -> None:
        if len(self.out.texts) < 64 and self._text_left():
            self.out.texts.append(self._decoded(data, 1000))

    def _text_left(self) -> bool:
        self.budget.texts += 1
        if self.budget.texts > self.budget.limits.texts:
            self.counts["texts"] += 1
        return self.budget.texts <= self.budget.limits.texts

    def _decoded(self, data: bytes, limit: int) -> str:
        """`data` as text that can be shown: no control characters, at most `limit` characters."""
        data = data[: 4 * limit]
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
            self.counts["encodings"] += 1
        return "".join(char if char.isprintable() else " " for char in text[:limit]).strip()

    def finish(self) -> None:
        """Set the track's end; notes never released get theirs in `read`."""
        self.out.end = self.tick
        left = sum(len(waiting) for channel in self.open for waiting in channel.values())
        self.counts["unreleased"] += left
        if not self.ended and self.out.damage is None:
            self.counts["no_end_of_track"] += 1
        if self.out.damage is not None:
            self.counts["damaged_tracks"] += 1
            self.counts["bytes_given_up"] += len(self.data) - self.at

    def _damaged(self, template: str, pos: int) -> _Damage:
        return _Damage(MidiError(template, name=self.name, offset=self.offset + pos))

    def _beyond(self, template: str, limit: int) -> MidiError:
        return MidiError(template, name=self.name, limit=limit, hint="a piece of music is smaller; take a part of it")
