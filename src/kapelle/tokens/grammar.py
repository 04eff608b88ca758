"""Which token may follow which, so that every sequence decodes without a dropped note, in the length and metre asked for.

Takes the ids so far, one by one; gives a mask over the vocabulary for the next. What may follow is a table of kinds; five
values are followed beside it: the place in the bar (only forwards, inside the bar), the pitch (only upwards within one position
and program, so that no note stands twice), the countdown, the metre, and how far a note may sound (to the final bar line).

It also forbids, because no piece should have it: silence of two bars, an empty first or last bar, an endless bar.

It does not choose and does not know probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapelle.tokens.remi import RemiSpec, countdown_name
from kapelle.tokens.vocabulary import Mask, Vocabulary

FOLLOWS: dict[str, tuple[str, ...]] = {
    "Bar": ("TimeSig",),
    "TimeSig": ("BarsLeft",),
    "BarsLeft": ("Position", "Bar", "EOS"),
    "Position": ("Tempo", "Chord", "Program", "Pitch"),
    "Tempo": ("Chord", "Program", "Pitch"),
    "Chord": ("Program", "Pitch"),
    "Program": ("Pitch", "PitchDrum"),
    "Pitch": ("Velocity",),
    "PitchDrum": ("Velocity",),
    "Velocity": ("Duration",),
    "Duration": ("Program", "Pitch", "Position", "Bar", "EOS"),
    "EOS": (),
}
"""Kind -> kinds that may follow. Pitch follows only Program where there are programs; a kind that a vocabulary lacks drops out."""

MAX_BAR_TOKENS = 320
MAX_NOTES_AT_ONCE = 12

PATIENCE = 3
"""Bars that an instrument that has played may be silent without being missed."""

PUSH = 2.5
"""What every further bar of silence adds to the logit of its Program."""


@dataclass(frozen=True)
class Rules:
    """What one piece must obey.

    Args:
        n_bars: Bars in all.
        metre: As in the vocabulary: "4/4".
        pitches: (128,) true for the MIDI pitches allowed, or None.
        programs: Programs allowed (-1: drums), or empty for all.
    """

    n_bars: int
    metre: str = "4/4"
    pitches: tuple[bool, ...] | None = None
    programs: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Tables:
    """What the grammar needs of a vocabulary, computed once."""

    after: dict[str, Mask]
    kind: tuple[str, ...]
    number: NDArray[np.int64]  # value of Position, Pitch, PitchDrum, Program ids; 0 elsewhere
    beats: NDArray[np.float64]  # length of Duration ids
    positions: Mask
    pitches: Mask
    durations: Mask
    programs: Mask
    drums: Mask  # PitchDrum ids
    program_ids: dict[int, int]


@lru_cache(maxsize=8)
def _tables(words: Vocabulary) -> _Tables:
    has_programs = "Program" in words.kinds
    after = {}
    for kind, followers in FOLLOWS.items():
        allowed = [k for k in followers if not (k == "Pitch" and has_programs and kind != "Program")]
        after[kind] = words.mask(allowed)
    kinds = tuple(name.split("_", 1)[0] for name in words.names)
    numeric = ("Position", "Pitch", "PitchDrum", "Program")
    number = np.array([int(words.value(i)) if kinds[i] in numeric else 0 for i in range(len(words))])
    beats = np.array([_beats(words.value(i)) if kinds[i] == "Duration" else 0.0 for i in range(len(words))])
    program_ids = {int(words.value(int(i))): int(i) for i in words.ids("Program")}
    return _Tables(
        after,
        kinds,
        number,
        beats,
        positions=words.mask(["Position"]),
        pitches=words.mask(["Pitch", "PitchDrum"]),
        durations=words.mask(["Duration"]),
        programs=words.mask(["Program"]),
        drums=words.mask(["PitchDrum"]),
        program_ids=program_ids,
    )


def _beats(value: str) -> float:
    whole, part, resolution = (int(x) for x in value.split("."))
    return whole + part / resolution


@dataclass
class Grammar:
    """Follows one sequence. Feed every id to `accept`; `mask` says what may come next."""

    spec: RemiSpec
    words: Vocabulary
    rules: Rules
    bars: int = 0  # opened so far
    position: int = -1
    last_kind: str = ""
    _program: int = 0
    _pitches: dict[int, int] = field(default_factory=dict)  # highest pitch so far at this position, by program
    _heard: dict[int, int] = field(default_factory=dict)  # bar in which a program sounded last
    _at_once: int = 0
    _bar_tokens: int = 0
    _bar_notes: int = 0
    _metre: str = ""
    _sound_end: float = 0.0  # where the last sound ends, in quarter notes from the start of this bar; negative: in an earlier one
    _fixed: Mask = field(init=False)

    def __post_init__(self) -> None:
        self._fixed = np.ones(len(self.words), bool)
        if self.rules.pitches is not None:
            pitch_ids = self.words.ids("Pitch")
            allowed = np.array(self.rules.pitches)
            self._fixed[pitch_ids] = allowed[_tables(self.words).number[pitch_ids]]
        if self.rules.programs:
            for i in self.words.ids("Program"):
                self._fixed[i] = int(self.words.value(int(i))) in self.rules.programs

    @property
    def bars_left(self) -> int:
        """Bars not yet opened."""
        return self.rules.n_bars - self.bars

    @property
    def bar_is_full(self) -> bool:
        """The bar has as many tokens as a bar may have: it is closed after the next note, whatever the model wants."""
        return self._bar_tokens > MAX_BAR_TOKENS

    def forced(self) -> int | None:
        """The one id that can follow where there is no choice at all; None where there is one."""
        if not self.last_kind:
            return self.words["Bar_None"]
        if self.last_kind == "Bar":
            return self.words[f"TimeSig_{self.rules.metre}"]
        if self.last_kind == "TimeSig":
            return self.words[countdown_name(self.bars_left + 1)]
        return None

    def leanings(self) -> dict[int, float]:
        """What to add to the logits of the Programs of `rules.programs` that have been silent: id -> more, the longer the more.

        One that has not yet played is missed from the second bar on, one that has from the fifth bar of its silence on.
        """
        if len(self.rules.programs) < 2:
            return {}
        out, ids = {}, _tables(self.words).program_ids
        for program in self.rules.programs:
            silent = self.bars - 1 - self._heard.get(program, 0)
            missed = silent - PATIENCE if program in self._heard else silent
            if missed > 0 and program in ids:
                out[ids[program]] = PUSH * missed
        return out

    def mask(self) -> Mask:
        """(V,) the ids that may come next; at least one."""
        only = self.forced()
        if only is not None:
            out = np.zeros(len(self.words), bool)
            out[only] = True
            return out
        t = _tables(self.words)
        out = t.after[self.last_kind] & self._fixed
        self._limit_bar_lines(out)
        self._limit_values(out, t)
        return out

    def _limit_bar_lines(self, out: Mask) -> None:
        bar, eos = self.words["Bar_None"], self.words["EOS_None"]
        empty = self._bar_notes == 0
        too_quiet = self._bar_quarters() >= self._sound_end + 2 * self._bar_quarters()  # no onset of the next bar could come in time
        may_close = not (empty and (self.bars == 1 or self.bars_left <= 1 or too_quiet))
        out[bar] &= may_close and self.bars_left > 0
        out[eos] &= may_close and self.bars_left == 0
        if self.bar_is_full and self.last_kind == "Duration":
            out[:] = False
            out[bar if self.bars_left > 0 else eos] = True

    def _bar_quarters(self) -> float:
        """Length of a bar, in quarter notes."""
        above, below = (self._metre or self.rules.metre).split("/")
        return int(above) * 4 / int(below)

    def _quarters(self, position: Any) -> Any:
        """A place in the bar, in quarter notes."""
        return position / self.spec.bar_positions(self._metre or self.rules.metre) * self._bar_quarters()

    def _limit_values(self, out: Mask, t: _Tables) -> None:
        if self.last_kind in ("BarsLeft", "Duration"):
            latest = self._sound_end + 2 * self._bar_quarters()
            places = t.number[t.positions]
            inside = (places > self.position) & (places < self.spec.bar_positions(self.rules.metre))
            out[t.positions] &= inside & (self._quarters(places) < latest - 1e-9)
        if self.last_kind in ("Duration", "Position", "Tempo", "Chord"):
            if self._at_once >= MAX_NOTES_AT_ONCE:
                out[t.pitches | t.programs] = False
            for program, highest in self._pitches.items():  # a program that has sounded its highest pitch has nothing left here
                if program in t.program_ids and highest >= self._top(program, t):
                    out[t.program_ids[program]] = False
        if self.last_kind == "Program":
            out &= t.drums if self._program == -1 else ~t.drums
        out[t.pitches] &= t.number[t.pitches] > self._pitches.get(self._program, -1)
        if self.last_kind == "Velocity":
            left = self.bars_left * self._bar_quarters() + self._bar_quarters() - self._quarters(max(self.position, 0))
            out[t.durations] &= t.beats[t.durations] * self._quarters(self.spec.positions_per_beat) <= left + 1e-9

    def _top(self, program: int, t: _Tables) -> int:
        """The highest pitch that a program may sound."""
        ids = np.flatnonzero(t.pitches & self._fixed & (t.drums if program == -1 else ~t.drums))
        return int(t.number[ids].max(initial=-1))

    def accept(self, token: int) -> None:
        """Follow one id, chosen by the mask or given by a prompt."""
        t = _tables(self.words)
        kind = t.kind[token]
        if kind not in FOLLOWS:
            return  # controls, BOS, PAD: not part of the music
        self._bar_tokens += 1
        if kind == "Bar":
            if self.bars:
                self._sound_end -= self._bar_quarters()
                if self._sound_end <= -2 * self._bar_quarters():  # a prompt's silence, or its last note, is longer than any of ours
                    self._sound_end = -self._bar_quarters()
            self.bars += 1
            self.position, self._bar_tokens, self._bar_notes = -1, 0, 0
        elif kind == "TimeSig":
            self._metre = self.words.value(token)
        elif kind == "Position":
            self.position, self._at_once = int(t.number[token]), 0
            self._pitches.clear()
        elif kind == "Program":
            self._program = int(t.number[token])
        elif kind in ("Pitch", "PitchDrum"):
            self._pitches[self._program] = int(t.number[token])
            self._heard[self._program] = self.bars - 1
            self._at_once += 1
        elif kind == "Duration":
            self._bar_notes += 1
            end = self._quarters(max(self.position, 0)) + float(t.beats[token]) * self._quarters(self.spec.positions_per_beat)
            self._sound_end = max(self._sound_end, end)
        self.last_kind = kind
