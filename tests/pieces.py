"""Small scores for the tests of sound and pictures."""

from __future__ import annotations

import symusic


def score(*tracks: symusic.Track, bpm: float = 120.0) -> symusic.Score:
    """The tracks at 480 ticks per quarter note; a quarter of 120 bpm is half a second."""
    made = symusic.Score(480)
    made.tempos.append(symusic.Tempo(0, qpm=bpm))
    made.tracks.extend(tracks)
    return made


def track(*notes: tuple[int, int, int, int], program: int = 0, drums: bool = False, name: str = "") -> symusic.Track:
    """A track of notes (time, duration, pitch, velocity), times in ticks."""
    made = symusic.Track(name, program, drums)
    for note in notes:
        made.notes.append(symusic.Note(*note))
    return made
