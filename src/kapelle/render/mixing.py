"""The mixing desk of the renderers that make their own tones: notes that sound alike share one tone, made once.

Takes a `Performance` and a source of tones; gives stereo float32. A note is a slice of its tone with a gain on each side and a
release at its end. Nothing is normalised. Work grows with the sounding frames of the notes; memory with the length of the piece.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from kapelle.audio.effects import fade_curve, pan_gains
from kapelle.audio.waveform import Samples, Waveform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kapelle.render.performance import Performance
    from kapelle.score.units import FloatArray, IntArray

SHORTEST_NOTE_S = 0.01
HEADROOM = 0.25
LAST_FADE_S = 0.5


class Tone(Protocol):
    """The sound of one key, held for as long as asked; one channel (F,) or two (2, F)."""

    @property
    def release(self) -> Samples | None:
        """The gain after the end of the note, shape (R,), from 1 to 0; None if the sound runs on to its own end."""

    def pieces(self, n_frames: int) -> Sequence[Samples]:
        """The first `n_frames` frames in order, in one or more arrays; fewer if the sound has died before."""


class Tones(Protocol):
    """Where tones come from."""

    sample_rate: int

    def keys(self, played: Performance) -> IntArray:
        """A number for each note, shape (N,): notes with the same number share a tone."""

    def tone(self, program: int, pitch: int, velocity: int, n_held: int) -> Tone | None:
        """The tone of a note that is held for up to `n_held` frames, or None if it is mute; program -1 is the drums."""


class Struck:
    """A tone that takes no notice of when the key is let go."""

    release = None

    def __init__(self, sound: Samples) -> None:
        self._sound = sound

    def pieces(self, n_frames: int) -> Sequence[Samples]:
        """The whole sound, whatever is asked."""
        return (self._sound,)


def mix(played: Performance, tones: Tones, tail_s: float) -> Waveform:
    """The notes as one stereo waveform, from the start of the piece to `tail_s` seconds after its last note, faded at the end."""
    out = np.zeros((2, int(np.ceil((played.duration_s + tail_s) * tones.sample_rate))), dtype=np.float32)
    add(out, played, tones)
    return finished(out, tones.sample_rate, tail_s)


def add(out: Samples, played: Performance, tones: Tones, origin: int = 0) -> None:
    """Add the notes to `out` (2, F), whose first frame is frame `origin` of the piece; no note may begin before it."""
    if not played.n_notes:
        return
    starts, held = frames_of(played, tones.sample_rate)
    starts, held = starts - origin, np.minimum(held, out.shape[1])
    keys = tones.keys(played)
    order = np.argsort(keys, kind="stable")
    for notes in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
        _add_notes(out, played, notes, (starts[notes], held[notes]), tones)


def finished(out: Samples, sample_rate: int, tail_s: float) -> Waveform:
    """A renderer's own array (2, F) as a waveform; the end of its tail is faded out in place, which spares a copy of the piece."""
    curve = fade_curve(int(min(LAST_FADE_S, tail_s / 2) * sample_rate))[: out.shape[1]]
    out[:, out.shape[1] - len(curve) :] *= curve[::-1]
    return Waveform(out.T, sample_rate)


def frames_of(played: Performance, rate: int) -> tuple[IntArray, IntArray]:
    """For each note the frame at which it begins and the number of frames it is held, each of shape (N,)."""
    starts = np.rint(played.start_s * rate).astype(np.int64)
    held = np.maximum(np.rint(played.end_s * rate).astype(np.int64) - starts, int(SHORTEST_NOTE_S * rate))
    return starts, held


def _add_notes(out: Samples, played: Performance, notes: IntArray, frames: tuple[IntArray, IntArray], tones: Tones) -> None:
    """Add notes that share a tone to `out` (2, F); `frames` are where they begin in it, and how many they are held."""
    starts, held = frames
    first = notes[0]
    tone = tones.tone(int(played.program[first]), int(played.pitch[first]), int(played.velocity[first]), int(held.max()))
    if tone is None:
        return
    for start, n_held, sides in zip(starts.tolist(), held.tolist(), _sides(played.gain[notes], played.pan[notes]), strict=True):
        _add_note(out, start, n_held, tone, sides)


def _sides(gain: FloatArray, pan: FloatArray) -> Samples:
    """Gains to the left and to the right, shape (N, 2)."""
    places = {place: pan_gains(place) for place in set(pan.tolist())}
    return (np.array([places[place] for place in pan.tolist()]) * gain[:, None] * HEADROOM).astype(np.float32)


def _add_note(out: Samples, start: int, n_held: int, tone: Tone, sides: Samples) -> None:
    release = tone.release
    done = 0
    for piece in tone.pieces(n_held + (0 if release is None else len(release))):
        n_frames = min(piece.shape[-1], out.shape[1] - start - done)
        if n_frames <= 0:
            return
        n_plain = n_frames if release is None else min(max(n_held - done, 0), n_frames)
        for side in (0, 1):
            target = out[side, start + done : start + done + n_frames]
            scaled = (piece[side] if piece.ndim == 2 else piece)[:n_frames] * sides[side]
            if release is not None and n_plain < n_frames:
                at = done + n_plain - n_held
                scaled[n_plain:] *= release[at : at + n_frames - n_plain]
            target += scaled
            if piece.ndim == 1 and side == 0 and sides[0] == sides[1]:
                out[1, start + done : start + done + n_frames] += scaled
                break
        done += n_frames
