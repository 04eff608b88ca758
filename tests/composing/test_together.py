"""A piece with a band around it, told as it is made."""

import pytest

from kapelle.composing import band, together
from kapelle.composing.events import BarDone, Done, Note, NotesAdded, Progress, Restarted
from kapelle.composing.piece import Piece, PieceReport
from kapelle.composing.request import ComposeRequest
from pieces import score, track


def notes(*pitches):
    return NotesAdded(tuple(Note(0.0, 1.0, pitch, 80, 0, 0) for pitch in pitches))


def heard(events):
    """The pitches that a listener holds at the end, who forgets all of them when told to."""
    found = []
    for event in events:
        if isinstance(event, Restarted):
            found = []
        elif isinstance(event, NotesAdded):
            found += [note.pitch for note in event.notes]
    return found


@pytest.mark.parametrize("where", ["the piece", "the band", "both"])
def test_whoever_begins_anew_no_note_of_the_other_is_lost(monkeypatch, where):
    wish = ComposeRequest("fake", band="a-band")
    piece = Piece(score(track((0, 480, 60, 80))), wish, "fake", "0" * 64, 1920, report=PieceReport(facts={"instruments": []}))
    again = Restarted(2, ("silence",))
    first = [notes(99), *([again] if where != "the band" else [notes()]), Progress(0.5), notes(60), BarDone(0, 1, 2.0), notes(62)]
    first = first[1:] if where == "the band" else first
    around = [notes(40), *([again, notes(41)] if where != "the piece" else []), BarDone(0, 1, 2.0)]
    monkeypatch.setattr(band, "compose", lambda *_: iter([*around, Done(piece)]))
    bundle = type("Bundle", (), {"name": "a-band"})()
    events = list(together.together(iter([*first, Done(piece)]), bundle, wish, bool))
    assert heard(events) == ([60, 62, 40] if where == "the piece" else [60, 62, 41])
    assert [type(event) for event in events].count(BarDone) == 1
