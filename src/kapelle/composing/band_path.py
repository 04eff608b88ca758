"""The way of a band piece through the space of its model: which latents each phrase of four bars is made from.

Takes the names and shapes of a model's latents, a stream of random numbers and a number of phrases; gives the form of the piece and the
latents of every phrase. Those that stand for the whole (``z``, ``z_i``) are shared by all phrases, so that the piece keeps its character;
those that stand for time (``z_t``, ``z_it``) walk, so that it goes on. A model that has none of time walks with what it has.

The form is A A1 B A1, then again with new variations of A and a new contrast, A2 A3 C A3, and it ends near home: phrases come back, varied
or as they were, and no two neighbours are unrelated. A step is an arc on the sphere on which normal latents lie, since a straight line
would lead through lengths that the model never saw. It neither runs the model nor knows notes.

Source of the spherical steps: Shoemake 1985, "Animating rotation with quaternion curves"; White 2016, "Sampling generative networks".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Latents = dict[str, NDArray[np.float32]]
"""Name -> values, without a batch."""

VARIED = 0.35
"""A variation goes so much of the way that a contrast goes."""

CYCLE = 4
"""Phrases until the form begins again."""


@dataclass(frozen=True)
class Place:
    """Where a phrase stands in the form.

    Args:
        kind: "home", "varied" or "far".
        number: Which of its kind, from 0; equal places are equal music.
    """

    kind: str
    number: int = 0

    @property
    def label(self) -> str:
        """What it is called: A, A1, A2 ... and B, C ..., after Z with numbers."""
        if self.kind == "home":
            return "A"
        if self.kind == "varied":
            return f"A{self.number + 1}"
        letter = chr(ord("B") + self.number % 25)
        return letter if self.number < 25 else f"{letter}{self.number // 25 + 1}"


def form_of(n_phrases: int) -> list[Place]:
    """The place of every phrase: A A1 B A1, A2 A3 C A3 ... in cycles of four, the last one at home (or on its variation) again."""
    out = []
    for phrase in range(n_phrases):
        cycle, place = divmod(phrase, CYCLE)
        left = n_phrases - cycle * CYCLE
        if place == 0:
            out.append(Place("varied", 2 * cycle - 1) if cycle and left > 1 else Place("home"))
        elif (place == 2 and left > 3) or (place == 1 and left == 3):
            out.append(Place("far", cycle))
        else:
            out.append(Place("varied", 2 * cycle))
    return out


def slerp(first: NDArray[np.float32], last: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """The point so much of the way along the arc from `first` (share 0) to `last` (share 1); of every row by itself.

    Args:
        first: Any shape, rows along the last axis.
        last: The same shape.
        share: 0 to 1. Lengths change evenly on the way; where the arc is not defined, the straight line is taken.
    """
    lengths = [np.linalg.norm(end, axis=-1, keepdims=True).astype(np.float64) for end in (first, last)]
    one, two = (end / np.maximum(length, 1e-12) for end, length in zip((first, last), lengths, strict=True))
    angle = np.arccos(np.clip((one * two).sum(axis=-1, keepdims=True), -1.0, 1.0))
    sine = np.sin(angle)
    round_ = sine > 1e-6
    safe = np.where(round_, sine, 1.0)
    way = np.where(
        round_,
        np.sin((1 - share) * angle) / safe * one + np.sin(share * angle) / safe * two,
        (1 - share) * one + share * two,
    )
    return np.asarray(way * ((1 - share) * lengths[0] + share * lengths[1]), np.float32)


def between(first: Latents, last: Latents, share: float) -> Latents:
    """`slerp` of every latent; the ends themselves at 0 and 1."""
    if share in (0.0, 1.0):
        return first if share == 0.0 else last
    return {name: slerp(values, last[name], share) for name, values in first.items()}


def walking(shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    """The latents that change from phrase to phrase: those of time, or all if there are none."""
    return tuple(name for name in shapes if name.endswith("t")) or tuple(shapes)


def path(shapes: Mapping[str, tuple[int, ...]], form: list[Place], walk: float, random: np.random.Generator) -> Iterator[Latents]:
    """The latents of every phrase of a form, in order.

    Args:
        shapes: Name -> shape of each latent.
        form: As `form_of` gives it.
        walk: How far a contrast goes, 0 (every phrase the same) to 1 (as far apart as two strangers).
        random: Where the latents come from; how many are drawn depends on the form alone.
    """

    def drawn(names: tuple[str, ...]) -> Latents:
        return {name: random.standard_normal(shapes[name], dtype=np.float32) for name in names}

    home = drawn(tuple(shapes))
    moving = walking(shapes)
    known: dict[Place, Latents] = {Place("home"): home}
    for place in form:
        if place not in known:
            share = walk if place.kind == "far" else walk * VARIED
            toward = drawn(moving)
            known[place] = home | {name: slerp(home[name], toward[name], share) for name in moving}
        yield known[place]
