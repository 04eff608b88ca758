"""A session that recalls which pitch classes it has just heard, and lets the next notes lean on them.

Takes the logits of a network over notes and chords, gives logits in which a symbol is likelier the more its pitch classes were among the
last 16 items: to its logit is added the mean, over its notes, of the logarithm of their share there. A small network knows far too
little of the key that it is in; its own output knows it. The weight and the window are those with the fewest bits per note on the
validation pieces, found with benchmarks/recall.py, which also says what is gained on the test pieces. The probability that any symbol
comes next, rather than the end, stays as it was.

Source: Kuhn and De Mori 1990, "A Cache-Based Natural Language Model for Speech Recognition", for words; Grave, Joulin and Usunier 2017,
"Improving Neural Language Models with a Continuous Cache".
Known differences: what is recalled are pitch classes, not symbols, so that a chord leans on the scale and not on its own repetition;
the two distributions are multiplied, not mixed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kapelle.score.keys import MAJOR_PROFILE, MINOR_PROFILE, Key
from kapelle.tokens.chords import pitches_of
from kapelle.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:
    from kapelle.sampling.decode import Session

ITEMS = 16
"""So many of the last items are recalled."""

WEIGHT = 1.0
"""How much; 0: not at all."""

SMOOTHING = 0.3
"""Added to the count of every pitch class, so that none is excluded."""

FloatArray = NDArray[np.float64]


@lru_cache(maxsize=4)
def pitch_class_shares(words: Vocabulary) -> FloatArray:
    """(S, 12) the share of each pitch class in the distinct ones of every Symbol id, in the order of the ids."""
    out = np.zeros((len(words.ids("Symbol")), 12))
    for row, written in zip(out, words.values("Symbol"), strict=True):
        row[[pitch % 12 for pitch in pitches_of(written)]] = 1.0
    shares: FloatArray = out / out.sum(axis=1, keepdims=True)
    return shares


def leaning(counts: FloatArray, shares: FloatArray, weight: float = WEIGHT, smoothing: float = SMOOTHING) -> FloatArray:
    """What is added to the logit of every symbol: (..., S).

    Args:
        counts: (..., 12) in how many of the recalled items each pitch class is.
        shares: (S, 12) of `pitch_class_shares`.
        weight: Of the whole.
        smoothing: Added to every count.
    """
    heard = counts + smoothing
    out: FloatArray = weight * np.log(heard / heard.sum(axis=-1, keepdims=True)) @ shares.T
    return out


@dataclass
class Recalling:
    """A session around another.

    Args:
        session: Of the network.
        words: The vocabulary.
        weight: As for `leaning`.
        key: Where the music has to keep to one, its notes lean on the profile of that key, whatever was heard.
    """

    session: Session
    words: Vocabulary
    weight: float = WEIGHT
    key: Key | None = None
    _symbols: NDArray[np.int64] = field(init=False)
    _rows: dict[int, int] = field(init=False)
    _recent: deque[int] = field(default_factory=lambda: deque(maxlen=ITEMS))

    def __post_init__(self) -> None:
        self._symbols = self.words.ids("Symbol")
        self._rows = {symbol: row for row, symbol in enumerate(self._symbols.tolist())}

    @property
    def context(self) -> int | None:
        """Of the session inside."""
        return self.session.context

    @property
    def position(self) -> int:
        """Of the session inside."""
        return self.session.position

    def reset(self) -> None:
        """Forget everything."""
        self._recent.clear()
        self.session.reset()

    def feed(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logits (V,) after these ids."""
        self._recent.extend(self._rows[i] for i in ids.tolist() if i in self._rows)
        logits = self.session.feed(ids).copy()
        shares = pitch_class_shares(self.words)
        if self.key is not None:
            counts = np.roll(MAJOR_PROFILE if self.key.mode == "major" else MINOR_PROFILE, self.key.tonic)
        elif self._recent:
            counts = (shares[list(self._recent)] > 0).sum(axis=0).astype(np.float64)
        else:
            return logits
        before = logits[self._symbols].astype(np.float64)
        after = before + leaning(counts, shares, self.weight)
        logits[self._symbols] = after + np.logaddexp.reduce(before) - np.logaddexp.reduce(after)
        return logits
