"""Which pitches a piece uses: entropy of its pitch classes, how well one scale holds them, range.

Takes an `Excerpt`; gives one number each. Drums count nowhere. Notes are counted, whatever their length.

===========================  ============================================================================  =============  ==========
function                     what it is                                                                    unit, range    no notes
===========================  ============================================================================  =============  ==========
`pitch_class_entropy`        entropy of the shares of the twelve pitch classes                             bits, 0-3.585  NaN
`pitch_class_entropy_over`   mean of that entropy over all windows of some bars, one bar apart             bits, 0-3.585  NaN
`scale_consistency`          share of notes in the scale, of 24, that holds most                           0-1            NaN
`pitch_range`                highest pitch minus lowest                                                    semitones      NaN
`n_pitches`                  different pitches                                                             0-128          0
`n_pitch_classes`            different pitch classes                                                       0-12           0
===========================  ============================================================================  =============  ==========

Conventions. The scales are the 12 major and 12 natural minor ones of `kapelle.score.keys`; a major scale and its relative minor hold the
same notes, so there are twelve different sets. A note lies in the bar in which it begins.

Source: pitch-class entropy, scale consistency, range: muspy 0.5; Mogren 2016, "C-RNN-GAN". Windows: H of Wu and Yang 2020, "The Jazz
Transformer on the front line", ISMIR (MusDr), which takes windows of 1 and 4 bars.

Known differences.

1. From muspy: no notes at all are told by NaN in `pitch_range`; there it is 0 without tracks, and -127 for drums alone.
2. From muspy in the other figures, and from MusDr: none. A window without notes is passed over there too, and a piece shorter than the
   window is one window.
3. From pypianoroll: its pitch classes are twelve bands of ten neighbouring pitches, so that its `n_pitch_classes_used` and `in_scale_rate`
   are other figures; range and pitches used are the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kapelle.metrics.excerpt import Excerpt
from kapelle.score.keys import ALL_KEYS

Floats = NDArray[np.float64]

_SCALES: Floats = np.zeros((len(ALL_KEYS), 12))
for _row, _key in zip(_SCALES, ALL_KEYS, strict=True):
    _row[list(_key.pitch_classes)] = 1.0


def pitch_class_entropy(notes: Excerpt) -> float:
    """Entropy of the pitch classes, in bits: 0 if all notes are of one, 3.585 (log2 of 12) if all twelve are as frequent."""
    return float(_entropy(_counts(notes)[None])[0])


def pitch_class_entropy_over(notes: Excerpt, bars: int) -> float:
    """Mean entropy of the pitch classes in all windows of `bars` bars, one bar apart, in bits; not the entropy of the piece.

    Args:
        notes: Of a piece.
        bars: 1 or more; a piece that is shorter is one window.
    """
    if not len(notes.pitch):
        return float("nan")
    by_bar = np.bincount(notes.bar * 12 + notes.pitch % 12, minlength=notes.n_bars * 12).reshape(-1, 12)
    so_far = np.concatenate([np.zeros((1, 12), np.int64), np.cumsum(by_bar, axis=0)])
    window = min(bars, notes.n_bars)
    counts = so_far[window:] - so_far[:-window]
    return float(_entropy(counts[counts.any(axis=1)]).mean())


def scale_consistency(notes: Excerpt) -> float:
    """The greatest share of notes that lie in one major or natural minor scale, 7/12 at the least that twelve even classes give."""
    counts = _counts(notes)
    return float((_SCALES @ counts).max() / counts.sum()) if len(notes.pitch) else float("nan")


def pitch_range(notes: Excerpt) -> float:
    """Semitones from the lowest to the highest pitch, 0 to 127."""
    return float(notes.pitch.max() - notes.pitch.min()) if len(notes.pitch) else float("nan")


def n_pitches(notes: Excerpt) -> float:
    """Different pitches, 0 to 128."""
    return float(np.count_nonzero(np.bincount(notes.pitch, minlength=128)))


def n_pitch_classes(notes: Excerpt) -> float:
    """Different pitch classes, 0 to 12."""
    return float(np.count_nonzero(_counts(notes)))


def _counts(notes: Excerpt) -> NDArray[np.int64]:
    """(12,) notes of each pitch class."""
    out: NDArray[np.int64] = np.bincount(notes.pitch % 12, minlength=12)
    return out


def _entropy(counts: NDArray[np.int64]) -> Floats:
    """(W,) entropies in bits of counts (W, 12); NaN where all are zero."""
    total = counts.sum(axis=1, keepdims=True)
    share = counts / np.where(total > 0, total, 1)
    bits = -(share * np.log2(np.where(share > 0, share, 1.0))).sum(axis=1)
    out: Floats = np.where(total[:, 0] > 0, np.maximum(bits, 0.0), np.nan)
    return out
