"""Obedience: what was asked of a piece against what the written score says.

Takes a score and what was asked; gives an `Answer`: asked, found, and whether it was obeyed. Exact, with one exception: a key is
obeyed by a share of the notes and an estimate, since a piece in C major may well touch an F sharp.

Each function looks at one thing alone and looks only at the score, never at how it came about; measure on the score as read back from the
file, so that writing is part of what is measured. Drums have no key. It does not ask whether the music suits what was asked.

Source: the rules are this project's own; the key is estimated as in `kapelle.score.keys` (Krumhansl and Kessler 1982).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from kapelle.score import keys, units
from kapelle.score.instruments import DRUMS, instrument_of
from kapelle.score.keys import Key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from symusic import Score

MIN_SHARE_IN_SCALE = 0.95

Asked = TypeVar("Asked")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Answer(Generic[Asked, Found]):
    """One thing asked, what was found, and whether that is what was asked."""

    asked: Asked
    found: Found
    obeyed: bool


@dataclass(frozen=True)
class KeyFound:
    """What a score says about a key.

    Args:
        estimate: The key that the notes suggest.
        share_in_scale: Of the pitched notes in the asked key's scale (natural minor), 0 to 1; 0.0 without pitched notes.
    """

    estimate: Key
    share_in_scale: float


def key(score: Score, asked: Key | str) -> Answer[Key, KeyFound]:
    """Obeyed when at least 95 % of the pitched notes lie in the asked scale and the estimate is the asked key or its relative.

    Notes are counted, whatever their length, for the share; durations decide the estimate. Without pitched notes no key is obeyed.

    Raises:
        UnknownName: `asked` is text and names no key.
    """
    wanted = keys.parse_key(asked) if isinstance(asked, str) else asked
    counts = np.zeros(12)
    for track in score.tracks:
        if not track.is_drum and len(track.notes):
            counts += np.bincount(track.notes.numpy()["pitch"] % 12, minlength=12)
    share = float(counts[list(wanted.pitch_classes)].sum() / max(counts.sum(), 1))
    estimate = keys.estimate_key(score)
    obeyed = share >= MIN_SHARE_IN_SCALE and estimate in (wanted, wanted.relative)
    return Answer(wanted, KeyFound(estimate, share), obeyed)


def tempo(score: Score, asked_bpm: float) -> Answer[float, tuple[float, ...]]:
    """Obeyed when the score has one tempo from the first tick to the last, the asked one in whole microseconds per quarter note.

    Returns:
        Found: every tempo in force, quarter notes per minute, in order; 120 bpm for a score that names none.
    """
    speeds = units.tempo_map(score).mspq
    found = tuple(60e6 / float(mspq) for mspq in speeds)
    return Answer(float(asked_bpm), found, bool((speeds == units.bpm_to_mspq(asked_bpm)).all()))


def metre(score: Score, asked: tuple[int, int]) -> Answer[tuple[int, int], tuple[tuple[int, int], ...]]:
    """Obeyed when the score has one metre throughout, written as asked: 6/8 is not 3/4.

    Args:
        score: In ticks.
        asked: Numerator and denominator.

    Returns:
        Found: every metre in force, in order; 4/4 for a score that names none.
    """
    metres = units.metre_map(score)
    found = tuple((int(n), int(d)) for n, d in zip(metres.numerators, metres.denominators, strict=True))
    wanted = (int(asked[0]), int(asked[1]))
    return Answer(wanted, found, found == (wanted,))


def instruments(score: Score, asked: Iterable[int]) -> Answer[tuple[int, ...], tuple[int, ...]]:
    """Obeyed when the programs that play are those asked, no more and no fewer; order and number of tracks do not matter.

    Args:
        score: In ticks.
        asked: General MIDI programs, 0 to 127; -1 for drums.

    Returns:
        Asked and found, ascending, each program once. A track without notes does not play.

    Raises:
        UnknownName: There is no such program.
    """
    wanted = tuple(sorted({instrument_of(program).program for program in asked}))
    found = tuple(sorted({DRUMS if track.is_drum else int(track.program) for track in score.tracks if len(track.notes)}))
    return Answer(wanted, found, found == wanted)


def bars(score: Score, asked: int) -> Answer[int, int]:
    """Obeyed when the last note ends in the last bar asked: then the final bar line is where it was to be.

    Returns:
        Found: bars up to the end of the last note, an unfinished one counted; 0 without notes. Silent bars at the end cannot be seen.
    """
    found = units.n_bars(score)
    return Answer(int(asked), found, found == asked)
