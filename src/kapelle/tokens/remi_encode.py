"""The encoder behind `remi.encode`: the notes of a Score put on the grid of a RemiSpec and written as ids, without countdown.

Takes a Score whose metres all have a token, gives an array of ids. Everything is arrays: a piece becomes one table with a row of
up to four ids for every bar line, position, tempo, chord and note, and the table is sorted by time.

It does not refuse, merge or count bars down: `remi.encode` does.

The ids are those of miditok 3.1, id for id, because the shipped weights and every shard were made with it; tests hold the two
equal. What it does that one would not guess is therefore done here too:

1. The grid of a piece follows from the highest lower number among its metres: a beat of that metre has `RemiSpec.grid` ticks. A
   piece that does not open with a metre opens in 4/4, and that counts.
2. Times are rounded to that grid by symusic, half away from zero. Metre changes are cut down to it instead, then delayed to the
   next bar line; a change that is none, or that another one replaces at once, is dropped after the grid has been chosen.
3. Only if metres of several lower numbers are left are onsets rounded a second time, to the coarser grid of the metre in force,
   half to even. Otherwise a position is cut down: two onsets may then give the same Position twice.
4. A duration becomes the nearest that has a token, the longer at a tie, however much too long or short it was; so does a velocity.
5. Of notes with one onset and pitch in one program the shortest is kept, then the softest. At one onset programs stand in the
   order of their first track, even if that one is empty; notes ascend within them.
6. Tempi are the nearest of 32 in microseconds per quarter. A piece that does not open with a tempo opens in the one nearest to 120.

Known differences: a track whose notes are not in the order of time is encoded as if they were, where miditok gives wrong durations
or fails if metres of several lower numbers occur.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
import symusic
from numpy.typing import NDArray

from kapelle.tokens import remi_chords

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kapelle.tokens.remi import RemiSpec
    from kapelle.tokens.vocabulary import Vocabulary

Ints = NDArray[np.int64]
Notes = dict[str, Ints]  # time, duration, pitch, velocity: one array each

DRUMS = -1
DRUM_PITCHES = (27, 88)  # the percussion keys of General MIDI 2
NO_ID = -1  # a place in a row that holds no token
DEFAULT_METRE = (4, 4)
DEFAULT_BPM = 120.0


def durations(spec: RemiSpec) -> list[tuple[int, int, int]]:
    """All durations with a token, ascending: whole beats, steps of the next one, steps in a beat."""
    fine = [(beat, step, spec.positions_per_beat) for beat in range(spec.fine_beats) for step in range(spec.positions_per_beat)]
    coarse = [(beat, step, spec.coarse_steps) for beat in range(spec.fine_beats, spec.max_beats) for step in range(spec.coarse_steps)]
    return [*fine[1:], *coarse, (max(spec.fine_beats, spec.max_beats), 0, spec.coarse_steps)]


def velocities(spec: RemiSpec) -> Ints:
    """All velocities with a token, ascending."""
    return np.linspace(0, 127, spec.velocities + 1).astype(np.int64)[1:]


def tempi() -> NDArray[np.float64]:
    """All tempi with a token, in bpm, ascending."""
    return np.linspace(40, 250, 32).round(2)


def nearest(table: NDArray[np.generic], values: NDArray[np.generic]) -> Ints:
    """The place in an ascending table of the entry nearest to each value, the later one at a tie."""
    above = np.searchsorted(table, values).clip(0, len(table) - 1)
    below = np.maximum(above - 1, 0)
    closer = np.abs(values - table[below]) < np.abs(values - table[above])
    return np.where(closer, below, above).astype(np.int64)


@dataclass(frozen=True)
class _Ids:
    """Where the tokens of every kind stand in a vocabulary."""

    words: Vocabulary
    spec: RemiSpec

    @cached_property
    def bar(self) -> int:
        return self.words["Bar_None"]

    @cached_property
    def position(self) -> int:
        return self.words["Position_0"]

    @cached_property
    def pitch(self) -> Ints:
        return self._table("Pitch", range(128))

    @cached_property
    def drum(self) -> Ints:
        return self._table("PitchDrum", range(128))

    @cached_property
    def velocity(self) -> Ints:
        return self._table("Velocity", velocities(self.spec))

    @cached_property
    def duration(self) -> Ints:
        return self._table("Duration", (".".join(map(str, parts)) for parts in durations(self.spec)))

    @cached_property
    def tempo(self) -> Ints:
        return self._table("Tempo", tempi())

    @cached_property
    def program(self) -> Ints:
        """By program, drums last, where -1 finds them."""
        return self._table("Program", [*range(128), DRUMS])

    @cached_property
    def chord(self) -> Ints:
        return self._table("Chord", remi_chords.SHAPES)

    def metre(self, above: int, below: int) -> int:
        return self.words[f"TimeSig_{above}/{below}"]

    def _table(self, kind: str, values: Iterable[object]) -> Ints:
        """The ids of values; NO_ID for a pitch that has no token."""
        return np.array([self.words[name] if (name := f"{kind}_{value}") in self.words else NO_ID for value in values], np.int64)


@lru_cache(maxsize=4)
def _ids(spec: RemiSpec, words: Vocabulary) -> _Ids:
    return _Ids(words, spec)


class Metres:
    """The metres of a piece on its grid: from a tick to its bar, position and beat.

    Args:
        signs: (tick, upper number, lower number) on bar lines, the first at 0.
        tpq: Ticks per quarter.
        grid: Positions in a beat.
    """

    def __init__(self, signs: list[tuple[int, int, int]], tpq: int, grid: int) -> None:
        self.signs = signs
        self.time = np.array([time for time, _, _ in signs], np.int64)
        self.beat_ticks = np.array([tpq * 4 // below for _, _, below in signs], np.int64)
        self.bar_ticks = self.beat_ticks * np.array([above for _, above, _ in signs], np.int64)
        self.step_ticks = self.beat_ticks // grid
        self.bar = np.concatenate([[0], np.cumsum(np.diff(self.time) // self.bar_ticks[:-1])])

    def at(self, time: Ints) -> Ints:
        """The place of the metre in force."""
        return np.searchsorted(self.time, time, side="right") - 1

    def rounded(self, time: Ints) -> Ints:
        """Times on the grid of their own metre, where metres of several lower numbers occur; otherwise the times."""
        if len({below for _, _, below in self.signs}) == 1:
            return time
        place = self.at(time)
        start, step = self._grid_start[place], self.step_ticks[place]
        return (np.round((time - start) / step) * step + start).astype(np.int64)

    @cached_property
    def _grid_start(self) -> Ints:
        """Where the grid of every metre begins: metres in a row with one lower number share theirs."""
        first = np.r_[True, np.diff(self.beat_ticks) != 0]
        return self.time[np.maximum.accumulate(np.where(first, np.arange(len(self.signs)), 0))]

    def bars(self, until: int) -> tuple[Ints, Ints]:
        """(ticks, places of the metre) of all bar lines from 0 to `until`, itself included."""
        place = self.at(np.array([until]))[0]
        last = int(self.bar[place] + (until - self.time[place]) // self.bar_ticks[place])
        number = np.arange(last + 1)
        places = np.searchsorted(self.bar, number, side="right") - 1
        return self.time[places] + (number - self.bar[places]) * self.bar_ticks[places], places

    def positions(self, time: Ints) -> Ints:
        """The grid step in its bar of every time."""
        place = self.at(time)
        return (time - self.time[place]) % self.bar_ticks[place] // self.step_ticks[place]


def on_bar_lines(signs: list[tuple[int, int, int]], tpq: int) -> list[tuple[int, int, int]]:
    """Metre changes moved to the next bar line, without those that change nothing or are replaced at once.

    Args:
        signs: (tick, upper number, lower number), the first at 0.
        tpq: Ticks per quarter.
    """
    kept: list[tuple[int, int, int]] = []
    for time, above, below in signs:
        if not kept:
            kept.append((0, above, below))
            continue
        last_time, last_above, last_below = kept[-1]
        bar = last_above * (tpq * 4 // last_below)
        time = last_time - (-max(time - last_time, 0) // bar) * bar
        if time == last_time:
            kept.pop()
        if not kept or kept[-1][1:] != (above, below):
            kept.append((time, above, below))
    return kept


def encode(score: symusic.Score, spec: RemiSpec, words: Vocabulary) -> Ints:
    """The ids of a score whose metres all have a token, from its first bar to its last onset, without countdown.

    Without `spec.programs` all pitched tracks are one and drums are left out.

    Raises:
        UnknownName: The vocabulary is not that of the spec.
    """
    ids = _ids(spec, words)
    signs = [(sign.time, sign.numerator, sign.denominator) for sign in score.time_signatures]
    if not signs or signs[0][0] != 0:
        signs.insert(0, (0, *DEFAULT_METRE))
    tpq = _resolution(max(below for _, _, below in signs), spec.grid)
    if tpq != score.ticks_per_quarter:
        signs = [(int(time * (tpq / score.ticks_per_quarter)), above, below) for time, above, below in signs]
    metres = Metres(on_bar_lines(signs, tpq), tpq, spec.grid)
    parts, changes = _resampled(score, tpq, spec)
    blocks = [_tempo_block(changes, metres, ids)] if spec.tempos else []
    for program, notes in parts.items():
        blocks += _part_blocks(program, notes, metres, ids)
    return _written(blocks, metres, ids)


def _resolution(lowest: int, grid: int) -> int:
    """Ticks per quarter in which a step of the finest metre is one tick; more if that is no whole number."""
    while grid * lowest % 4:
        lowest *= 2
    return grid * lowest // 4


def _resampled(score: symusic.Score, tpq: int, spec: RemiSpec) -> tuple[dict[int, list[Notes]], Notes]:
    """The notes of every program, in the order of the programs' first tracks, and the tempi, all at `tpq`."""
    light = symusic.Score(score.ticks_per_quarter)  # without controllers, which would be resampled too
    programs = []
    for track in score.tracks:
        if spec.programs or not track.is_drum:
            programs.append((DRUMS if track.is_drum else track.program) if spec.programs else 0)
            bare = symusic.Track()
            bare.notes = track.notes
            light.tracks.append(bare)
    if spec.tempos:
        light.tempos = score.tempos
    if tpq != score.ticks_per_quarter:
        light = light.resample(tpq, min_dur=1)
    parts: dict[int, list[Notes]] = {program: [] for program in programs}
    for program, track in zip(programs, light.tracks, strict=True):
        if len(track.notes):
            parts[program].append(track.notes.numpy())
    return parts, light.tempos.numpy() if spec.tempos else {}


