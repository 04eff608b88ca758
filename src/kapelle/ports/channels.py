"""Instruments that appear one by one, and the channels they get.

A file tells all its instruments beforehand; music that is being composed does not. So every new one gets the next free channel, and the
sixteenth that of the one which has been silent longest. It does not send.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kapelle.ports import messages


@dataclass(frozen=True)
class Seat:
    """Where a note is played.

    Args:
        channel: From 0.
        before: What must be sent before the note; nothing if the instrument plays there already.
        fresh: Nobody has played there yet, so that `before` may be sent long before.
    """

    channel: int
    before: tuple[bytes, ...] = ()
    fresh: bool = False


@dataclass
class Channels:
    """Who plays on which channel.

    Attributes:
        n_shared: How often an instrument had to take the channel of another one that was still sounding, or might have been.
    """

    n_shared: int = 0
    _players: dict[int, int] = field(default_factory=dict)  # channel -> program
    _busy_until: dict[int, float] = field(default_factory=dict)

    def seat(self, program: int, start_s: float, end_s: float) -> Seat:
        """Where an instrument plays a note.

        Args:
            program: General MIDI program; -1: drums.
            start_s: Where the note begins, on a clock on which notes are asked for nearly in order.
            end_s: Where it ends.
        """
        channel = self._channel(program, start_s)
        self._busy_until[channel] = max(end_s, self._busy_until.get(channel, end_s))
        before = self._players.get(channel)
        if before == program:
            return Seat(channel)
        self._players[channel] = program
        return Seat(channel, (messages.program(channel, max(program, 0)), messages.volume(channel)), before is None)

    def _channel(self, program: int, start_s: float) -> int:
        if program < 0:
            return messages.DRUMS
        for channel, player in self._players.items():
            if player == program:
                return channel
        free = next((channel for channel in messages.PITCHED if channel not in self._players), None)
        if free is not None:
            return free
        taken = min(messages.PITCHED, key=lambda channel: self._busy_until[channel])
        self.n_shared += self._busy_until[taken] > start_s
        return taken
