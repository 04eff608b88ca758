"""What bundles of a way of composing can be asked for, as far as their manifest tells: what a panel or a program may offer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Verb = Literal["compose", "extend", "accompany", "develop"]

ALL_LENGTHS = ("bars", "seconds", "tokens", "notes")
WHOLE_BARS = ("bars", "seconds")
"""Units of length, for those that write whole bars only."""


@dataclass(frozen=True)
class Offered:
    """What a bundle does.

    Args:
        verbs: What it can be asked to do. Those but ``compose`` need a MIDI file.
        lengths: Units in which a length can be given.
        choices: Option -> the values that this bundle knows; () for an option that it does not have after all.
        sampled: It draws tokens, so `SamplingOptions` are its as well.
    """

    verbs: tuple[Verb, ...]
    lengths: tuple[str, ...] = ALL_LENGTHS
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sampled: bool = True
