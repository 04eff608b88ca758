"""A score, or the bytes of a MIDI file, as notes in steps and bar lines: what is looked at through `roll_windows`.

Takes a `symusic.Score`; gives a `View`. All pitched tracks are one, drums are left out; equal notes are one. Runs of bars in which nothing
begins are shortened to one bar and go at both ends: a piano part cut out of an arrangement is silent while others play, and how long says
nothing about its music. Ends and onsets go to the nearest step.

`classifiers.note_grid` hears the same in another way: it rounds within each bar, and ends a pitch where it is struck again. Most real files
differ a little between the two, so neither can take the place of the other under classifiers that were trained on it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kapelle.config import setting
from kapelle.data.clean import Rejected
from kapelle.data.roll_windows import NOTE, STEPS_PER_QUARTER, Lines, Notes
from kapelle.errors import KapelleError
from kapelle.score import units
from kapelle.score.read import read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from symusic import Score

    from kapelle.data.cleaning import Arrays, File

EDITION = 1
"""Raise it when `view` gives other results for the same score: older cache entries are then not used."""

MAX_STEPS = 2**30
"""Beyond any piece that can be read."""


@dataclass(frozen=True)
class View:
    """A piece as it is looked at.

    Args:
        notes: (N,) `roll_windows.NOTE`, by start and pitch.
        lines: (bars + 1,) bar lines in steps.
    """

    notes: Notes
    lines: Lines


@dataclass(frozen=True)
class RollRules:
    """The [preprocessing] section of a recipe of codec ``rolls``: what a piece must be."""

    min_bars: int = setting(8, help="shorter pieces are left out", min=1)
    min_notes: int = setting(50, help="pieces with fewer notes are left out", min=1)


@dataclass(frozen=True)
class ClassSpec:
    """The [tokenizer] section of a recipe of codec ``rolls``: there is nothing to choose but the names."""

    classes: tuple[str, ...] = setting(help="the classes, in the order of the probabilities")


@dataclass(frozen=True)
class RollPiece:
    """A file's view, and what else the shards hold of it."""

    view: View
    digest: str  # first 16 hexadecimal digits of the file's SHA-256


def view(score: Score) -> View:
    """`score` in steps; without a pitched note it has no notes and no bars."""
    columns = [track.notes.numpy() for track in score.tracks if not track.is_drum and len(track.notes)]
    if not columns:
        return View(np.zeros(0, NOTE), np.zeros(1, np.int32))
    time = np.concatenate([part["time"] for part in columns]).astype(np.int64)
    end = time + np.maximum(np.concatenate([part["duration"] for part in columns]), 1)
    pitch = np.concatenate([part["pitch"] for part in columns])
    per_tick = STEPS_PER_QUARTER / max(score.tpq, 1)
    lines = np.unique(units.bar_starts(score, int(time.max()) + 1))  # to where the last bar ends in which a note begins
    lines, kept = _closed(lines, time)
    old, new = lines * per_tick, kept * per_tick
    last = min(max(1, round(float(new[-1]))), MAX_STEPS)
    notes = np.zeros(len(time), NOTE)
    notes["start"] = np.minimum(np.rint(np.interp(time * per_tick, old, new)), last - 1)
    notes["end"] = np.maximum(np.rint(np.interp(end * per_tick, old, new)), notes["start"] + 1)
    notes["pitch"] = pitch
    notes = np.unique(notes)
    return View(notes[np.lexsort((notes["pitch"], notes["start"]))], np.unique(np.append(np.rint(new[:-1]), last)).astype(np.int32))


def _closed(lines: units.IntArray, time: np.ndarray) -> tuple[units.IntArray, units.IntArray]:
    """Bar lines, and where they are when runs of bars without a beginning are one bar, and none at the start; in ticks."""
    filled = np.histogram(time, lines)[0] > 0
    keep = filled | np.append(False, filled[:-1])  # a filled bar, or the first empty one after it
    widths = np.where(keep, np.diff(lines), 0)
    return lines, np.append(0, np.cumsum(widths))


@dataclass(frozen=True)
class RollReading:
    """Files as views; see `cleaning.Reading`."""

    rules: RollRules
    tracks: tuple[int, ...]
    """By source: so many tracks are read, from the first on; 0: all."""
    arrays: ClassVar[tuple[str, ...]] = ("notes", "lines")

    def settings(self, files: Sequence[File]) -> list[Any]:
        """All that decides the results of these files beside their contents."""
        return [
            "rolls",
            EDITION,
            version("symusic"),
            self.rules.min_bars,
            self.rules.min_notes,
            [self.tracks[file.source] for file in files],
        ]

    def read(self, data: bytes, file: File, grid: bytes | None) -> RollPiece | Rejected:
        """The view of a file's bytes, or why not; never raises on any bytes."""
        try:
            score = read(data)
        except KapelleError:
            return Rejected("not readable as MIDI")
        if self.tracks[file.source]:
            del score.tracks[self.tracks[file.source] :]
        seen = view(score)
        if len(seen.notes) < self.rules.min_notes:
            return Rejected("too few notes")
        if len(seen.lines) - 1 < self.rules.min_bars:
            return Rejected("too few bars")
        return RollPiece(seen, hashlib.sha256(data).hexdigest()[:16])

    def taken_apart(self, result: RollPiece) -> tuple[dict[str, Any], Arrays]:
        """See `cleaning.Reading`."""
        return {"digest": result.digest}, {"notes": result.view.notes, "lines": result.view.lines}

    def put_together(self, facts: Mapping[str, Any], arrays: Arrays) -> RollPiece:
        """See `cleaning.Reading`."""
        return RollPiece(View(arrays["notes"], arrays["lines"]), facts["digest"])
