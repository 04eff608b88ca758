"""How long a piece of items becomes: the grammar of items with an eye on the bar lines, which items know nothing of.

Takes the grammar and a goal; narrows what may come next so that the goal is met exactly, and says when it is. Bars are counted from
the first item on, in grid steps. The last bar is never left empty, and a goal in notes is never overshot by a chord.

It does not choose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kapelle.composing.request import MAX_BARS
from kapelle.tokens.chord_grammar import Grammar
from kapelle.tokens.chords import notes_per_id, order_of
from kapelle.tokens.vocabulary import Mask


@dataclass(frozen=True)
class Goal:
    """When a piece is long enough.

    Args:
        amount: So many.
        unit: Of these; tokens are met at the first end of an item at or after so many.
        bar_steps: Grid steps in a bar.
    """

    amount: int
    unit: Literal["bars", "notes", "tokens"]
    bar_steps: int


@dataclass
class Pace:
    """Follows one sequence up to its goal: what `sampling.decode` asks for as a rulebook.

    Args:
        grammar: Of the sequence; fed by `accept`.
        goal: Where it ends.
    """

    grammar: Grammar
    goal: Goal
    onset: int = 0  # of the next item, in grid steps
    last_onset: int = -1  # of the newest complete item
    n_notes: int = 0
    n_tokens: int = 0
    _sizes: NDArray[np.int64] = field(init=False)  # (V,) notes of Symbol ids, 0 elsewhere
    _steps: NDArray[np.int64] = field(init=False)  # (V,) value of Offset ids, -1 elsewhere

    def __post_init__(self) -> None:
        words = self.grammar.words
        self._sizes = np.zeros(len(words), np.int64)
        self._sizes[words.ids("Symbol")] = notes_per_id(words)
        self._steps = np.full(len(words), -1, np.int64)
        self._steps[words.ids("Offset")] = [int(value) for value in words.values("Offset")]

    @property
    def bar(self) -> int:
        """The bar in which the next item would begin, from 0."""
        return self.onset // self.goal.bar_steps

    @property
    def end_steps(self) -> int:
        """The bar line behind the newest item."""
        return (max(self.last_onset, 0) // self.goal.bar_steps + 1) * self.goal.bar_steps

    @property
    def most_bars(self) -> int:
        """Bars that the piece may have at most."""
        return self.goal.amount if self.goal.unit == "bars" else MAX_BARS

    @property
    def cut_short(self) -> bool:
        """It ended at the longest length that there is, before its goal."""
        return self.goal.unit != "bars" and self.bar >= MAX_BARS and self.share < 1.0

    @property
    def share(self) -> float:
        """How much of the goal is reached, 0 to 1."""
        done = {"bars": self.onset / self.goal.bar_steps, "notes": self.n_notes, "tokens": self.n_tokens}[self.goal.unit]
        return min(1.0, done / self.goal.amount)

    @property
    def done(self) -> bool:
        """The item that was completed last is the last one."""
        return self._between and (self.bar >= self.most_bars or self.share >= 1.0)

    @property
    def _between(self) -> bool:
        return self.grammar.last_kind == order_of(self.grammar.spec)[-1]

    def forced(self) -> int | None:
        """The next id where there is only one."""
        return self.grammar.forced()

    def mask(self) -> Mask:
        """(V,) the ids that may come next; at least one."""
        last_line = (self.most_bars - 1) * self.goal.bar_steps
        self.grammar.may_end = self.goal.unit == "bars" and self.last_onset >= last_line
        out = self.grammar.mask()
        if self.goal.unit == "notes":
            fitting = out & (self._sizes <= self.goal.amount - self.n_notes)
            out = fitting if fitting.any() else out  # a vocabulary without single notes
        if self.onset < last_line:  # the last bar must not be leapt over
            out &= self.onset + self._steps < last_line + self.goal.bar_steps
        return out

    def leanings(self) -> dict[int, float]:
        """Nothing is to be likelier."""
        return {}

    def accept(self, token: int) -> None:
        """Follow an id of the new music."""
        self.grammar.accept(token)
        self.n_tokens += 1
        self.n_notes += int(self._sizes[token])
        if (self._steps if self.grammar.spec.attributes else self._sizes - 1)[token] >= 0:  # the last id of an item
            self.last_onset = self.onset
            self.onset += int(self._steps[token]) if self._steps[token] >= 0 else self.grammar.spec.positions_per_beat
