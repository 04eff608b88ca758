"""A score as MIDI messages in seconds: what is sent to a port, and when.

Takes a score and the bar to begin from; gives messages with their seconds, bar lines, and the pulses by which a DAW follows the tempo.
Channels are those of the file that `write` makes. What was set before the first bar that is heard, such as instruments, volumes, pedals,
is told first; notes that began before it are not heard. It sends nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from symusic import Score

from kapelle.errors import UsageError
from kapelle.score import units, write

PULSES_PER_QUARTER = 24

_NOTE_OFF, _NOTE_ON, _CONTROL, _PROGRAM, _BEND, _META = 0x80, 0x90, 0xB0, 0xC0, 0xE0, 0xFF


@dataclass(frozen=True)
class Timeline:
    """Messages of a piece, or of its end from some bar on.

    Args:
        set_up: What must be told before anything else, in this order: instruments, and how controllers stand.
        events: Seconds from the beginning of the first bar that is heard, and a message; in order.
        bar_lines_s: The bar lines from 0.0 to the last, shape (bars + 1,).
        first_bar: The number of the first bar that is heard, from 0.
        pulses_s: Where each twenty-fourth of a quarter begins.
        sixteenths: Sixteenths before the first bar that is heard.
        shared: Channels on which more than one instrument plays.
    """

    set_up: tuple[bytes, ...]
    events: tuple[tuple[float, bytes], ...]
    bar_lines_s: tuple[float, ...]
    first_bar: int
    pulses_s: tuple[float, ...]
    sixteenths: int
    shared: tuple[int, ...]

    @property
    def duration_s(self) -> float:
        """Seconds to the final bar line."""
        return self.bar_lines_s[-1]


def timeline(score: Score, first_bar: int = 0) -> Timeline:
    """The messages of `score` from bar `first_bar` on (from 0).

    Raises:
        UsageError: The piece has no notes, or not so many bars.
    """
    parts, shared = write.instruments(score)
    lines = units.bar_starts(score)
    n_bars = len(lines) - 1
    if not parts:
        raise UsageError("the piece has no notes: there is nothing to play")
    if not 0 <= first_bar < n_bars:
        raise UsageError("bar {bar} is not in the piece, which has bars 1 to {n_bars}", bar=first_bar + 1, n_bars=n_bars)
    start, end, tpq = int(lines[first_bar]), int(lines[-1]), max(score.tpq, 1)
    tempi = units.tempo_map(score)
    zero_s = float(tempi.to_seconds(start))
    events = sorted((event for part in parts for event in _heard(part, start)), key=lambda event: event[:2])
    first = [tick < start or (tick == start and _is_state(data) and data[0] & 0x0F not in shared) for tick, _, data in events]
    before = [data for (_, _, data), early in zip(events, first, strict=True) if early]
    heard = [(tick, data) for (tick, _, data), early in zip(events, first, strict=True) if not early]
    seconds = (tempi.to_seconds(np.minimum([tick for tick, _ in heard], end)) - zero_s).tolist() if heard else []
    pulses = np.arange(start * PULSES_PER_QUARTER, end * PULSES_PER_QUARTER, tpq, dtype=np.int64) / PULSES_PER_QUARTER
    return Timeline(
        tuple(_standing(before)),
        tuple((at, data) for at, (_, data) in zip(seconds, heard, strict=True)),
        tuple((tempi.to_seconds(lines[first_bar:]) - zero_s).tolist()),
        first_bar,
        tuple((tempi.to_seconds(pulses) - zero_s).tolist()),
        start * 4 // tpq,
        tuple(shared),
    )


def _is_state(data: bytes) -> bool:
    return data[0] & 0xF0 in (_CONTROL, _PROGRAM, _BEND)


def _standing(before: list[bytes]) -> list[bytes]:
    """The last message of every kind that says how things stand; programs first, as they may put controllers back."""
    found = {data[:2] if data[0] & 0xF0 == _CONTROL else data[:1]: data for data in before}
    return sorted(found.values(), key=lambda data: data[0] & 0xF0 != _PROGRAM)


def _heard(part: Iterable[write.Event], start: int) -> Iterator[write.Event]:
    """The events of an instrument without names, and without notes that begin before `start`."""
    unheard = False
    for event in part:
        kind = event[2][0] & 0xF0
        if kind == _NOTE_ON:
            unheard = event[0] < start
        if event[2][0] != _META and not (unheard and kind in (_NOTE_ON, _NOTE_OFF)):
            yield event