# A block is (times, rows): one row of four ids, NO_ID where there is none, at every time.
Block = tuple[Ints, Ints]


def _rows(time: Ints, *columns: Ints | int) -> Block:
    rows = np.full((len(time), 4), NO_ID, np.int64)
    for i, column in enumerate(columns):
        rows[:, i] = column
    return time, rows


def _tempo_block(changes: Notes, metres: Metres, ids: _Ids) -> Block:
    table = 60_000_000 / tempi()[::-1]
    time = metres.rounded(changes["time"].astype(np.int64))
    place = len(table) - 1 - nearest(table, changes["mspq"])
    last_at_tick = np.diff(time, append=-1) != 0
    time, place = time[last_at_tick], place[last_at_tick]
    changing = np.diff(place, prepend=-1) != 0
    time, place = time[changing], place[changing]
    if not len(time) or time[0] != 0:
        time, place = np.r_[0, time], np.r_[np.argmin(np.abs(tempi() - DEFAULT_BPM)), place]
    return _rows(time, ids.tempo[place])


def _part_blocks(program: int, tracks: list[Notes], metres: Metres, ids: _Ids) -> list[Block]:
    """The chords and the notes of one program."""
    if not tracks:
        return []
    spec = ids.spec
    time, pitch, velocity, duration, place = _quantised(program, tracks, metres, spec)
    opening = [ids.program[program]] if spec.programs else []
    blocks = []
    if spec.chords and program != DRUMS:
        beat = metres.beat_ticks[metres.at(time)]
        at, shape = remi_chords.found(time, time + duration, pitch, beat, spec.positions_per_beat)
        blocks.append(_rows(at, *opening, ids.chord[shape]))
    pitch_ids = ids.drum if program == DRUMS else ids.pitch
    blocks.append(_rows(time, *opening, pitch_ids[pitch], ids.velocity[velocity], ids.duration[place]))
    return blocks


