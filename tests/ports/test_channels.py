"""Every instrument gets a channel of its own as long as there are any."""

from kapelle.ports import messages
from kapelle.ports.channels import Channels


def test_instruments_get_channels_in_the_order_they_come_and_drums_the_tenth():
    held = Channels()
    assert [held.seat(program, 0.0, 1.0).channel for program in (0, 32, -1, 48, 0)] == [0, 1, 9, 2, 0]
    assert held.n_shared == 0


def test_an_instrument_is_told_once_with_a_volume():
    held = Channels()
    first, again = held.seat(32, 0.0, 1.0), held.seat(32, 1.0, 2.0)
    assert first.before == (b"\xc0\x20", b"\xb0\x07\x64")
    assert first.fresh
    assert again.before == ()
    assert held.seat(-1, 0.0, 1.0).before == (b"\xc9\x00", b"\xb9\x07\x64")


def test_fifteen_instruments_and_drums_have_a_channel_each():
    held = Channels()
    found = [held.seat(program, 0.0, 1.0).channel for program in (*range(15), -1)]
    assert sorted(found) == list(range(16))
    assert found[-1] == messages.DRUMS


def test_the_sixteenth_takes_the_channel_that_is_silent_longest():
    held = Channels()
    for program in range(15):
        held.seat(program, 0.0, 10.0 - (program == 4) * 9.0)
    seat = held.seat(99, 5.0, 6.0)
    assert (seat.channel, seat.fresh, held.n_shared) == (4, False, 0)
    assert seat.before[0] == b"\xc4\x63"
    back = held.seat(4, 5.5, 7.0)  # which now must take one that sounds
    assert (back.channel, held.n_shared) == (4, 1)
