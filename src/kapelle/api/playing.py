"""Playing into a MIDI port: a file, to a synthesizer or a DAW, in time.

Takes a MIDI file and the name of a port, or a port that is open; sends notes, and tells how that went. Music that is still being composed
is played by `kapelle.api.stage`. It makes no sound of its own; that is `kapelle.render`.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.api.files import read_midi
from kapelle.ports import messages, system
from kapelle.ports.sender import Lateness, Sender, SystemTimer, Timer
from kapelle.score.timeline import Timeline, timeline

if TYPE_CHECKING:
    from kapelle.ports.port import Port

SET_UP_S = 0.25
"""Between programs and the first note: synthesizers load instruments meanwhile."""

LEAD_S = 2.0
"""Seconds of music that are there before it begins to sound."""

TELL_S = 0.1
"""Between two tellings of where the music is."""

_AHEAD_S = 0.5


@dataclass(frozen=True)
class Moment:
    """Where the music is.

    Args:
        state: "playing"; "waiting" for notes that are not composed yet; "again" when a piece was given up and a new attempt begins.
        bar: The bar that sounds, from 0.
        n_bars: In all, as far as is known.
        seconds: Since the piece began.
        duration_s: Its length, as far as is known.
        piece: Which piece or round, from 0.
        seed: Of the piece; None for a file.
    """

    state: str
    bar: int
    n_bars: int
    seconds: float
    duration_s: float
    piece: int = 0
    seed: int | None = None


Told = Callable[[Moment], None]


@dataclass(frozen=True)
class Played:
    """What was played.

    Args:
        port: Name of the port.
        notes: Notes sent.
        messages: Messages sent, those that end the sound included.
        seconds: From the first bar to the end.
        late: How late messages left.
        rounds: Pieces or rounds that were begun.
        interrupted: It was ended by Ctrl-C, as what has no end must be.
        waited_s: How long music waited for notes that were not composed yet.
        restarts: How often a piece was given up while it sounded.
        seeds: Of the pieces that were composed.
        shared: How many channels, or times, instruments shared a channel.
    """

    port: str
    notes: int
    messages: int
    seconds: float
    late: Lateness
    rounds: int = 1
    interrupted: bool = False
    waited_s: float = 0.0
    restarts: int = 0
    seeds: tuple[int, ...] = ()
    shared: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For machines; how late in milliseconds."""
        late = {"median": self.late.median_s, "p99": self.late.p99_s, "latest": self.late.latest_s}
        return {
            **{name: getattr(self, name) for name in ("port", "notes", "messages", "rounds", "interrupted", "restarts", "shared")},
            "seconds": round(self.seconds, 3),
            "waited_s": round(self.waited_s, 3),
            "seeds": list(self.seeds),
            "late_ms": {name: round(1000 * value, 3) for name, value in late.items()},
        }


@dataclass(frozen=True)
class Manner:
    """How a file is played.

    Args:
        from_bar: The first bar that is heard, from 1.
        loop: From the end back to that bar, until Ctrl-C.
        clock: Send start, tempo and stop too, by which a DAW or a drum machine runs along.
    """

    from_bar: int = 1
    loop: bool = False
    clock: bool = False


@dataclass(frozen=True)
class LiveManner:
    """How music is played while it is composed.

    Args:
        lead_s: Seconds of music that must be there before it sounds; more than the piece has: when it is done.
        endless: Compose the next piece while the former sounds, until Ctrl-C; each has the next seed.
        go_on: Of endless ones, each goes on from the end of the former, with a model that can.
        clock: Send start, tempo and stop too.
    """

    lead_s: float = LEAD_S
    endless: bool = False
    go_on: bool = False
    clock: bool = False


def ports() -> list[str]:
    """The MIDI ports that can be played into.

    Raises:
        Missing: python-rtmidi is not installed, or the machine has no MIDI.
    """
    return system.names()


def open_port(name: str = "", *, virtual: bool = False) -> Port:
    """The port of a name, open; see `kapelle.ports.system.open_port`. `play` and `live` take it, and leave it open."""
    return system.open_port(name, virtual=virtual)


