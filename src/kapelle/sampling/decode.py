"""A sequence: the session proposes, the grammar allows, the filters choose, one token after the other.

Takes a session (something that gives logits for ids), a grammar (something that gives masks) and a window; gives tokens as they
come. Beyond the context of a network with a finite memory the window slides: the controls stay in front, the bars from a bar
line on are read again, and the music goes on. Runs of tokens without a choice are fed at once.

It decodes one piece. Several pieces are several calls, so that a piece does not depend on its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from kapelle.sampling import filters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from kapelle.sampling.options import SamplingOptions

RECENT = 24  # notes that the repetition penalty looks back on
KEPT_SHARE = 0.5  # of the context, when the window slides


class Session(Protocol):
    """The memory of a network."""

    @property
    def context(self) -> int | None:
        """Most ids it can hold; None: no limit."""

    @property
    def position(self) -> int:
        """Ids it holds."""

    def feed(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logits (V,) after these ids (T,), which it remembers."""

    def reset(self) -> None:
        """Forget everything."""


class Rulebook(Protocol):
    """Says what may come next."""

    def forced(self) -> int | None:
        """The next id where there is only one."""

    def mask(self) -> NDArray[np.bool_]:
        """(V,) the ids allowed next."""

    def leanings(self) -> Mapping[int, float]:
        """What is to be likelier: id -> what is added to its logit."""

    def accept(self, token: int) -> None:
        """Follow an id."""


@dataclass(frozen=True)
class Frame:
    """What surrounds the music.

    Args:
        prefix: Control ids that always stand in front.
        opening: Ids after the prefix at the very beginning (BOS), gone once the window slides.
        restart: The id at which a window may begin again: the bar line.
        end: The id that ends the sequence.
        penalised: Ids that the repetition penalty is about (pitches).
        closing: Other ids that say, as the bar line does, that a bar is over: where one of them all is allowed, it gets the probability
            of the others.
    """

    prefix: tuple[int, ...]
    opening: tuple[int, ...]
    restart: int
    end: int
    penalised: frozenset[int] = frozenset()
    closing: tuple[int, ...] = ()


def decode(
    session: Session, frame: Frame, rulebook: Rulebook, options: SamplingOptions, random: np.random.Generator, prompt: Sequence[int] = ()
) -> Iterator[int]:
    """Tokens after the prompt, until the end token (which is given too) or until the caller stops asking.

    Args:
        session: Its memory is cleared first.
        frame: What stands around the music.
        rulebook: Already holds what the prompt says.
        options: How to draw.
        random: Where randomness comes from; nothing else is random.
        prompt: Music before the first new token, from a bar line on.
    """
    history = list(prompt)
    session.reset()
    pending = [*frame.prefix, *frame.opening, *history]
    if session.context is not None and len(pending) + 8 > session.context:
        pending = _window(history, frame, session.context)
    recent: list[int] = []
    while True:
        token = rulebook.forced()
        if token is None:
            if session.context is not None and session.position + len(pending) >= session.context:
                session.reset()
                pending = _window(history, frame, session.context)
            logits = session.feed(np.asarray(pending, np.int64))
            pending = []
            logits = filters.discourage(logits, recent[-RECENT:], options.repetition_penalty)
            logits = filters.lean(logits, rulebook.leanings())
            mask = rulebook.mask()
            token = filters.sample(filters.merge(logits, (frame.restart, frame.end, *frame.closing), mask), options, random, mask)
        rulebook.accept(token)
        history.append(token)
        pending.append(token)
        if token in frame.penalised:
            recent.append(token)
        yield token
        if token == frame.end:
            return


def _window(history: Sequence[int], frame: Frame, context: int) -> list[int]:
    """Prefix and the last bars that fill at most half of the context; the last ids as they are if one bar is longer than that."""
    room = int(context * KEPT_SHARE)
    tail = list(history[-room:])
    starts = [i for i, token in enumerate(tail) if token == frame.restart]
    return [*frame.prefix, *tail[starts[0] if starts else 0 :]]
