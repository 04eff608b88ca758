"""A network that listens to a theme, as a session of plain ids: it learns for every id where the theme sounds.

Takes a `Translator`, the grammar of the piece and the phrases of the theme; gives what `sampling.decode` asks for. `Course` follows the
piece: it keeps the label and the phrase of every id, those that a sliding window reads again included. `Listening` feeds ids with their
labels, and has the network hear the phrase to which they belong. Attention to the theme acts inside regions alone, so that a phrase
can be exchanged at each Theme_Start without anything else being changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from kapelle.bundles.session import Translator
    from kapelle.composing.theme_likeness import Likeness, Wanted
    from kapelle.tokens.theme_grammar import Grammar

PAD = 0
NEVER = -1e9
"""The logit of padding, which no training has ever touched."""


IN_A_ROW, CROWDED = 2, -6.0
"""Where the model is free to return, the theme rests after so many in a row: this is added to the logit of another."""


@dataclass(frozen=True)
class Heat:
    """How freely ids are chosen.

    Args:
        outside: The temperature outside the theme: that of the sampling.
        inside: The temperature inside.
        melody: The share of the probability that is the theme's own, for what is about its melody: 0 the network alone, 1 note for note.
        accompaniment: Likewise, for its accompaniment.
    """

    outside: float = 1.0
    inside: float = 1.0
    melody: float = 0.0
    accompaniment: float = 0.0


@dataclass
class Course:
    """Follows one piece: the grammar of it, and what every id so far belongs to.

    Args:
        grammar: Says what may come next.
        n_phrases: Of the theme.
        borders: The ids of Theme_Start and Theme_End.
        quoted: Ids that the piece begins with whatever the model says, such as the theme itself.
        likeness: Knows how the theme would go on; None: nobody asks.
        leaning: What is likelier, and what less likely: id -> what is added to its logit.
        cadence: The same, for the last bar.
    """

    grammar: Grammar
    n_phrases: int
    borders: tuple[int, int]
    quoted: Sequence[int] = ()
    likeness: Likeness | None = None
    leaning: Mapping[int, float] = field(default_factory=dict)
    cadence: Mapping[int, float] = field(default_factory=dict)
    labels: list[int] = field(default_factory=list)
    phrases: list[int] = field(default_factory=list)  # -1 before the theme has begun
    _last: int = -1  # the id before
    _in_a_row: int = 0  # themes that follow one another without a bar between

    @property
    def inside(self) -> bool:
        """The next id belongs to the theme, or ends it."""
        return bool(self.labels) and self.labels[-1] > 0

    def forced(self) -> int | None:
        """The next id where there is only one."""
        at = len(self.labels)
        return self.quoted[at] if at < len(self.quoted) else self.grammar.forced()

    def mask(self) -> NDArray[np.bool_]:
        """(V,) the ids allowed next."""
        return self.grammar.mask()

    def leanings(self) -> Mapping[int, float]:
        """What is to be likelier."""
        last = self.grammar.bar + 1 >= self.grammar.plan.n_bars
        crowded = self._last == self.borders[1] and self._in_a_row >= IN_A_ROW
        return {**(self.cadence if last else self.leaning), **({self.borders[0]: CROWDED} if crowded else {})}

    def wanted(self) -> Wanted | None:
        """How the theme would go on; None outside."""
        return self.likeness.wanted(self.phrases[-1]) if self.likeness and self.inside else None

    def accept(self, token: int) -> None:
        """Follow an id."""
        self.grammar.accept(token)
        if self.likeness:
            self.likeness.accept(token)
        start, end = self.borders
        phrase = self.phrases[-1] if self.phrases else -1
        if token == start and (phrase + 1) % self.n_phrases == 0:
            self._in_a_row = self._in_a_row + 1 if self._last == end else 1
        self._last = token
        self.phrases.append((phrase + 1) % self.n_phrases if token == start else phrase)
        self.labels.append(1 if token == start else 0 if token == end or not self.inside else self.labels[-1] + 1)


@dataclass
class Listening:
    """A session of plain ids over a network that hears a theme: see `sampling.decode.Session`.

    Args:
        session: The network.
        course: Has accepted every id that is fed, and nothing beyond: a feed is always the last ids of it.
        phrases: What the encoder hears, one array of ids each.
        heat: How freely the next id is chosen inside the theme, and how much it keeps to it.
    """

    session: Translator
    course: Course
    phrases: Sequence[NDArray[np.int64]]
    heat: Heat = Heat()
    _heard: int = -1

    @property
    def context(self) -> int | None:
        """Most ids it can hold."""
        return self.session.context

    @property
    def position(self) -> int:
        """Ids it holds."""
        return self.session.position

    def reset(self) -> None:
        """Forget everything."""
        self.session.reset()

    def feed(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logits (V,) after these ids."""
        labels = np.array(self.course.labels[-len(ids) :], np.int64)
        wanted, phrase = [], max(self._heard, 0)  # outside the theme nothing is heard of it, and whatever phrase is in memory may stay
        for label, own in zip(labels.tolist(), self.course.phrases[-len(ids) :], strict=True):
            phrase = own if label else phrase
            wanted.append(phrase)
        starts = [0, *(np.flatnonzero(np.diff(wanted)) + 1).tolist()]
        for first, last in zip(starts, [*starts[1:], len(ids)], strict=True):
            self._hear(wanted[first])
            logits = self.session.feed({"ids": ids[first:last], "theme": labels[first:last]})
        out = logits.copy()
        out[PAD] = NEVER
        if self.course.inside:
            out *= np.float32(self.heat.outside / self.heat.inside)
            if (going_on := self.course.wanted()) is not None:
                self._keep(out, going_on)
        return out

    def _keep(self, logits: NDArray[np.float32], wanted: Wanted) -> None:
        """Raise the logit that goes on with the theme, after lowering those that pass over its melody."""
        heat, mask = self.heat, self.course.mask()
        if wanted.skipping:
            logits[list(wanted.skipping)] += NEVER if heat.melody >= 1.0 else heat.outside * np.log1p(-heat.melody)
        token = next((token for token in wanted.ids if mask[token]), None)
        if token is not None:
            logits[token] = _raised(logits, token, mask, heat.melody if wanted.melody else heat.accompaniment, heat.outside)

    def _hear(self, phrase: int) -> None:
        """Have the network listen to a phrase."""
        if phrase != self._heard:
            self.session.encode({"theme": self.phrases[phrase][None]}, keep=True)
            self._heard = phrase


def _raised(logits: NDArray[np.float32], token: int, mask: NDArray[np.bool_], share: float, temperature: float) -> float:
    """The logit with which a token has `share` of all the probability, and its part of the rest."""
    if share >= 1.0:
        return -NEVER
    allowed = mask.copy()
    allowed[token] = False
    if share <= 0.0 or not allowed.any():
        return float(logits[token])
    rest = logits[allowed].astype(np.float64) / temperature
    others = float(np.logaddexp.reduce(rest))
    own = float(logits[token]) / temperature
    before = float(np.exp(own - np.logaddexp(own, others)))
    after = share + (1.0 - share) * before
    return temperature * (others + float(np.log(after) - np.log1p(-after))) if after < 1.0 else -NEVER