def play(
    source: str | Path | bytes,
    port: str | Port,
    manner: Manner = Manner(),
    *,
    told: Told = lambda moment: None,
    timer: Timer | None = None,
) -> Played:
    """Play a MIDI file into a port, and tell how that went. Whatever ends it, the port is silent afterwards.

    Args:
        source: The file, or its bytes.
        port: Name of the port, or a part of it; or a port that is open.
        manner: From which bar, once or on and on.
        told: Called ten times a second with where the music is.
        timer: The clock; the machine's if left out.

    Raises:
        MidiError: It is no MIDI file.
        UsageError: It has no notes or not so many bars, or several ports have the name.
        Missing: No such port; or the extra `midi` is not installed.
        KeyboardInterrupt: Ctrl-C, unless it loops: then Ctrl-C is the end.
    """
    music = timeline(read_midi(source), manner.from_bar - 1)
    with opened(port) as out, Sender(out, timer or SystemTimer()) as sender:
        rounds = _Rounds(sender, music, manner, told)
        interrupted = False
        try:
            rounds.play()
        except KeyboardInterrupt:
            if not manner.loop:
                raise
            interrupted = True
        finally:
            if manner.clock:
                sender.send_now([messages.STOP])
        seconds = max(0.0, sender.now() - rounds.began_s)
    late, shared = sender.lateness(), len(music.shared)
    return Played(out.name, sender.n_notes, sender.n_messages, seconds, late, rounds.n_begun, interrupted, shared=shared)


def panic(port: str | Port) -> str:
    """End every sound at a port at once, whoever began it, and give the port's name."""
    with opened(port) as out:
        for message in messages.panic():
            out.send(message)
        return out.name


@contextmanager
def opened(port: str | Port) -> Iterator[Port]:
    """A port by its name, closed at the end; or one that is open already, left so."""
    if not isinstance(port, str):
        yield port
        return
    out = system.open_port(port)
    try:
        yield out
    finally:
        out.close()


@dataclass
class _Rounds:
    """A piece, once or on and on: the next round is queued before the former ends, on the same clock, so that the beat goes on."""

    sender: Sender
    music: Timeline
    manner: Manner
    told: Told
    n: int = 0
    began_s: float = 0.0
    _zeros: list[float] = field(default_factory=list)

    def play(self) -> None:
        """Send everything."""
        self.sender.send_now([*self.music.set_up, *default_volumes(self.music)])
        zero = self.began_s = self.sender.now() + SET_UP_S
        while True:
            self._queue(zero)
            end = zero + self.music.duration_s
            if not self.manner.loop:
                self._run(end)
                return
            self._run(max(zero, end - _AHEAD_S))
            zero = end

    @property
    def n_begun(self) -> int:
        """Rounds that have begun to sound; one more may be waiting."""
        return self.n - (len(self._zeros) > 1 and self.sender.now() < self._zeros[-1])

    def _queue(self, zero: float) -> None:
        if self.n:
            self.sender.put_all(zero, [(0.0, message) for message in self.music.set_up])
        if self.manner.clock and (self.n == 0 or self.music.sixteenths):
            begin = [messages.song_position(self.music.sixteenths), messages.CONTINUE] if self.music.sixteenths else [messages.START]
            self.sender.put_all(zero, [(0.0, message) for message in ([messages.STOP, *begin] if self.n else begin)])
        if self.manner.clock:
            self.sender.put_all(zero, [(at, messages.CLOCK) for at in self.music.pulses_s])
        self.sender.put_all(zero, self.music.events)
        self._zeros = [*self._zeros[-1:], zero]
        self.n += 1

    def _run(self, until_s: float) -> None:
        while (now := self.sender.now()) < until_s:
            self.told(self._moment(now))
            self.sender.run(min(until_s, now + TELL_S))
        self.sender.run(until_s)

    def _moment(self, now: float) -> Moment:
        old = len(self._zeros) > 1 and now < self._zeros[-1]
        at = max(0.0, now - (self._zeros[0] if old else self._zeros[-1]))
        lines, first = self.music.bar_lines_s, self.music.first_bar
        return Moment("playing", first + bar_at(lines, at), first + len(lines) - 1, at, self.music.duration_s, self.n - 1 - old)


def default_volumes(music: Timeline) -> list[bytes]:
    """A volume for every channel of which the piece says none at its beginning."""
    told = {message[0] & 0x0F for message in music.set_up if messages.is_volume(message)}
    used = {message[0] & 0x0F for _, message in music.events}
    return [messages.volume(channel) for channel in sorted(used - told)]


def bar_at(lines_s: Sequence[float], at_s: float) -> int:
    """The bar in which a second lies, by the bar lines from the first to the last."""
    return min(max(bisect.bisect_right(lines_s, at_s) - 1, 0), max(len(lines_s) - 2, 0))
