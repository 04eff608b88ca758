"""The MIDI messages that are sent to a port, as bytes. Channels count from 0 here; musicians count them from 1.

Source: MIDI 1.0 Detailed Specification 4.2, MIDI Manufacturers Association, 1996.
"""

from __future__ import annotations

DRUMS = 9
"""The channel of percussion, which musicians call 10."""

PITCHED = tuple(channel for channel in range(16) if channel != DRUMS)
"""The channels of all other instruments."""

VOLUME = 100
"""What General MIDI says a channel has from the beginning; 0 to 127."""

NOTE_OFF, NOTE_ON, CONTROL, PROGRAM, BEND = 0x80, 0x90, 0xB0, 0xC0, 0xE0
CLOCK, START, CONTINUE, STOP = b"\xf8", b"\xfa", b"\xfb", b"\xfc"
PULSES_PER_QUARTER = 24

_VOLUME, _SUSTAIN, _ALL_SOUND_OFF, _RESET, _ALL_NOTES_OFF = 7, 64, 120, 121, 123


def note_on(channel: int, pitch: int, velocity: int) -> bytes:
    """A note begins; values beyond 7 bits, and velocity 0, are brought to the nearest that fits."""
    return bytes((NOTE_ON | channel, _fit(pitch), max(1, _fit(velocity))))


def note_off(channel: int, pitch: int) -> bytes:
    """A note ends."""
    return bytes((NOTE_OFF | channel, _fit(pitch), 0))


def program(channel: int, number: int) -> bytes:
    """An instrument; on the channel of drums, a kit."""
    return bytes((PROGRAM | channel, _fit(number)))


def volume(channel: int, value: int = VOLUME) -> bytes:
    """How loud a channel is."""
    return bytes((CONTROL | channel, _VOLUME, _fit(value)))


def is_volume(message: bytes) -> bool:
    """Whether a message sets the volume of a channel."""
    return message[0] & 0xF0 == CONTROL and message[1] == _VOLUME


def song_position(sixteenths: int) -> bytes:
    """Where a sequencer is to go on from; beyond what fits, the last place that does."""
    at = min(max(sixteenths, 0), 0x3FFF)
    return bytes((0xF2, at & 0x7F, at >> 7))


def silence(channel: int) -> tuple[bytes, ...]:
    """What ends every sound of a channel: pedal up, notes off, controllers and pitch bend back to where they were."""
    pairs = ((_SUSTAIN, 0), (_ALL_NOTES_OFF, 0), (_RESET, 0))
    return (*(bytes((CONTROL | channel, number, value)) for number, value in pairs), bytes((BEND | channel, 0, 64)))


def panic() -> tuple[bytes, ...]:
    """What ends every sound of a port at once, whoever began it, releases and echoes included."""
    return tuple(message for channel in range(16) for message in (bytes((CONTROL | channel, _ALL_SOUND_OFF, 0)), *silence(channel)))


def rank(message: bytes) -> int:
    """The place among messages of one time: what ends goes first, what begins goes last."""
    kind = message[0] & 0xF0
    if kind == NOTE_OFF or (kind == NOTE_ON and not message[2]):
        return 0
    return 2 if kind == NOTE_ON else 1


def _fit(value: int) -> int:
    return min(max(int(value), 0), 127)
