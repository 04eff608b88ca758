"""The chords of a piece: one for each bar or beat, named, with its Roman numeral in a key.

Takes a `symusic.Score` in ticks and a key; gives a `Chord` for each bar or beat. How long every pitch sounds in a stretch is counted
by arithmetic on arrays, whatever the length of the piece; the chord is the one of ten kinds on twelve roots whose tones explain most
of that time, so that passing notes do not turn into chords. The few different chords that a piece has are then spelled in the key and
given to music21 for their numerals, which is what keeps a long piece short work: music21's own `chordify` makes a chord of every
change, and takes minutes for what is done here in milliseconds.

It does not follow modulations (numerals are those of one key), knows no chords beyond sevenths, and reads the written durations: the
pedal does not count. In a performance that was recorded without a metronome, bars are not the bars of the music, nor are the chords.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from symusic import Score

from kapelle import chance
from kapelle.score import units
from kapelle.score.keys import Key

Per = Literal["bar", "beat"]
Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Onset, end and pitch of notes, in ticks, in any order."""

MAX_CHORDS = 8192
"""Stretches beyond this number are left out; an hour of music in 4/4 at 120 bpm has 1,800 bars, or 7,200 beats."""

KINDS: dict[str, tuple[int, ...]] = {
    "": (0, 4, 1), "m": (0, -3, 1), "dim": (0, -3, -6), "aug": (0, 4, 8), "sus4": (0, -1, 1),
    "7": (0, 4, 1, -2), "maj7": (0, 4, 1, 5), "m7": (0, -3, 1, -2), "m7b5": (0, -3, -6, -2), "dim7": (0, -3, -6, -9),
}  # fmt: skip
"""Kind -> its tones, counted in fifths from the root: a major third lies four fifths up."""

# What a chord must explain more than a plainer one to be preferred, as shares of the sounding time; found by trial on chorales.
_RARE = {"": 0.0, "m": 0.0, "dim": 0.04, "aug": 0.10, "sus4": 0.10, "7": 0.06, "maj7": 0.10, "m7": 0.07, "m7b5": 0.08, "dim7": 0.08}
_MISSING = 0.10  # for each tone of the chord that does not sound
_ROOT_IN_BASS = 0.06
_HEARD = 0.02  # a tone that sounds for less than this share is not there
_BASS_HEARD = 1 / 16  # of the stretch

_LETTERS = "FCGDAEB"
_FIGURES = {3: ("", "6", "64"), 4: ("7", "65", "43", "42")}


@dataclass(frozen=True)
class Chord:
    """What is heard in one bar or beat.

    Attributes:
        bar: From 1.
        beat: Within the bar, from 1; a beat is the lower number of the metre.
        start_s: Where it begins, in seconds.
        name: Such as ``F#m7`` or ``C/E``; empty where fewer than two pitch classes sound.
        roman: Its numeral in the key, such as ``V65``; empty without a name.
        fit: Share of the sounding time that its tones take, 0 to 1; 0 without a name.
    """

    bar: int
    beat: int
    start_s: float
    name: str
    roman: str
    fit: float


@dataclass(frozen=True)
class _Found:
    """A chord as numbers: pitch class of the root and the bass, kind."""

    root: int
    kind: str
    bass: int


def chords(score: Score, key: Key, per: Per = "bar") -> tuple[Chord, ...]:
    """The chord of every bar or beat of `score`, the first 8,192 at most; drums do not count.

    Args:
        score: A score in ticks.
        key: In which the numerals are.
        per: "bar" or "beat".
    """
    lines = (units.bar_starts if per == "bar" else units.beat_starts)(score)[: MAX_CHORDS + 1]
    starts_s = units.ticks_to_seconds(score, lines[:-1])
    bar_lines = units.bar_starts(score)
    bars = np.searchsorted(bar_lines, lines[:-1], side="right")
    first = np.searchsorted(lines, bar_lines[bars - 1]) if len(bars) else bars
    out = []
    for place, (found, fit) in enumerate(_recognised(_columns(score), lines)):
        name, roman = _names(found, key) if found else ("", "")
        out.append(Chord(int(bars[place]), int(place - first[place]) + 1, round(float(starts_s[place]), 3), name, roman, round(fit, 3)))
    return tuple(out)


def roots_and_kinds(notes: Columns, lines: NDArray[np.int64]) -> list[tuple[int, str] | None]:
    """The chord of each stretch between neighbouring `lines` as pitch class of the root and kind, of `KINDS`; None without a chord.

    Args:
        notes: Onset, end and pitch of pitched notes.
        lines: (n + 1,) ascending, in ticks.
    """
    return [(found.root, found.kind) if found else None for found, _ in _recognised(notes, lines)]


def _recognised(notes: Columns, lines: NDArray[np.int64]) -> Iterator[tuple[_Found | None, float]]:
    """The chord of each stretch and its fit."""
    quarter = np.diff(lines)[:, None] * np.array([0.0, 0.25])  # the bass is the one of the first quarter of a stretch
    parts = sounding_between(notes, np.append((lines[:-1, None] + quarter).astype(np.int64).ravel(), lines[-1:]))
    opening, time = parts[::2], parts[::2] + parts[1::2]
    for place, length in enumerate(np.diff(lines).tolist()):
        yield _recognise(time[place], _bass(opening[place], time[place], length))


def sounding(score: Score, lines: NDArray[np.int64]) -> NDArray[np.float32]:
    """How many ticks every pitch sounds between neighbouring `lines` (n + 1,), drums left out, shape (n, 128); two voices count twice."""
    return sounding_between(_columns(score), lines)


