"""Sound in chunks, track by track: what a page plays while a piece is still being composed.

Takes a score and a track's number, or the notes of one program; gives stereo float32 at 44.1 kHz, and FLAC. Chunk k holds the sound of
the notes that begin in its `CHUNK_S` seconds, with their ends and releases, so that chunks overlap: whoever starts each at k *
`CHUNK_S` and adds them up has the piece, without a seam. The gain is one for all, never chosen by what sounds, for else a chunk would
not fit to the next.

Tones are kept from chunk to chunk, up to `KEPT_BYTES` in a process. Played by our own sampler alone: FluidSynth has one reverb for all
tracks, and its notes cannot be taken apart.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

from kapelle.audio.files import flac_bytes
from kapelle.audio.waveform import Waveform
from kapelle.errors import UnknownName, UsageError
from kapelle.render import soundfont_file
from kapelle.render.mixing import add, frames_of, mix
from kapelle.render.performance import Performance, perform_tracks, played_notes
from kapelle.render.sampler import LONGEST_RELEASE_S, MAX_TONE_S, SamplerTones

if TYPE_CHECKING:
    from collections.abc import Sequence

    from symusic import Score

    from kapelle.render.mixing import Tone
    from kapelle.score.units import IntArray

CHUNK_S = 2.0
RATE_HZ = 44_100
CHUNK_FRAMES = int(CHUNK_S * RATE_HZ)
# Of 26 pieces by all bundles that compose, the loudest chunk of a track peaks at 0.28 and the loudest piece at 0.36 before this gain, so
# that no file clips, with 5 dB to spare for music from elsewhere; the page has a limiter for the sum.
GAIN = 2.0
KEPT_BYTES = 128 << 20
# Tones are made in a few lengths, so that a longer note of the same key seldom makes its tone anew.
TONE_LENGTHS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, MAX_TONE_S)
# A chunk without notes is not quite empty: browsers refuse a file of no frames.
SHORTEST_FRAMES = 1024
# Two seconds of an orchestra's tutti with the pedal down are some hundreds of seconds of tones.
MAX_SOUNDING_S = 2_000.0


class SoundingNote(Protocol):
    """A note as a composer tells it."""

    @property
    def start_s(self) -> float:
        """Seconds from the start of the piece."""

    @property
    def duration_s(self) -> float:
        """Seconds."""

    @property
    def pitch(self) -> int:
        """MIDI number."""

    @property
    def velocity(self) -> int:
        """1 to 127."""

    @property
    def program(self) -> int:
        """General MIDI program; -1: drums."""


def chunk_of_notes(notes: Sequence[SoundingNote], k: int, *, pan: float = 0.0) -> Waveform:
    """Chunk `k` of the notes of one program, played without pedal and controllers.

    Args:
        notes: Those that begin in the chunk, or more: the others only end notes of their pitch.
        k: Number of the chunk, from 0.
        pan: Where they sit, -1 left to 1 right.

    Raises:
        UsageError: `k` is below 0, or the notes are more than are played.
    """
    rows = [(note.start_s, note.duration_s, note.pitch, note.velocity, note.program) for note in notes]
    return chunk_of(played_notes(np.array(rows, dtype=np.float64).reshape(-1, 5), pan), k)


def chunk(score: Score, track: int, k: int) -> Waveform:
    """Chunk `k` of a track, with its pedal, volume, expression and pan, at its place among the other tracks.

    Args:
        score: A score in ticks.
        track: Number of the track, from 0.
        k: Number of the chunk, from 0; silence where the track has no notes.

    Raises:
        UnknownName: There is no such track.
        UsageError: `k` is below 0, or the notes are more than are played.
    """
    if not 0 <= track < len(score.tracks):
        raise UnknownName("track", str(track), tuple(map(str, range(len(score.tracks)))))
    return chunk_of(perform_tracks(score)[track], k)


def n_chunks(duration_s: float) -> int:
    """How many chunks a piece of this length has, 1 or more."""
    return max(int(np.ceil(duration_s / CHUNK_S)), 1)


def chunk_of(played: Performance, k: int) -> Waveform:
    """Chunk `k` of notes that are placed already; as short as it can be, at least `SHORTEST_FRAMES` long."""
    if k < 0:
        raise UsageError("chunks are numbered from 0, not {k}", k=k)
    played = played.of((played.start_s >= k * CHUNK_S) & (played.start_s < (k + 1) * CHUNK_S))
    sounding_s = float(np.minimum(played.end_s - played.start_s, MAX_TONE_S).sum())
    if sounding_s > MAX_SOUNDING_S:
        raise UsageError(
            "{n_notes} long notes begin within {seconds:g} seconds; so many are not played",
            n_notes=played.n_notes,
            seconds=CHUNK_S,
            hint="the file is probably damaged: its notes do not end",
        )
    if not played.n_notes:
        return Waveform(np.zeros((SHORTEST_FRAMES, 2), dtype=np.float32), RATE_HZ)
    starts, held = frames_of(played, RATE_HZ)
    origin = k * CHUNK_FRAMES
    n_frames = int((starts - origin + np.minimum(held, int(MAX_TONE_S * RATE_HZ))).max() + LONGEST_RELEASE_S * RATE_HZ)
    out = np.zeros((2, max(n_frames, SHORTEST_FRAMES)), dtype=np.float32)
    add(out, played, _tones(), origin)
    out *= np.float32(GAIN)
    heard = np.flatnonzero(out.any(axis=0))
    n_frames = max(int(heard[-1]) + 1 if len(heard) else 0, SHORTEST_FRAMES)
    return Waveform(np.ascontiguousarray(out[:, :n_frames].T), RATE_HZ)


def mixed(played: Performance, tail_s: float) -> Waveform:
    """All notes at once, as `kapelle.render.mixing.mix` plays them, with the tones that are kept here, and without `GAIN`."""
    return mix(played, _tones(), tail_s)


def flac(wave: Waveform) -> bytes:
    """`wave` as a FLAC file of 16 bits; the same wave gives the same bytes."""
    return flac_bytes(wave)


class KeptTones:
    """A SoundFont's tones, each kept until `n_bytes` are; the one that was not asked for the longest goes first."""

    def __init__(self, tones: SamplerTones, n_bytes: int) -> None:
        self.sample_rate = tones.sample_rate
        self.kept_bytes = 0
        self._tones = tones
        self._limit = n_bytes
        self._kept: OrderedDict[tuple[int, int, int, int], Tone | None] = OrderedDict()

    def keys(self, played: Performance) -> IntArray:
        """A number per preset, pitch and set of zones."""
        return self._tones.keys(played)

    def tone(self, program: int, pitch: int, velocity: int, n_held: int) -> Tone | None:
        """The tone of a key, held for `n_held` frames or somewhat longer."""
        length = next((n for n in (int(s * self.sample_rate) for s in TONE_LENGTHS_S) if n >= n_held), n_held)
        key = (program, pitch, int(self._tones.layers(program, pitch)[velocity]), length)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        tone = self._tones.tone(program, pitch, velocity, length)
        self._kept[key] = tone
        self.kept_bytes += _n_bytes(tone)
        while self.kept_bytes > self._limit and len(self._kept) > 1:
            self.kept_bytes -= _n_bytes(self._kept.popitem(last=False)[1])
        return tone


def _n_bytes(tone: Tone | None) -> int:
    return 0 if tone is None else sum(piece.nbytes for piece in tone.pieces(1 << 62))


@lru_cache(maxsize=1)
def _tones() -> KeptTones:
    return KeptTones(SamplerTones(soundfont_file.load(soundfont_file.bundled()), RATE_HZ), KEPT_BYTES)
