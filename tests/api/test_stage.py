"""Music that sounds while it is composed, on a clock that runs only when it is waited on."""

import threading
from dataclasses import replace
from itertools import pairwise

import pytest

from clocks import FailingPort, FakeTimer, notes, sounding
from kapelle import api
from kapelle.api.composer import Begun, Composer, Over, following
from kapelle.api.playing import SET_UP_S, LiveManner
from kapelle.api.stage import Stage
from kapelle.composing.events import BarDone, Done, Note, NotesAdded, Progress, Restarted
from kapelle.composing.piece import Piece
from kapelle.composing.request import ComposeRequest, Length
from kapelle.errors import CannotObey, Interrupted, KapelleError, UsageError
from kapelle.ports import messages
from kapelle.ports.port import MemoryPort
from kapelle.ports.sender import Sender
from kapelle.score import units
from pieces import score, track

BAR_S = 2.0
MANNER = LiveManner()
WISH = ComposeRequest("fake", Length(4), seed=7)


def note(start_s, pitch=60, program=0, duration_s=0.5):
    return Note(start_s, duration_s, pitch, 80, program, int(start_s // BAR_S))


def bar(number, *pitches, n_bars=4, origin_s=0.0):
    """A bar of quarters, composed."""
    start = origin_s + number * BAR_S
    return [NotesAdded((note(start + 0.5 * i, pitch),)) for i, pitch in enumerate(pitches)] + [BarDone(number, n_bars, start + BAR_S)]


def done(n_bars=4, seed=7):
    music = score(track(*[(480 * i, 480, 60, 80) for i in range(4 * n_bars)]))
    return Done(Piece(music, replace(WISH, seed=seed), "fake", "0" * 64, 1920 * n_bars))


class Script:
    """News that come at certain times of a clock."""

    def __init__(self, timer, *entries):
        self.timer, self.entries = timer, [(at, item) for at, items in entries for item in items]

    def news(self):
        found = [item for at, item in self.entries if at <= self.timer.now()]
        self.entries = self.entries[len(found) :]
        return found


def perform(*entries, manner=MANNER, told=lambda moment: None, port=None, limit=3000):
    """The stage after the script, and the port."""
    timer = FakeTimer()
    port = port or MemoryPort(now=timer.now)
    port.now = timer.now
    script = Script(timer, *entries)
    with Sender(port, timer) as sender:
        stage = Stage(sender, manner, told)
        for _ in range(limit):
            if not stage.step(script.news()):
                break
        else:
            raise AssertionError("it does not end")
    return stage, port


def whole(*bars):
    return [item for number, pitches in enumerate(bars) for item in bar(number, *pitches)]


def test_it_sounds_when_enough_is_composed_and_every_note_at_its_second():
    stage, port = perform(
        (0.0, [Begun(WISH), *bar(0, 60)]), (1.0, bar(1, 62)), (1.5, [*bar(2, 64), *bar(3, 65), Progress(1.0), done(), Over()]),
        manner=LiveManner(lead_s=4.0),
    )  # fmt: skip
    zero = notes(port.sent)[0][0]
    assert zero == pytest.approx(1.0 + SET_UP_S, abs=0.011)
    assert {pitch: at - zero for at, _, pitch, _ in notes(port.sent)} == pytest.approx({60: 0.0, 62: 2.0, 64: 4.0, 65: 6.0})
    played = stage.played()
    assert (played.notes, played.seeds, played.restarts, played.waited_s) == (4, (7,), 0, 0.0)
    assert played.seconds == pytest.approx(8.0, abs=0.02)
    assert not sounding(port.sent)


def test_notes_of_a_bar_that_is_not_complete_are_not_sent():
    timer = FakeTimer()
    with Sender(MemoryPort(now=timer.now), timer) as sender:
        stage = Stage(sender, MANNER)
        stage.step([Begun(WISH), *bar(0, 60), NotesAdded((note(2.0, 99), note(2.5, 98)))])
        for _ in range(500):
            stage.step([])
        assert [pitch for _, _, pitch, _ in notes(sender.port.sent)] == [60]
        stage.step([BarDone(1, 4, 4.0)])
        for _ in range(100):
            stage.step([])
        assert [pitch for _, _, pitch, _ in notes(sender.port.sent)] == [60, 99, 98]


def test_a_piece_shorter_than_the_lead_begins_when_it_is_done():
    _, port = perform((0.0, [Begun(WISH), *bar(0, 60, n_bars=1)]), (3.0, [done(1), Over()]), manner=LiveManner(lead_s=60.0))
    assert notes(port.sent)[0][0] == pytest.approx(3.0 + SET_UP_S, abs=0.011)


def test_when_composing_falls_behind_the_music_waits_and_goes_on_whole():
    moments = []
    stage, port = perform(
        (0.0, [Begun(WISH), *bar(0, 60, 61)]), (5.0, bar(1, 62)), (6.0, [*bar(2, 64), *bar(3, 65), done(), Over()]),
        told=moments.append,
    )  # fmt: skip
    at = {pitch: when for when, _, pitch, _ in notes(port.sent)}
    assert at[61] - at[60] == pytest.approx(0.5)
    assert at[62] == pytest.approx(5.02, abs=0.011)
    assert [at[64] - at[62], at[65] - at[64]] == pytest.approx([2.0, 2.0])
    assert stage.played().waited_s == pytest.approx(5.02 - 0.25 - 2.0, abs=0.02)
    assert "waiting" in {moment.state for moment in moments}
    assert moments[-1].state == "playing"
    ends = [when for when, data in port.sent if data[:2] == b"\x80\x3d"]
    assert ends[0] - at[61] == pytest.approx(0.5)  # no note is held meanwhile


def test_after_waiting_it_goes_on_when_the_lead_is_there_again():
    _, port = perform(
        (0.0, [Begun(WISH), *bar(0, 60), *bar(1, 61)]),
        (6.0, bar(2, 62)),
        (9.0, [*bar(3, 63), done(), Over()]),
        manner=LiveManner(lead_s=4.0),
    )
    at = {pitch: when for when, _, pitch, _ in notes(port.sent)}
    assert at[62] == pytest.approx(9.02, abs=0.011)
    assert at[63] - at[62] == pytest.approx(2.0)


def test_a_piece_that_is_given_up_stops_at_once_and_begins_anew():
    moments = []
    long = [NotesAdded((note(0.0, 40, duration_s=100.0),))]
    stage, port = perform(
        (0.0, [Begun(WISH), *long, *bar(0, 60, 61, 62, 63), *bar(1, 64)]),
        (1.0, [Restarted(2, ("silence",))]),
        (3.0, [*bar(0, 70), *bar(1, 71), *bar(2, 72), *bar(3, 73), done(), Over()]),
        told=moments.append,
    )
    assert stage.played().restarts == 1
    at = {pitch: when for when, _, pitch, _ in notes(port.sent)}
    assert set(at) == {40, 60, 61, 70, 71, 72, 73}  # 62 and what follows was dropped
    assert next(when for when, data in port.sent if data[:2] == b"\x80\x28") == pytest.approx(1.0, abs=0.011)
    assert at[70] == pytest.approx(3.0 + SET_UP_S, abs=0.011)
    assert [moment.state for moment in moments].count("again") == 1
    programs = [when for when, data in port.sent if data[0] == 0xC0]
    assert programs[-1] > 1.0  # told anew, as controllers went back


def test_a_piece_that_is_given_up_before_it_sounds_leaves_no_trace():
    stage, port = perform(
        (0.0, [Begun(WISH), *bar(0, 60), *bar(1, 61), Restarted(2, ("silence",)), *whole([70], [71], [72], [73]), done(), Over()])
    )
    assert [pitch for _, _, pitch, _ in notes(port.sent)] == [70, 71, 72, 73]
    assert stage.played().restarts == 0


def test_pieces_without_end_follow_each_other_without_a_gap():
    first = [Begun(WISH), *whole([60], [61], [62], [63]), done(), Begun(replace(WISH, seed=8))]
    second = [*whole([70], [71], [72], [73]), done(seed=8), Over()]
    stage, port = perform((0.0, first), (3.0, second), manner=LiveManner(endless=True))
    starts = [at for at, *_ in notes(port.sent)]
    assert [b - a for a, b in pairwise(starts)] == pytest.approx([2.0] * 7)
    assert stage.played().seeds == (7, 8)
    assert stage.played().waited_s == 0.0


def test_the_next_piece_that_is_given_up_does_not_disturb_the_one_that_sounds():
    first = [Begun(WISH), *whole([60], [61], [62], [63]), done(), Begun(replace(WISH, seed=8)), *whole([50], [51])]
    second = [Restarted(2, ("silence",)), *whole([70], [71], [72], [73]), done(seed=8), Over()]
    stage, port = perform((0.0, first), (3.0, second), manner=LiveManner(endless=True))
    assert [pitch for _, _, pitch, _ in notes(port.sent)] == [60, 61, 62, 63, 70, 71, 72, 73]
    assert stage.played().restarts == 0


def test_the_next_piece_that_comes_late_is_waited_for():
    first = [Begun(WISH), *whole([60], [61], [62], [63]), done(), Begun(replace(WISH, seed=8))]
    moments = []
    stage, port = perform(
        (0.0, first), (12.0, [*whole([70], [71], [72], [73]), done(seed=8), Over()]), manner=LiveManner(endless=True), told=moments.append
    )
    assert notes(port.sent)[4][0] == pytest.approx(12.0 + SET_UP_S, abs=0.011)
    assert stage.played().waited_s == pytest.approx(12.0 + SET_UP_S - 8.25, abs=0.02)
    assert "waiting" in {moment.state for moment in moments}


def test_more_is_asked_for_once_when_a_piece_begins_to_sound():
    timer = FakeTimer()
    with Sender(MemoryPort(now=timer.now), timer) as sender:
        stage = Stage(sender, LiveManner(endless=True))
        stage.step([Begun(WISH), *whole([60], [61], [62], [63]), done()])
        asked = []
        for _ in range(100):
            asked.append(stage.wants_more)
            stage.step([])
    assert asked.count(True) == 1
    assert asked.index(True) == pytest.approx(SET_UP_S / 0.01, abs=2)
    stage = Stage(Sender(MemoryPort(), FakeTimer()), LiveManner())
    stage.step([Begun(WISH), *whole([60], [61], [62], [63]), done()])
    assert not any(stage.wants_more or not stage.step([]) for _ in range(50))


def test_what_goes_on_from_a_piece_begins_behind_it():
    _, port = perform((0.0, [Begun(WISH, 16.0), *bar(0, 60, origin_s=16.0), *bar(1, 61, origin_s=16.0), done(10), Over()]))
    first, second = notes(port.sent)[:2]
    assert first[0] == pytest.approx(SET_UP_S, abs=0.011)
    assert second[0] - first[0] == pytest.approx(2.0)


def test_instruments_have_channels_and_are_told_before_their_first_note():
    _, port = perform(
        (0.0, [Begun(WISH), NotesAdded((note(0.0, 60, 0), note(0.0, 36, -1), note(1.0, 40, 33))), BarDone(0, 1, 2.0), done(1), Over()])
    )
    assert {(channel, pitch) for _, channel, pitch, _ in notes(port.sent)} == {(0, 60), (9, 36), (1, 40)}
    programs = {data[0] & 15: (when, data[1]) for when, data in port.sent if data[0] & 0xF0 == 0xC0}
    assert {channel: number for channel, (_, number) in programs.items()} == {0: 0, 9: 0, 1: 33}
    assert all(when < SET_UP_S for when, _ in programs.values())


def test_the_clock_counts_the_pulses_of_the_metre_and_says_when_it_starts():
    wish = replace(WISH, options={"metre": "3/4"})
    _, port = perform((0.0, [Begun(wish), *bar(0, 60, n_bars=2), *bar(1, 61, n_bars=2), done(2), Over()]), manner=LiveManner(clock=True))
    real_time = [(at, data) for at, data in port.sent if data[0] >= 0xF0]
    zero = notes(port.sent)[0][0]
    assert real_time[0] == (zero, messages.START)
    pulses = [at for at, data in real_time if data == messages.CLOCK]
    assert pulses == pytest.approx([zero + i * BAR_S / 72 for i in range(144)])


def test_an_error_of_composing_is_told_and_the_port_is_silent():
    port = MemoryPort()
    with pytest.raises(UsageError, match="no such thing"):
        perform((0.0, [Begun(WISH), *whole([60], [61], [62], [63])]), (1.0, [Over(UsageError("no such thing"))]), port=port)
    assert notes(port.sent)
    assert not sounding(port.sent)


@pytest.mark.parametrize("fails_at", range(8))
def test_ctrl_c_leaves_nothing_sounding(fails_at):
    port = FailingPort(fails_at=fails_at)
    with pytest.raises(KeyboardInterrupt):
        perform((0.0, [Begun(WISH), *whole([60], [61], [62], [63]), done(), Over()]), port=port)
    assert not sounding(port.sent)


def test_the_composer_waits_to_be_asked_and_ends_when_it_is_left():
    made = []

    def compose(wish, cancelled):
        made.append(wish.seed)
        yield from whole([60])
        yield done(seed=wish.seed)

    found = []
    with Composer(WISH, LiveManner(endless=True), compose) as composer:
        while not any(isinstance(item, Done) for item in found):
            found += composer.news()
        assert made == [7]
        composer.go()
        while sum(isinstance(item, Done) for item in found) < 2:
            found += composer.news()
    assert made == [7, 8]
    assert [item.wish.seed for item in found if isinstance(item, Begun)] == [7, 8]
    assert "kapelle-composer" not in {thread.name for thread in threading.enumerate()}


def test_a_composer_that_is_left_in_the_middle_is_cancelled():
    begun = threading.Event()

    def compose(wish, cancelled):
        yield Progress(0.1)
        begun.set()
        while not cancelled():
            pass
        raise Interrupted("composing was cancelled")

    with Composer(WISH, LiveManner(), compose):
        assert begun.wait(5)
    assert "kapelle-composer" not in {thread.name for thread in threading.enumerate()}


def test_what_a_composer_cannot_do_crosses_to_who_plays():
    def compose(wish, cancelled):
        raise CannotObey("not this")
        yield

    with Composer(WISH, LiveManner(), compose) as composer:
        found = []
        while not any(isinstance(item, Over) for item in found):
            found += composer.news()
    assert isinstance(found[-1].error, KapelleError)


def test_the_next_piece_has_the_next_seed_or_goes_on_from_eight_bars():
    piece = done(20).piece
    assert following(WISH, piece, go_on=False) == Begun(replace(WISH, seed=8))
    wish = replace(WISH, options={"genre": "jazz", "key": "C major", "metre": "4/4"})
    begun = following(wish, piece, go_on=True)
    assert begun.wish.options == {"genre": "jazz"}
    assert units.n_bars(api.read_midi(begun.wish.prompt)) == 8
    assert begun.origin_s == 16.0


def test_going_on_without_endlessness_is_refused():
    with pytest.raises(UsageError, match="endless"):
        api.check_live(WISH, LiveManner(go_on=True))
