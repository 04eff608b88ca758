"""Where things stand in a piano roll: systems, scales and lines, in pixels. Draws nothing.

Takes a `symusic.Score` and a width; gives a `Layout`. All systems share one scale of time and one range of pitches; a piece is cut
into systems at bar lines, of equal numbers of bars where that is possible, in multiples of four where there are enough.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from kapelle.score import units
from kapelle.score.units import IntArray

if TYPE_CHECKING:
    from symusic import Score

TARGET_QUARTER_PX = 26.0
MAX_SYSTEMS = 10
MAX_SYSTEMS_ASKED = 100
PICTURE_PX = 2600.0  # what all panels together may be high, if their rows are not yet at their smallest
SMALLEST_ROW_PX, LARGEST_ROW_PX = 3.2, 9.0
TALLEST_PANEL_PX = 560.0
SMALLEST_BEAT_PX = 13.0
SMALLEST_BAR_PX = 4.0
LEAST_PITCHES = 25
EMPTY_PITCHES = (48, 72)
EMPTY_BARS = 4


@dataclass(frozen=True)
class System:
    """One row of the picture: ticks `start` to `end`, with its panel's top edge and width in pixels."""

    start: int
    end: int
    first_bar: int
    top: float
    width: float
    time: str


@dataclass(frozen=True, eq=False)
class Layout:
    """The measures of a whole picture, in pixels if nothing else is said."""

    LEFT: ClassVar[float] = 76.0
    RIGHT: ClassVar[float] = 24.0
    KEYBOARD_PX: ClassVar[float] = 20.0
    NUMBERS_PX: ClassVar[float] = 20.0
    MARK_PX: ClassVar[float] = 16.0
    LANE_GAP_PX: ClassVar[float] = 6.0
    SYSTEM_GAP_PX: ClassVar[float] = 18.0

    width: float
    height: float
    low: int  # lowest pitch shown
    high: int
    row: float  # height of one pitch
    px_per_tick: float
    tpq: int
    n_drum_rows: int
    marked: bool
    bars: IntArray  # all bar lines, in ticks
    beats: IntArray
    new_metres: dict[int, str]  # bar (from 0) to metre, where one begins
    number_step: int
    systems: list[System] = field(default_factory=list)
    drum_row: ClassVar[float] = 10.0

    @property
    def left(self) -> float:
        """Where the panels begin."""
        return self.LEFT

    @property
    def pitch_height(self) -> float:
        """Height of the panel of pitches."""
        return (self.high - self.low + 1) * self.row

    @property
    def drum_height(self) -> float:
        """Height of the drum lane, 0 without drums."""
        return self.n_drum_rows * self.drum_row

    @property
    def panel_height(self) -> float:
        """Height of a system from its top edge: pitches, gap and drum lane."""
        return self.pitch_height + (self.LANE_GAP_PX + self.drum_height if self.n_drum_rows else 0.0)

    @property
    def px_per_quarter(self) -> float:
        """Width of a quarter note."""
        return self.px_per_tick * self.tpq

    @property
    def gap(self) -> float:
        """Space between neighbouring notes."""
        return 1.0 if self.row >= 5 else 0.5

    def x_of(self, system: System, tick: float) -> float:
        """Where a tick lies within its system."""
        return self.left + (tick - system.start) * self.px_per_tick

    def y_of(self, system: System, pitch: int) -> float:
        """The top edge of the row of a pitch."""
        return system.top + (self.high - pitch) * self.row

    def drum_top(self, system: System) -> float:
        """The top edge of the drum lane."""
        return system.top + self.pitch_height + self.LANE_GAP_PX

    def bar_lines(self, system: System) -> list[tuple[int, float]]:
        """(bar from 0, x) of the lines of a system, its closing line included; only some where they would stand too close."""
        first, last = np.searchsorted(self.bars, [system.start, system.end])
        found = range(int(first), int(last) + 1)
        close = (self.bars[last] - self.bars[first]) * self.px_per_tick / max(len(found) - 1, 1)
        step = max(1, int(np.ceil(SMALLEST_BAR_PX / max(close, 1e-9))))
        kept = [bar for bar in found if (bar - found[0]) % step == 0 or bar == found[-1]]
        return [(bar, self.x_of(system, int(self.bars[bar]))) for bar in kept if bar < len(self.bars)]

    def beat_lines(self, system: System) -> list[float]:
        """x of the beats of a system that are no bar lines; none where they would stand too close."""
        first, last = np.searchsorted(self.beats, [system.start, system.end])
        inside = np.setdiff1d(self.beats[first:last], self.bars)
        if not len(inside) or (system.end - system.start) * self.px_per_tick / (last - first) < SMALLEST_BEAT_PX:
            return []
        return [self.x_of(system, tick) for tick in inside.tolist()]


