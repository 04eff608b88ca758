"""The music that a model hears before its first note when it is given none: a piece of Mozart, written down here note by note.

Gives a Score of two hands. The notes are those that editions agree on; the trill in bar 4 is left
out, loudness and tempo are ours. Mozart died in 1791: the music is in the public domain, and this table is part of Kapelle.
"""

from __future__ import annotations

from functools import lru_cache

import symusic

NAME = "Mozart, Sonata in C, K. 545, first movement, bars 1 to 12"
BPM = 132.0  # Allegro

SIXTEENTHS_PER_BAR = 16
TICKS_PER_SIXTEENTH = 120

RIGHT = (
    "C5/8 E5/4 G5/4",
    "B4/6 C5/1 D5/1 C5/4 r/4",
    "A5/8 G5/4 C6/4",
    "G5/4 F5/2 E5/1 F5/1 E5/4 r/4",
    "A4/2 B4/1 C5/1 D5/1 E5/1 F5/1 G5/1 A5/1 G5/1 F5/1 E5/1 D5/1 C5/1 B4/1 A4/1",
    "G4/2 A4/1 B4/1 C5/1 D5/1 E5/1 F5/1 G5/1 F5/1 E5/1 D5/1 C5/1 B4/1 A4/1 G4/1",
    "F4/2 G4/1 A4/1 B4/1 C5/1 D5/1 E5/1 F5/1 E5/1 D5/1 C5/1 B4/1 A4/1 G4/1 F4/1",
    "E4/2 F4/1 G4/1 A4/1 B4/1 C5/1 D5/1 E5/1 D5/1 C5/1 B4/1 A4/1 G4/1 F4/1 E4/1",
    "D4/2 E4/1 F4/1 G4/1 A4/1 B4/1 C#5/1 D5/1 A4/1 B4/1 C#5/1 D5/1 E5/1 F5/1 G5/1",
    "A5/1 B5/1 C6/1 B5/1 A5/1 G5/1 F5/1 E5/1 F5/1 G5/1 A5/1 G5/1 F5/1 E5/1 D5/1 C5/1",
    "B4/2 G5/2 E5/2 C5/2 D5/2 G5/2 E5/2 C5/2",
    "D5/4 B4+D5+G5/4 G4/4 r/4",
)  # fmt: skip
"""The right hand, a line per bar: pitch/sixteenths, ``+`` between the notes of a chord, ``r`` for a rest."""

LEFT = (
    "C4/2 G4/2 E4/2 G4/2 C4/2 G4/2 E4/2 G4/2",
    "D4/2 G4/2 F4/2 G4/2 C4/2 G4/2 E4/2 G4/2",
    "C4/2 A4/2 F4/2 A4/2 C4/2 G4/2 E4/2 G4/2",
    "B3/2 G4/2 D4/2 G4/2 C4/2 G4/2 E4/2 G4/2",
    "F4/4 r/8 F3+C4/4",
    "E3+C4/4 r/8 E3+C4/4",
    "D3+B3/4 r/8 D3+B3/4",
    "C3+C4/4 r/8 C3+E3/4",
    "F3+A3/16",
    "F3/6 G3/2 A3/6 F#3/2",
    "G2/1 B2/1 D3/1 G3/1 G2/1 C3/1 E3/1 G3/1 G2/1 B2/1 D3/1 G3/1 G2/1 C3/1 E3/1 G3/1",
    "G2/4 G3/4 G2/4 r/4",
)  # fmt: skip
"""The left hand, likewise."""

HANDS = (("Right hand", RIGHT, 80), ("Left hand", LEFT, 64))
"""Name, bars and MIDI velocity."""

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@lru_cache(maxsize=1)
def _written() -> symusic.Score:
    score = symusic.Score(4 * TICKS_PER_SIXTEENTH)
    score.tempos.append(symusic.Tempo(0, qpm=BPM))
    score.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    score.key_signatures.append(symusic.KeySignature(0, 0, 0))
    for name, bars, velocity in HANDS:
        track = symusic.Track(name=name, program=0, is_drum=False)
        for number, bar in enumerate(bars):
            at = number * SIXTEENTHS_PER_BAR
            for pitches, length in map(_read, bar.split()):
                for pitch in pitches:
                    track.notes.append(symusic.Note(at * TICKS_PER_SIXTEENTH, length * TICKS_PER_SIXTEENTH, pitch, velocity))
                at += length
        score.tracks.append(track)
    return score


def _read(text: str) -> tuple[tuple[int, ...], int]:
    """Pitches and sixteenths of ``C#5+E5/4``; no pitches for a rest."""
    names, length = text.split("/")
    return () if names == "r" else tuple(map(_pitch, names.split("+"))), int(length)


def _pitch(name: str) -> int:
    """The MIDI pitch of ``C#5``."""
    return 12 * (int(name[-1]) + 1) + _STEPS[name[0]] + name.count("#")


def opening() -> symusic.Score:
    """The built-in seed: two tracks, 12 bars of 4/4 in C major that end on the dominant, where another music may begin."""
    return _written().copy()
