"""A score as messages in seconds."""

import pytest
import symusic

from kapelle.errors import UsageError
from kapelle.score.timeline import timeline
from pieces import score, track

C4 = (0, 480, 60, 90)


def test_notes_have_their_seconds_and_the_instrument_comes_first():
    music = timeline(score(track(C4, (960, 480, 64, 80), program=32)))
    assert music.set_up == (b"\xc0\x20",)
    assert music.events == ((0.0, b"\x90\x3c\x5a"), (0.5, b"\x80\x3c\x00"), (1.0, b"\x90\x40\x50"), (1.5, b"\x80\x40\x00"))
    assert music.bar_lines_s == (0.0, 2.0)
    assert music.duration_s == 2.0
    assert music.shared == ()


def test_a_tempo_that_changes_is_followed():
    piece = score(track(C4, (1920, 480, 62, 90)), bpm=120)
    piece.tempos.append(symusic.Tempo(1920, qpm=60))
    music = timeline(piece)
    assert [at for at, _ in music.events] == pytest.approx([0.0, 0.5, 2.0, 3.0])
    assert music.bar_lines_s == pytest.approx((0.0, 2.0, 6.0))


def test_drums_are_on_the_tenth_channel():
    music = timeline(score(track(C4), track(C4, drums=True)))
    assert {data[0] & 15 for _, data in music.events} == {0, 9}


def test_from_a_bar_on_all_that_was_set_before_is_set_and_notes_before_are_not_heard():
    played = track(C4, (0, 4800, 67, 70), (1920, 480, 62, 90), (3840, 480, 67, 91))
    played.controls.extend([symusic.ControlChange(0, 7, 33), symusic.ControlChange(480, 7, 44), symusic.ControlChange(960, 64, 127)])
    played.pitch_bends.append(symusic.PitchBend(500, 100))
    music = timeline(score(played), 2)
    assert music.set_up == (b"\xc0\x00", b"\xb0\x07\x2c", bytes((0xE0, (8192 + 100) & 127, (8192 + 100) >> 7)), b"\xb0\x40\x7f")
    assert music.events == ((0.0, b"\x90\x43\x5b"), (0.5, b"\x80\x43\x00"))  # the end of the G of bar 1 does not cut the one of bar 3
    assert (music.first_bar, music.sixteenths) == (2, 32)
    assert music.bar_lines_s == (0.0, 2.0)


def test_pulses_are_twenty_four_in_a_quarter():
    music = timeline(score(track(C4)))
    assert len(music.pulses_s) == 96
    assert music.pulses_s[:3] == pytest.approx((0.0, 1 / 48, 2 / 48))
    assert len(timeline(score(track(C4, (1920, 480, 62, 90))), 1).pulses_s) == 96


def test_more_instruments_than_channels_share_with_a_program_before_each_note():
    music = timeline(score(*(track((480 * i, 480, 60, 90), program=i) for i in range(17))))
    assert len(music.shared) >= 1
    for channel in music.shared:
        own = [data for _, data in music.events if data[0] & 15 == channel]
        assert own[0][0] & 0xF0 == 0xC0
    assert len({data[0] & 15 for _, data in music.events}) == 15


@pytest.mark.parametrize("bar", [-1, 1, 1000])
def test_a_bar_that_is_not_there_is_refused(bar):
    with pytest.raises(UsageError, match="bars 1 to 1"):
        timeline(score(track(C4)), bar)


def test_a_piece_without_notes_cannot_be_played():
    with pytest.raises(UsageError, match="nothing to play"):
        timeline(score())
