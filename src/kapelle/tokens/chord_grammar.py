"""Which id may follow which in a piece of items, so that every sequence decodes without a dropped item.

Takes the ids so far, one by one; gives a mask over the vocabulary for the next. What may follow is the order of the ids in an item
(`kapelle.tokens.chords.order_of`); beside it are followed: the pitches that begin at this moment (only upwards, none twice, few
enough for two hands), and how long nothing has sounded. The piece ends when the caller says so, and not before.

It does not choose, knows no probabilities, and knows no bars.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kapelle.tokens.chords import ChordSpec, order_of, pitches_of
from kapelle.tokens.vocabulary import Mask, Vocabulary

MAX_NOTES_AT_ONCE = 12


@dataclass(frozen=True)
class _Tables:
    """What the grammar needs of a vocabulary, computed once."""

    kind: tuple[str, ...]
    of_kind: dict[str, Mask]
    number: NDArray[np.int64]  # value of Duration and Offset ids; 0 elsewhere
    sounds: NDArray[np.bool_]  # (V, 128) the pitches of Symbol ids
    lowest: NDArray[np.int64]  # (V,) the lowest of them; -1 elsewhere
    size: NDArray[np.int64]  # (V,) how many they are


@lru_cache(maxsize=4)
def _tables(words: Vocabulary) -> _Tables:
    kinds = tuple(name.split("_", 1)[0] for name in words.names)
    number = np.array([int(words.value(i)) if kind in ("Duration", "Offset") else 0 for i, kind in enumerate(kinds)], np.int64)
    sounds = np.zeros((len(words), 128), bool)
    lowest = np.full(len(words), -1, np.int64)
    for i in words.ids("Symbol").tolist():
        pitches = pitches_of(words.value(i))
        sounds[i, list(pitches)] = True
        lowest[i] = pitches[0]
    return _Tables(kinds, {kind: words.mask([kind]) for kind in words.kinds}, number, sounds, lowest, sounds.sum(axis=1))


@dataclass
class Grammar:
    """Follows one sequence. Feed every id to `accept`; `mask` says what may come next.

    Args:
        spec: What the vocabulary was made for.
        words: The vocabulary.
        longest_silence: Grid steps for which nothing may sound; 0: any.
        may_end: The caller's word that the piece is long enough: after the current item EOS may follow.
        must_end: The same, and nothing but EOS may follow.
        pitches: (128,) true for the MIDI pitches allowed, or None.
    """

    spec: ChordSpec
    words: Vocabulary
    longest_silence: int = 0
    may_end: bool = False
    must_end: bool = False
    pitches: tuple[bool, ...] | None = None
    last_kind: str = ""
    n_items: int = 0  # complete ones
    _duration: int = 0
    _sounding: int = 0  # grid steps from now until nothing sounds any more
    _now: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(128, bool))  # pitches that begin at this moment
    _lowest: int = -1  # of the item before, if it begins at this moment

    def forced(self) -> int | None:
        """The one id that can follow where there is no choice at all; None where there is one."""
        if self.must_end and self._between_items:
            return self.words["EOS_None"]
        return None

    @property
    def _between_items(self) -> bool:
        return self.n_items > 0 and self.last_kind == order_of(self.spec)[-1] and not self._now.any()

    def mask(self) -> Mask:
        """(V,) the ids that may come next; at least one."""
        only = self.forced()
        if only is not None:
            out = np.zeros(len(self.words), bool)
            out[only] = True
            return out
        tables, order = _tables(self.words), order_of(self.spec)
        place = order.index(self.last_kind) + 1 if self.last_kind in order else 0
        kind = order[place % len(order)]
        if kind == "Symbol":
            out = self._symbols(self._now, self._lowest)
            out[self.words["EOS_None"]] = self.may_end and self._between_items
            return out
        out = tables.of_kind[kind].copy()
        if kind == "Offset":
            self._limit_offsets(out, tables)
        return out

    def _symbols(self, now: NDArray[np.bool_], lowest: int) -> Mask:
        """Symbols that may begin together with what begins at this moment."""
        tables = _tables(self.words)
        out = tables.of_kind["Symbol"].copy()
        if self.pitches is not None:
            free = out & ~(tables.sounds & ~np.array(self.pitches)).any(axis=1)
            out = free if free.any() else out
        if now.any():
            out &= (tables.lowest > lowest) & ~(tables.sounds & now).any(axis=1)
            out &= tables.size + int(now.sum()) <= MAX_NOTES_AT_ONCE
        return out

    def _limit_offsets(self, out: Mask, tables: _Tables) -> None:
        if not self._symbols(self._now, self._lowest).any():
            out &= tables.number > 0  # nothing more can begin at this moment
        if self.longest_silence:
            limit = max(self._sounding, self._duration) + self.longest_silence
            out &= tables.number <= max(1, limit)

    def accept(self, token: int) -> None:
        """Follow one id, chosen by the mask or given by a seed."""
        tables = _tables(self.words)
        kind = tables.kind[token]
        if kind == "Symbol":
            self._now = self._now | tables.sounds[token]
            self._lowest = int(tables.lowest[token])
        elif kind == "Duration":
            self._duration = int(tables.number[token])
        elif kind != "Velocity" and kind != "Offset":
            return  # BOS, EOS, PAD, a composer: not part of the music
        self.last_kind = kind
        if kind == order_of(self.spec)[-1]:
            self._complete(int(tables.number[token]) if kind == "Offset" else 1)

    def _complete(self, offset: int) -> None:
        self.n_items += 1
        self._sounding = max(self._sounding, self._duration) - offset
        if offset:
            self._now, self._lowest = np.zeros(128, bool), -1
