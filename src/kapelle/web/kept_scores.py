"""The scores that were drawn last, so that turning a page does not draw all of them again: bounded by bytes, the oldest goes first."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any


@dataclass
class KeptScores:
    """Some scores.

    Args:
        most: Characters that are kept.
    """

    most: int = 32 << 20
    _held: OrderedDict[str, tuple[dict[str, Any], int]] = field(default_factory=OrderedDict)
    _size: int = 0

    def get(self, key: str) -> dict[str, Any] | None:
        """What was kept under a key."""
        if key not in self._held:
            return None
        self._held.move_to_end(key)
        return self._held[key][0]

    def put(self, key: str, score: dict[str, Any], size: int) -> dict[str, Any]:
        """Keep a score, which is returned; the longest unused make room."""
        if key in self._held:
            self._size -= self._held.pop(key)[1]
        self._held[key] = score, size
        self._size += size
        while self._size > self.most and len(self._held) > 1:
            self._size -= self._held.popitem(last=False)[1][1]
        return score
