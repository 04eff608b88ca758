"""Recorded drumming as bars of a roll, and which of it a phrase is played to.

Takes a folder of drum performances whose file names end as those of the Groove MIDI Dataset do (``..._rock-groove4_120_beat_4-4.mid``:
style, tempo, beat or fill, metre), gives performances; takes a song's name and tempo, gives one performance; takes the number of a phrase
in its song, gives bars that follow one another. One song keeps one performance, so that it keeps its groove. Bars go by fours, counted so
that crashes, which open a phrase after a fill, fall on the first of four where they can. The same on every machine.

Drummers play off the grid, and softly between the strokes that count. Hits go to the nearest step; a performance of which more than
`MOST_OFF` of the hits are nearer to the middle between two sixteenths than to one (shuffles, jazz) is left out, since a roll of sixteenths
would tell it wrongly; and so are hits softer than `SOFTEST`, since a roll has no loudness and would play ghost notes aloud.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from symusic import Score

from kapelle.errors import KapelleError, Missing
from kapelle.score import roll, units
from kapelle.score.edit import note_arrays, note_list
from kapelle.score.read import read
from kapelle.score.roll import Form

Cells = NDArray[np.bool_]

MOST_OFF = 0.3
SOFTEST = 35
NEAREST_TEMPI = 16
"""A song draws from so many performances, those nearest to its tempo."""

_NAME = re.compile(r"(?:^|_)([a-z]+)(?:-[^_]*)?_(\d+)_beat_4-4$")

KIT: Mapping[int, int] = {
    35: 36, 36: 36,  # bass drum
    37: 38, 38: 38, 39: 38, 40: 38,  # snare, rim, clap
    41: 43, 43: 43, 58: 43,  # floor tom
    45: 47, 47: 47,  # middle tom
    48: 50, 50: 50,  # high tom
    22: 42, 42: 42, 44: 42, 54: 42, 69: 42, 70: 42, 82: 42,  # closed hi-hat, and what is shaken
    26: 46, 46: 46,  # open hi-hat
    49: 49, 52: 49, 55: 49, 57: 49,  # crash
    51: 51, 53: 51, 59: 51,  # ride
}  # fmt: skip
"""Drums of General MIDI, and of the Roland TD-11 that the Groove MIDI Dataset was played on, as nine; all others are left out.
Source: the mapping published with the data set (Gillick et al. 2019), with the hand drums that are played like a hi-hat."""


CRASH = 49


@dataclass(frozen=True)
class Performance:
    """Drumming: `cells` are (L, S, P); `bpm` its tempo."""

    name: str
    bpm: float
    cells: Cells


def reduced(score: Score, softest: int = 1) -> tuple[Score, int]:
    """`score` with its drums as those of `KIT`, and how many drum notes have no place in that.

    Args:
        score: Any score.
        softest: Drum notes of a lower velocity are left out, uncounted.
    """
    out, lost = score.copy(), 0
    known = np.zeros(128, np.int64)
    known[list(KIT)] = list(KIT.values())
    for track in out.tracks:
        if track.is_drum and len(track.notes):
            notes = note_arrays(track)
            pitch = known[notes["pitch"]]
            lost += int((pitch == 0).sum())
            kept = (pitch > 0) & (notes["velocity"] >= softest)
            track.notes = note_list({name: column[kept] for name, column in {**notes, "pitch": pitch}.items()})
    return out, lost


def performances(folder: Path, styles: Sequence[str], form: Form) -> list[Performance]:
    """The performances of a folder that can be used, by name.

    Args:
        folder: Looked through with all its folders.
        styles: The first words of the styles wanted; all if there is none.
        form: What a bar is cut into.

    Raises:
        Missing: There is none.
    """
    found = []
    for path in sorted(folder.rglob("*.mid")):
        match = _NAME.search(path.stem)
        if match and (not styles or match[1] in styles) and (made := _performance(path, float(match[2]), form)) is not None:
            found.append(made)
    if not found:
        raise Missing(
            "no drum performances in {folder}",
            folder=folder,
            hint="`kapelle data fetch groove` brings some; styles: {styles}",
            styles=", ".join(styles) or "all",
        )
    return found


def _performance(path: Path, bpm: float, form: Form) -> Performance | None:
    """A file as a performance; None if it cannot be read, is off the grid, or has less than four whole bars."""
    try:
        score, _ = reduced(read(path), SOFTEST)
    except KapelleError:
        return None
    for track in score.tracks:
        track.is_drum = True
    if off_grid(score) > MOST_OFF:
        return None
    whole = units.end_ticks(score) // (4 * max(score.tpq, 1))
    score.time_signatures = type(score.time_signatures)([])
    cells = roll.from_score(score, form, bars=min(whole, roll.MAX_BARS))[0].track("drums")
    first = _first_of_four(cells, form)
    if len(cells) - first < 4:
        return None
    return Performance(path.stem, bpm, cells[first : first + (len(cells) - first) // 4 * 4])


def _first_of_four(cells: Cells, form: Form) -> int:
    """The first sounding bar from which, counted by fours, most crash cymbals are struck on the first beat: a phrase begins there."""
    sounding = np.flatnonzero(cells.any((1, 2)))
    if not len(sounding):
        return len(cells)
    crashes = cells[:, 0, CRASH - form.lowest_pitch]
    first = int(sounding[0])
    return first + int(np.argmax([crashes[first + phase :: 4].sum() for phase in range(4)]))


def off_grid(score: Score, grids: Sequence[int] = (4,)) -> float:
    """The share of all notes that begin more than a sixteenth of a beat off every grid, 0 to 1; by chance it is 0.5 for sixteenths.

    Args:
        score: Any score.
        grids: Steps in a beat, of each grid.
    """
    times = np.concatenate([np.zeros(0, np.int64), *(note_arrays(track)["time"] for track in score.tracks)])
    if not len(times):
        return 0.0
    beats = times / max(score.tpq, 1)
    apart = np.min([np.abs(beats * steps - np.rint(beats * steps)) / steps for steps in grids], axis=0)
    return float((apart > 1 / 16).mean())


def performance_for(song: str, bpm: float, found: Sequence[Performance]) -> Performance:
    """The performance that a song is played to: drawn by its name from those nearest to its tempo.

    Args:
        song: Its name.
        bpm: Its tempo, above 0.
        found: At least one performance.
    """
    nearest = sorted(found, key=lambda one: (abs(math.log(one.bpm / bpm)), one.name))[:NEAREST_TEMPI]
    return nearest[int.from_bytes(hashlib.sha256(song.encode()).digest()[:8], "big") % len(nearest)]


def bars_for(performance: Performance, number: int, n_bars: int) -> Cells:
    """(n_bars, S, P) the drumming under the phrase of this number in its song: the bars after those of the phrase before, from the
    beginning again at the end."""
    at = (np.arange(n_bars) + number * n_bars) % len(performance.cells)
    return np.asarray(performance.cells[at])
