"""Pitches as letters: which of its names a note has, by the key it is heard in.

Takes MIDI numbers bar by bar; gives letter, alteration and octave. Each bar is heard in a key of its own, found from the bars around
it with a leaning towards the signature, and takes its twelve names from that key: those of the scale, the raised steps that lead
upwards in it, and the lowered ones that are usual.

Source: the line of fifths, as used by D. Temperley, The Cognition of Basic Musical Structures, MIT Press 2001, chapter 5; the key of a
bar by `kapelle.score.keys`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kapelle.score.keys import ALL_KEYS, key_correlations, key_of_signature

LETTERS = "FCGDAEB"
STEPS = {"C": 0, "D": 1, "E": 2, "F": 3, "G": 4, "A": 5, "B": 6}
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}

# How far below the first flat of the signature the names reach: to the lowered seventh and third in major, in minor one fifth less.
_BELOW_MAJOR, _BELOW_MINOR = 3, 2
_HOME, _NEAR = 0.25, 0.08
_AROUND = 1
"""Bars before and after that tell of the key of a bar."""


@dataclass(frozen=True)
class Name:
    """A spelled pitch: letter, semitones by which it is altered, octave (4 holds middle C)."""

    step: str
    alter: int
    octave: int

    @property
    def line(self) -> int:
        """Its height on a staff: 0 for C0, one more for each letter."""
        return self.octave * 7 + STEPS[self.step]


@cache
def spell(pitch: int, lowest_fifth: int) -> Name:
    """The name of a MIDI number among the twelve names that go up by fifths from `lowest_fifth` (0 is C, 1 G, -1 F)."""
    fifth = lowest_fifth + (pitch * 7 - lowest_fifth) % 12
    step, alter = LETTERS[(fifth + 1) % 7], (fifth + 1) // 7
    return Name(step, alter, (pitch - alter - _SEMITONES[step]) // 12 - 1)


def spell_chord(pitches: Sequence[int], following: Sequence[int], lowest_fifth: int) -> tuple[Name, ...]:
    """The names of the pitches of a chord before one of pitches `following` in its voice.

    The lowest of the twelve names, E flat in C major, gets the letter below where it rises by a semitone: D sharp leads to E.
    """
    out = []
    for pitch in pitches:
        name = spell(pitch, lowest_fifth)
        if _fifth(name) == lowest_fifth and pitch + 1 in following and pitch not in following:
            leading = spell(pitch, lowest_fifth + 12)
            fits = -1 <= leading.alter <= 1 and leading.step not in {spell(other, lowest_fifth).step for other in pitches if other != pitch}
            name = leading if fits else name
        out.append(name)
    return tuple(out)


def _fifth(name: Name) -> int:
    """The place of a name on the line of fifths."""
    return LETTERS.index(name.step) - 1 + 7 * name.alter


def lowest_fifths(durations: NDArray[np.float64], signatures: Sequence[tuple[int, bool]]) -> list[int]:
    """For each bar, where its twelve names begin on the line of fifths.

    Args:
        durations: How long each pitch class sounds in each bar, shape (bars, 12).
        signatures: Sharps (flats negative) and whether it is minor, for each bar.
    """
    out = []
    for i, (sharps, minor) in enumerate(signatures):
        around = durations[max(i - _AROUND, 0) : i + _AROUND + 1].sum(axis=0) + durations[i]
        out.append(_lowest(key_correlations(around), sharps, minor))
    return out


def _lowest(correlations: NDArray[np.float64], sharps: int, minor: bool) -> int:
    home = key_of_signature(sharps, minor)
    likely = np.array(correlations)
    for i, key in enumerate(ALL_KEYS):
        distance = abs(_near(key.sharps, sharps) - sharps)
        likely[i] += _HOME if key == home else _NEAR if distance <= 1 else -0.06 * (distance - 1)
    key = ALL_KEYS[int(np.argmax(likely))]
    return _near(key.sharps, sharps) - (_BELOW_MAJOR if key.mode == "major" else _BELOW_MINOR)


def _near(sharps: int, home: int) -> int:
    """The signature of the same sounding key that is nearest to that of the piece and can be read."""
    return min((other for other in (sharps - 12, sharps, sharps + 12) if -8 <= other <= 8), key=lambda other: abs(other - home))


@cache
def signature_alters(sharps: int) -> dict[str, int]:
    """What a key signature does to each letter."""
    sign = 1 if sharps > 0 else -1
    altered = LETTERS[:sharps] if sharps > 0 else LETTERS[sharps:] if sharps < 0 else ""
    return {letter: sign if letter in altered else 0 for letter in LETTERS}


@dataclass
class Accidentals:
    """Which signs must be printed on one staff, bar by bar, in order of reading."""

    _sharps: int = 0
    _said: dict[tuple[str, int], int | None] = field(default_factory=dict)
    _before: set[tuple[str, int]] = field(default_factory=set)

    def begin_bar(self, sharps: int) -> None:
        """From here on nothing is said but the signature; what was altered in the bar before is said again."""
        alters = signature_alters(self._sharps)
        self._before = {place for place, alter in self._said.items() if alter != alters[place[0]]}
        self._sharps, self._said = sharps, {}

    def sign(self, name: Name, *, tied: bool) -> int | None:
        """The alteration to print before a note, or None if it is understood."""
        place = (name.step, name.octave)
        known = self._said.get(place, signature_alters(self._sharps)[name.step])
        if tied:  # its sign stands in the bar before, and does not hold for notes after it
            if known != name.alter:
                self._said[place] = None
            return None
        needed = known != name.alter or (place in self._before and place not in self._said)
        self._said[place] = name.alter
        return name.alter if needed else None
