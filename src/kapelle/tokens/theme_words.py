"""The words of music with a theme: which ids there are, where they stand, and which of them are theme.

Takes the name of a vocabulary, gives ids and labels; what they stand for in music is told in `kapelle.tokens.theme`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kapelle.config import setting
from kapelle.errors import UsageError
from kapelle.tokens.vocabulary import Vocabulary

Ids = NDArray[np.int64]
Regions = Sequence[tuple[int, int]]
"""Stretches of bars that are theme: the first bar, from 0, and the one after the last."""

MELODY, PIANO = "MELODY", "PIANO"
TRACKS = {"paper": (MELODY, PIANO), "released": (MELODY, "BRIDGE", PIANO)}
THEME_TRACK = "Theme info track"
"""The track in which published files mark their themes; not music."""

STEPS = 16  # in a bar
STEPS_PER_BEAT = 4
MAX_DURATION = 64  # steps
MAX_VELOCITY = 126
TEMPI = range(17, 195, 3)


@dataclass(frozen=True)
class ThemeSpec:
    """The [tokenizer] section of a recipe of codec ``theme``."""

    mode: str = setting("paper", help="two tracks, 716 ids; or the 1,033 ids of the published code", choices=("paper", "released"))
    normalise_key: bool = setting(False, help="every piece is moved to C major or A minor before it is encoded")


@lru_cache(maxsize=2)
def vocabulary(mode: str) -> Vocabulary:
    """The vocabulary of a mode, ``paper`` or ``released``; id 0 is padding.

    Raises:
        UsageError: There is no such mode.
    """
    if mode not in TRACKS:
        raise UsageError("there is no theme vocabulary {mode}", mode=mode, hint="choose paper or released")
    tracks = TRACKS[mode]
    return Vocabulary((
        "PAD_None",
        *(f"Note-On-{track}_{pitch}" for track in tracks for pitch in range(1, 128)),
        *(f"Note-Duration-{track}_{steps}" for track in tracks for steps in range(1, MAX_DURATION + 1)),
        *(f"Note-Velocity-{track}_{velocity}" for track in tracks for velocity in range(1, MAX_VELOCITY + 1)),
        *(f"Tempo_{bpm}" for bpm in TEMPI),
        *(f"Position_{step}" for step in range(STEPS)),
        "Bar_None", "Phrase_Start", "Phrase_End", "Theme_Start", "Theme_End",
    ))  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """Where the kinds of ids of a vocabulary stand.

    Args:
        tempo: The id of the slowest tempo.
        position: The id of Position 0.
        bar, theme_start, theme_end: Their ids.
        end: Phrase_End, which no music holds: here it ends a piece.
        on, duration, velocity: Track -> what is added to a pitch, a number of steps, a velocity to get its id.
    """

    tempo: int
    position: int
    bar: int
    theme_start: int
    theme_end: int
    end: int
    on: dict[str, int]
    duration: dict[str, int]
    velocity: dict[str, int]


def layout(words: Vocabulary) -> Layout:
    """Where the kinds of ids stand in a vocabulary of this codec."""
    tracks = [kind.removeprefix("Note-On-") for kind in words.kinds if kind.startswith("Note-On-")]
    first = {kind: {track: words[f"Note-{kind}-{track}_1"] - 1 for track in tracks} for kind in ("On", "Duration", "Velocity")}
    return Layout(
        words[f"Tempo_{TEMPI[0]}"],
        words["Position_0"],
        words["Bar_None"],
        words["Theme_Start"],
        words["Theme_End"],
        words["Phrase_End"],
        first["On"],
        first["Duration"],
        first["Velocity"],
    )


@lru_cache(maxsize=2)
def layout_of(mode: str) -> Layout:
    """Where the kinds of ids stand in the vocabulary of a mode."""
    return layout(vocabulary(mode))


def tempo_id(bpm: float, words: Vocabulary) -> int:
    """The id of the tempo nearest to `bpm` quarter notes a minute; of two equally near ones the slower."""
    return words[f"Tempo_{TEMPI[int(np.abs(np.array(TEMPI) - bpm).argmin())]}"]


def labels_of(ids: ArrayLike, words: Vocabulary, before: int = 0) -> Ids:
    """(T,) the labels of ids.

    Args:
        ids: (T,).
        words: ``vocabulary(mode)``.
        before: The label of the id before the first one; 0: it was outside the theme.
    """
    tokens = np.asarray(ids, np.int64)
    place = np.arange(len(tokens))
    never = -(2**40)
    started = np.maximum.accumulate(np.where(tokens == words["Theme_Start"], place, -before if before else 2 * never))
    ended = np.maximum.accumulate(np.where(tokens == words["Theme_End"], place, never))
    out: Ids = np.where(started > ended, place - started + 1, 0)
    return out
