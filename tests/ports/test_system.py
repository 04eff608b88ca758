"""Ports of the machine: found by name, made where there is none, and told plainly where there can be none."""

import os
import sys
import threading
import time

import pytest

import midi_machines
from kapelle.errors import Missing, UsageError
from kapelle.ports import messages, system

NAMES = ("Midi Through:Midi Through Port-0 14:0", "loopMIDI Port 1", "loopMIDI Port", "IAC Driver Bus 1")


@pytest.fixture
def linux(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(system, "ALSA", tmp_path)  # it is there


@pytest.fixture
def windows(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")


def test_ports_are_listed_as_the_system_calls_them(monkeypatch, linux):
    log = midi_machines.pretend(monkeypatch, NAMES)
    assert system.names() == list(NAMES)
    assert log[-1] == ("deleted",)


@pytest.mark.parametrize(("name", "place"), [("iac", 3), ("THROUGH", 0), ("loopmidi port 1", 1), ("loopMIDI Port", 2)])
def test_a_port_is_found_by_a_part_of_its_name_and_the_whole_name_comes_first(monkeypatch, linux, name, place):
    log = midi_machines.pretend(monkeypatch, NAMES)
    port = system.open_port(name)
    assert (port.name, port.virtual) == (NAMES[place], False)
    port.send(messages.note_on(0, 60, 90))
    port.close()
    port.close()
    assert log[1:] == [("opened", place, "Kapelle"), ("sent", b"\x90\x3c\x5a"), ("closed",), ("deleted",)]
    with pytest.raises(Missing, match="is closed"):
        port.send(messages.note_off(0, 60))


def test_a_name_of_several_ports_is_refused_with_their_names(monkeypatch, linux):
    log = midi_machines.pretend(monkeypatch, NAMES)
    with pytest.raises(UsageError, match="2 MIDI ports have 'loop'") as caught:
        system.open_port("loop")
    assert "loopMIDI Port 1, loopMIDI Port" in caught.value.hint
    assert log[-1] == ("deleted",)


def test_without_a_name_the_ports_are_named(monkeypatch, linux):
    midi_machines.pretend(monkeypatch, NAMES)
    with pytest.raises(UsageError, match="no MIDI port is named") as caught:
        system.open_port()
    assert "IAC Driver Bus 1" in caught.value.hint


def test_a_port_that_is_not_there_is_made(monkeypatch, linux):
    log = midi_machines.pretend(monkeypatch, NAMES)
    port = system.open_port("My synth")
    assert (port.name, port.virtual) == ("My synth", True)
    assert ("made port", "My synth") in log


def test_a_port_can_be_made_beside_one_of_the_same_name_or_without_a_name(monkeypatch, linux):
    log = midi_machines.pretend(monkeypatch, NAMES)
    assert system.open_port("IAC", virtual=True).name == "IAC"
    assert system.open_port(virtual=True).name == "Kapelle"
    assert [entry for entry in log if entry[0] == "made port"] == [("made port", "IAC"), ("made port", "Kapelle")]


@pytest.mark.parametrize("virtual", [True, False])
def test_windows_makes_no_ports_and_loopmidi_is_named(monkeypatch, windows, virtual):
    log = midi_machines.pretend(monkeypatch, NAMES)
    with pytest.raises(Missing) as caught:
        system.open_port("My synth", virtual=virtual)
    assert "loopMIDI" in caught.value.hint
    assert "made port" not in [entry[0] for entry in log]


def test_without_the_extra_the_line_to_install_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    for call in (system.names, lambda: system.open_port("x")):
        with pytest.raises(Missing, match="python-rtmidi is not installed") as caught:
            call()
        assert caught.value.hint == "pip install 'kapelle[midi]'"
        assert caught.value.exit_code == 4


def test_a_machine_without_a_sequencer_is_told_what_to_do(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(system, "ALSA", tmp_path / "none")
    log = midi_machines.pretend(monkeypatch, fails="no server")
    with pytest.raises(Missing, match="neither ALSA's sequencer nor a JACK server") as caught:
        system.names()
    assert "modprobe snd-seq" in caught.value.hint
    assert log == [("made", 3, "Kapelle")]  # JACK is asked where ALSA is not
    assert capfd.readouterr() == ("", "")


def test_a_mac_without_midi_says_why(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    midi_machines.pretend(monkeypatch, fails="CoreMIDI is not there")
    with pytest.raises(Missing, match="CoreMIDI is not there"):
        system.names()


def test_a_device_that_is_unplugged_is_told_as_such(monkeypatch, linux):
    midi_machines.pretend(monkeypatch, NAMES, gone_after=0)
    port = system.open_port("IAC")
    with pytest.raises(Missing, match="IAC Driver Bus 1 does not answer: the device was unplugged"):
        port.send(messages.CLOCK)


def test_a_real_virtual_port_of_alsa():
    rtmidi = pytest.importorskip("rtmidi")
    if not system.ALSA.exists():
        pytest.skip("this machine has no ALSA sequencer")
    exchange(rtmidi, rtmidi.API_LINUX_ALSA)


def test_a_real_virtual_port_of_jack():
    rtmidi = pytest.importorskip("rtmidi")
    if sys.platform != "linux" or system.ALSA.exists():
        pytest.skip("JACK is asked on Linux without ALSA's sequencer alone")
    with midi_machines.jack() as server:
        if server is None:
            pytest.skip("there is no JACK server to start")
        exchange(rtmidi, rtmidi.API_UNIX_JACK)


TRIES = 4
"""A JACK server that comes too late on a busy machine loses messages, whoever sent them."""


def _sent_and_closed():
    port = system.open_port("track INPUT")
    assert not port.virtual
    time.sleep(0.2)
    port.send(messages.note_on(9, 36, 1))
    port.close()  # what was sent last is not lost


def exchange(rtmidi, api):
    """A port of ours is seen and heard by another client; a port of another client is found by its name and hears us."""

    def heard(listener):
        until = time.monotonic() + 2
        while time.monotonic() < until:
            if (found := listener.get_message()) is not None:
                return bytes(found[0])
            time.sleep(0.005)
        return None

    listener = rtmidi.MidiIn(api, name="listener")
    made = system.open_port("Kapelle test", virtual=True)
    try:
        place = next(i for i, name in enumerate(listener.get_ports()) if "Kapelle test" in name)
        listener.open_port(place)
        time.sleep(0.2)
        assert any(made.send(messages.note_on(2, 61, 99)) or heard(listener) == b"\x92\x3d\x63" for _ in range(TRIES))
    finally:
        made.close()
        listener.close_port()
        listener.delete()
    daw = rtmidi.MidiIn(api, name="A DAW")
    daw.open_virtual_port("Track input")
    try:
        assert any("Track input" in name for name in system.names())
        assert any(_sent_and_closed() or heard(daw) == b"\x99\x24\x01" for _ in range(TRIES))
    finally:
        daw.close_port()
        daw.delete()


def test_two_threads_that_look_for_ports_leave_the_process_its_stderr():
    before = os.fstat(2)
    inside, leave = [threading.Event(), threading.Event()], [threading.Event(), threading.Event()]

    def look(number):
        with system._quiet(True):
            inside[number].set()
            leave[number].wait(10)

    threads = [threading.Thread(target=look, args=(number,)) for number in (0, 1)]
    threads[0].start()
    inside[0].wait(10)
    threads[1].start()
    inside[1].wait(0.2)  # it waits for its turn
    for number in (0, 1):
        leave[number].set()
        threads[number].join()
    assert os.path.samestat(os.fstat(2), before)
