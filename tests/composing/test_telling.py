"""What is heard while a piece is composed is the piece: notes, seconds, instruments."""

import pytest

from kapelle import api
from kapelle.bundles import load
from kapelle.composing.events import Done, NotesAdded, Restarted
from kapelle.composing.request import Length
from kapelle.score import units

pytestmark = pytest.mark.skipif(not load.installed(), reason="no bundle is installed")


def heard_and_made(**wish):
    heard = []
    for event in api.compose_events(api.request("genre-small", length=Length(8), **wish)):
        if isinstance(event, Restarted):
            heard = []
        elif isinstance(event, NotesAdded):
            heard += event.notes
        elif isinstance(event, Done):
            score = event.piece.score
    tempi = units.tempo_map(score)
    made = [
        (round(float(tempi.to_seconds(note.time)), 3), note.pitch, -1 if track.is_drum else track.program)
        for track in score.tracks
        for note in track.notes
    ]
    return {(round(note.start_s, 3), note.pitch, note.program) for note in heard}, set(made), heard


@pytest.mark.parametrize("instruments", ["piano", "flute,bass", "violin,viola,cello", "flute,oboe,clarinet,bassoon"])
@pytest.mark.parametrize(("seed", "key"), [(3, ""), (4, "E minor")])
def test_every_note_is_told_with_the_instrument_that_it_has_in_the_end(instruments, seed, key):
    heard, made, _ = heard_and_made(seed=seed, options={"genre": "jazz", "instruments": instruments, "key": key, "tempo": 120})
    assert made <= heard
    assert len(heard) - len(made) <= 0.02 * len(made)  # a note that begins where another of its pitch does is left out of the score


def test_notes_are_told_in_the_order_of_their_beginnings():
    _, _, heard = heard_and_made(seed=5, options={"instruments": "flute,bass"})
    starts = [note.start_s for note in heard]
    assert starts == sorted(starts)
