"""A piece with a band around it: one model composes, another plays around what it made.

Takes the events of a piece in 4/4 and the bundle of a band that accompanies; gives the events of both, and one piece. The tracks of the
first piece come back note for note; its key is the band's, and the piano is whose place it takes. Only the last Done is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from kapelle.bundles.load import Bundle
from kapelle.composing import band
from kapelle.composing.band_lead import ALL
from kapelle.composing.events import BarDone, Done, Event, Note, NotesAdded, Progress, Restarted
from kapelle.composing.piece import Piece
from kapelle.composing.request import ComposeRequest
from kapelle.errors import Interrupted

PLACE = "piano"
"""Whose place in the band a piece takes."""

FIRST_SHARE = 0.9
"""So much of the progress is the first piece's."""


def together(first: Iterator[Event], bundle: Bundle, wish: ComposeRequest, cancelled: Callable[[], bool]) -> Iterator[Event]:
    """The events of a piece, and then of the band around it; Done with both is the last.

    Args:
        first: The events of the piece, Done included.
        bundle: The band's.
        wish: What was asked, for the piece and for the band.
        cancelled: Asked between phrases.
    """
    piece = None
    told: list[Note] = []
    for event in first:
        if isinstance(event, NotesAdded):
            told += event.notes
        elif isinstance(event, Restarted):
            told = []
        if isinstance(event, Done):
            piece = event.piece
        elif not isinstance(event, BarDone):  # a bar is done when the band has played it too
            yield Progress(FIRST_SHARE * event.done) if isinstance(event, Progress) else event
    if piece is None:
        raise Interrupted("composing ended without a piece")
    request = ComposeRequest(bundle.name, seed=wish.seed, lead=piece.to_midi())
    options = band.Options(key=str(piece.report.facts.get("key", "")), track=PLACE, lead_track=ALL)
    for event in band.compose(bundle, request, options, cancelled):
        if isinstance(event, Progress):
            yield Progress(FIRST_SHARE + (1 - FIRST_SHARE) * event.done)
        elif isinstance(event, Done):
            yield Done(_joined(piece, event.piece, wish))
        elif isinstance(event, Restarted):  # the band's, but whoever listens forgets the piece as well
            yield event
            yield NotesAdded(tuple(told))
        else:
            yield event


def _joined(piece: Piece, both: Piece, wish: ComposeRequest) -> Piece:
    """The piece of the first with the score of both."""
    facts = {**piece.report.facts, "instruments": both.report.facts["instruments"], "band": both.model}
    report = replace(
        piece.report,
        n_notes=both.report.n_notes,
        problems=(*piece.report.problems, *both.report.problems),
        first_failures=(*piece.report.first_failures, *both.report.first_failures),
        attempts=max(piece.report.attempts, both.report.attempts),
        facts=facts,
    )
    return replace(piece, score=both.score, request=wish, band_hash=both.bundle_hash, report=report)
