"""Music that sounds while it is composed: `live`.

Takes a request and a port; a thread composes, and the caller's thread sends, on time, what is composed so far. Only bars that are complete
are sent. It begins when a few seconds of music are there; if composing falls behind, the music stands still until there are as many again;
if a piece is given up, what sounds is ended and the new attempt begins. It keeps nothing: `each` gets every piece that is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kapelle import composing
from kapelle.api import requests
from kapelle.api.composer import Begun, Composer, Item, Over
from kapelle.api.offers import offer, offers
from kapelle.api.playing import SET_UP_S, TELL_S, LiveManner, Moment, Played, Told, bar_at, opened
from kapelle.composing.events import BarDone, Done, NotesAdded, Restarted
from kapelle.composing.piece import Piece
from kapelle.composing.request import ComposeRequest
from kapelle.errors import CannotObey, UsageError
from kapelle.ports import messages
from kapelle.ports.channels import Channels
from kapelle.ports.sender import Sender, SystemTimer, Timer
from kapelle.score import units

if TYPE_CHECKING:
    from kapelle.composing.events import Note
    from kapelle.ports.port import Port

POLL_S = 0.01
"""Between two looks at what was composed."""

_NOBODY = -1
"""Owner of messages that stay in the queue when a piece is given up."""

_SAME_S = 0.05
"""Bar lines that are nearer than this are one: a file rounds its tempo, and what is told while composing does not."""

_LATE_S = 0.02
"""Composing that is later than so much is heard."""


USUAL = LiveManner()
"""One piece, soon, without a clock."""


def live(
    wish: ComposeRequest,
    port: str | Port,
    manner: LiveManner = USUAL,
    *,
    told: Told = lambda moment: None,
    each: Callable[[Piece], None] = lambda piece: None,
    timer: Timer | None = None,
) -> Played:
    """Compose, and play into a port what is composed so far; tell how that went. Whatever ends it, the port is silent afterwards.

    Args:
        wish: What to compose; `kapelle.api.request` makes one.
        port: Name of the port, or a part of it; or a port that is open.
        manner: When to begin, and whether to end.
        told: Called ten times a second with where the music is.
        each: Called with every piece that is done, while it sounds.
        timer: The clock; the machine's if left out.

    Raises:
        UsageError, CannotObey: What is asked is beyond the model, or several ports have the name.
        Missing: No such port; or the extra `midi` is not installed.
        KeyboardInterrupt: Ctrl-C, unless it is endless: then Ctrl-C is the end.
    """
    check_live(wish, manner)
    wish = _with_a_metre(wish) if manner.clock else wish
    with opened(port) as out:
        composer = Composer(wish, manner)
        with composer, Sender(out, timer or SystemTimer()) as sender:  # silence first, then the composer's end
            stage = Stage(sender, manner, told, each)
            interrupted = False
            try:
                while stage.step(composer.news()):
                    if stage.wants_more:
                        composer.go()
            except KeyboardInterrupt:
                if not manner.endless:
                    raise
                interrupted = True
            finally:
                if manner.clock:
                    sender.send_now([messages.STOP])
        return replace(stage.played(), interrupted=interrupted)


def check_live(wish: ComposeRequest, manner: LiveManner) -> None:
    """Refuse beforehand what `live` could do for the first piece alone.

    Raises:
        UsageError: Going on is asked for, and endlessness is not.
        CannotObey: The model cannot go on from a piece.
    """
    if manner.go_on and not manner.endless:
        raise UsageError("--go-on says how endless music goes on", hint="add --endless")
    if manner.go_on and not _can_go_on(wish.model):
        raise CannotObey("{model} cannot go on from a piece", model=wish.model, hint="leave out --go-on, or take the model genre")


def _can_go_on(model: str) -> bool:
    """Whether a model continues what it is given: an installed one says so itself, one in a folder does if it speaks REMI."""
    if any(one.name == model for one in offers()):
        return "extend" in offer(model).verbs
    return requests.bundle(model).manifest.codec == "remi"


def _with_a_metre(wish: ComposeRequest) -> ComposeRequest:
    """The request with a metre said beforehand: pulses must be counted before the piece is known."""
    names = composing.way_of(requests.bundle(wish.model).manifest.codec, wish.model).Options.__dataclass_fields__
    return replace(wish, options={"metre": "4/4", **wish.options}) if "metre" in names else wish


@dataclass
class _Part:
    """A piece on the stage.

    Args:
        number: From 0.
        wish: Its request.
        origin_s: The second of its own time with which it begins.
        zero_s: The clock's time of its second 0; None as long as it has none.
        known_s: Up to here it is composed.
        sent_s: Up to here its notes are in the queue.
    """

    number: int
    wish: ComposeRequest
    origin_s: float
    zero_s: float | None = None
    known_s: float = 0.0
    sent_s: float = 0.0
    done: bool = False
    n_bars: int = 0
    lines_s: list[float] = field(default_factory=list)
    staged: list[Note] = field(default_factory=list)

    def forget(self) -> None:
        """Everything of this attempt."""
        self.zero_s, self.done, self.n_bars = None, False, 0
        self.known_s = self.sent_s = self.origin_s
        self.lines_s = [self.origin_s]
        self.staged = []


class Stage:
    """Plays what a composer tells, in the thread of the caller.

    Args:
        sender: Where to.
        manner: When to begin.
        told: Called with where the music is.
        each: Called with every piece that is done.
    """

    def __init__(
        self, sender: Sender, manner: LiveManner, told: Told = lambda moment: None, each: Callable[[Piece], None] = lambda piece: None
    ) -> None:
        self.sender, self.manner, self._told, self._each = sender, manner, told, each
        self.waited_s, self.restarts = 0.0, 0
        self.seeds: list[int] = []
        self._channels = Channels()
        self._parts: list[_Part] = []  # the last two: what sounds, and what follows
        self._free_s: float | None = None  # where the next piece may begin, on the clock; None before the first
        self._began_s: float | None = None
        self._over = False
        self._asked = 1
        self._tell_s = 0.0
        self._waiting_since: float | None = None

    @property
    def wants_more(self) -> bool:
        """Whether the next piece may be composed now: true once for every piece, when the former has begun to sound."""
        part = self._parts[-1] if self._parts else None
        if not self.manner.endless or part is None or part.zero_s is None or part.number + 1 < self._asked:
            return False
        if self.sender.now() < part.zero_s + part.origin_s:
            return False
        self._asked += 1
        return True

    def step(self, news: Iterable[Item]) -> bool:
        """Take in what is new, send what is due in the next moment; False when all is over.

        Raises:
            KapelleError: Composing failed.
        """
        for item in news:
            self._take(item)
        now = self.sender.now()
        if self._over and (not self._parts or (self._free_s is not None and now >= self._free_s)):
            return False
        self._look_for_waiting(now)
        if now >= self._tell_s and self._parts:
            self._told(self._moment("waiting" if self._waiting_since is not None else "playing", now))
            self._tell_s = now + TELL_S
        until = now + POLL_S
        self.sender.run(min(until, self._free_s) if self._over and self._free_s is not None else until)
        return True

    def played(self) -> Played:
        """What was played so far."""
        seconds = 0.0 if self._began_s is None else max(0.0, self.sender.now() - self._began_s)
        return Played(
            self.sender.port.name,
            self.sender.n_notes,
            self.sender.n_messages,
            seconds,
            self.sender.lateness(),
            len(self.seeds),
            waited_s=self.waited_s,
            restarts=self.restarts,
            seeds=tuple(self.seeds),
            shared=self._channels.n_shared,
        )

    def _take(self, item: Item) -> None:
        if isinstance(item, Over):
            self._end(item.error)
        elif isinstance(item, Begun):
            part = _Part(self._parts[-1].number + 1 if self._parts else 0, item.wish, item.origin_s)
            part.forget()
            self._parts = [*self._parts[-1:], part]
            self.seeds.append(item.wish.seed)
        elif isinstance(item, NotesAdded):
            self._parts[-1].staged += item.notes
        elif isinstance(item, BarDone):
            part = self._parts[-1]
            part.known_s, part.n_bars = item.end_s, item.n_bars
            part.lines_s.append(item.end_s)
            self._release(part)
        elif isinstance(item, Restarted):
            self._again(self._parts[-1])
        elif isinstance(item, Done):
            self._finish(self._parts[-1], item.piece)

    def _end(self, error: BaseException | None) -> None:
        self._over = True
        if error is not None:
            raise error

    def _finish(self, part: _Part, piece: Piece) -> None:
        """All of a piece is known: its end, and notes that no bar line followed."""
        part.done = True
        last = max((note.start_s for note in part.staged), default=0.0)
        end_s = float(units.tempo_map(piece.score).to_seconds(piece.end_ticks))
        part.known_s = max(end_s, part.known_s, last + 1e-6)
        if part.known_s > part.lines_s[-1] + _SAME_S:
            part.lines_s.append(part.known_s)
        self._release(part)
        if part.zero_s is not None:
            self._free_s = part.zero_s + part.known_s
        self._each(piece)

    def _release(self, part: _Part) -> None:
        """Put the notes of complete bars into the queue, when the piece has begun or may begin."""
        now = self.sender.now()
        enough = part.done or part.known_s - part.sent_s >= self.manner.lead_s
        if part.zero_s is None:
            if not enough:
                return
            self._place(part, now)
        assert part.zero_s is not None
        late_s = now + _LATE_S - (part.zero_s + part.sent_s)
        if part.sent_s > part.origin_s and late_s > 0:
            if not enough:
                return
            part.zero_s += late_s
            self.waited_s += late_s
        self._waiting_since = None
        if self.manner.clock:
            self._pulse(part)
        self._queue([note for note in part.staged if note.start_s < part.known_s], part, now)
        part.staged = [note for note in part.staged if note.start_s >= part.known_s]
        part.sent_s = part.known_s

    def _place(self, part: _Part, now: float) -> None:
        """Say when a piece begins: where the former ends, or soon if that is over or there is none."""
        soon = now + SET_UP_S
        begin_s = soon if self._free_s is None else max(soon, self._free_s)
        if self._free_s is not None:
            self.waited_s += begin_s - self._free_s
        if self.manner.clock and begin_s != self._free_s:
            self.sender.put(begin_s, messages.START, part.number)
        if self._began_s is None:
            self._began_s = begin_s
        part.zero_s = begin_s - part.origin_s

    def _queue(self, notes: list[Note], part: _Part, now: float) -> None:
        assert part.zero_s is not None
        for note in sorted(notes, key=lambda one: (one.start_s, one.pitch)):
            start, end = part.zero_s + note.start_s, part.zero_s + note.start_s + max(note.duration_s, 0.001)
            seat = self._channels.seat(note.program, start, end)
            for message in seat.before:  # as early as can be; also if the piece is given up, for so it is remembered
                self.sender.put(min(now, start) if seat.fresh else start, message, _NOBODY)
            self.sender.put(start, messages.note_on(seat.channel, note.pitch, note.velocity), part.number)
            self.sender.put(end, messages.note_off(seat.channel, note.pitch), part.number)

    def _pulse(self, part: _Part) -> None:
        """Put the pulses of the bars that are to be sent into the queue, evenly in each."""
        assert part.zero_s is not None
        above, below = (int(text) for text in str(part.wish.options.get("metre") or "4/4").split("/"))
        n_pulses = max(1, messages.PULSES_PER_QUARTER * 4 * above // below)
        for first, last in zip(part.lines_s, part.lines_s[1:], strict=False):
            if first >= part.sent_s:
                for pulse in range(n_pulses):
                    self.sender.put(part.zero_s + first + (last - first) * pulse / n_pulses, messages.CLOCK, part.number)

    def _again(self, part: _Part) -> None:
        """The piece is given up: what sounds of it ends, what was to follow is forgotten."""
        now = self.sender.now()
        sounding = part.zero_s is not None and now >= part.zero_s + part.origin_s
        self.sender.drop(part.number)
        if sounding:
            self.restarts += 1
            self.sender.hush()
            self._channels = Channels(self._channels.n_shared)  # controllers are back: instruments are told anew
            if self.manner.clock:
                self.sender.send_now([messages.STOP])
            self._free_s = None
            self._told(self._moment("again", now))
        part.forget()
        self._waiting_since = None

    def _look_for_waiting(self, now: float) -> None:
        part = self._parts[-1] if self._parts else None
        if part is None or part.done or self._waiting_since is not None:
            return
        dry_s = self._free_s if part.zero_s is None else part.zero_s + part.sent_s
        if dry_s is None or now >= dry_s:
            self._waiting_since = now

    def _moment(self, state: str, now: float) -> Moment:
        """Where the music is: in the last piece that has begun, or before the first."""
        begun = [part for part in self._parts if part.zero_s is not None and now >= part.zero_s + part.origin_s]
        part = begun[-1] if begun else self._parts[0]
        at = 0.0 if part.zero_s is None else max(0.0, min(now - part.zero_s, part.sent_s) - part.origin_s)
        lines = [line - part.origin_s for line in part.lines_s]
        return Moment(state, bar_at(lines, at), part.n_bars, at, part.known_s - part.origin_s, part.number, part.wish.seed)
