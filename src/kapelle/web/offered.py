"""What models can be asked for, remembered for a moment: each request asks, and the answer is read from files of every model."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from kapelle import api

FRESH_S = 5.0
"""So soon a model is noticed that was installed just now."""


@dataclass
class Offered:
    """Offers, not older than `FRESH_S`."""

    _all: tuple[api.Offer, ...] = ()
    _named: dict[str, api.Offer] = field(default_factory=dict)
    _until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def all(self) -> tuple[api.Offer, ...]:
        """Of every model, the default one first."""
        self._look()
        return self._all

    def named(self, name: str) -> api.Offer:
        """Of one model; of the default one if the name is empty.

        Raises:
            UnknownName: There is none of the name.
        """
        self._look()
        found = self._named.get(name)
        if found is None:  # an alias, or none at all
            found = self._named[name] = api.offer(name)
        return found

    def _look(self) -> None:
        """Look again if that was long ago: one thread does, and the others go on with what was known."""
        if time.monotonic() < self._until or not self._lock.acquire(blocking=not self._all):
            return
        try:
            if time.monotonic() >= self._until:
                found = tuple(api.offers())
                self._named = {one.name: one for one in found} | ({"": found[0]} if found else {})
                self._all = found
                self._until = time.monotonic() + FRESH_S
        finally:
            self._lock.release()
