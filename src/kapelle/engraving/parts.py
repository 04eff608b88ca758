"""Who reads what: the tracks of a score as parts of one or two staves.

Takes a score; gives `Part`s with their notes still as played. Keyboards get two staves: tracks that are named or placed like right and
left hand become one part, what is played by one track is dealt to the hands, and up to five voices of one line each, as in a chorale,
share two staves two by two. Every other track is a part of one staff, of two if no single clef could hold it. Drums are one part, or
none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from symusic import Score, Track

from kapelle.engraving.hands import LEFT, split_hands
from kapelle.score.edit import note_arrays
from kapelle.score.instruments import program_name

KEYBOARDS = range(8)
_WIDE = (*range(8), *range(16, 24), 46)
"""Programs that are used to two staves: keyboards, organs, accordions, the harp."""

_CHOIR = (52, 53)
_RIGHT = re.compile(r"\b(right|r\.?\s?h\.?|upper|rechts?|droite|destra|treble)\b|прав|верхн", re.IGNORECASE)
_LEFT = re.compile(r"\b(left|l\.?\s?h\.?|lower|links?|gauche|sinistra)\b|лев|нижн", re.IGNORECASE)
_EMPTY_NAME = re.compile(
    r"\W*|(midi|track|channel|staff|untitled|new|out|instrument|part|spur|piste|дорожка|канал|dreamstation|korg|dxi|seq|\W|\d)+.{0,3}",
    re.IGNORECASE,
)
_CREDIT = re.compile(
    r"://|www\.|©|\(c\)|\b(by|copyright|created|composed|arranged|sequenced|official|use in|all rights)\b|\b(19|20)\d\d\b|@", re.IGNORECASE
)
"""Names of tracks that tell of people and not of instruments."""

_ONE_STAFF = 26
"""Semitones that a line may span to stay on one staff."""

_MAX_NAME = 28
_MAX_VOICES = 5
_HANDS_APART = 5.0
"""Semitones between the mean pitches of two piano tracks that are taken for two hands."""


@dataclass(frozen=True)
class Notes:
    """Played notes of one staff in order of time: ticks of beginning and end, MIDI numbers, and voices (-1 where not known)."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    pitches: NDArray[np.int64]
    voices: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    def of(self, chosen: NDArray[np.bool_]) -> Notes:
        """Only the notes where `chosen` is true."""
        return Notes(self.starts[chosen], self.ends[chosen], self.pitches[chosen], self.voices[chosen])


@dataclass(frozen=True)
class Part:
    """What one player reads.

    Args:
        name: Before the first system.
        program: Of General MIDI.
        staves: The notes of one or two staves, the upper first.
        is_drum: It is a percussion staff.
        short: Before the other systems.
    """

    name: str
    program: int
    staves: tuple[Notes, ...]
    is_drum: bool = False
    short: str = field(default="")


def parts(score: Score, *, drums: bool = True) -> list[Part]:
    """The parts of `score`, in its order, drums last; empty if nothing is left to write."""
    pitched = [track for track in score.tracks if len(track.notes) and not track.is_drum]
    struck = [track for track in score.tracks if len(track.notes) and track.is_drum]
    out = _voice_score(pitched) or [part for group in _groups(pitched) for part in [_part(group)]]
    if drums and struck:
        notes = _notes(struck)
        out.append(Part("Drums", 0, (notes,), is_drum=True))
    return _named(out)


def _notes(tracks: Iterable[Track], voices: Sequence[int] | None = None) -> Notes:
    """The notes of some tracks as one stream."""
    columns = []
    for i, track in enumerate(tracks):
        found = note_arrays(track)
        start = np.maximum(found["time"], 0)
        voice = np.full(len(start), voices[i] if voices is not None else -1, dtype=np.int64)
        columns.append((start, start + np.maximum(found["duration"], 1), found["pitch"].astype(np.int64), voice))
    starts, ends, pitches, voice = (np.concatenate(column).astype(np.int64) for column in zip(*columns, strict=True))
    order = np.lexsort((pitches, starts))
    return Notes(starts[order], ends[order], pitches[order], voice[order])


