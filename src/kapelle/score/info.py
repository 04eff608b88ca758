"""What a score is, in numbers: tracks, bars, seconds, tempi, metres, key, how many notes sound at once.

Pure facts of the score; nothing is judged. The key alone is an estimate (see `keys`), unless the piece states it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from symusic import Score, Track

from kapelle.score import units
from kapelle.score.instruments import program_name
from kapelle.score.keys import estimate_key, key_of_signature
from kapelle.score.marks import Mark, marks_of

_SHOWN_CHANGES = 16


@dataclass(frozen=True)
class TrackInfo:
    """One track: its name, its instrument (`program` 0 to 127) and its notes; the pitches are None without notes."""

    name: str
    program: int
    instrument: str
    is_drum: bool
    n_notes: int
    lowest: int | None
    highest: int | None
    polyphony: int


@dataclass(frozen=True)
class Info:
    """What `info` found.

    Attributes:
        n_notes: Notes of all tracks.
        n_bars: Bars that hold them.
        duration_s: Seconds to the end of the last note.
        tpq: Ticks per quarter note.
        tempos_bpm: The tempi in order, the first 16 at most; `n_tempos` counts all.
        metres: The metres in order as ``4/4``, the first 16 at most; `n_metres` counts all.
        key: The key that its notes suggest; None without pitched notes.
        signature: The key that its first key signature states; None if there is none.
        polyphony: The greatest number of notes that sound at once, drums left out.
        notes_per_s: Notes per second; 0.0 without notes.
        marks: Named stretches, such as themes.
        tracks: One by one.
    """

    n_notes: int
    n_bars: int
    duration_s: float
    tpq: int
    tempos_bpm: tuple[float, ...]
    n_tempos: int
    metres: tuple[str, ...]
    n_metres: int
    key: str | None
    signature: str | None
    polyphony: int
    notes_per_s: float
    marks: tuple[Mark, ...]
    tracks: tuple[TrackInfo, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain dicts, lists, numbers and texts, ready for JSON."""
        out = dataclasses.asdict(self)
        for name in ("tempos_bpm", "metres", "marks", "tracks"):
            out[name] = list(out[name])
        return out


def info(score: Score) -> Info:
    """What `score` is, in numbers; for a score without notes the numbers are 0 and the key is None."""
    tempi, metres = units.tempo_map(score), units.metre_map(score)
    seconds, n_notes = units.duration_s(score), sum(len(track.notes) for track in score.tracks)
    pitched = [track for track in score.tracks if not track.is_drum and len(track.notes)]
    signatures = sorted(score.key_signatures, key=lambda signature: int(signature.time))
    return Info(
        n_notes=n_notes,
        n_bars=units.n_bars(score),
        duration_s=seconds,
        tpq=score.tpq,
        tempos_bpm=tuple(round(60e6 / mspq, 3) for mspq in tempi.mspq[:_SHOWN_CHANGES].tolist()),
        n_tempos=len(tempi.ticks),
        metres=tuple(f"{n}/{d}" for n, d in zip(metres.numerators[:_SHOWN_CHANGES], metres.denominators[:_SHOWN_CHANGES], strict=True)),
        n_metres=len(metres.ticks),
        key=str(estimate_key(score)) if pitched else None,
        signature=str(key_of_signature(signatures[0].key, bool(signatures[0].tonality))) if signatures else None,
        polyphony=polyphony(pitched),
        notes_per_s=n_notes / seconds if seconds else 0.0,
        marks=marks_of(score),
        tracks=tuple(_track_info(track) for track in score.tracks),
    )


def polyphony(tracks: list[Track]) -> int:
    """The greatest number of notes of `tracks` that sound at once; a note that ends where another begins does not count with it."""
    columns = [track.notes.numpy() for track in tracks]
    starts = np.concatenate([np.zeros(0, np.int64), *(notes["time"].astype(np.int64) for notes in columns)])
    ends = np.concatenate([np.zeros(0, np.int64), *(notes["time"].astype(np.int64) + notes["duration"] for notes in columns)])
    ticks, steps = np.concatenate((ends, starts)), np.repeat([-1, 1], len(starts))
    order = np.argsort(ticks, kind="stable")  # at one tick, ends come first
    return int(np.cumsum(steps[order]).max(initial=0))


def _track_info(track: Track) -> TrackInfo:
    pitch = track.notes.numpy()["pitch"]
    return TrackInfo(
        name=track.name,
        program=track.program,
        instrument=program_name(track.program, is_drum=track.is_drum),
        is_drum=track.is_drum,
        n_notes=len(pitch),
        lowest=int(pitch.min()) if len(pitch) else None,
        highest=int(pitch.max()) if len(pitch) else None,
        polyphony=polyphony([track]),
    )
