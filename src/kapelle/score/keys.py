"""The key of a piece: names read and written, scales, and an estimate from the notes.

The estimate correlates how long each pitch class sounds with the 24 rotations of the probe-tone profiles of Krumhansl and
Kessler (1982), printed in C. Krumhansl, Cognitive Foundations of Musical Pitch, Oxford University Press 1990, table 2.1 and
chapter 4. Durations are in ticks and are not weighted by loudness. Drums do not count. It finds one key for a whole piece:
it does not follow modulations, and it knows major and minor alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from symusic import Score

from kapelle.errors import UnknownName

Mode = Literal["major", "minor"]

MAJOR_PROFILE = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR_PROFILE = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)

MAJOR_STEPS = (0, 2, 4, 5, 7, 9, 11)
MINOR_STEPS = (0, 2, 3, 5, 7, 8, 10)

# The spelling with the fewer accidentals of the 24 keys; of the two with six, the one written more often.
_MAJOR_NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MINOR_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11, "H": 11}
_PATTERN = re.compile(r"\s*([A-Ha-h])\s*([#b♯♭]{0,2})\s*[-_ ]?\s*(.*?)\s*", re.DOTALL)
_MODES: dict[str, Mode] = {
    "": "major", "M": "major", "maj": "major", "major": "major", "dur": "major", "мажор": "major",
    "m": "minor", "min": "minor", "minor": "minor", "moll": "minor", "минор": "minor",
}  # fmt: skip


@dataclass(frozen=True)
class Key:
    """A key: `tonic` as pitch class (0 = C ... 11 = B) and `mode`. ``str(key)`` is its name, such as ``F# minor``."""

    tonic: int
    mode: Mode = "major"

    def __str__(self) -> str:
        return f"{(_MAJOR_NAMES if self.mode == 'major' else _MINOR_NAMES)[self.tonic]} {self.mode}"

    @property
    def relative(self) -> Key:
        """The key of the other mode with the same notes: A minor for C major."""
        return Key((self.tonic + 9) % 12, "minor") if self.mode == "major" else Key((self.tonic + 3) % 12, "major")

    @property
    def sharps(self) -> int:
        """Its signature: sharps (positive) or flats (negative), -6 to 6, as a MIDI key signature counts them."""
        major = self if self.mode == "major" else self.relative
        fifths = major.tonic * 7 % 12
        return fifths if fifths <= 6 else fifths - 12

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """The seven pitch classes of its scale, from the tonic up; natural minor."""
        return tuple((self.tonic + step) % 12 for step in (MAJOR_STEPS if self.mode == "major" else MINOR_STEPS))


ALL_KEYS: tuple[Key, ...] = tuple(Key(tonic, mode) for mode in ("major", "minor") for tonic in range(12))
"""The 24 keys: C major to B major, then C minor to B minor."""


def parse_key(text: str) -> Key:
    """The key that `text` names: ``C``, ``Am``, ``F# minor``, ``B♭ major``, ``Bb``; ``H moll`` is B minor.

    A small letter alone, as in ``a``, names a minor key when no mode follows.

    Raises:
        UnknownName: It names none; the 24 names are listed.
    """
    match = _PATTERN.fullmatch(text)
    if match:
        letter, signs, mode_text = match.groups()
        mode = _MODES.get(mode_text) or _MODES.get(mode_text.casefold())
        if mode:
            if not mode_text and letter.islower():
                mode = "minor"
            shift = sum(1 if sign in "#♯" else -1 for sign in signs)
            return Key((_LETTERS[letter.upper()] + shift) % 12, mode)
    raise UnknownName("key", text, map(str, ALL_KEYS))


def key_of_signature(sharps: int, minor: bool) -> Key:
    """The key of a MIDI key signature: `sharps` -7 to 7 (flats are negative)."""
    major = Key(sharps * 7 % 12, "major")
    return major.relative if minor else major


def pitch_class_durations(score: Score) -> NDArray[np.float64]:
    """How long each pitch class sounds, in ticks, shape (12,), drums left out; zeros without pitched notes."""
    out = np.zeros(12)
    for track in score.tracks:
        if not track.is_drum and len(track.notes):
            notes = track.notes.numpy()
            out += np.bincount(notes["pitch"] % 12, weights=notes["duration"], minlength=12)
    return out


def key_correlations(durations: ArrayLike) -> NDArray[np.float64]:
    """Pearson's correlation of `durations` (12,) with each of `ALL_KEYS`, -1 to 1, shape (24,); zeros where all durations are equal."""
    found = np.asarray(durations, dtype=np.float64)
    found = found - found.mean()
    norm = float(np.sqrt((found**2).sum()))
    if norm < 1e-12:
        return np.zeros(24)
    out: NDArray[np.float64] = _PROFILES @ (found / norm)
    return out


def _rotations(profiles: Iterable[tuple[float, ...]]) -> NDArray[np.float64]:
    """All rotations of the profiles, centred and of length 1, shape (24, 12)."""
    rows = np.array([np.roll(profile, tonic) for profile in profiles for tonic in range(12)])
    rows -= rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.sqrt((rows**2).sum(axis=1, keepdims=True)), dtype=np.float64)


_PROFILES = _rotations((MAJOR_PROFILE, MINOR_PROFILE))


def estimate_key(score: Score) -> Key:
    """The key that the notes of `score` suggest; C major where there are no pitched notes, or all pitch classes sound equally long."""
    return ALL_KEYS[int(np.argmax(key_correlations(pitch_class_durations(score))))]


IN_SIGNATURE = 0.9
"""A key signature is believed if so many of the notes lie in its scale; many files state C major, whatever they are in."""


def found_key(score: Score) -> Key:
    """The one key that the signatures of `score` state, if its notes bear that out, else the estimate."""
    stated = {(int(one.key), int(one.tonality)) for one in score.key_signatures}
    if len(stated) == 1:
        sharps, minor = stated.pop()
        key = key_of_signature(sharps, bool(minor))
        counts = np.zeros(12)
        for track in score.tracks:
            if not track.is_drum:
                counts += np.bincount(track.notes.numpy()["pitch"] % 12, minlength=12)
        if counts[list(key.pitch_classes)].sum() >= IN_SIGNATURE * max(counts.sum(), 1):
            return key
    return estimate_key(score)
