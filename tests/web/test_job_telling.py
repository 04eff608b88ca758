"""What a worker tells of its job, the chunks that it makes meanwhile, and what it takes from a body."""

import pytest

from kapelle.composing import events
from kapelle.errors import UsageError
from kapelle.render import chunks
from kapelle.web import telling
from kapelle.web.live_sound import LiveSound
from kapelle.web.studio import open_studio
from kapelle.web.telling import Teller
from kapelle.web.wishes import length_of, seed_of


@pytest.fixture
def studio(tmp_path):
    return open_studio(tmp_path / "studio")


class Heard:
    """Jobs that keep what they are told."""

    def __init__(self):
        self.told = []

    def tell(self, job, worker, events, progress):
        self.told.append(([(name, dict(data)) for name, data in events], progress))
        return False

    def is_cancelled(self, job, worker):
        return False


def test_notes_that_come_together_are_told_together(monkeypatch):
    heard, clock = Heard(), [0.0]
    monkeypatch.setattr(telling.time, "monotonic", lambda: clock[0])
    teller = Teller(heard, "j", "w")
    note = events.Note(0.123456, 0.5, 60, 80, 0, 0)
    for _ in range(3):
        teller.notes(0, [note])
    teller.notes(1, [note])
    assert heard.told == []
    clock[0] = 0.05
    teller.cancelled()
    row = [0.1235, 0.5, 60, 80, 0, 0]
    assert heard.told[0][0] == [("notes", {"number": 0, "notes": [row] * 3}), ("notes", {"number": 1, "notes": [row]})]
    teller.notes(0, [note])
    teller.tell("bar", {"bar": 0})
    assert [name for name, _ in heard.told[1][0]] == ["notes", "bar"]


def test_progress_never_goes_back_and_tells_what_is_left(monkeypatch):
    heard, clock = Heard(), [0.0]
    monkeypatch.setattr(telling.time, "monotonic", lambda: clock[0])
    teller = Teller(heard, "j", "w")
    clock[0] = 1.0
    for done in (0.25, 0.2, 0.251):
        teller.progress(done)
    teller.flush()
    assert heard.told == [([("progress", {"done": 0.25, "left_s": 3.0})], 0.25)]


def test_chunks_are_made_when_all_of_their_notes_are_known_and_again_for_late_ones(studio):
    heard = []
    job = "aaaaaaaaaaaa"
    sound = LiveSound(studio.folder, job, 0, lambda name, data: heard.append((data["chunk"], data["programs"])))
    sound.add([events.Note(t, 0.5, 60, 80, program, 0) for t, program in ((0.0, 0), (1.9, 0), (2.0, 0), (2.5, -1), (4.1, 0))])
    sound.known_to(1.99)
    assert heard == []
    sound.known_to(4.0)
    assert heard == [(0, [0]), (1, [-1, 0])]
    first = [events.Note(t, 0.5, 60, 80, 0, 0) for t in (0.0, 1.9)]
    assert studio.folder.sound(job, 0, 0, 0).read_bytes() == chunks.flac(chunks.chunk_of_notes(first, 0))
    sound.known_to(4.5)
    assert len(heard) == 2
    sound.add([events.Note(0.5, 0.5, 40, 80, 33, 0)])
    sound.finish()
    assert heard[2:] == [(0, [33]), (2, [0])]
    sound.finish()
    assert len(heard) == 4
    sound.restart()
    sound.finish()
    assert len(heard) == 4
    assert studio.folder.sound(job, 0, 0, 0).is_file()  # a page may be fetching it just now


def test_notes_far_away_or_before_the_beginning_make_no_sound(studio):
    heard = []
    sound = LiveSound(studio.folder, "aaaaaaaaaaab", 0, lambda name, data: heard.append(data))
    sound.add([events.Note(t, 0.5, 60, 80, 0, 0) for t in (-1.0, 1e12, float("nan"))])
    sound.finish()
    assert heard == []


def test_the_seed_of_a_job_is_the_same_when_it_is_begun_again():
    assert seed_of({}, "abcdefghijkl") == seed_of({}, "abcdefghijkl")
    assert len({seed_of({}, f"job{n}") for n in range(10_000)}) == 10_000
    assert seed_of({"seed": 0}, "abcdefghijkl") == 0


def test_a_length_of_whole_bars_is_a_whole_number():
    assert repr(length_of({"amount": 16.0}).amount) == "16"
    assert length_of({"amount": 12.5, "unit": "seconds"}).amount == 12.5
    assert length_of(None) is None
    for amount in (float("nan"), float("inf"), -1):
        with pytest.raises(UsageError):
            length_of({"amount": amount, "unit": "seconds"})
