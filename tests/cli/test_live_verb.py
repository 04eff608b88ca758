"""``kapelle live``: music that is heard while it is composed."""

from pathlib import Path

import pytest

import kapelle
from clocks import FailingPort, FakeTimer, notes, sounding
from kapelle.ports import sender, system
from kapelle.ports.port import MemoryPort
from kapelle.score import units
from kapelle.score.read import read


@pytest.fixture
def port(monkeypatch):
    """The port that is opened, whatever its name; its clock runs when it is waited on."""
    timer = FakeTimer()
    made = MemoryPort("Synth", now=timer.now)
    for place in (sender, "kapelle.api.playing", "kapelle.api.stage"):
        name = place if isinstance(place, str) else place.__name__
        monkeypatch.setattr(f"{name}.SystemTimer", lambda: timer)
    monkeypatch.setattr(system, "open_port", lambda name="", virtual=False: made)
    return made


def seconds_of(path):
    """(seconds, pitch, velocity) of the notes of a file, in order."""
    piece = read(path)
    tempi = units.tempo_map(piece)
    found = [(float(tempi.to_seconds(note.time)), note.pitch, note.velocity) for track in piece.tracks for note in track.notes]
    return sorted(found)


def test_what_is_heard_is_the_piece_that_is_kept(compose, port):
    answer = compose("live", "--port", "synth", "--genre", "jazz", "--bars", 4, "--seed", 7, "--lead", 3600, "-o", "a.mid", "--json")
    assert answer.code == 0, answer.err
    data = answer.data
    heard = notes(port.sent)
    zero = heard[0][0] - seconds_of("a.mid")[0][0]
    assert sorted((at - zero, pitch, velocity) for at, _, pitch, velocity in heard) == [
        (pytest.approx(at, abs=1e-6), pitch, velocity) for at, pitch, velocity in seconds_of("a.mid")
    ]
    assert (data["notes"], data["seeds"], data["files"], data["rounds"]) == (len(heard), [7], ["a.mid"], 1)
    assert data["late_ms"]["latest"] == 0.0
    assert port.closed
    assert not sounding(port.sent)


def test_the_piece_is_the_one_that_compose_makes(compose, port):
    assert compose("live", "--port", "x", "--bars", 2, "--seed", 3, "--genre", "pop", "-o", "a.mid").code == 0
    assert compose("compose", "--bars", 2, "--seed", 3, "--genre", "pop", "-o", "b.mid").code == 0
    assert Path("a.mid").read_bytes() == Path("b.mid").read_bytes()


def test_a_seed_that_was_drawn_is_told(compose, port):
    answer = compose("live", "--port", "x", "--bars", 1)
    assert answer.code == 0
    assert "notes to Synth in" in answer.out
    assert "seed" in answer.out


@pytest.mark.parametrize("go_on", [False, True])
def test_without_end_each_piece_has_the_next_seed_until_ctrl_c(compose, port, monkeypatch, go_on):
    failing = FailingPort("Synth", now=port.now, fails_at=400)
    monkeypatch.setattr(system, "open_port", lambda name="", virtual=False: failing)
    more = ["--go-on"] if go_on else []
    words = ("--bars", 2, "--genre", "pop", "--seed", 3, "--metre", "4/4", "--lead", 1, "-o", "jam", "--json")
    answer = compose("live", "--port", "synth", "--endless", *words, *more)
    assert answer.code == 0, answer.err
    data = answer.data
    assert data["interrupted"] is True
    assert data["seeds"] == list(range(3, 3 + len(data["seeds"])))
    assert len(data["seeds"]) > 2
    assert [int(Path(name).stem.rpartition("-")[2]) for name in data["files"]] == data["seeds"][: len(data["files"])]
    assert units.n_bars(read(data["files"][0])) == 2
    assert units.n_bars(read(data["files"][1])) == (4 if go_on else 2)
    assert not sounding(failing.sent)
    assert failing.closed


def test_ctrl_c_ends_a_piece_as_an_interruption(compose, port, monkeypatch):
    failing = FailingPort("Synth", now=port.now, fails_at=9)
    monkeypatch.setattr(system, "open_port", lambda name="", virtual=False: failing)
    assert compose("live", "--port", "synth", "--bars", 4, "--seed", 1).code == 130
    assert not sounding(failing.sent)


def test_with_a_clock_a_metre_is_chosen_beforehand(compose, port):
    answer = compose("live", "--port", "x", "--bars", 2, "--seed", 3, "--clock", "--lead", 3600, "-o", "a.mid")
    assert answer.code == 0, answer.err
    assert units.metre_at(read("a.mid")) == (4, 4)
    sent = [data for _, data in port.sent]
    assert (sent.count(b"\xfa"), sent.count(b"\xf8"), sent.count(b"\xfc")) == (1, 192, 1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--go-on"], "add --endless"),
        (["--endless", "-o", "a.mid"], "give -o a folder"),
        (["-o", "folder"], "ends in .mid"),
        (["--model", "nothing"], "nothing"),
        (["--bars", 0], "bars"),
        (["--temperature", "hot"], "--temperature"),
        (["--track", "bass"], "--track"),
    ],
)
def test_what_cannot_be_is_refused_before_a_port_is_made(compose, monkeypatch, words, told):
    monkeypatch.setattr(system, "open_port", None)
    answer = compose("live", "--port", "x", *words)
    assert answer.code in (2, 4)
    assert told in answer.err


def test_a_file_that_is_there_is_not_overwritten(compose, port):
    Path("a.mid").write_bytes(b"mine")
    assert compose("live", "--port", "x", "--bars", 1, "-o", "a.mid").code == 2
    assert Path("a.mid").read_bytes() == b"mine"


def test_python_does_the_same(home, monkeypatch):
    monkeypatch.setenv("KAPELLE_HOME", str(home))
    timer = FakeTimer()
    port = MemoryPort(now=timer.now)
    wish = kapelle.api.request(seed=3, length=kapelle.api.length_of(bars=2), options={"genre": "pop"})
    kept = []
    played = kapelle.api.live(wish, port, kapelle.api.LiveManner(lead_s=3600), each=kept.append, timer=timer)
    assert played.notes == len(notes(port.sent)) == kept[0].report.n_notes


def test_the_line_says_where_the_music_is():
    from contextlib import contextmanager

    from kapelle.api import Moment
    from kapelle.cli import port as ports
    from kapelle.cli.console import Console
    from kapelle.texts import Texts

    shown = []

    class Watched(Console):
        @contextmanager
        def bar(self, label):
            yield lambda done, total, note="", label="": shown.append((done, total, note))

    for texts in (Texts(), Texts("ru")):
        with ports.watched(Watched(texts)) as told:
            told(Moment("waiting", 0, 0, 0.0, 0.0))
            told(Moment("playing", 4, 16, 65.5, 120.0))
            told(Moment("waiting", 5, 16, 70.0, 70.0))
    assert shown == [
        (0, 0, "composing"), (65.5, 120.0, "bar 5 of 16, 1:05"), (70.0, 70.0, "bar 6 of 16, 1:10, waiting for notes"),
        (0, 0, "сочинение"), (65.5, 120.0, "такт 5 из 16, 1:05"), (70.0, 70.0, "такт 6 из 16, 1:10, жду нот"),
    ]  # fmt: skip
