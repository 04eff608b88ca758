"""Songs of our own making whose melody comes back, with tracks as POP909 has them, and an embedding that needs no network."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import symusic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kapelle.data.themes import Fragment

TPQ = 480
STEP, BAR = TPQ // 4, 4 * TPQ
SCALE = (60, 62, 64, 65, 67, 69, 71, 72, 74, 76)
TRIADS = ((48, 52, 55), (53, 57, 60), (55, 59, 62), (57, 60, 64))
RETURNS = (0, 8, 16)


def song(seed: int = 0, n_bars: int = 24, *, intro: int = 0, key: int = 0, returns: Sequence[int] = RETURNS) -> symusic.Score:
    """A song in a major key: two bars of melody stand at the bars `returns`, all other bars differ; the piano begins `intro` bars earlier.

    Args:
        seed: Another song for every seed.
        n_bars: Of the melody.
        intro: Bars before it.
        key: Semitones above C.
        returns: Bars, from the melody's first, in which the theme begins.
    """
    draw = random.Random(seed)
    theme = _bars(draw, 2)
    melody = [bar for _ in range(n_bars) for bar in [_bars(draw, 1)]]
    for bar in returns:
        melody[bar : bar + 2] = [theme[:8], theme[8:]]
    rows: dict[str, list[tuple[int, int, int, int]]] = {"MELODY": [], "BRIDGE": [], "PIANO": []}
    for number, notes in enumerate(melody):
        at = (intro + number) * BAR
        rows["MELODY"] += [(at + place % 8 * 2 * STEP, 2 * STEP, pitch + key, 100) for place, pitch in enumerate(notes) if pitch]
    for number in range(intro + n_bars):
        at, triad = number * BAR, draw.choice(TRIADS)
        rows["PIANO"] += [(at + beat * TPQ, TPQ, pitch + key, 70) for beat in (0, 2) for pitch in triad]
        rows["BRIDGE"].append((at, BAR, triad[1] + 24 + key, 60))
    out = symusic.Score(TPQ)
    out.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    out.key_signatures.append(symusic.KeySignature(0, _sharps(key), 0))
    out.tempos.append(symusic.Tempo(0, qpm=80))
    for name, notes in rows.items():
        track = symusic.Track(name=name)
        for row in sorted(notes):
            track.notes.append(symusic.Note(*row))
        out.tracks.append(track)
    return out


def _bars(draw: random.Random, n: int) -> list[int]:
    """Pitches on eighths, 0 for a rest; the first of every bar sounds."""
    return [0 if place % 8 and draw.random() < 0.3 else draw.choice(SCALE) + 12 for place in range(8 * n)]


def _sharps(key: int) -> int:
    fifths = key * 7 % 12
    return fifths if fifths <= 6 else fifths - 12


def copy_with_chords(score: symusic.Score, late: int = 0) -> symusic.Score:
    """All notes of a song in one track and its chords in another, as the corrected POP909 has them, `late` ticks later."""
    out = symusic.Score(TPQ)
    out.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    out.key_signatures.extend(score.key_signatures)
    out.tempos.append(symusic.Tempo(0, qpm=100))
    piano, chords = symusic.Track(name="piano"), symusic.Track(name="chords")
    for track in score.tracks:
        piano.notes.extend(symusic.Note(note.time + late, note.duration, note.pitch, note.velocity) for note in track.notes)
    for note in score.tracks[2].notes:
        if note.time % BAR == 0:
            chords.notes.append(symusic.Note(note.time + late, BAR, note.pitch, 60))
    out.tracks.extend([piano, chords])
    return out


def write_folder(place: Path, n: int = 8) -> Path:
    """``songs/NNN.mid``, and their copies with chords, a beat and a half of a bar later, in ``grids``."""
    for number in range(n):
        whole = song(number, key=number % 3, intro=2)
        (place / "songs").mkdir(parents=True, exist_ok=True)
        (place / "grids").mkdir(exist_ok=True)
        whole.dump_midi(place / "songs" / f"{number:03d}.mid")
        copy_with_chords(whole, 2 * TPQ).dump_midi(place / "grids" / f"{number:03d}.mid")
    return place


def embed(found: Sequence[Fragment]) -> np.ndarray:
    """A fragment as its onsets and intervals on 32 steps, of length 1: equal ones, transposed or not, are one point."""
    out = np.zeros((len(found), 32 * 49), np.float32)
    for row, one in zip(out, found, strict=True):
        pitch = one.notes["pitch"].astype(np.int64)
        places = np.clip(pitch - (pitch[0] if len(pitch) else 0), -24, 24) + 24
        row[np.clip(one.notes["start"], 0, 31) * 49 + places] = 1.0
        row /= max(float(np.linalg.norm(row)), 1e-9)
    return out