# Chorales ----------------------------------------------------------------------------------------------------------------------


def _voice_score(tracks: Sequence[Track]) -> list[Part]:
    """One part of two staves for three to five single lines of keyboard or choir; nothing if the tracks are no such thing."""
    if not 3 <= len(tracks) <= _MAX_VOICES or not all(track.program in (*KEYBOARDS, *range(16, 21), *_CHOIR) for track in tracks):
        return []
    if any(_EMPTY_NAME.fullmatch(track.name) is None and not _is_voice_name(track.name) for track in tracks):
        return []
    if not all(_is_line(track) for track in tracks):
        return []
    ordered = sorted(tracks, key=lambda track: -float(note_arrays(track)["pitch"].mean()))
    n_upper = (len(ordered) + 1) // 2 if len(ordered) != 3 or float(note_arrays(ordered[1])["pitch"].mean()) > 59 else 1
    upper, lower = ordered[:n_upper], ordered[n_upper:]
    staves = tuple(_notes(staff, [min(i, 1) for i in range(len(staff))] if len(staff) > 1 else None) for staff in (upper, lower))
    return [Part("", ordered[0].program, staves)]


def _is_voice_name(name: str) -> bool:
    return bool(
        re.fullmatch(
            r"\W*(soprano|alto|tenor|bass|cantus|discant|s|a|t|b|voice|stimme|fug[ae]|piano|choir|vox|сопрано|альт|тенор|бас)?\W*\d*\W*",
            name,
            re.IGNORECASE,
        )
    )


def _is_line(track: Track) -> bool:
    notes = note_arrays(track)
    overlaps = np.minimum(notes["time"][:-1] + notes["duration"][:-1] - notes["time"][1:], notes["duration"][1:])
    return len(notes["time"]) < 2 or float(np.maximum(overlaps, 0).sum()) < 0.05 * float(notes["duration"].sum())


# Keyboards and the rest --------------------------------------------------------------------------------------------------------


def _groups(tracks: Sequence[Track]) -> list[list[Track]]:
    """The tracks, those of one keyboard player together."""
    piano = [track for track in tracks if track.program in KEYBOARDS]
    together: list[Track] = []
    hands = [track for track in piano if _RIGHT.search(track.name) or _LEFT.search(track.name)]
    plain = [track for track in piano if _EMPTY_NAME.fullmatch(track.name) or track.name == piano[0].name]
    if any(_RIGHT.search(track.name) for track in hands) and any(_LEFT.search(track.name) for track in hands):
        together = piano if len(piano) == len(tracks) else hands
    elif len(piano) > 1 and len(plain) == len(piano):
        together = (
            piano if len(piano) == len(tracks) or (len(piano) == 2 and abs(_mean(piano[0]) - _mean(piano[1])) >= _HANDS_APART) else []
        )
    out: list[list[Track]] = []
    for track in tracks:
        if track in together:
            if track is together[0]:
                out.append(list(together))
        else:
            out.append([track])
    return out


def _mean(track: Track) -> float:
    return float(note_arrays(track)["pitch"].mean())


def _part(tracks: Sequence[Track]) -> Part:
    """One part of the tracks of one player."""
    program = tracks[0].program
    name = " ".join(tracks[0].name.split())
    if name.isupper() and len(name) > 4:
        name = name.capitalize()
    if len(tracks) > 1:
        name = _LEFT.sub("", _RIGHT.sub("", name)).strip(" -_,.()")
    if _EMPTY_NAME.fullmatch(name) or _CREDIT.search(name):
        name = ""
    notes = _notes(tracks)
    if len(tracks) > 1:
        right = [track for track in tracks if _RIGHT.search(track.name)]
        left = [track for track in tracks if _LEFT.search(track.name) and track not in right]
        if not (right and left) and len(tracks) == 2:
            right, left = sorted(tracks, key=_mean, reverse=True)[:1], sorted(tracks, key=_mean)[:1]
        rest = [track for track in tracks if not any(track is other for other in (*right, *left))]
        if right and left:
            return Part(name, program, _hands(_notes(right), _notes(left), _notes(rest) if rest else None))
    if program in _WIDE or _needs_two(notes):
        if program not in KEYBOARDS and not _needs_two(notes):
            return Part(name, program, (notes,))
        if len(tracks) == 1 and _fits_one(notes):
            return Part(name, program, (notes,))
        return Part(name, program, _dealt(notes))
    return Part(name, program, (notes,))


