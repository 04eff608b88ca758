"""An accompaniment with fewer notes where it is too full, its bass and the outline of its chords kept.

Takes columns of notes in sixteenths and gives some of them back; none is invented, moved or made longer. A model that is trained on the
piano of pop songs repeats an accompaniment that is fuller than anything it has heard note for note, as the thesis found of openings by
MuseGAN; within the limits below it goes on freely.

The limits are of one bar, taken from the PIANO tracks of POP909 (every ninth song, bars with notes): 10 onsets and 4 notes at once are
their upper quartiles, 20 notes the 90th percentile. Bars within them are not touched, so real accompaniments mostly stay as they are.
"""

from __future__ import annotations

import numpy as np

from kapelle.score.edit import NoteArrays

ONSETS = 10
"""Steps of a bar on which notes begin."""

AT_ONCE = 4
"""Notes that sound at once."""

NOTES = 20
"""Notes that begin in a bar."""

_BAR = 16
_STRENGTH = (4, 0, 1, 0, 2, 0, 1, 0, 3, 0, 1, 0, 2, 0, 1, 0)
"""Of the steps of a bar: beats before eighths before sixteenths."""

Note = list[int]
"""Start, end (steps), pitch, velocity."""


def thinned(notes: NoteArrays) -> NoteArrays:
    """`notes` with no bar beyond the limits, by time, then pitch.

    1. Where more than `ONSETS` steps of a bar have onsets, those on the weakest steps go, with their notes.
    2. Where more than `AT_ONCE` notes would sound, the lowest and the highest new one stay, then those of pitch classes that do not sound
       yet, from the top. At least two new notes may begin: notes from before end there if need be, the shortest left first.
    3. Where more than `NOTES` begin in a bar, inner notes on the weakest steps go, then upper ones; basses last.

    Args:
        notes: Columns ``time duration pitch velocity``, time and duration in sixteenths from a bar line.
    """
    order = np.lexsort((notes["pitch"], notes["time"]))
    rows = np.stack([notes["time"], notes["time"] + notes["duration"], notes["pitch"], notes["velocity"]], axis=1)[order]
    chords: dict[int, list[Note]] = {}
    for row in rows.tolist():
        chords.setdefault(row[0], []).append(row)
    kept = _few_notes(_few_at_once(_few_onsets(chords)))
    out = np.array(kept, np.int64).reshape(-1, 4)
    return {"time": out[:, 0], "duration": out[:, 1] - out[:, 0], "pitch": out[:, 2], "velocity": out[:, 3]}


def _by_bar(starts: list[int]) -> dict[int, list[int]]:
    bars: dict[int, list[int]] = {}
    for start in starts:
        bars.setdefault(start // _BAR, []).append(start)
    return bars


def _few_onsets(chords: dict[int, list[Note]]) -> dict[int, list[Note]]:
    """Rule 1."""
    kept: list[int] = []
    for starts in _by_bar(list(chords)).values():
        strong = sorted(starts, key=lambda start: (-_STRENGTH[start % _BAR], -len(chords[start]), start))
        kept += sorted(strong[:ONSETS])
    return {start: chords[start] for start in kept}


def _few_at_once(chords: dict[int, list[Note]]) -> dict[int, list[Note]]:
    """Rule 2."""
    out: dict[int, list[Note]] = {}
    sounding: list[Note] = []
    for start, chord in chords.items():
        struck = {note[2] for note in chord}
        for note in sounding:
            note[1] = start if note[2] in struck else note[1]
        sounding = sorted((note for note in sounding if note[1] > start), key=lambda note: note[1])
        room = max(AT_ONCE - len(sounding), 2)
        new = _outline(chord, sounding, room)
        released = max(len(sounding) + len(new) - AT_ONCE, 0)
        for note in sounding[:released]:
            note[1] = start
        sounding = [*sounding[released:], *new]
        out[start] = new
    return out


def _outline(chord: list[Note], sounding: list[Note], room: int) -> list[Note]:
    """`room` notes of a chord, in order of pitch: the lowest, the highest, what is new."""
    if len(chord) <= room:
        return chord
    chosen = [chord[0], chord[-1]]
    heard = {note[2] % 12 for note in [*sounding, *chosen]}
    for again in (False, True):
        for note in reversed(chord[1:-1]):
            if len(chosen) < room and note not in chosen and (again or note[2] % 12 not in heard):
                chosen.append(note)
                heard.add(note[2] % 12)
    return sorted(chosen, key=lambda note: note[2])


def _few_notes(chords: dict[int, list[Note]]) -> list[Note]:
    """Rule 3."""
    out: list[Note] = []
    for starts in _by_bar(list(chords)).values():
        ranked = [
            (_role(place, len(chords[start])), -_STRENGTH[start % _BAR], note)
            for start in starts
            for place, note in enumerate(chords[start])
        ]
        ranked.sort(key=lambda item: (item[0], item[1], item[2][0], item[2][2]))
        out += sorted((note for _, _, note in ranked[:NOTES]), key=lambda note: (note[0], note[2]))
    return out


def _role(place: int, n_notes: int) -> int:
    """0 for the lowest of a chord, 1 for the highest, 2 for what lies between."""
    return 0 if place == 0 else 1 if place == n_notes - 1 else 2
