"""The instruments that the events of one MIDI track play: columns of notes in, symusic tracks out.

Every channel and program of a track becomes an instrument of its own; the percussion channel is one instrument whatever its kit.
A control goes to the instrument that plays the next note of its channel, or the last one if none follows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from symusic import ControlChange, Note, Pedal, PitchBend, TextMeta, Track

from kapelle.score.events import TrackEvents

_DRUM_CHANNEL = 9
_PEDAL = 64


def instruments(part: TrackEvents, notes: dict[str, NDArray[Any]], end: int, counts: Counter[str]) -> Iterator[Track]:
    """The instruments of `part`, by channel, then program; none if it has no notes.

    Args:
        part: The events of the track.
        notes: Its notes as int64 columns ``time end pitch velocity slot``, in order of time.
        end: The final bar line; controls after it are moved there, lyrics after it left out.
        counts: Where what is left out is counted.
    """
    slots = notes["slot"]
    slots[slots >> 7 == _DRUM_CHANNEL] = _DRUM_CHANNEL << 7
    controls = _placed(np.array(part.control_tick), np.array(part.control), notes, end, counts)
    bends = _placed(np.array(part.bend_tick), np.array(part.bend), notes, end, counts)
    for index, slot in enumerate(np.unique(slots).tolist()):
        mine = slots == slot
        track = Track(part.name, slot & 127, slot >> 7 == _DRUM_CHANNEL)
        track.notes = Note.from_numpy(
            notes["time"][mine].astype(np.int32),
            (notes["end"] - notes["time"])[mine].astype(np.int32),
            notes["pitch"][mine].astype(np.int8),
            notes["velocity"][mine].astype(np.int8),
        )
        time, value = controls[0][controls[2] == slot], controls[1][controls[2] == slot] & 127
        number = controls[1][controls[2] == slot] >> 7 & 127
        track.controls = ControlChange.from_numpy(time.astype(np.int32), number.astype(np.uint8), value.astype(np.uint8))
        track.pedals = _pedals(time[number == _PEDAL], value[number == _PEDAL], end)
        time, value = bends[0][bends[2] == slot], (bends[1][bends[2] == slot] & 16383) - 8192
        track.pitch_bends = PitchBend.from_numpy(time.astype(np.int32), value.astype(np.int32))
        if index == 0:
            track.lyrics = [TextMeta(*lyric) for lyric in part.lyrics if lyric[0] <= end]
        yield track


def _placed(
    ticks: NDArray[Any], values: NDArray[Any], notes: dict[str, NDArray[Any]], end: int, counts: Counter[str]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Tick (none after `end`), value and slot of the events whose channel, above 14 bits of the value, has notes."""
    owner = np.full(len(ticks), -1, np.int64)
    for channel in np.unique(notes["slot"] >> 7):
        of_channel = notes["slot"] >> 7 == channel
        here = values >> 14 == channel
        following = np.searchsorted(notes["time"][of_channel], ticks[here])
        owner[here] = notes["slot"][of_channel][np.minimum(following, of_channel.sum() - 1)]
    kept = owner >= 0
    counts["idle_controls"] += len(kept) - int(kept.sum())
    return np.minimum(ticks[kept], end), values[kept], owner[kept]


def _pedals(time: NDArray[Any], value: NDArray[Any], end: int) -> Any:
    """From when to when the pedal is down: from a value of 64 or more to the next below, or to `end`."""
    down = value >= 64
    turns = np.flatnonzero(np.append(True, down[1:] != down[:-1])) if len(down) else np.zeros(0, np.int64)
    turns = turns[1:] if len(turns) and not down[turns[0]] else turns
    edges = time[turns]
    if len(edges) % 2:
        edges = np.append(edges, end)
    starts, ends = edges[0::2], edges[1::2]
    held = ends > starts
    return Pedal.from_numpy(starts[held].astype(np.int32), (ends - starts)[held].astype(np.int32))
