"""The metrics of a piece, all at once: their table, and what a score measures.

Takes a score in ticks; gives a number by name for each row of `METRICS`, NaN where there is nothing to measure. Definitions, units and
known differences from other tools stand at the heads of `pitch`, `rhythm`, `polyphony`, `harmony`, `structure` and `musegan`.

It reads no file and says of no figure whether it is good: what real music measures tells that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf, log2
from typing import TYPE_CHECKING

from kapelle.metrics import band, harmony, pitch, polyphony, rhythm, structure
from kapelle.metrics.excerpt import Excerpt, excerpt

if TYPE_CHECKING:
    from symusic import Score


@dataclass(frozen=True)
class Metric:
    """One figure of a piece.

    Args:
        name: Its key in what `measure` gives.
        label: What a table or plot calls it.
        unit: Such as "bits"; empty for a share or ratio.
        low: The least that it can be.
        high: The most that it can be; infinite where nothing bounds it.
        subject: The module that defines it.
        about: What it is, in one line.
    """

    name: str
    label: str
    unit: str
    low: float
    high: float
    subject: str
    about: str


_BITS = log2(12)
_ROWS = (
    Metric("pitch_class_entropy", "pitch-class entropy", "bits", 0, _BITS, "pitch", "entropy of the pitch classes, notes counted"),
    Metric("pitch_class_entropy_1_bar", "pitch-class entropy of 1 bar (H1)", "bits", 0, _BITS, "pitch", "mean over bars with notes"),
    Metric("pitch_class_entropy_4_bars", "pitch-class entropy of 4 bars (H4)", "bits", 0, _BITS, "pitch", "mean over windows of 4 bars"),
    Metric("scale_consistency", "scale consistency", "", 0, 1, "pitch", "share of notes in the scale, of 24, that holds most"),
    Metric("pitch_range", "pitch range", "semitones", 0, 127, "pitch", "highest pitch minus lowest"),
    Metric("n_pitches", "pitches used", "pitches", 0, 128, "pitch", "different pitches"),
    Metric("n_pitch_classes", "pitch classes used", "pitch classes", 0, 12, "pitch", "different pitch classes"),
    Metric("groove_consistency", "groove consistency", "", 0, 1, "rhythm", "steps on which a bar's onsets are those of the bar before"),
    Metric("groove_consistency_corrected", "groove consistency above chance", "", -1, 1, "rhythm", "0 is chance, 1 the same bar again"),
    Metric("groove_consistency_with_drums", "groove consistency, drums too", "", 0, 1, "rhythm", "with the onsets of drums"),
    Metric("groove_similarity", "groove similarity (GS)", "", 0, 1, "rhythm", "steps on which two bars agree, over all pairs"),
    Metric("polyphony", "polyphony", "pitches", 1, 128, "polyphony", "pitches that sound at once, while any does"),
    Metric("polyphony_rate", "polyphony rate", "", 0, 1, "polyphony", "share of the time with two pitches or more"),
    Metric("empty_beat_rate", "empty-beat rate", "", 0, 1, "polyphony", "share of quarter notes in which nothing sounds"),
    Metric("empty_bar_rate", "empty-bar rate", "", 0, 1, "polyphony", "share of bars in which nothing sounds"),
    Metric("notes_per_bar", "notes per bar", "notes", 0, inf, "polyphony", "pitched notes over bars"),
    Metric("hits_per_bar", "drum hits per bar", "hits", 0, inf, "polyphony", "drum hits over bars"),
    Metric("chord_progression_irregularity", "chord progression irregularity (CPI)", "", 0, 1, "harmony", "different trigrams over all"),
    Metric("bar_recurrence", "bar recurrence", "", 0, 1, "structure", "how alike a bar is to the other that is most like it"),
    Metric("structureness", "structureness", "", -inf, 1, "structure", "phrases of two bars that come back; 0 is bars in any order"),
    Metric("compression_ratio", "compression ratio", "", 1, inf, "structure", "notes over the phrases of a Lempel-Ziv parse"),
    Metric("musegan_eb", "empty bars of a track (EB)", "%", 0, 100, "musegan", "bars in which a track is silent, mean over tracks"),
    Metric("musegan_upc", "pitch classes of a bar (UPC)", "pitch classes", 0, 12, "musegan", "mean over bars that are not empty"),
    Metric("musegan_qn", "qualified notes (QN)", "%", 0, 100, "musegan", "notes of a 32nd or longer"),
    Metric("musegan_qn8", "notes of an eighth (QN8)", "%", 0, 100, "musegan", "notes of an eighth or longer; ours"),
    Metric("musegan_dp", "drum pattern (DP)", "%", 0, 100, "musegan", "drum onsets on the grid of sixteenths"),
    Metric("musegan_td", "tonal distance (TD)", "", 0, 2 * 2**0.5, "musegan", "how far two tracks' harmonies lie apart, mean over pairs"),
)

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ROWS}
"""All metrics of a piece by name, in the order of tables."""

_FUNCTIONS: Mapping[str, Callable[[Excerpt], float]] = {
    "pitch_class_entropy": pitch.pitch_class_entropy,
    "pitch_class_entropy_1_bar": partial(pitch.pitch_class_entropy_over, bars=1),
    "pitch_class_entropy_4_bars": partial(pitch.pitch_class_entropy_over, bars=4),
    "scale_consistency": pitch.scale_consistency,
    "pitch_range": pitch.pitch_range,
    "n_pitches": pitch.n_pitches,
    "n_pitch_classes": pitch.n_pitch_classes,
    "groove_consistency": rhythm.groove_consistency,
    "groove_consistency_corrected": partial(rhythm.groove_consistency, corrected=True),
    "groove_consistency_with_drums": partial(rhythm.groove_consistency, drums=True),
    "groove_similarity": rhythm.groove_similarity,
    "polyphony": polyphony.polyphony,
    "polyphony_rate": polyphony.polyphony_rate,
    "empty_beat_rate": polyphony.empty_beat_rate,
    "empty_bar_rate": polyphony.empty_bar_rate,
    "notes_per_bar": polyphony.notes_per_bar,
    "hits_per_bar": polyphony.hits_per_bar,
    "chord_progression_irregularity": harmony.chord_progression_irregularity,
    "bar_recurrence": structure.bar_recurrence,
    "structureness": structure.structureness,
    "compression_ratio": structure.compression_ratio,
}


def measure(score: Score, n_bars: int | None = None) -> dict[str, float]:
    """Every metric of `METRICS`, in their order; NaN where there is nothing to measure, never infinite.

    Args:
        score: In ticks, of any length, metre and resolution; it is not changed.
        n_bars: Bars to measure, from the first on, 1 or more; a shorter piece is taken to be silent up to there. All if left out.

    Raises:
        UsageError: `n_bars` is below 1.
    """
    notes = excerpt(score, n_bars)
    found = {name: function(notes) for name, function in _FUNCTIONS.items()}
    tracks = band.means(band.by_track(score, n_bars))
    return {**found, **{f"musegan_{kind.lower()}": value for kind, value in tracks.items()}}
