"""A clock that runs only when it is waited on, and ports that misbehave."""

from __future__ import annotations

from dataclasses import dataclass, field

from kapelle.ports.port import MemoryPort


@dataclass
class FakeTimer:
    """Time jumps to where it is waited for; `slow_s` is how much too late every waking is."""

    at_s: float = 0.0
    slow_s: float = 0.0

    def now(self):
        return self.at_s

    def wait(self, until_s):
        if until_s > self.at_s:
            self.at_s = until_s + self.slow_s


@dataclass
class FailingPort(MemoryPort):
    """Raises `error` instead of sending the message number `fails_at`, once."""

    error: BaseException = field(default_factory=KeyboardInterrupt)
    fails_at: int = 0
    asked: int = 0

    def send(self, message):
        self.asked += 1
        if self.asked - 1 == self.fails_at:
            raise self.error
        super().send(message)


def notes(sent):
    """(time, channel, pitch, velocity) of every note that begins."""
    return [(at, data[0] & 15, data[1], data[2]) for at, data in sent if data[0] & 0xF0 == 0x90]


def sounding(sent):
    """(channel, pitch) of the notes that were never ended."""
    held = set()
    for _, data in sent:
        if data[0] & 0xF0 == 0x90:
            held.add((data[0] & 15, data[1]))
        elif data[0] & 0xF0 == 0x80:
            held.discard((data[0] & 15, data[1]))
    return held


def pedals(sent):
    """Channels whose pedal was left down."""
    down = {}
    for _, data in sent:
        if data[0] & 0xF0 == 0xB0 and data[1] == 64:
            down[data[0] & 15] = data[2]
    return {channel for channel, value in down.items() if value}
