"""Pieces that are composed at once, in threads or event by event in turn, are what each of them is alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest

import pytest
from test_theme_given import CHORDS, MARY, file

from kapelle import api
from kapelle.composing.events import Done
from kapelle.composing.request import ComposeRequest

SEEDS = (1, 2, 3)


def wish(model: str, seed: int) -> ComposeRequest:
    length = api.length_of(bars=4)
    if model == "theme":
        return api.development(file(MARY, CHORDS), model=model, length=length, seed=seed)
    return api.request(model, length=length, seed=seed)


@pytest.mark.parametrize("model", ["genre-small", "remi-lstm", "chopin", "theme", "band-hybrid"])
def test_pieces_that_are_composed_at_once_are_what_each_is_alone(model: str) -> None:
    wishes = [wish(model, seed) for seed in SEEDS]
    alone = [api.compose_one(one).to_midi() for one in wishes]
    with ThreadPoolExecutor(len(wishes)) as threads:
        assert [piece.to_midi() for piece in threads.map(api.compose_one, wishes)] == alone
    in_turn = zip(*zip_longest(*map(api.compose_events, wishes)), strict=True)
    assert [next(event.piece for event in events if isinstance(event, Done)).to_midi() for events in in_turn] == alone
