"""One program for each family of instruments: what a model learns that has too little music for all 128.

Takes a score, gives it with every pitched track on its family's program, and the way back for scores that were composed so. Tracks stay
apart; a family that has several becomes one voice only when it is encoded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kapelle.errors import CannotObey
from kapelle.score import edit
from kapelle.score.instruments import DRUMS, program_name

if TYPE_CHECKING:
    from symusic import Score

REPRESENTATIVES = (0, 11, 16, 25, 33, 40, 48, 61, 65, 73, 85, 88, 98, 104, 114, 120)
"""The program of every General MIDI family in order: the one that sounds well for most of what its family plays."""


NAMES = (
    "piano", "chromatic", "organ", "guitar", "bass", "strings", "ensemble", "brass",
    "reed", "pipe", "lead", "pad", "effects", "ethnic", "percussive", "sounds", "drums",
)  # fmt: skip
"""Short names of the families of General MIDI in order, drums last."""


def name_of(program: int) -> str:
    """The short name of the family of a program; "drums" for -1."""
    return NAMES[-1] if program == DRUMS else NAMES[program // 8]


def representative(program: int) -> int:
    """The program that stands for the family of `program`; drums (-1) for drums."""
    return DRUMS if program == DRUMS else REPRESENTATIVES[program // 8]


def representative_of(family: str) -> int:
    """The program that stands for the family of this short name, a row of `NAMES`."""
    place = NAMES.index(family)
    return DRUMS if place == len(REPRESENTATIVES) else REPRESENTATIVES[place]


def by_family(score: Score, most: int = 0) -> Score:
    """`score` with every pitched track on its family's program.

    Args:
        score: Any score.
        most: Keep the tracks of so many families only, drums counted as one: those with most notes, the lower program first where
            they are equal; 0 keeps all.
    """
    found = [representative(DRUMS if track.is_drum else track.program) for track in score.tracks]
    out = edit.set_programs(score, found)
    if not most:
        return out
    weights = Counter[int]()
    for track, program in zip(out.tracks, found, strict=True):
        weights[program] += len(track.notes)
    kept = set(sorted(weights, key=lambda program: (-weights[program], program))[:most])
    for place in reversed(range(len(found))):
        if found[place] not in kept:
            del out.tracks[place]
    return out


def table(programs: Sequence[int]) -> dict[int, int]:
    """Representative -> the program of `programs` that it stands for.

    Raises:
        CannotObey: Two of them are of one family.
    """
    out: dict[int, int] = {}
    for program in programs:
        if (known := out.setdefault(representative(program), program)) != program:
            raise CannotObey(
                "this model has one voice for {first} and {second}: they are of one family",
                first=program_name(known),
                second=program_name(program),
                hint="name one instrument of each family",
            )
    return out


def from_families(score: Score, asked: Mapping[int, int]) -> Score:
    """`score` with the program `asked[r]` on every track of a representative r; others stay."""
    out = edit.set_programs(score, [None if track.is_drum else asked.get(track.program) for track in score.tracks])
    for track in out.tracks:
        track.name = program_name(DRUMS if track.is_drum else track.program)
    return out