def lay_out(score: Score, *, width: float, top: float, bars_per_system: int, n_drum_rows: int, marked: bool) -> Layout:
    """The layout of `score` in a picture `width` pixels wide, whose systems begin at `top`; `bars_per_system` 0 for what fits."""
    tpq = max(score.tpq, 1)
    end = units.end_ticks(score) or EMPTY_BARS * units.bar_length_ticks(score)
    bars = units.bar_starts(score, end)
    cuts = _cuts(bars, tpq, width - Layout.LEFT - Layout.RIGHT, bars_per_system)
    spans = np.diff(bars[cuts])
    low, high = _range(score)
    n_systems = len(spans)
    px_per_tick = (width - Layout.LEFT - Layout.RIGHT) / float(spans.max())
    n_pitches = high - low + 1
    row = min(LARGEST_ROW_PX, TALLEST_PANEL_PX / n_pitches, PICTURE_PX / (n_pitches * n_systems))
    row = max(row, SMALLEST_ROW_PX)
    head = Layout.NUMBERS_PX + (Layout.MARK_PX if marked else 0.0)
    bar_px = float(np.median(np.diff(bars))) * px_per_tick
    number_step = next((step for step in (1, 2, 4, 8, 16, 32, 64, 128) if step * bar_px >= 34.0), 256)
    layout = Layout(
        width,
        0.0,
        low,
        high,
        row,
        px_per_tick,
        tpq,
        n_drum_rows,
        marked,
        bars,
        units.beat_starts(score, end),
        _new_metres(score, bars),
        number_step,
    )
    seconds = units.ticks_to_seconds(score, bars[cuts])
    step_px = head + layout.panel_height + Layout.SYSTEM_GAP_PX
    for i, span in enumerate(spans.tolist()):
        time = _clock(seconds[i])
        start = int(bars[cuts[i]])
        layout.systems.append(System(start, start + span, int(cuts[i]), top + head + i * step_px, span * px_per_tick, time))
    height = top + n_systems * step_px + 6.0
    object.__setattr__(layout, "height", height)
    return layout


def _cuts(bars: IntArray, tpq: int, width: float, bars_per_system: int) -> IntArray:
    """Indexes into `bars` of the lines at which systems begin and the last one ends."""
    n_bars = len(bars) - 1
    quarters = float(bars[-1]) / tpq
    n_systems = float(np.clip(quarters * TARGET_QUARTER_PX / width, 1.0, MAX_SYSTEMS))
    per_system = bars_per_system or (n_bars if n_systems == 1.0 else _even(n_bars, n_bars / n_systems))
    per_system = max(per_system, -(-n_bars // MAX_SYSTEMS_ASKED))
    return np.append(np.arange(0, n_bars, per_system), n_bars)


def _even(n_bars: int, target: float) -> int:
    """Bars per system near `target`, such that the last system is well filled; multiples of four are liked better."""
    candidates = range(max(int(0.7 * target), 1), max(int(np.ceil(1.35 * target)), 1) + 1)

    def cost(bars: int) -> float:
        last = (n_bars - 1) % bars + 1
        return (1.0 - last / bars) + abs(bars / target - 1.0) + (0.0 if bars % 4 == 0 else 0.15 if bars % 2 == 0 else 0.25)

    return min(candidates, key=cost)


def _range(score: Score) -> tuple[int, int]:
    """Lowest and highest pitch shown: what is played and a little more, at least two octaves."""
    found = [track.notes.numpy()["pitch"] for track in score.tracks if len(track.notes) and not track.is_drum]
    if not found:
        return EMPTY_PITCHES
    low = max(min(int(pitch.min()) for pitch in found) - 2, 0)
    high = min(max(int(pitch.max()) for pitch in found) + 2, 127)
    missing = max(LEAST_PITCHES - (high - low + 1), 0)
    low = max(low - missing // 2, 0)
    high = min(max(high, low + LEAST_PITCHES - 1), 127)
    return min(low, high - LEAST_PITCHES + 1), high


def _new_metres(score: Score, bars: IntArray) -> dict[int, str]:
    metres = units.metre_map(score)
    rows = zip(metres.ticks.tolist(), metres.numerators.tolist(), metres.denominators.tolist(), strict=True)
    return {int(np.searchsorted(bars, tick)): f"{numerator}/{denominator}" for tick, numerator, denominator in rows}


def _clock(seconds: float) -> str:
    whole = round(float(seconds))
    return f"{whole // 60}:{whole % 60:02}"
