"""Trying until it is sound: the part that all ways of composing share.

Takes a function that makes one attempt from the stream of random numbers of its own number; gives its events, begins again with the
next stream where a result is found wanting, and makes the piece of the first sound one, or of the last. It does not judge: what is
wrong with a result, each way says itself.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.composing.events import Done, Event, Restarted
from kapelle.composing.piece import Piece, PieceReport

if TYPE_CHECKING:
    import symusic

    from kapelle.bundles.load import Bundle
    from kapelle.composing.request import ComposeRequest
    from kapelle.score.marks import Mark

MAX_ATTEMPTS = 16


@dataclass(frozen=True)
class Outcome:
    """What one attempt made.

    Args:
        score: As it will be written.
        end_ticks: Its final bar line.
        problems: What is wrong with it; empty if nothing.
        n_bars: Bars of music, those that were there before included.
        n_tokens: Tokens drawn.
        dropped: Tokens or notes that found no place in the score.
        closed: How it ended, as in `PieceReport`.
        marks: Sections of it.
        facts: What was found on the way, for the report.
    """

    score: symusic.Score
    end_ticks: int
    problems: tuple[str, ...]
    n_bars: int
    n_tokens: int
    dropped: int = 0
    closed: str = "bar line"
    marks: tuple[Mark, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


Attempt = Callable[[int], Generator[Event, None, Outcome]]
"""Number of the attempt, from 1 -> its events, the outcome being what the generator returns."""


def stream(request: ComposeRequest, number: int) -> np.random.Generator:
    """The random numbers of the attempt `number`; those of number 0 are for what all attempts share."""
    return np.random.Generator(np.random.Philox(key=[request.seed, number]))


def first_sound(
    bundle: Bundle, request: ComposeRequest, facts: Mapping[str, Any], attempt: Attempt, most: int = MAX_ATTEMPTS
) -> Iterator[Event]:
    """Events of all attempts up to the first sound one, Done with the piece last.

    Args:
        bundle: Whose name and hash the piece bears.
        request: What was asked.
        facts: For the report.
        attempt: Makes one attempt.
        most: Attempts before a result is taken as it is; 1 in studies, which count what is wrong with first tries.
    """
    first_failures: tuple[str, ...] = ()
    for number in range(1, most + 1):
        made = yield from attempt(number)
        first_failures = first_failures if number > 1 else made.problems
        if not made.problems or number == most:
            break
        yield Restarted(number + 1, made.problems)
    report = PieceReport(
        attempts=number,
        first_failures=first_failures,
        problems=made.problems,
        n_bars=made.n_bars,
        n_notes=sum(len(track.notes) for track in made.score.tracks),
        n_tokens=made.n_tokens,
        dropped=made.dropped,
        closed=made.closed,
        facts={**facts, **made.facts},
    )
    yield Done(Piece(made.score, request, bundle.name, bundle.hash, made.end_ticks, made.marks, report))
