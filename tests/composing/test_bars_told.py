"""Every way of composing tells where its bars end, and no note that begins before follows: a player may sound what is told."""

from __future__ import annotations

from itertools import pairwise

import pytest

from kapelle import api
from kapelle.composing.events import BarDone, Done, NotesAdded, Restarted
from kapelle.composing.request import ComposeRequest, Length
from kapelle.score import units

WISHES = {
    "genre-small": {},
    "remi-lstm": {"options": {"metre": "3/4"}},
    "ensemble": {},
    "chopin": {},
    "band": {},
    "theme": {"theme": True},
    "bridge": {},
    "with a band": {"model": "genre-small", "band": "band-accompany"},
}


def _wish(name: str) -> ComposeRequest:
    given = dict(WISHES[name])
    if given.pop("theme", False):
        given["theme"] = api.compose(model="band", bars=4, seed=2).to_midi()
    return api.request(given.pop("model", name), length=Length(8), seed=3, **given)


@pytest.mark.parametrize("name", WISHES)
def test_no_note_that_begins_before_the_end_of_a_told_bar_follows(name: str) -> None:
    told, ends, heard = 0.0, [], 0
    for event in api.compose_events(_wish(name)):
        if isinstance(event, Restarted):
            told, ends, heard = 0.0, [], 0
        elif isinstance(event, NotesAdded):
            heard += len(event.notes)
            assert min(note.start_s for note in event.notes) >= told - 1e-6
        elif isinstance(event, BarDone):
            told = event.end_s
            ends.append(event.end_s)
        elif isinstance(event, Done):
            piece = event.piece
    assert heard > 0
    assert all(first < second for first, second in pairwise(ends))
    assert ends[-1] == pytest.approx(float(units.ticks_to_seconds(piece.score, piece.end_ticks)), abs=0.02)
    assert len(ends) == piece.report.n_bars


def test_bars_behind_a_prompt_end_behind_the_prompt() -> None:
    prompt = api.compose(bars=4, seed=2)
    wish = api.request(length=Length(4), seed=3, prompt=prompt.to_midi())
    ends = [event.end_s for event in api.compose_events(wish) if isinstance(event, BarDone)]
    before = float(units.ticks_to_seconds(prompt.score, prompt.end_ticks))
    assert len(ends) == 4
    assert ends[0] == pytest.approx(before * 5 / 4, abs=0.05)
    assert ends[-1] == pytest.approx(before * 2, abs=0.05)
