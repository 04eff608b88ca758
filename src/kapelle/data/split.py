"""Which pieces are for training, which for validation, which for the test: decided by artist or song, before anything is cut.

Takes names, gives part numbers, the same on every machine. Grouping by the last word of an artist's name puts "Frédéric Chopin" and
"chopin" together across collections; that it also joins strangers of one surname costs nothing.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TRAIN, VALIDATION, TEST = 0, 1, 2
FEWEST_GROUPS = 3
"""With so many groups, one is for validation even where its share would be less than a piece."""
PARTS = ("train", "validation", "test")


def group_key(name: str) -> str:
    """The last word of a name in plain lower-case letters and digits: ``"Frédéric Chopin"`` gives ``"chopin"``."""
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = "".join(c if c.isalnum() else " " for c in folded).split()
    return words[-1] if words else name


def assign(groups: Sequence[tuple[str, str]], validation: float, test: float) -> list[int]:
    """The part of every piece, with every genre held out in its share.

    In each genre the groups are taken in the order of a hash of their names; the test part takes them until it has its share of
    the genre's pieces, then validation, then training gets the rest. A group larger than twice what is still wanted is passed
    over, so that one prolific composer does not become the whole test. A group met in an earlier genre keeps its part.
    Where few pieces leave validation without one, the smallest group goes there.

    Args:
        groups: (genre, group) of every piece.
        validation: Share of pieces for validation, 0 to 1.
        test: Share of pieces for the test, 0 to 1.

    Returns:
        TRAIN, VALIDATION or TEST for every piece; no group is in two parts.
    """
    part: dict[str, int] = {}
    for genre in sorted({genre for genre, _ in groups}):
        sizes = Counter(group for own, group in groups if own == genre)
        wanted = {TEST: test * sizes.total(), VALIDATION: validation * sizes.total()}
        for group, size in sizes.items():
            if group in part and part[group] in wanted:
                wanted[part[group]] -= size
        for group in sorted(set(sizes) - set(part), key=_shuffled):
            fits = [kind for kind, room in wanted.items() if 0 < sizes[group] <= 2 * room]
            part[group] = fits[0] if fits else TRAIN
            if fits:
                wanted[fits[0]] -= sizes[group]
    if validation > 0 and len(part) >= FEWEST_GROUPS and VALIDATION not in part.values():
        part[_smallest(groups, part)] = VALIDATION
    return [part[group] for _, group in groups]


def half(name: str) -> int:
    """Which of two models that must not learn from the same artists may learn from this one's training music: 0 or 1.

    Even or odd is a hash of the group, so it is the same for every recipe and on every machine. Artists of validation and test belong
    to neither; whoever asks must have dealt the parts first.

    Args:
        name: An artist or song, or its group: ``"Frédéric Chopin"`` and ``"chopin"`` are one.
    """
    return int(hashlib.sha256(group_key(name).encode()).hexdigest(), 16) % 2


def _smallest(groups: Sequence[tuple[str, str]], part: Mapping[str, int]) -> str:
    """The group with the fewest pieces, of training or the test, unless it is all that training has."""
    sizes = Counter(group for _, group in groups)
    training = [group for group in sizes if part[group] == TRAIN]
    return min((group for group in sizes if [group] != training), key=lambda group: (sizes[group], _shuffled(group)))


def _shuffled(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
