"""One cell of a study: made, written, measured, played and judged, in whichever process.

Takes a cell and its maker; gives its row, ready for JSON, after writing its files: ``.mid``, ``.png``, sounds, and ``.json`` last, so that
a cell is there whole or not at all. What goes wrong in a cell is kept in its row; only what stops everything (no disk, no memory, Ctrl-C)
comes through. A cell that is there is kept; what was asked for since then (another sound, a classifier) is added to it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.composing.piece import Piece
from kapelle.errors import Interrupted, KapelleError, NotEnoughMemory, StorageError, UnreadableInput
from kapelle.metrics.degenerate import degeneracy
from kapelle.score.read import read
from kapelle.score.write import write_bytes
from kapelle.study import figures, opinions, pictures, sound

if TYPE_CHECKING:
    from symusic import Score

    from kapelle.audio import Waveform
    from kapelle.study.plan import Cell

CELLS = "cells"
STOPPING = (Interrupted, StorageError, NotEnoughMemory)
"""Errors that are not one cell's."""


@dataclass(frozen=True)
class Nothing:
    """There is no piece in this cell, and why."""

    reason: str


@dataclass(frozen=True)
class Music:
    """What is in a cell, whoever made it.

    Args:
        score: The music.
        data: Its MIDI file.
        n_bars: Bars of it.
        end_ticks: Its final bar line.
        n_returns: Regions marked as theme; NaN where none could be.
        attempts: Tries that it took; 0 where nothing was composed.
        facts: What else is known, ready for JSON.
    """

    score: Score
    data: bytes
    n_bars: int
    end_ticks: int
    n_returns: float = math.nan
    attempts: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)


Make = Callable[["Cell"], "Piece | Music | Nothing"]
"""It can be pickled if several processes work, and asks `workers.stopped` whether to go on."""


@dataclass(frozen=True)
class Wanted:
    """What is to be there of every piece.

    Args:
        sound: Which sounds.
        classifiers: Names of those that are asked; they are installed.
        least_s: Pieces shorter than so many seconds are short.
        force: Make what is there again.
        retry: Make again what failed.
    """

    sound: sound.Sound = field(default_factory=sound.Sound)
    classifiers: tuple[str, ...] = ()
    least_s: float = 30.0
    force: bool = False
    retry: bool = False


def music_of(piece: Piece) -> Music:
    """A piece of ours."""
    report = piece.report
    returns = float(len(piece.marks)) if report.facts.get("regions") is not None else math.nan
    facts = dict(report.facts) | {"seed": piece.request.seed}
    return Music(piece.score, piece.to_midi(), max(report.n_bars, 1), piece.end_ticks, returns, report.attempts, facts)


def kept(folder: Path, name: str, wanted: Wanted) -> dict[str, Any] | None:
    """The row of a cell that is there; None if it is to be made.

    Raises:
        UnreadableInput: What is there is no cell.
    """
    path = folder / CELLS / f"{name}.json"
    if wanted.force or not path.is_file():
        return None
    try:
        row: dict[str, Any] = json.loads(path.read_bytes())
        row["measures"] = {name: math.nan if value is None else float(value) for name, value in row["measures"].items()}
        failed = bool(row["failed"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableInput(
            "{path} is no cell of a study: {why}", path=path, why=error, hint="remove it, and it is made again"
        ) from error
    return None if failed and wanted.retry else row


def lacks(folder: Path, row: Mapping[str, Any], wanted: Wanted) -> bool:
    """Whether something was asked for since the row was written."""
    if row["empty"] or row["failed"]:
        return False
    paths = sound.files(folder / CELLS / row["name"], wanted.sound)
    return any(not path.is_file() for path in paths) or bool(opinions.lacking(row["verdicts"], wanted.classifiers))


def done(make: Make, folder: Path, wanted: Wanted, cell: Cell) -> dict[str, Any]:
    """The row of a cell, made or completed, after writing it and its files."""
    row = kept(folder, cell.name, wanted)
    base = folder / CELLS / cell.name
    if row is None:
        row = _made(make, cell, base, wanted)
    if not (row["empty"] or row["failed"]):
        _complete(row, base, wanted)
    write_bytes(base.with_name(f"{cell.name}.json"), (json.dumps(finite(row), indent=1, ensure_ascii=False, default=str) + "\n").encode())
    return row


def _made(make: Make, cell: Cell, base: Path, wanted: Wanted) -> dict[str, Any]:
    """The row of a new cell, its MIDI file and its picture written."""
    row: dict[str, Any] = {"name": cell.name, "values": dict(cell.values), "empty": "", "failed": "", "short": False, "problems": [],
                           "attempts": 0, "measures": {}, "verdicts": {}, "faults": [], "facts": {}}  # fmt: skip
    try:
        made = make(cell)
        if isinstance(made, Nothing):
            return row | {"empty": made.reason}
        music = music_of(made) if isinstance(made, Piece) else made
        found = figures.of_music(music)
        problems = list(degeneracy(music.score, music.n_bars).reasons)
    except STOPPING:
        raise
    except KapelleError as error:
        return row | {"failed": str(error)}
    except Exception as error:  # a bug in one cell is not to take the others with it; the row says which it was
        return row | {"failed": f"{type(error).__name__}: {error}"}
    write_bytes(base.with_name(f"{cell.name}.mid"), music.data)
    write_bytes(base.with_name(f"{cell.name}.png"), pictures.of_score(music.score))
    for path in sound.files(base, wanted.sound):
        path.unlink(missing_ok=True)  # of what was there before
    return row | {"measures": found, "short": found["seconds"] < wanted.least_s, "problems": problems, "attempts": music.attempts,
                  "facts": dict(music.facts)}  # fmt: skip


def _complete(row: dict[str, Any], base: Path, wanted: Wanted) -> None:
    """Sounds and opinions that are asked for and not there; what cannot be had is told in the row."""
    heard = _Heard(base.with_name(f"{row['name']}.mid"), wanted.sound)
    faults: list[str] = []
    for path in sound.files(base, wanted.sound):
        if not path.is_file():
            _try(faults, lambda path=path: sound.write(path, heard.wave, wanted.sound))  # type: ignore[misc]
    for name in opinions.lacking(row["verdicts"], wanted.classifiers):
        _try(faults, lambda name=name: row["verdicts"].update({name: opinions.of(name, heard)}))  # type: ignore[misc]
    row["faults"] = faults


def _try(faults: list[str], work: Callable[[], None]) -> None:
    try:
        work()
    except STOPPING:
        raise
    except KapelleError as error:
        faults.append(str(error))


@dataclass(frozen=True)
class _Heard:
    """A piece read from its file, and its sound, each only if it is needed."""

    path: Path
    sound: sound.Sound

    @cached_property
    def score(self) -> Score:
        return read(self.path)

    @cached_property
    def wave(self) -> Waveform:
        return sound.rendered(self.score, self.sound)


def finite(value: Any) -> Any:
    """The same with null for what is no number: JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
