"""How alike the bars of a piece are in where notes begin.

Takes an `Excerpt`; gives one number each. A bar is a row of truth values, one for each step of a twelfth of a quarter note: true where
any note begins. Drums do not count unless `drums=True`.

====================================  ====================================================================  =======  =================
function                              what it is                                                            range    nothing to measure
====================================  ====================================================================  =======  =================
`groove_consistency`                  share of steps on which a bar agrees with the next, mean              0-1      NaN
`groove_consistency(corrected=True)`  what that is above chance, over what it could be above chance         up to 1  NaN
`groove_similarity`                   share of steps on which two bars agree, mean over all pairs           0-1      NaN
====================================  ====================================================================  =======  =================

Conventions. An onset goes to the nearest step, halves up, and over the bar line where that is nearest; in the last bar it stays on the last
step. Two bars are compared if they are equally long; a bar of another metre, or one cut short, is passed over. Bars are those of the
excerpt: without `n_bars`, up to the end of the last note. There is nothing to measure if no note begins, or no two bars can be compared.

**The value depends on the resolution**, because most steps are silent in both bars: the same two rhythms agree on 0.56 of the steps at 4 a
quarter, 0.93 at 24 and 0.996 at 480. Hence one resolution for all. `corrected` takes off what two bars with as many onsets in any places
would agree on: 0 is chance, 1 the same bar again, below 0 less than chance; it hardly depends on resolution.

Source: Wu and Yang 2020, "The Jazz Transformer on the front line", ISMIR (GS, over all pairs); muspy 0.5 (neighbouring bars). The
correction for chance is ours, in the manner of Cohen's kappa.

Known differences.

1. From muspy: it takes the score's resolution for steps; here there are 12 a quarter note, whatever the file's.
2. From muspy: it appends an empty bar to a piece that ends on a bar line, so that a rhythm repeated throughout gets less than 1, down to
   0.875 and below; here it gets 1.
3. From muspy: it counts drums always and knows one metre; here drums count on demand and bars are the score's.
4. From MusDr: it draws 1,000 pairs if there are more, and has 16 steps a bar; here all pairs are counted.
5. From `theme.grooving_consistency`: that one is over all pairs at 16 steps a bar, however long the bars are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kapelle.metrics.excerpt import Excerpt

STEPS_PER_QUARTER = 12

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def groove_consistency(notes: Excerpt, *, corrected: bool = False, drums: bool = False) -> float:
    """How far a bar's onsets are those of the bar before, 0 to 1; mean over neighbouring bars of equal length.

    Args:
        notes: Of a piece.
        corrected: For chance; then up to 1, 0 being what bars with as many onsets in any places have.
        drums: Count drums too.

    Returns:
        NaN without two neighbouring bars of one length, without an onset, or, corrected, where chance agrees on everything.
    """
    bars, sizes = onsets(notes, drums=drums)
    same = (sizes[1:] == sizes[:-1]) & (sizes[1:] > 0)
    if not same.any() or not bars.any():
        return float("nan")
    size = sizes[1:][same]
    agreed = float((1 - (bars[1:] != bars[:-1]).sum(axis=1)[same] / size).mean())
    if not corrected:
        return agreed
    full = bars.sum(axis=1)
    one, other = full[1:][same] / size, full[:-1][same] / size
    chance = float((one * other + (1 - one) * (1 - other)).mean())
    return (agreed - chance) / (1 - chance) if chance < 1 else float("nan")


def groove_similarity(notes: Excerpt, *, drums: bool = False) -> float:
    """How alike the onsets of two bars are, 0 to 1; mean over all pairs of bars of equal length.

    Args:
        notes: Of a piece.
        drums: Count drums too.

    Returns:
        NaN without two bars of one length, or without an onset.
    """
    bars, sizes = onsets(notes, drums=drums)
    agreed, n_pairs = 0.0, 0
    for size in np.unique(sizes[sizes > 0]).tolist():
        group = bars[sizes == size, :size]
        n, on = len(group), group.sum(axis=0)
        agreed += float((on * (on - 1) + (n - on) * (n - on - 1)).sum()) / (2 * size)  # pairs that agree, step by step
        n_pairs += n * (n - 1) // 2
    return agreed / n_pairs if n_pairs and bars.any() else float("nan")


def onsets(notes: Excerpt, *, drums: bool = False) -> tuple[NDArray[np.bool_], Ints]:
    """(bars, steps of the longest) where notes begin, and (bars,) how many steps each bar has; those beyond are False."""
    lengths = np.diff(notes.lines)
    sizes = -(-lengths * STEPS_PER_QUARTER // notes.tpq)
    ticks = np.concatenate([notes.onset, notes.hit]) if drums else notes.onset
    bar = notes.bar_of(ticks)
    step = (2 * (ticks - notes.lines[bar]) * STEPS_PER_QUARTER + notes.tpq) // (2 * notes.tpq) if len(ticks) else ticks
    over = step >= sizes[bar] if len(ticks) else np.zeros(0, np.bool_)
    last = bar == notes.n_bars - 1
    step = np.where(over, np.where(last, sizes[bar] - 1, 0), step) if len(ticks) else ticks
    bar = bar + (over & ~last)
    out = np.zeros((notes.n_bars, int(sizes.max(initial=0))), np.bool_)
    out[bar, step] = True
    return out, sizes
