"""Messages leave on time, in order, and nothing sounds afterwards."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import kapelle
from clocks import FailingPort, FakeTimer, notes, pedals, sounding
from kapelle.errors import Missing
from kapelle.ports import messages
from kapelle.ports.port import MemoryPort
from kapelle.ports.sender import Lateness, Sender, SystemTimer

ON, OFF = messages.note_on(0, 60, 90), messages.note_off(0, 60)
PEDAL = bytes((0xB0, 64, 127))


def sender(**clock):
    timer = FakeTimer(**clock)
    return Sender(MemoryPort(now=timer.now), timer)


def test_messages_leave_when_they_are_due_whatever_their_order():
    one = sender(at_s=100.0)
    one.put(102.5, OFF)
    one.put(101.25, ON)
    one.run(103.0)
    assert one.port.sent == [(101.25, ON), (102.5, OFF)]
    assert one.now() == 103.0
    assert (one.n_notes, one.n_messages) == (1, 2)


def test_what_is_due_later_waits_for_the_next_call():
    one = sender()
    one.put_all(1.0, [(0.0, ON), (1.0, OFF)])
    one.run(1.5)
    assert one.port.sent == [(1.0, ON)]
    one.run(2.0)
    assert one.port.sent[1:] == [(2.0, OFF)]


def test_at_one_time_what_ends_goes_first_and_what_begins_goes_last():
    one = sender()
    other = messages.note_on(0, 64, 80)
    one.put(0.0, ON)
    one.run(0.5)
    for message in (other, PEDAL, messages.program(0, 5), OFF):
        one.put(1.0, message)
    one.run(1.0)
    assert [message for _, message in one.port.sent[1:]] == [OFF, PEDAL, messages.program(0, 5), other]


def test_being_late_makes_nothing_later_late():
    one = sender(slow_s=0.002)
    for number in range(1000):
        one.put(number * 0.5, messages.CLOCK)
    one.run(500.0)
    late = [at - number * 0.5 for number, (at, _) in enumerate(one.port.sent)]
    assert max(late) == pytest.approx(0.002)
    assert late[-1] == pytest.approx(0.002)


def test_lateness_has_a_median_a_percentile_and_a_worst():
    one = sender()
    one.late_s = [0.001] * 98 + [0.01, 0.5]
    assert one.lateness() == Lateness(0.001, 0.01, 0.5)
    assert sender().lateness() == Lateness(0.0, 0.0, 0.0)


def test_of_notes_of_one_pitch_that_overlap_the_later_is_struck_anew_and_the_last_end_counts():
    one = sender()
    one.put_all(0.0, [(0.0, ON), (1.0, ON), (2.0, OFF), (3.0, OFF), (4.0, OFF)])
    one.run(5.0)
    assert one.port.sent == [(0.0, ON), (1.0, OFF), (1.0, ON), (3.0, OFF)]


def test_what_one_owner_put_is_dropped_and_the_rest_stays():
    one = sender()
    one.put(1.0, ON, owner=1)
    one.put(2.0, messages.CLOCK, owner=2)
    one.drop(1)
    one.run(3.0)
    assert one.port.sent == [(2.0, messages.CLOCK)]


def test_at_the_end_notes_stop_pedals_go_up_and_controllers_back():
    with sender() as one:
        one.put_all(0.0, [(0.0, PEDAL), (0.0, ON), (0.5, messages.note_on(9, 36, 100)), (9.0, OFF)])
        one.run(1.0)
    assert not sounding(one.port.sent)
    assert not pedals(one.port.sent)
    tail = [message for at, message in one.port.sent if at == 1.0]
    assert tail[:2] == [OFF, messages.note_off(9, 36)]
    for channel in (0, 9):
        for number in (64, 123, 121):
            assert bytes((0xB0 | channel, number, 0)) in tail
        assert bytes((0xE0 | channel, 0, 64)) in tail


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("anything")])
def test_nothing_sounds_after_an_interruption(error):
    timer = FakeTimer()
    for fails_at in range(6):
        port = FailingPort(now=timer.now, error=error, fails_at=fails_at)
        one = Sender(port, timer)
        with pytest.raises(type(error)), one:
            one.put_all(timer.now(), [(0.0, PEDAL), (0.1, ON), (0.2, messages.note_on(0, 64, 9)), (0.3, OFF), (0.4, ON), (0.5, OFF)])
            one.run(timer.now() + 1.0)
        assert not sounding(port.sent), fails_at
        assert not pedals(port.sent)
        assert (messages.note_off(0, 60) in [m for _, m in port.sent]) == (fails_at > 0)


def test_a_port_that_is_gone_is_told_once():
    port = FailingPort(error=Missing("the MIDI port {name} does not answer: {why}", name="x", why="gone"), fails_at=1)
    with pytest.raises(Missing, match="does not answer"), Sender(port, FakeTimer()) as one:
        one.put_all(0.0, [(0.0, ON), (1.0, OFF)])
        one.run(2.0)


def test_after_a_stop_of_the_process_the_music_goes_on_where_it_was():
    """Ctrl-Z and fg: an hour later, not an hour of notes at once."""
    one = sender()
    one.put_all(0.0, [(float(beat), messages.note_on(0, 60 + beat, 80)) for beat in range(4)])
    one.run(1.5)
    one.timer.at_s += 3600.0
    one.run(3.0)
    assert [at for at, *_ in notes(one.port.sent)] == [0.0, 1.0, 3601.5, 3602.5]


def test_the_clock_of_the_machine_waits_and_does_not_come_back_early():
    timer = SystemTimer()
    before = timer.now()
    timer.wait(before + 0.02)
    assert 0.02 <= timer.now() - before < 1.0
    timer.wait(before)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Ctrl-C cannot be sent to a process here")
def test_ctrl_c_ends_a_real_process_in_silence(tmp_path):
    script = (
        "import sys\nfrom kapelle.ports import messages\nfrom kapelle.ports.sender import Sender\n"
        "class Port:\n    name, virtual = 'out', False\n"
        "    def send(self, m): print(m.hex(), flush=True)\n    def close(self): pass\n"
        "with Sender(Port()) as s:\n    s.put(s.now(), messages.note_on(3, 60, 90))\n    s.run(s.now() + 60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(kapelle.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as made:
        assert made.stdout.readline().strip() == "933c5a"
        made.send_signal(signal.SIGINT)
        began = time.monotonic()
        rest = made.stdout.read().split()
        made.stderr.read()
    assert time.monotonic() - began < 5
    assert rest[:3] == ["833c00", "b34000", "b37b00"]
