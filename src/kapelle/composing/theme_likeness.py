"""How like itself a theme returns: at every step inside a return, the id that would follow the theme as it was given.

Takes the phrases as the network hears them, and the ids of the piece one by one; gives the id that goes on with the theme: its next
position, the pitch that begins there, the length of that note, the end of the bar. Where the piece has left the theme, the next place at
which both can meet again counts. Velocities are the network's alone. How much weight that id gets is `kapelle.composing.theme_session`'s
business: a network that has learned little keeps a theme in mind badly, and a listener should still know it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kapelle.tokens.theme import MELODY, PIANO, STEPS, layout
from kapelle.tokens.vocabulary import Vocabulary


@dataclass(frozen=True)
class Wanted:
    """An id that goes on with the theme.

    Args:
        ids: Any of these: they mean the same, and one of them at most is allowed.
        melody: It is about the melody; else about the accompaniment.
        skipping: Ids that would pass over the next note of the theme's melody.
    """

    ids: tuple[int, ...]
    melody: bool
    skipping: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Step:
    """What begins in the theme at a step: pitch -> length of its notes, the piano's descending."""

    melody: dict[int, int]
    piano: dict[int, int]


@dataclass
class Likeness:
    """Follows a piece, and knows how the theme would go on.

    Args:
        words: The vocabulary.
        phrases: Ids as `kapelle.tokens.theme.theme_ids` gives them.
    """

    words: Vocabulary
    phrases: Sequence[NDArray[np.int64]]
    _steps: list[dict[int, _Step]] = field(init=False)  # by phrase; steps from its first bar line
    _bar: int = -1  # of the phrase
    _position: int = -1
    _kind: str = ""
    _pitch: int = 0  # of the note that is open, or the newest
    _track: str = ""

    def __post_init__(self) -> None:
        self._where = layout(self.words)
        self._parts = [_parts(name) for name in self.words.names]
        self._steps = [self._read(phrase.tolist()) for phrase in self.phrases]

    def _read(self, ids: list[int]) -> dict[int, _Step]:
        out: dict[int, _Step] = {}
        bar, step, pitch = -1, 0, 0
        for token in ids:
            kind, track, number = self._parts[token]
            if kind == "Bar":
                bar += 1
            elif kind == "Position":
                step = bar * STEPS + number
                out[step] = _Step({}, {})
            elif kind == "On":
                pitch = number
            elif kind == "Duration":
                (out[step].melody if track == MELODY else out[step].piano)[pitch] = number
        return out

    def accept(self, token: int) -> None:
        """Follow an id."""
        kind, track, number = self._parts[token]
        if kind == "Theme_Start":
            self._bar = -1
        elif kind == "Bar":
            self._bar, self._position = self._bar + 1, -1
        elif kind == "Position":
            self._position = number
        elif kind == "On":
            self._pitch, self._track = number, track
        if kind != "Tempo":
            self._kind = kind

    def wanted(self, phrase: int) -> Wanted | None:
        """What goes on with the phrase `phrase` of the theme, which is sounding; None where the theme has nothing to say."""
        here = self._steps[phrase].get(self._bar * STEPS + self._position)
        if self._kind == "Position":
            return self._onset(here) if here else None
        if self._kind == "On":
            return self._length(here) if here else None
        if self._kind not in ("Velocity", "Bar"):
            return None
        going_on = self._next(self._steps[phrase])
        if self._kind == "Velocity" and here and (lower := [p for p in here.piano if self._track == MELODY or p < self._pitch]):
            return Wanted((self._where.on[PIANO] + lower[0],), melody=False, skipping=going_on.skipping)
        return going_on

    def _onset(self, here: _Step) -> Wanted | None:
        for track, notes in ((MELODY, here.melody), (PIANO, here.piano)):
            for pitch in notes:
                return Wanted((self._where.on[track] + pitch,), track == MELODY)
        return None

    def _length(self, here: _Step) -> Wanted | None:
        found = (here.melody if self._track == MELODY else here.piano).get(self._pitch)
        return Wanted((self._where.duration[self._track] + found,), self._track == MELODY) if found else None

    def _next(self, steps: dict[int, _Step]) -> Wanted:
        """The next position of the theme in this bar, or the end of the bar."""
        where, line = self._where, self._bar * STEPS
        closing = (where.bar, where.theme_end, where.theme_start, where.end)
        following = [step - line for step in steps if line + self._position < step < line + STEPS]
        if not following:
            return Wanted(closing, melody=True)
        sung = next((step for step in following if steps[line + step].melody), None)
        skipping = () if sung is None else (*range(where.position + sung + 1, where.position + STEPS), *closing)
        return Wanted((where.position + following[0],), following[0] == sung, skipping)


def _parts(name: str) -> tuple[str, str, int]:
    """Kind, track and value of an id: ``Note-On-MELODY_60`` is On, MELODY, 60."""
    kind, value = name.split("_", 1)
    if kind == "Theme":
        return name, "", 0
    part, track = kind.removeprefix("Note-").split("-") if kind.startswith("Note-") else (kind, "")
    return part, track, int(value) if value.isdecimal() else 0
