"""A score as it is played: every note with its time in seconds, its loudness and its place between the speakers.

Takes a `symusic.Score` in ticks; gives arrays, one entry per note, in the order of the tracks. The tempo map, the sustain pedal,
volume (controller 7), expression (11) and pan (10) are followed, each as it stands when a note begins. Pitch bend, modulation and
everything else are left out: the renderers that know them read the controllers themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kapelle.score import units
from kapelle.score.units import FloatArray, IntArray, TempoMap

if TYPE_CHECKING:
    from symusic import Score, Track

VOLUME, PAN, EXPRESSION = 7, 10, 11
# The General MIDI recommendation: controllers act as 40 log10(value / 127) dB, that is, squared.
CONTROLLER_POWER = 2.0
VELOCITY_POWER = 1.7
DEFAULT_VOLUME = 100
# A pedal that nobody lifts must not turn held strings into an endless cluster.
PEDAL_MAX_S = 8.0
# Tracks without a pan of their own sit like this, in the order they come; the first of a piece stays in the middle.
SEATS = (0.0, -0.3, 0.3, -0.5, 0.5, -0.15, 0.15, -0.4, 0.4, -0.6, 0.6)
BASS_PROGRAMS = range(32, 40)


@dataclass(frozen=True)
class Performance:
    """The notes of a score, as arrays of one length N; `end_s` is when the last of them is let go, before any pedal."""

    start_s: FloatArray
    end_s: FloatArray
    pitch: IntArray
    velocity: IntArray  # 0 to 127
    gain: FloatArray  # 0 to 1, from velocity, volume and expression
    pan: FloatArray  # -1 left to 1 right
    program: IntArray  # 0 to 127, or -1 for drums
    duration_s: float

    @property
    def sounding_s(self) -> float:
        """Seconds that all notes sound, added up."""
        return float((self.end_s - self.start_s).sum())

    @property
    def n_notes(self) -> int:
        """Number of notes, 0 or more."""
        return len(self.pitch)

    def of(self, chosen: npt.NDArray[np.bool_]) -> Performance:
        """Only the notes that `chosen`, shape (N,), says."""
        return Performance(
            self.start_s[chosen],
            self.end_s[chosen],
            self.pitch[chosen],
            self.velocity[chosen],
            self.gain[chosen],
            self.pan[chosen],
            self.program[chosen],
            self.duration_s,
        )


def perform(score: Score) -> Performance:
    """The notes of `score` in seconds, with their gain and pan."""
    return _joined(_parts(score), units.duration_s(score))


def perform_tracks(score: Score) -> tuple[Performance, ...]:
    """The notes of each track of `score` as they are played in it, with the place that the track has among the others."""
    duration_s = units.duration_s(score)
    return tuple(_joined([part], duration_s) for part in _parts(score))


def played_notes(notes: FloatArray, pan: float = 0.0) -> Performance:
    """Notes that have their times already, without controllers.

    Args:
        notes: Start and duration in seconds, pitch, velocity and program (-1: drums) of each, shape (N, 5).
        pan: Where all of them sit, -1 left to 1 right.
    """
    start_s = np.maximum(notes[:, 0], 0.0)
    end_s = start_s + np.maximum(notes[:, 1], 0.0)
    pitch, velocity, program = (notes[:, column].astype(np.int64) for column in (2, 3, 4))
    velocity = np.clip(velocity, 0, 127)
    again = _struck_again(np.rint(start_s * 1e6).astype(np.int64), (program + 1) * 128 + pitch)
    end_s = np.where(again >= 0, np.minimum(end_s, start_s[again]), end_s)
    gain = (velocity / 127.0) ** VELOCITY_POWER * (DEFAULT_VOLUME / 127) ** CONTROLLER_POWER
    duration_s = float(end_s.max()) if len(end_s) else 0.0
    return Performance(start_s, end_s, pitch, velocity, gain, np.full(len(pitch), pan), program, duration_s)


def _parts(score: Score) -> list[tuple[np.ndarray, ...]]:
    tempi = units.tempo_map(score)
    return [_perform_track(track, tempi, seat) for track, seat in zip(score.tracks, seats(score), strict=True)]


def _joined(parts: list[tuple[np.ndarray, ...]], duration_s: float) -> Performance:
    parts = [part for part in parts if len(part[0])]
    if not parts:
        nothing = np.zeros(0)
        none = np.zeros(0, dtype=np.int64)
        return Performance(nothing, nothing, none, none, nothing, nothing, none, 0.0)
    start_s, end_s, pitch, velocity, gain, pan, program = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Performance(start_s, end_s, pitch, velocity, gain, pan, program, duration_s)


def _perform_track(track: Track, tempi: TempoMap, seat: float) -> tuple[np.ndarray, ...]:
    notes = track.notes.numpy()
    starts = np.maximum(notes["time"].astype(np.int64), 0)
    ends = np.maximum(starts + notes["duration"], starts)
    pitch = notes["pitch"].astype(np.int64)
    start_s, end_s = tempi.to_seconds(starts), tempi.to_seconds(ends)
    if not track.is_drum and len(track.pedals):
        end_s = _hold_by_pedal(track, tempi, end_s)
    again = _struck_again(starts, pitch)
    end_s = np.where(again >= 0, np.minimum(end_s, start_s[again]), end_s)
    controls = track.controls.numpy()
    loudness = _control_at(controls, VOLUME, DEFAULT_VOLUME, starts) / 127 * (_control_at(controls, EXPRESSION, 127, starts) / 127)
    velocity = np.clip(notes["velocity"].astype(np.int64), 0, 127)
    gain = (velocity / 127.0) ** VELOCITY_POWER * loudness**CONTROLLER_POWER
    pan = np.clip((_control_at(controls, PAN, round(64 + 63 * seat), starts) - 64) / 63, -1.0, 1.0)
    program = np.full(len(pitch), -1 if track.is_drum else track.program % 128, dtype=np.int64)
    return start_s, end_s, pitch, velocity, gain, pan, program


def _control_at(controls: dict[str, np.ndarray], number: int, default: int, ticks: IntArray) -> FloatArray:
    """The value of a controller at each of `ticks`, shape of `ticks`; `default` before its first event."""
    mine = controls["number"] == number
    times, values = controls["time"][mine], controls["value"][mine].astype(np.float64)
    order = np.argsort(times, kind="stable")
    with_default: FloatArray = np.concatenate(([float(default)], values[order]))
    return with_default[np.searchsorted(times[order], ticks, side="right")]


def _hold_by_pedal(track: Track, tempi: TempoMap, end_s: FloatArray) -> FloatArray:
    """Ends moved to where the pedal is lifted."""
    pedals = track.pedals.numpy()
    down = tempi.to_seconds(np.maximum(pedals["time"], 0))
    up = tempi.to_seconds(np.maximum(pedals["time"].astype(np.int64) + pedals["duration"], 0))
    order = np.argsort(down, kind="stable")
    down, up = down[order], up[order]
    last = np.searchsorted(down, end_s, side="right") - 1
    held = np.where(last >= 0, up[np.maximum(last, 0)], 0.0)
    ends: FloatArray = np.maximum(end_s, np.minimum(held, end_s + PEDAL_MAX_S))
    return ends


def _struck_again(starts: IntArray, pitch: IntArray) -> IntArray:
    """For each note the index of the next of its pitch that begins later, or -1: striking a key ends what it sounded before."""
    keys = pitch << 40 | starts
    order = np.argsort(keys, kind="stable")
    after = np.searchsorted(keys[order], keys, side="right")
    found = order[np.minimum(after, len(order) - 1)]
    again: IntArray = np.where((after < len(order)) & (pitch[found] == pitch), found, -1)
    return again


def seats(score: Score) -> list[float]:
    """A place for each track: drums and basses in the middle, the others left and right in turn."""
    taken = Seats()
    return [taken.next(-1 if track.is_drum else track.program) if len(track.notes) else 0.0 for track in score.tracks]


class Seats:
    """Places for programs as they come, where nobody knows yet which others will."""

    def __init__(self) -> None:
        self._n_taken = 0
        self._places: dict[int, float] = {}

    def next(self, program: int) -> float:
        """The next free place for a track of `program` (-1: drums)."""
        if program < 0 or program in BASS_PROGRAMS:
            return 0.0
        self._n_taken += 1
        return SEATS[(self._n_taken - 1) % len(SEATS)]

    def of(self, program: int) -> float:
        """The place of a program that has one, or the next free one, which it keeps."""
        if program not in self._places:
            self._places[program] = self.next(program)
        return self._places[program]
