"""A file in a port: exact times, bars, rounds, clock, and silence at the end."""

import pytest
import symusic

import hostile
from clocks import FailingPort, FakeTimer, notes, pedals, sounding
from kapelle import api
from kapelle.api.playing import SET_UP_S, bar_at
from kapelle.errors import KapelleError, MidiError, UsageError
from kapelle.ports import messages
from kapelle.ports.port import MemoryPort
from kapelle.score import write
from pieces import score, track

QUARTERS = [(480 * i, 480, 60 + i, 90) for i in range(8)]


def two_bars(**more):
    return write.to_bytes(score(track(*QUARTERS, **more)))


def play(data, *manner, told=lambda moment: None):
    timer = FakeTimer(10.0)
    port = MemoryPort(now=timer.now)
    return port, api.play(data, port, api.Manner(*manner), told=told, timer=timer)


def test_every_note_leaves_at_its_second():
    port, played = play(two_bars(program=32))
    zero = 10.0 + SET_UP_S
    assert notes(port.sent) == [(zero + 0.5 * i, 0, 60 + i, 90) for i in range(8)]
    assert port.sent[:2] == [(10.0, b"\xc0\x20"), (10.0, b"\xb0\x07\x64")]
    assert (played.notes, played.seconds, played.late.latest_s, played.interrupted) == (8, 4.0, 0.0, False)
    assert not sounding(port.sent)
    assert not port.closed  # it was open before
    assert played.messages == len(port.sent)


def test_a_volume_of_the_file_is_not_overruled():
    played = track(*QUARTERS)
    played.controls.append(symusic.ControlChange(0, 7, 33))
    port, _ = play(write.to_bytes(score(played)))
    assert [data for _, data in port.sent if messages.is_volume(data)] == [b"\xb0\x07\x21"]


def test_it_begins_with_the_bar_that_is_asked_for():
    port, played = play(two_bars(), 2)
    assert [pitch for _, _, pitch, _ in notes(port.sent)] == [64, 65, 66, 67]
    assert notes(port.sent)[0][0] == 10.0 + SET_UP_S
    assert played.seconds == 2.0


def test_a_bar_that_is_not_there_is_refused_before_anything_is_sent():
    port = MemoryPort()
    with pytest.raises(UsageError, match="bars 1 to 2"):
        api.play(two_bars(), port, api.Manner(3))
    assert port.sent == []


def test_bars_and_seconds_are_told_ten_times_a_second():
    moments = []
    play(two_bars(), told=moments.append)
    heard = [moment for moment in moments if moment.seconds > 0]
    assert len(moments) == pytest.approx(43, abs=1)
    assert {moment.bar for moment in heard} == {0, 1}
    assert all(moment.bar == int(moment.seconds // 2.0) for moment in heard)
    assert (heard[0].n_bars, heard[0].duration_s, heard[0].state) == (2, 4.0, "playing")


def test_round_after_round_the_beat_goes_on_until_ctrl_c():
    timer = FakeTimer()
    port = FailingPort(now=timer.now, fails_at=60)
    rounds = set()
    played = api.play(two_bars(), port, api.Manner(loop=True), told=lambda moment: rounds.add(moment.piece), timer=timer)
    assert played.interrupted
    assert played.rounds == max(rounds) + 1 >= 4
    found = notes(port.sent)
    assert [at for at, *_ in found] == [SET_UP_S + 0.5 * i for i in range(len(found))]
    assert [pitch for _, _, pitch, _ in found[:16]] == [60 + i % 8 for i in range(16)]
    assert not sounding(port.sent)


def test_after_an_interruption_nothing_sounds_and_it_is_told():
    held = track((0, 3800, 50, 90), *QUARTERS)
    held.controls.append(symusic.ControlChange(100, 64, 127))
    timer = FakeTimer()
    port = FailingPort(now=timer.now, fails_at=8)
    with pytest.raises(KeyboardInterrupt):
        api.play(write.to_bytes(score(held)), port, timer=timer)
    assert not sounding(port.sent)
    assert not pedals(port.sent)


def test_a_clock_of_twenty_four_pulses_a_quarter_runs_along():
    port, _ = play(two_bars(), 1, False, True)
    real_time = [(at, data) for at, data in port.sent if data[0] >= 0xF0]
    zero = 10.0 + SET_UP_S
    assert real_time[0] == (zero, messages.START)
    assert real_time[-1] == (zero + 4.0, messages.STOP)
    pulses = [at for at, data in real_time if data == messages.CLOCK]
    assert len(pulses) == 192
    assert pulses == pytest.approx([zero + i / 48 for i in range(192)])


def test_a_clock_from_the_middle_says_where():
    port, _ = play(two_bars(), 2, False, True)
    real_time = [data for _, data in port.sent if data[0] >= 0xF0]
    assert real_time[:2] == [b"\xf2\x10\x00", messages.CONTINUE]
    assert len([data for data in real_time if data == messages.CLOCK]) == 96


def test_more_instruments_than_channels_are_told():
    many = score(*(track((480 * i, 480, 60, 90), program=i) for i in range(20)), track((0, 480, 36, 90), drums=True))
    port, played = play(write.to_bytes(many))
    assert played.shared >= 1
    assert {channel for _, channel, *_ in notes(port.sent)} == set(range(16))
    assert play(two_bars())[1].shared == 0


@pytest.mark.parametrize("case", list(hostile.corpus())[::8], ids=lambda case: case.name)
def test_any_file_is_played_or_refused_and_nothing_is_left_sounding(case):
    timer = FakeTimer()
    port = MemoryPort(now=timer.now)
    try:
        played = api.play(case.data, port, timer=timer)
    except KapelleError as error:
        assert isinstance(error, MidiError | UsageError)
        return
    assert case.verdict != "error"
    assert not sounding(port.sent)
    assert not pedals(port.sent)
    assert all(0 <= byte < 128 for _, data in port.sent for byte in data[1:])
    assert [at for at, _ in port.sent] == sorted(at for at, _ in port.sent)
    assert played.notes > 0


def test_a_panic_silences_every_channel():
    port = MemoryPort("loud")
    assert api.panic(port) == "loud"
    sent = [data for _, data in port.sent]
    for channel in range(16):
        assert bytes((0xB0 | channel, 120, 0)) in sent
        assert bytes((0xB0 | channel, 123, 0)) in sent


def test_a_summary_is_plain_data():
    _, played = play(two_bars())
    assert played.as_dict() == {
        "port": "memory", "notes": 8, "messages": played.messages, "rounds": 1, "interrupted": False, "restarts": 0, "shared": 0,
        "seconds": 4.0, "waited_s": 0.0, "seeds": [], "late_ms": {"median": 0.0, "p99": 0.0, "latest": 0.0},
    }  # fmt: skip


@pytest.mark.parametrize(("at", "bar"), [(-1.0, 0), (0.0, 0), (1.99, 0), (2.0, 1), (4.0, 1), (99.0, 1)])
def test_the_bar_at_a_second(at, bar):
    assert bar_at((0.0, 2.0, 4.0), at) == bar
