"""Which id may follow which in a piece on a theme, so that every sequence decodes whole, in the bars and with the returns asked for.

Takes the ids so far, one by one; gives a mask over the vocabulary for the next. A piece is ``[Theme_Start] Bar ... Phrase_End``: no music
holds Phrase_End, so it is free to say that the piece is over. What is kept by masks alone:

- Theme_Start, then Bar; Theme_End after the last event of the last bar of a region; a theme of several phrases is several regions, one
  right after the other. Regions have exactly the bars of their phrase, and begin where the plan says.
- A Position holds one note or more, and positions ascend. At one position the melody comes first, one note at most; a melody note
  may begin only where the one before has ended: nothing is cut afterwards. Then the piano, its pitches descending, a bounded number.
- A note is On, Duration, Velocity of one track, and ends at the final bar line at the latest.
- The first bar and the last have notes, and no two bars in a row have none. A bar that grows too long is closed after its next note.
- Where a cadence is asked for, the last bar holds and lets in only its pitch classes, nothing begins after the third beat, and
  something rings to the final bar line.
- The tempo stands once: after the first Position of the first bar. Padding and BRIDGE never come.

It does not choose, knows no probabilities, and never runs into a place from which nothing may follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from kapelle.errors import UsageError
from kapelle.tokens.theme_words import MAX_DURATION, MAX_VELOCITY, MELODY, PIANO, STEPS, Layout, layout, tempo_id
from kapelle.tokens.vocabulary import Mask, Vocabulary

MAX_BAR_TOKENS = 160
"""A bar of the published data has 110 ids at most."""

MAX_REGION_TOKENS = 448
"""The bars of one region share so many: labels count its ids, and a network knows 512 labels."""

MAX_PHRASE_BARS = 8

LAST_ONSET = 8  # step: the third beat, after which nothing begins in a last bar with a cadence

LONGEST_GAP = 16  # bars


@dataclass(frozen=True)
class Plan:
    """What one piece is going to be.

    Args:
        n_bars: Bars in all, 1 or more.
        starts: Bars in which the theme begins, ascending, from 0; empty: nowhere; None: where the model likes.
        phrases: Bars of each phrase of the theme, 1 to 8; each is a region of its own.
        first: Where the model is free: the bar in which the theme begins first; None: that too is free.
        longest_gap: Where the model is free: after so many bars without it the theme comes back, if there is room; it always comes back
            once if there is.
        bpm: Of the Tempo that is written; None: none is.
        pitch_classes: Those allowed; empty: all.
        closing: Those allowed in the last bar, which then closes as a cadence; empty: it is a bar like the others.
        pitch_low: The lowest MIDI pitch.
        pitch_high: The highest.
        piano_notes: Most notes of the piano at one position.

    Raises:
        UsageError: Themes overlap, or begin or end outside the piece; there is no pitch to play.
    """

    n_bars: int
    starts: tuple[int, ...] | None = None
    phrases: tuple[int, ...] = (2,)
    first: int | None = 0
    longest_gap: int = LONGEST_GAP
    bpm: float | None = None
    pitch_classes: frozenset[int] = frozenset()
    closing: frozenset[int] = frozenset()
    pitch_low: int = 21
    pitch_high: int = 108
    piano_notes: int = 8

    @property
    def theme_bars(self) -> int:
        """Bars of the whole theme."""
        return sum(self.phrases)

    @property
    def themes(self) -> tuple[int, ...]:
        """The bars in which a theme is known to begin."""
        if self.starts is not None:
            return self.starts
        return () if self.first is None else (self.first,)

    def __post_init__(self) -> None:
        if self.n_bars < 1 or self.piano_notes < 1 or self.longest_gap < 0:
            raise UsageError("a piece has 1 bar or more and a piano that may play 1 note at once or more, not {n_bars} and {notes}",
                             n_bars=self.n_bars, notes=self.piano_notes)  # fmt: skip
        if not self.phrases or not all(1 <= bars <= MAX_PHRASE_BARS for bars in self.phrases):
            raise UsageError("the phrases of a theme have 1 to {most} bars, not {phrases}",
                             most=MAX_PHRASE_BARS, phrases=list(self.phrases))  # fmt: skip
        if self.starts is None and self.theme_bars > self.n_bars:
            raise UsageError("a theme of {theme} bars is longer than a piece of {n_bars}", theme=self.theme_bars, n_bars=self.n_bars)
        free = 0  # the first bar after the theme before
        for bar in self.themes:
            if bar < free:
                raise UsageError("the theme that begins in bar {bar} overlaps the one before, or bars are not in order", bar=bar + 1)
            free = bar + self.theme_bars
            if free > self.n_bars:
                raise UsageError("the theme that begins in bar {bar} ends in bar {end}, and the piece has {n_bars}",
                                 bar=bar + 1, end=free, n_bars=self.n_bars)  # fmt: skip
        if not _pitches(self, last=False).any() or not _pitches(self, last=True).any():
            raise UsageError("no pitch from {low} to {high} is allowed", low=self.pitch_low, high=self.pitch_high)


def _pitches(plan: Plan, *, last: bool) -> Mask:
    """(128,) the MIDI pitches that may sound in the last bar, or in the others.

    Where the last bar's pitch classes have nothing in common with those of the piece, they count alone.
    """
    pitches = np.arange(128)
    out = (pitches >= max(plan.pitch_low, 1)) & (pitches <= plan.pitch_high)
    every = np.isin(pitches % 12, list(plan.pitch_classes or range(12)))
    if last and plan.closing:
        closing = np.isin(pitches % 12, list(plan.closing))
        every = closing & every if (closing & every & out).any() else closing
    return out & every


@dataclass(frozen=True)
class _Tables:
    """What the grammar needs of a vocabulary, computed once."""

    where: Layout
    kind: tuple[str, ...]  # of every id; notes as On, Duration, Velocity; empty where an id is no music
    track: tuple[str, ...]
    number: tuple[int, ...]


@lru_cache(maxsize=4)
def _tables(words: Vocabulary) -> _Tables:
    kinds, tracks, numbers = [], [], []
    for name in words.names:
        kind, value = name.split("_", 1)
        part, track = kind.removeprefix("Note-").split("-") if kind.startswith("Note-") else (kind, "")
        if part == "Theme":
            part = name
        kinds.append("" if part in ("PAD", "Phrase") or track not in ("", MELODY, PIANO) else part)
        tracks.append(track)
        numbers.append(int(value) if value.isdecimal() else 0)
    return _Tables(layout(words), tuple(kinds), tuple(tracks), tuple(numbers))


@dataclass
class Grammar:
    """Follows one piece. Feed every id to `accept`; `mask` says what may come next.

    Args:
        words: A vocabulary of this codec.
        plan: What the piece is going to be.
        bar: The bar that is open, from 0; -1 before the first.
        region: Which phrase of the theme is open, from 0; None outside the theme.
        label: Of the id before, so that the next has one more inside the theme, 0 outside; Theme_Start always has 1, Theme_End 0.
        done: The piece is over: nothing follows.
    """

    words: Vocabulary
    plan: Plan
    bar: int = -1
    region: int | None = None
    done: bool = False
    _count: int = 0  # ids since Theme_Start, itself included; 0 outside
    _kind: str = ""  # of the id before
    _track: str = ""
    _pitch: int = 0  # of the note that is open
    _position: int = -1
    _next_phrase: int = 0
    _region_end: int = 0  # the bar after the open region
    _theme_end: int = 0  # the bar after the last theme that was heard whole
    _n_themes: int = 0
    _melody_end: int = 0  # where its last note ends, in steps from the beginning
    _lowest: int = 128  # pitch of the piano at this position
    _n_piano: int = 0  # at this position
    _n_notes: int = 0  # in this bar
    _was_empty: bool = True  # the bar before
    _bar_tokens: int = 0
    _rings: bool = False  # something sounds at the final bar line
    _tempo: int | None = None  # id still to be written
    _mask: Mask | None = None
    _t: _Tables = field(init=False)
    _body: Mask = field(init=False)
    _last: Mask = field(init=False)

    def __post_init__(self) -> None:
        self._t = _tables(self.words)
        self._body, self._last = _pitches(self.plan, last=False), _pitches(self.plan, last=True)
        self._tempo = None if self.plan.bpm is None else tempo_id(self.plan.bpm, self.words)

    @property
    def label(self) -> int:
        """The label of the next id, unless it is Theme_Start (1) or Theme_End (0): 0 outside the theme."""
        return self._count + 1 if self._count else 0

    def forced(self) -> int | None:
        """The one id that can follow where there is no choice at all; None where there is one."""
        mask = self.mask()
        return int(mask.argmax()) if np.count_nonzero(mask) == 1 else None

    def leanings(self) -> Mapping[int, float]:
        """Nothing is made likelier."""
        return {}

    def mask(self) -> Mask:
        """(V,) the ids that may come next; at least one."""
        if self._mask is None:
            self._mask = np.zeros(len(self.words), bool)
            self._allow(self._mask)
        return self._mask

    # --- what may follow ----------------------------------------------------------------------------------------------------------

    def _allow(self, out: Mask) -> None:
        where = self._t.where
        if self.done:
            out[where.end] = True
        elif self._kind == "Theme_Start":
            out[where.bar] = True
        elif self._kind in ("", "Theme_End"):
            self._allow_bar(out)
        elif self._kind == "Position" and self._tempo is not None:
            out[self._tempo] = True
        elif self._kind in ("Position", "Tempo"):
            self._allow_notes(out)
        elif self._kind == "On":
            self._allow_durations(out)
        elif self._kind == "Duration":
            first = where.velocity[self._track] + 1
            out[first : first + MAX_VELOCITY] = True
        else:  # Bar, or a whole note
            self._allow_events(out)

    def _allow_events(self, out: Mask) -> None:
        """After a note or a bar line: a note at the same position, a later position, the end of the bar."""
        may_close = self._may_close
        if may_close and self._bar_tokens >= self._budget:
            self._close(out)
            return
        if self._kind == "Velocity" and self._bar_tokens < self._budget:
            self._allow_piano(out)
        last = LAST_ONSET if self._in_cadence else STEPS - 1
        where = self._t.where
        out[where.position + self._position + 1 : where.position + last + 1] = True
        if may_close:
            self._close(out)

    def _allow_notes(self, out: Mask) -> None:
        if self._melody_end <= self._now:
            first = self._t.where.on[MELODY]
            out[first + 1 : first + 128] = self._pitches[1:]
        self._allow_piano(out)

    def _allow_piano(self, out: Mask) -> None:
        if self._n_piano < self.plan.piano_notes:
            first = self._t.where.on[PIANO]
            out[first + 1 : first + self._lowest] = self._pitches[1 : self._lowest]

    def _allow_durations(self, out: Mask) -> None:
        room = self.plan.n_bars * STEPS - self._now
        longest = min(MAX_DURATION, room)
        last_line = (self.plan.n_bars - 1) * STEPS
        if self.plan.closing and self._now < last_line and not self._last[self._pitch]:
            longest = min(longest, last_line - self._now)
        shortest = longest if self._must_ring else 1
        first = self._t.where.duration[self._track]
        out[first + shortest : first + longest + 1] = True

    def _close(self, out: Mask) -> None:
        """The end of the bar that is open."""
        if self.region is not None and self.bar + 1 >= self._region_end:
            out[self._t.where.theme_end] = True
        else:
            self._allow_bar(out)

    def _allow_bar(self, out: Mask) -> None:
        """What stands between two bars, Theme_End apart."""
        where, following = self._t.where, self.bar + 1
        if following >= self.plan.n_bars:
            out[where.end] = True
        elif self.region is not None:
            out[where.bar] = True
        elif self._next_phrase:
            out[where.theme_start] = True
        else:
            out[where.theme_start], out[where.bar] = self._may_return(following)

    def _may_return(self, bar: int) -> tuple[bool, bool]:
        """A theme may begin in this bar; none may."""
        plan = self.plan
        if plan.starts is not None:
            return bar in plan.starts, bar not in plan.starts
        if not self._n_themes and plan.first is not None:
            return bar == plan.first, bar != plan.first
        latest = plan.n_bars - plan.theme_bars
        deadline = self._theme_end + plan.longest_gap
        if self._n_themes < 2:  # the first time and the first return come even where the gap would let them out
            deadline = min(deadline, latest)
        return bar <= latest, not bar == deadline <= latest

    # --- where the piece is -------------------------------------------------------------------------------------------------------

    @property
    def _now(self) -> int:
        return self.bar * STEPS + self._position

    @property
    def _is_last(self) -> bool:
        return self.bar + 1 >= self.plan.n_bars

    @property
    def _in_cadence(self) -> bool:
        return bool(self.plan.closing) and self._is_last

    @property
    def _pitches(self) -> Mask:
        return self._last if self._is_last else self._body

    @property
    def _budget(self) -> int:
        """Ids after which the bar is closed."""
        if self.region is None:
            return MAX_BAR_TOKENS
        return min(MAX_BAR_TOKENS, MAX_REGION_TOKENS // self.plan.phrases[self.region])

    @property
    def _may_close(self) -> bool:
        if self._n_notes == 0:
            return not (self._was_empty or self._is_last)
        return not self._in_cadence or self._rings or self._position >= LAST_ONSET

    @property
    def _must_ring(self) -> bool:
        """The note that is open is the last that can sound at the final bar line."""
        return self._in_cadence and not self._rings and (self._position >= LAST_ONSET or self._bar_tokens >= self._budget)

    # --- following ----------------------------------------------------------------------------------------------------------------

    def accept(self, token: int) -> None:
        """Follow one id, chosen by the mask or given by someone else; one that is no music of this codec is passed over."""
        kind = self._t.kind[token]
        self._mask = None
        if token == self._t.where.end:
            self.done = True
        if not kind:
            return
        self._bar_tokens += 1
        if self._count:
            self._count += 1
        if kind == "Bar":
            self._was_empty = self._n_notes == 0
            self.bar += 1
            self._position, self._n_notes, self._bar_tokens = -1, 0, 1
        elif kind == "Position":
            self._position, self._lowest, self._n_piano = self._t.number[token], 128, 0
        elif kind == "Tempo":
            self._tempo = None
        elif kind in ("Theme_Start", "Theme_End"):
            self._accept_border(kind)
        else:
            self._accept_note(kind, self._t.track[token], self._t.number[token])
        self._kind = kind

    def _accept_border(self, kind: str) -> None:
        phrases = self.plan.phrases
        if kind == "Theme_Start":
            self.region, self._count = self._next_phrase, 1
            self._region_end = self.bar + 1 + phrases[self.region]
            return
        self._count, self.region, self._theme_end = 0, None, self.bar + 1
        self._next_phrase = (self._next_phrase + 1) % len(phrases)
        self._n_themes += self._next_phrase == 0

    def _accept_note(self, kind: str, track: str, number: int) -> None:
        self._track = track
        if kind == "On":
            self._pitch = number
            if track == PIANO:
                self._lowest, self._n_piano = number, self._n_piano + 1
        elif kind == "Duration":
            end = self._now + number
            self._rings = self._rings or end >= self.plan.n_bars * STEPS
            if track == MELODY:
                self._melody_end = max(self._melody_end, end)
        else:
            self._n_notes += 1
