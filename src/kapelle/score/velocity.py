"""How hard the notes of a MIDI file are struck, changed in its bytes: for files whose notes are all but silent.

Rolls of truth values that are written as MIDI give notes of velocity 1, or of 0, and players render silence. `with_velocity` takes a file
and gives its bytes with other velocities: no other byte is touched, so that timing, controls, tempi, names and what Kapelle does not
interpret stay as they are.

A note of velocity 0 is, by the standard, the end of a note, so a file that holds no others has none at all for a reader. Where that is so,
events of velocity 0 are taken for notes by turns: one begins a note if none of its pitch and channel is open, and else ends it. A file
with any audible note is read by the standard alone.

Source: the defect and its remedy (1 becomes 50) are those of the thesis' tool; how it is done is ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kapelle.errors import MidiError, UsageError
from kapelle.score import units
from kapelle.score.limits import DEFAULT, Limits
from kapelle.score.read import File, read, read_file

AUDIBLE = 2
"""Velocities below are those of rolls of truth values."""

_ON_BAR, _ON_BEAT, _OFF_BEAT, _JITTER = 12, 5, -5, 3
"""What `humanise` adds where a note begins, and how far chance moves it either way."""


@dataclass(frozen=True)
class Struck:
    """A MIDI file with other velocities.

    Args:
        data: Its bytes.
        n_notes: How many notes it has.
        before: The least and the greatest velocity that they had.
        after: And that they have now.
    """

    data: bytes
    n_notes: int
    before: tuple[int, int]
    after: tuple[int, int]


def with_velocity(
    source: str | Path | bytes,
    value: int = 50,
    *,
    every: bool = False,
    humanise: bool = False,
    seed: int = 0,
    limits: Limits = DEFAULT,
) -> Struck:
    """The file `source` with the velocity `value` on every note.

    Args:
        source: A path, or the bytes of a MIDI file.
        value: 1 to 127.
        every: Also where notes have velocities of their own, above 1.
        humanise: Not all the same: louder on bar lines and beats, softer between, and a little by chance. 1 to 127 is kept to.
        seed: Of that chance.
        limits: How large the piece may be.

    Raises:
        UsageError: `value` is out of range, or notes have velocities of their own and `every` is not set.
        MidiError: It is no MIDI file, has no notes, or is beyond the limits.
        Missing: There is no such file.
        StorageError: It may not be read.
    """
    if not 1 <= value <= 127:
        raise UsageError("a velocity is 1 to 127, not {value}", value=value)
    file = _with_notes(source, limits)
    onsets, found, places = (np.concatenate([np.array(getattr(part, name), np.int64) for part in file.parts]) for name in _COLUMNS)
    low, high = int(found.min()), int(found.max())
    if high >= AUDIBLE and not every:
        raise UsageError(
            "the notes of {name} have velocities of {low} to {high}: none is missing",
            name=file.name,
            low=low,
            high=high,
            hint="--all sets them all the same",
        )
    data = _patched(file.data, places, np.full(len(places), value))
    score = read(data, limits)  # what is written must be what can be read
    if humanise:
        lines, beats = units.bar_starts(score), units.beat_starts(score)
        near = max(score.tpq // 16, 1)
        accents = np.where(_close(onsets, lines, near), _ON_BAR, np.where(_close(onsets, beats, near), _ON_BEAT, _OFF_BEAT))
        chance = np.random.Generator(np.random.Philox(seed)).integers(-_JITTER, _JITTER, len(places), endpoint=True)
        levels = np.clip(value + accents + chance, 1, 127)
        return Struck(_patched(data, places, levels), len(places), (low, high), (int(levels.min()), int(levels.max())))
    return Struck(data, len(places), (low, high), (value, value))


_COLUMNS = ("onset", "velocity", "velocity_at")


def _with_notes(source: str | Path | bytes, limits: Limits) -> File:
    """The events of a file; if it has no note by the standard, those of velocity 0."""
    file = read_file(source, limits)
    if not any(part.onset for part in file.parts):
        file = replace(read_file(file.data, limits, silent_notes=True), name=file.name)
    if not any(part.onset for part in file.parts):
        raise MidiError("{name} has no notes", name=file.name, hint="give a MIDI file with music in it")
    return file


def _patched(data: bytes, places: NDArray[np.int64], levels: NDArray[np.int64]) -> bytes:
    """`data` with other bytes at `places`."""
    out = np.frombuffer(data, np.uint8).copy()
    out[places] = levels
    return out.tobytes()


def _close(ticks: NDArray[np.int64], lines: NDArray[np.int64], near: int) -> NDArray[np.bool_]:
    """Which of `ticks` are within `near` of one of the rising `lines`, which begin with 0 or below."""
    after = np.minimum(np.searchsorted(lines, ticks), len(lines) - 1)
    away = np.minimum(np.abs(lines[after] - ticks), np.abs(lines[np.maximum(after - 1, 0)] - ticks))
    out: NDArray[np.bool_] = away <= near
    return out