def sounding_between(notes: Columns, lines: NDArray[np.int64]) -> NDArray[np.float32]:
    """The same of notes given as onset, end and pitch."""
    out = np.zeros((max(len(lines) - 1, 0), 128), dtype=np.float32)
    start, end, pitch = notes
    if not len(out):
        return out
    for number in np.unique(pitch).tolist():
        mine = pitch == number
        out[:, number] = np.diff(_time_since(start[mine], lines) - _time_since(end[mine], lines))
    return out


def _columns(score: Score) -> Columns:
    """Onset, end and pitch of the pitched notes."""
    parts = [track.notes.numpy() for track in score.tracks if not track.is_drum and len(track.notes)]
    none = np.zeros(0, np.int64)
    time, duration, pitch = (
        np.concatenate([none, *(part[name].astype(np.int64) for part in parts)]) for name in ("time", "duration", "pitch")
    )
    return time, time + duration, pitch


def _time_since(moments: NDArray[np.int64], lines: NDArray[np.int64]) -> NDArray[np.int64]:
    """At every line, the time that has passed since the moments before it, added up."""
    moments = np.sort(moments)
    before = np.searchsorted(moments, lines)
    total: NDArray[np.int64] = lines * before - np.concatenate(([0], np.cumsum(moments)))[before]
    return total


def _tables() -> tuple[list[tuple[int, str]], NDArray[np.float64], NDArray[np.float64]]:
    """Root and kind of every chord, its tones (120, 12) as ones, and what it must explain more (120,)."""
    names = [(root, kind) for kind in KINDS for root in range(12)]
    tones = np.zeros((len(names), 12))
    for row, (root, kind) in enumerate(names):
        tones[row, [(root + 7 * fifths) % 12 for fifths in KINDS[kind]]] = 1.0
    return names, tones, np.array([_RARE[kind] for _, kind in names])


_NAMES, _TONES, _HANDICAPS = _tables()
_ROOTS = np.array([root for root, _ in _NAMES])


def _bass(opening: NDArray[np.float32], time: NDArray[np.float32], length: int) -> int:
    """The lowest pitch of the opening that is more than touched; without one, of the whole stretch of `length` ticks; 0 of silence."""
    for pitches in (opening >= length * _BASS_HEARD, time >= length * _BASS_HEARD, time > 0):
        if pitches.any():
            return int(np.flatnonzero(pitches)[0])
    return 0


def _recognise(time: NDArray[np.float32], bass: int) -> tuple[_Found | None, float]:
    """The chord over `bass` that explains the times for which the pitches sound, and the share of them that it takes."""
    total = float(time.sum())
    by_class = np.bincount(np.arange(128) % 12, weights=time, minlength=12) / max(total, 1.0)
    if (by_class > _HEARD).sum() < 2:
        return None, 0.0
    inside = _TONES @ by_class
    missing = _TONES @ (by_class <= _HEARD)
    points = inside - _HANDICAPS - _MISSING * missing + _ROOT_IN_BASS * (bass % 12 == _ROOTS)
    best = int(np.argmax(points))
    root, kind = _NAMES[best]
    return _Found(root, kind, bass % 12), float(inside[best])


# --- names -----------------------------------------------------------------------------------------------------------------------


@cache
def _names(found: _Found, key: Key) -> tuple[str, str]:
    """The name and the Roman numeral of a chord in a key."""
    home = key.sharps + (3 if key.mode == "minor" else 0)  # the tonic, in fifths from C
    root = home - 5 + (found.root * 7 - home + 5) % 12  # from the flat second to the raised fourth of the key
    tones = [root + fifths for fifths in KINDS[found.kind]]
    inversion = next((place for place, tone in enumerate(tones) if tone * 7 % 12 == found.bass), 0)
    bass = next((tone for tone in tones if tone * 7 % 12 == found.bass), home - 5 + (found.bass * 7 - home + 5) % 12)
    name = _spelled(root) + found.kind + (f"/{_spelled(bass)}" if bass != root else "")
    return name, _numeral(root, found.kind, inversion, key)


_TRIADS = {"sus4": "", "7": "", "maj7": "", "m7": "m", "m7b5": "dim", "dim7": "dim"}


def _numeral(root: int, kind: str, inversion: int, key: Key) -> str:
    """The numeral by music21, with the figures of the inversion."""
    head = _degree(root, _TRIADS.get(kind, kind), key)
    if kind == "sus4":
        return f"{head}sus4"
    sign = {"dim": "o", "dim7": "o", "m7b5": "ø", "aug": "+"}.get(kind, "")
    return f"{head}{sign}{_FIGURES[len(KINDS[kind])][inversion]}"


@cache
def _degree(root: int, triad: str, key: Key) -> str:
    """The numeral of a triad without figures, by music21; asked once for each, since it takes its time."""
    from music21 import chord, roman
    from music21 import key as keys

    tonic = str(key).split()[0].replace("b", "-")
    places = keys.Key(tonic if key.mode == "major" else tonic.lower())
    with chance.kept():  # music21 weighs by chance, even where there is nothing to choose
        found = roman.romanNumeralFromChord(chord.Chord([_spelled(root + fifths, "-") for fifths in KINDS[triad]]), places)
    home = key.sharps + (3 if key.mode == "minor" else 0)
    natural = key.mode == "minor" and root - home in (-2, -3, -4)  # VII, III and VI of a minor key are its own, not lowered ones
    return ("" if natural else found.frontAlterationString) + str(found.romanNumeralAlone)


def _spelled(fifths: int, flat: str = "b") -> str:
    """A note name, by its place in the line of fifths: 0 is C, 1 is G, -1 is F."""
    signs, letter = divmod(fifths + 1, 7)
    return _LETTERS[letter] + ("#" * signs if signs > 0 else flat * -signs)
