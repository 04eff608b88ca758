"""The part of a piece that is measured, as columns: what the metrics of a piece take.

Takes a `symusic.Score` in ticks and a number of bars; gives an `Excerpt`. Reading a score once serves all metrics.

Conventions. An excerpt begins at tick 0 and has bars of the score's own metre, changes included. With `n_bars` it is as long as that
many bars, silence at the end included; notes that begin later are left out, and notes that go on longer end there, as when music is cut.
Without, it ends where the last note ends, drums too, and the bar that this falls into is the last. Notes are apart from drum hits, since a
drum's number is no pitch. The pedal lengthens nothing, loudness plays no part, nothing is quantised.

It measures nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kapelle.errors import UsageError
from kapelle.score import units

if TYPE_CHECKING:
    from symusic import Score

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Excerpt:
    """Notes, drum hits and bar lines, in ticks from the beginning.

    Args:
        onset: (N,) of the pitched notes of all tracks, ascending; notes of one onset by pitch.
        end: (N,) where they end.
        pitch: (N,) MIDI numbers, 0 to 127.
        hit: (K,) onsets of drums, ascending.
        hit_end: (K,) where they end, as written.
        lines: (bars + 1,) bar lines; [0] if there is nothing at all.
        length: Ticks from the beginning to the end: the last bar line with `n_bars`, else the end of the last note.
        tpq: Ticks a quarter note, 1 or more.
    """

    onset: Ints
    end: Ints
    pitch: Ints
    hit: Ints
    hit_end: Ints
    lines: Ints
    length: int
    tpq: int

    @property
    def n_bars(self) -> int:
        """Its bars; 0 if there is nothing."""
        return len(self.lines) - 1

    @cached_property
    def bar(self) -> Ints:
        """(N,) the bar, from 0, in which each note begins."""
        return self.bar_of(self.onset)

    def bar_of(self, ticks: Ints) -> Ints:
        """The bars, from 0, that `ticks` before the last bar line lie in."""
        out: Ints = np.searchsorted(self.lines, ticks, side="right") - 1
        return out


def excerpt(score: Score, n_bars: int | None = None) -> Excerpt:
    """The first `n_bars` of `score`, or all of it.

    Args:
        score: In ticks; it is not changed.
        n_bars: Bars, 1 or more; a shorter piece is taken to be silent up to there.

    Raises:
        UsageError: `n_bars` is below 1.
    """
    if n_bars is not None and n_bars < 1:
        raise UsageError("bars must be 1 or more, not {bars}", bars=n_bars)
    onset, end, pitch = _columns(score, drums=False)
    hit, hit_end, _ = _columns(score, drums=True)
    if n_bars is None:
        length = max(int(end.max(initial=0)), int(hit_end.max(initial=0)))
        lines = units.bar_starts(score, length)
    else:
        length = units.bars_to_ticks(score, n_bars)
        lines = units.bar_starts(score, length)
        held, struck = onset < length, hit < length
        onset, end, pitch = onset[held], np.minimum(end[held], length), pitch[held]
        hit, hit_end = hit[struck], np.minimum(hit_end[struck], length)
    return Excerpt(onset, end, pitch, hit, hit_end, lines, length, max(score.tpq, 1))


def _columns(score: Score, *, drums: bool) -> tuple[Ints, Ints, Ints]:
    """Onset, end and pitch of all notes of the drums, or of all others; a note lasts a tick at least."""
    parts = [track.notes.numpy() for track in score.tracks if track.is_drum == drums and len(track.notes)]
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    onset = np.maximum(np.concatenate([part["time"] for part in parts]).astype(np.int64), 0)
    lasts = np.maximum(np.concatenate([part["duration"] for part in parts]).astype(np.int64), 1)
    pitch = np.concatenate([part["pitch"] for part in parts]).astype(np.int64)
    order = np.lexsort((pitch, onset))
    onset = onset[order]
    return onset, onset + lasts[order], pitch[order]
