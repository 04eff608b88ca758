"""``kapelle play``: a file, a port, and what is said about them."""

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

import midi_machines
from clocks import FailingPort, FakeTimer, notes, sounding
from kapelle.ports import sender, system
from kapelle.ports.port import MemoryPort
from kapelle.score import write
from pieces import score, track


@pytest.fixture
def piece(empty_home):
    """A file of two bars."""
    path = empty_home / "a.mid"
    path.write_bytes(write.to_bytes(score(track(*[(480 * i, 480, 60 + i, 90) for i in range(8)]))))
    return path


@pytest.fixture
def port(monkeypatch):
    """The port that is opened, whatever its name; its clock runs when it is waited on."""
    timer = FakeTimer()
    made = MemoryPort("Synth", now=timer.now)
    monkeypatch.setattr(sender, "SystemTimer", lambda: timer)
    monkeypatch.setattr("kapelle.api.playing.SystemTimer", lambda: timer)
    monkeypatch.setattr("kapelle.api.stage.SystemTimer", lambda: timer)
    monkeypatch.setattr(system, "open_port", lambda name="", virtual=False: made)
    return made


def test_a_file_is_played_and_the_port_is_given_back(run, piece, port):
    answer = run("play", piece, "--port", "synth")
    assert answer.code == 0
    assert answer.out == "8 notes to Synth in 4.0 s; half of them at most 0.0 ms late, the latest 0.0 ms\n"
    assert answer.err == ""
    assert len(notes(port.sent)) == 8
    assert port.closed
    assert not sounding(port.sent)


def test_the_summary_for_machines(run, piece, port):
    data = run("play", piece, "--port", "synth", "--from", 2, "--json").data
    assert (data["notes"], data["seconds"], data["port"], data["late_ms"]["latest"]) == (4, 2.0, "Synth", 0.0)


def test_a_clock_is_sent_if_it_is_asked_for(run, piece, port):
    assert run("play", piece, "-p", "synth", "--clock").code == 0
    assert [data for _, data in port.sent].count(b"\xf8") == 192


def test_a_loop_ends_well_with_ctrl_c(run, piece, monkeypatch, port):
    failing = FailingPort("Synth", now=port.now, fails_at=50)
    monkeypatch.setattr(system, "open_port", lambda name="", virtual=False: failing)
    answer = run("play", piece, "--port", "synth", "--loop", "--json")
    assert (answer.code, answer.data["interrupted"], answer.data["rounds"]) == (0, True, 3)
    assert failing.closed


def test_ctrl_c_is_an_interruption_otherwise(run, piece, monkeypatch, port):
    failing = FailingPort("Synth", now=port.now, fails_at=5)
    monkeypatch.setattr(system, "open_port", lambda name="", virtual=False: failing)
    answer = run("play", piece, "--port", "synth")
    assert (answer.code, answer.out) == (130, "")
    assert not sounding(failing.sent)
    assert failing.closed


def test_a_port_that_was_made_is_told_and_may_be_waited_for(run, piece, port):
    port.virtual = True
    answer = run("play", piece, "--port", "Synth", "--wait", 30)
    assert answer.err == "made the MIDI port Synth: choose it as an input in your DAW\n"
    assert notes(port.sent)[0][0] == 30.25


def test_a_file_that_is_none_makes_no_port(run, empty_home, monkeypatch):
    monkeypatch.setattr(system, "open_port", None)
    (empty_home / "b.mid").write_bytes(b"<html>")
    assert run("play", "b.mid", "--port", "x").code == 3
    assert run("play", "c.mid", "--port", "x").code == 4
    answer = run("play", "--port", "x")
    assert answer.code == 2
    assert "FILE.mid is missing" in answer.err


@pytest.mark.parametrize("words", [["--from", 3], ["--from", 0], ["--wait", -1]])
def test_what_is_out_of_range_is_refused(run, piece, port, words):
    assert run("play", piece, "--port", "synth", *words).code == 2
    assert port.sent == []


def test_ports_are_listed(run, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    midi_machines.pretend(monkeypatch, ["IAC Driver Bus 1", "Синтезатор"])
    assert run("play", "--list").out == "IAC Driver Bus 1\nСинтезатор\n"
    assert run("play", "--list", "--json").data == {"ports": ["IAC Driver Bus 1", "Синтезатор"]}
    midi_machines.pretend(monkeypatch)
    assert "--virtual makes one" in run("play", "--list").err


def test_a_panic_needs_no_file(run, port):
    answer = run("play", "--panic", "--port", "synth")
    assert (answer.code, answer.out) == (0, "Synth\n")
    assert len(port.sent) == 80


def test_without_a_port_the_ports_are_named(run, piece, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    midi_machines.pretend(monkeypatch, ["IAC Driver Bus 1"])
    answer = run("play", piece)
    assert answer.code == 2
    assert "name one: IAC Driver Bus 1" in answer.err


def test_without_the_extra_the_line_to_install_it_is_told(run, piece, monkeypatch):
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    answer = run("play", piece, "--port", "x", "--json")
    assert answer.code == 4
    assert answer.data["hint"] == "pip install 'kapelle[midi]'"


def test_it_speaks_russian(run, piece, port):
    assert "ноты: 8, порт Synth" in run("play", piece, "--port", "synth", "--lang", "ru").out


@contextmanager
def real_midi():
    """A machine with MIDI: its own, or that of a JACK server."""
    pytest.importorskip("rtmidi")
    if system.ALSA.exists() or sys.platform == "darwin":
        yield
        return
    if sys.platform != "linux":
        pytest.skip("ports cannot be made here")
    with midi_machines.jack() as server:
        if server is None:
            pytest.skip("there is neither an ALSA sequencer nor a JACK server to start")
        yield


def test_a_real_process_plays_into_a_real_port_and_is_silent_after_ctrl_c(piece, environment):
    with real_midi():
        for _ in range(3):  # a JACK server that comes too late on a busy machine loses messages, whoever sent them
            heard = _heard_until_ctrl_c(piece, environment)
            if notes(heard) and not sounding(heard):
                return
    raise AssertionError(heard)


def _heard_until_ctrl_c(piece, environment):
    """What another client hears of a loop that is interrupted after a second and a half."""
    import rtmidi

    words = [sys.executable, "-m", "kapelle", "play", str(piece), "--port", "Kapelle test", "--virtual", "--loop", "--json"]
    listener = rtmidi.MidiIn(rtmidi.API_UNIX_JACK if not system.ALSA.exists() and sys.platform == "linux" else 0, name="listener")
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as made:
        assert "Kapelle test" in made.stderr.readline().decode()
        listener.open_port(next(i for i, name in enumerate(listener.get_ports()) if "Kapelle test" in name))
        time.sleep(1.5)
        made.send_signal(signal.SIGINT)
        out, _ = made.communicate(timeout=30)
    heard = []
    while (found := listener.get_message()) is not None:
        heard.append((0.0, bytes(found[0])))
    listener.close_port()
    listener.delete()
    assert made.returncode == 0
    assert json.loads(out)["interrupted"] is True
    return heard