def _hands(right: Notes, left: Notes, rest: Notes | None) -> tuple[Notes, Notes]:
    if rest is None:
        return right, left
    high, low = _dealt(rest)
    return _merged(right, high), _merged(left, low)


def _merged(one: Notes, other: Notes) -> Notes:
    starts = np.concatenate((one.starts, other.starts))
    pitches = np.concatenate((one.pitches, other.pitches))
    order = np.lexsort((pitches, starts))
    ends, voices = np.concatenate((one.ends, other.ends)), np.concatenate((one.voices, other.voices))
    return Notes(starts[order], ends[order], pitches[order], voices[order])


def _dealt(notes: Notes) -> tuple[Notes, Notes]:
    """The notes of one keyboard track, by hand."""
    hands = np.array(split_hands(notes.starts.tolist(), notes.ends.tolist(), notes.pitches.tolist()), dtype=np.int64)
    return notes.of(hands != LEFT), notes.of(hands == LEFT)


def _needs_two(notes: Notes) -> bool:
    """A fifth of the notes are high on a treble staff or above, and a fifth low on a bass staff or below."""
    return float((notes.pitches >= 67).mean()) > 0.2 and float((notes.pitches <= 52).mean()) > 0.2


def _fits_one(notes: Notes) -> bool:
    """A single line within two octaves and a bit: a melody that happens to be played by a piano."""
    nearly = len(notes) < 2 or float((notes.starts[1:] == notes.starts[:-1]).mean()) < 0.05
    low, high = np.percentile(notes.pitches, [3, 97])
    return nearly and bool(high - low <= _ONE_STAFF)


# Names -------------------------------------------------------------------------------------------------------------------------


def _named(found: Sequence[Part]) -> list[Part]:
    """The parts with names that differ; a part alone needs none."""
    if len(found) == 1 and (not found[0].name or found[0].program in _WIDE):
        return [Part("", found[0].program, found[0].staves, found[0].is_drum)]
    names = [(part.name or ("Drums" if part.is_drum else program_name(min(max(part.program, 0), 127))))[:_MAX_NAME] for part in found]
    seen: dict[str, int] = {}
    out = []
    for part, name in zip(found, names, strict=True):
        seen[name] = seen.get(name, 0) + 1
        number = f" {seen[name]}" if names.count(name) > 1 else ""
        out.append(Part(name + number, part.program, part.staves, part.is_drum, _short(name) + number))
    return out


_SHORT = {
    "piano": "Pno.", "violin": "Vln.", "viola": "Vla.", "cello": "Vc.", "contrabass": "Cb.", "flute": "Fl.", "oboe": "Ob.",
    "clarinet": "Cl.", "bassoon": "Bsn.", "trumpet": "Tpt.", "trombone": "Tbn.", "tuba": "Tba.", "horn": "Hn.", "guitar": "Gtr.",
    "bass": "Bass", "drums": "Dr.", "strings": "Str.", "organ": "Org.", "sax": "Sax", "harp": "Hp.", "choir": "Ch.", "lead": "Lead",
    "pad": "Pad", "string ensemble": "Str.", "synth strings": "Str.", "brass": "Br.", "soprano": "S.", "alto": "A.", "tenor": "T.",
    "voice": "Vo.", "melody": "Mel.", "vocal": "Vo.",
}  # fmt: skip


def _short(name: str) -> str:
    """A short form of a name: the custom of scores where there is one, else its first letters."""
    lower = name.lower()
    known = [word for word in _SHORT if re.search(rf"\b{word}\b", lower)]
    if known:
        return _SHORT[max(known, key=lambda word: (lower.rfind(word) + len(word), len(word)))]
    words = name.split()
    return name if len(name) <= 5 else (words[0][:4] + "." if len(words[0]) > 4 else words[0])
