"""How many notes a piece has, how many pitches sound at once, and how much of it is silent.

Takes an `Excerpt`; gives one number each.

====================  =====================================================================================  ==========  ==================
function              what it is                                                                             drums       nothing to measure
====================  =====================================================================================  ==========  ==================
`polyphony`           pitches that sound at once, mean over the time in which any does; 1 on                 do not count  NaN
`polyphony_rate`      share of the time in which two pitches or more sound, 0-1                              do not count  NaN
`empty_beat_rate`     share of quarter notes in which nothing sounds, 0-1                                    count         NaN
`empty_bar_rate`      share of bars in which nothing sounds, 0-1                                             count         NaN
`notes_per_bar`       pitched notes over bars                                                                do not count  NaN
`hits_per_bar`        drum hits over bars                                                                    alone         NaN
====================  =====================================================================================  ==========  ==================

Conventions. A pitch that several tracks play sounds once. Time is counted in ticks, so resolution makes no difference. A note sounds from
its onset up to, not including, its end. Quarters are counted from the beginning, whatever the metre; the last may be begun only.
The time, quarters and bars are those of the excerpt: without `n_bars`, up to the end of the last note, drums included. Drums count where
silence is asked about: a drum break is not silent. There is nothing to measure in a score without notes, and, for `polyphony`, without
pitched notes.

Source: muspy 0.5; Dong et al. 2018, "MuseGAN", AAAI.

Known differences.

1. From muspy and pypianoroll: what they describe as "multiple pitches" is counted there from three on; here from two on, as described.
   `polyphony_rate(notes, at_least=3)` is their figure.
2. From muspy: it takes a quarter, or bar, to be played if a note ends where it begins, and appends one after the last; so a piece of
   notes with rests between has fewer empty ones there. Where no note ends on a beat, the rates are equal. A score without tracks is NaN
   here and a ValueError there.
3. From muspy: its bars are of one metre; here they are the score's.
4. From pypianoroll: what it calls the empty-beat rate is the share of beats that are not empty.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kapelle.metrics.excerpt import Excerpt

Ints = NDArray[np.int64]


def polyphony(notes: Excerpt) -> float:
    """Pitches that sound at once, mean over the time in which at least one does, 1 to 128."""
    counts, ticks = _sounding(notes)
    sounds = int(ticks[counts > 0].sum())
    return float((counts * ticks).sum() / sounds) if sounds else float("nan")


def polyphony_rate(notes: Excerpt, at_least: int = 2) -> float:
    """Share of the time in which at least `at_least` pitches sound, 0 to 1.

    Args:
        notes: Of a piece.
        at_least: Pitches, 1 or more.
    """
    counts, ticks = _sounding(notes)
    return float(ticks[counts >= at_least].sum() / notes.length) if _any(notes) else float("nan")


def empty_beat_rate(notes: Excerpt) -> float:
    """Share of quarter notes in which nothing sounds, 0 to 1; drums count."""
    n_beats = -(-notes.length // notes.tpq)
    return _empty(notes, np.arange(n_beats + 1, dtype=np.int64) * notes.tpq) if _any(notes) else float("nan")


def empty_bar_rate(notes: Excerpt) -> float:
    """Share of bars in which nothing sounds, 0 to 1; drums count."""
    return _empty(notes, notes.lines) if _any(notes) else float("nan")


def notes_per_bar(notes: Excerpt) -> float:
    """Pitched notes over bars."""
    return len(notes.onset) / notes.n_bars if _any(notes) else float("nan")


def hits_per_bar(notes: Excerpt) -> float:
    """Drum hits over bars."""
    return len(notes.hit) / notes.n_bars if _any(notes) else float("nan")


def _any(notes: Excerpt) -> bool:
    return bool(len(notes.onset) or len(notes.hit))


def _sounding(notes: Excerpt) -> tuple[Ints, Ints]:
    """(K,) how many different pitches sound in a stretch, and (K,) how many ticks it lasts; stretches follow one another."""
    if not len(notes.onset):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    apart = max(int(notes.end.max()), 1) + 1  # pitches laid one behind another, so that one pass joins what overlaps in each
    begin, end = notes.pitch * apart + notes.onset, notes.pitch * apart + notes.end
    order = np.argsort(begin, kind="stable")
    begin, reached = begin[order], np.maximum.accumulate(end[order])
    fresh = np.append(True, begin[1:] >= reached[:-1])
    begins, ends = begin[fresh] % apart, reached[np.append(fresh[1:], True)] % apart
    moments = np.concatenate([begins, ends])
    changes = np.repeat(np.array([1, -1]), len(begins))
    order = np.argsort(moments, kind="stable")
    counts = np.cumsum(changes[order])[:-1]
    return counts, np.diff(moments[order])


def _empty(notes: Excerpt, lines: Ints) -> float:
    """Share of the stretches between `lines` in which neither note nor hit sounds."""
    begin, end = np.concatenate([notes.onset, notes.hit]), np.concatenate([notes.end, notes.hit_end])
    first = np.searchsorted(lines, begin, side="right") - 1
    last = np.searchsorted(lines, end, side="left")
    n = len(lines) - 1
    changes = np.bincount(first, minlength=n + 1) - np.bincount(last, minlength=n + 1)
    return float((np.cumsum(changes)[:n] == 0).mean())
