"""A thread that composes while another one plays: piece after piece, each when it is asked for.

Takes the request of the first piece; gives what happens while it is composed, in the order in which it happens, and after it, if there is
to be no end, the same of the next one. It does not play; that is `kapelle.api.stage`.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from kapelle.api import requests
from kapelle.api.playing import LiveManner
from kapelle.composing.events import Done, Event
from kapelle.composing.piece import Piece
from kapelle.composing.request import ComposeRequest
from kapelle.errors import Interrupted
from kapelle.score import edit, units, write

HEARD_BARS = 8
"""So much of a piece does the next one hear that goes on from it."""


@dataclass(frozen=True)
class Begun:
    """The next piece is being composed.

    Args:
        wish: Its request.
        origin_s: The second of its events with which it begins: behind what it goes on from.
    """

    wish: ComposeRequest
    origin_s: float = 0.0


@dataclass(frozen=True)
class Over:
    """No piece follows; `error` is why, if it is an error."""

    error: BaseException | None = None


Item = Begun | Event | Over
Composing = Callable[[ComposeRequest, Callable[[], bool]], Iterable[Event]]


def following(wish: ComposeRequest, former: Piece, *, go_on: bool) -> Begun:
    """What is composed after a piece: the same wish with the next seed, or what goes on from its last bars."""
    seed = wish.seed + 1
    if not go_on:
        return Begun(replace(wish, seed=seed))
    n_bars = units.n_bars(former.score)
    heard = edit.crop_bars(former.score, max(0, n_bars - HEARD_BARS), HEARD_BARS)
    options = {name: value for name, value in wish.options.items() if name == "genre"}
    origin_s = float(units.tempo_map(heard).to_seconds(units.final_bar_line(heard)))
    return Begun(replace(wish, seed=seed, prompt=write.to_bytes(heard), options=options), origin_s)


class Composer:
    """A thread that composes piece after piece, each when it is asked to. As a context it ends when left.

    Args:
        wish: The first piece.
        manner: Whether others follow.
        compose: How.
    """

    def __init__(self, wish: ComposeRequest, manner: LiveManner, compose: Composing = requests.compose_events) -> None:
        self._first, self._manner, self._compose = wish, manner, compose
        self._inbox: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._asked = threading.Semaphore(1)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kapelle-composer", daemon=True)

    def __enter__(self) -> Composer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._asked.release()
        self._thread.join(timeout=5)

    def go(self) -> None:
        """Compose the next piece."""
        self._asked.release()

    def news(self) -> Iterator[Item]:
        """What happened since it was asked last."""
        while True:
            try:
                yield self._inbox.get_nowait()
            except queue.Empty:
                return

    def _run(self) -> None:
        try:
            next_one: Begun | None = Begun(self._first)
            while next_one is not None and self._is_asked():
                next_one = self._one(next_one)
            self._inbox.put(Over())
        except BaseException as error:  # crosses to the thread that plays
            self._inbox.put(Over(error))

    def _is_asked(self) -> bool:
        self._asked.acquire()
        return not self._stopped.is_set()

    def _one(self, begun: Begun) -> Begun | None:
        """Compose a piece, and say which follows."""
        self._inbox.put(begun)
        piece = None
        for event in self._compose(begun.wish, self._stopped.is_set):
            self._inbox.put(event)
            piece = event.piece if isinstance(event, Done) else None
        if piece is None:
            raise Interrupted("composing ended without a piece")
        if not self._manner.endless:
            return None
        return following(begun.wish, piece, go_on=self._manner.go_on)