def _quantised(program: int, tracks: list[Notes], metres: Metres, spec: RemiSpec) -> Ints:
    """(5, N) the notes of one program that have tokens, in order: onset, pitch, place of velocity, ticks and place of duration."""
    time, pitch, velocity, duration = (
        np.concatenate([track[key] for track in tracks]).astype(np.int64) for key in ("time", "pitch", "velocity", "duration")
    )
    low, high = DRUM_PITCHES if program == DRUMS else (spec.pitch_low, spec.pitch_high)
    kept = (pitch >= low) & (pitch <= high)
    time, pitch, velocity, duration = metres.rounded(time[kept]), pitch[kept], velocity[kept], duration[kept]
    beat, parts, place = metres.beat_ticks[metres.at(time)], np.array(durations(spec), np.int64), np.zeros_like(time)
    for ticks in set(beat.tolist()):
        table = (parts[:, 0] * parts[:, 2] + parts[:, 1]) * ticks // parts[:, 2]
        chosen = beat == ticks
        place[chosen] = nearest(table, duration[chosen])
        duration[chosen] = table[place[chosen]]
    notes = np.stack([time, pitch, nearest(velocities(spec), velocity), duration, place])
    notes = notes[:, np.lexsort((notes[2], duration, pitch, time))]
    return notes[:, (np.diff(notes[:2], prepend=-1) != 0).any(axis=0)]  # of equal onset and pitch the first


def _written(blocks: list[Block], metres: Metres, ids: _Ids) -> Ints:
    """The ids of all blocks in the order of time, with bar lines and positions before them."""
    onsets = np.unique(np.concatenate([np.zeros(0, np.int64), *(time for time, _ in blocks)]))
    lines, places = metres.bars(int(max(onsets[-1] if len(onsets) else 0, metres.time[-1])))
    metre_ids = np.array([ids.metre(above, below) for _, above, below in metres.signs], np.int64)
    everything = [_rows(lines, ids.bar, metre_ids[places]), _rows(onsets, ids.position + metres.positions(onsets)), *blocks]
    order = np.argsort(np.concatenate([time for time, _ in everything]), kind="stable")
    flat: Ints = np.concatenate([rows for _, rows in everything])[order].ravel()
    held: Ints = flat[flat != NO_ID]
    return held
