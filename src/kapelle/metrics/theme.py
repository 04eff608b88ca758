"""How far a piece keeps to itself and to its theme: six numbers, and a distance of two melodies that no network takes part in.

Takes a score of the tracks MELODY and PIANO in 4/4, the regions marked in it as theme, the melody of the theme that it was given (the
condition, in phrases of two bars), and an embedding of melodies as a function. Gives numbers; NaN where there is nothing to measure.

=========================  ===========================================================================================  ==========
key                        what it is                                                                                   range
=========================  ===========================================================================================  ==========
pitch_class_consistency    overlap of the pitch-class histograms of two bars, mean over all pairs of bars               0 to 1
grooving_consistency       share of a bar's steps on which two bars agree, mean over all pairs of bars                  0 to 1
melody_inconsistency       distance of the melody's neighbouring fragments of two bars, mean                            0 to 2
theme_inconsistency        distance of the regions from the condition, mean                                             0 to 2
theme_uncontrollability    the same, over the mean distance from the condition of what is not marked                    from 0 on
theme_gap                  bars from the end of a region to the beginning of the next, mean                             from 0 on
=========================  ===========================================================================================  ==========

These are **our definitions**. The names are those of the paper, whose formulas and values are in no source at hand: nothing here compares
with a published figure. Distances are Euclidean between vectors of length 1, as `embed` gives them. An encoder that also found the
themes of the training data may like what it found, hence `melody_distance`, which counts notes and knows no encoder.

Conventions. A region is (first bar, end bar) from 0; longer ones are compared in parts of two bars, each with the phrase of the condition
that stands in its place. What is not marked is cut into fragments of two bars from where each region ends; one bar that is left over is
passed over, and so are fragments without a note. Drums count nowhere.

Source: names, Shih et al. 2022, "Theme Transformer", IEEE Transactions on Multimedia; grooving similarity of all pairs of bars, Wu and Yang
2020, "The Jazz Transformer on the front line", ISMIR.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kapelle.errors import UsageError
from kapelle.score import units
from kapelle.score.melody import MELODY_NOTE, melody_notes

if TYPE_CHECKING:
    from symusic import Score

Melody = NDArray[np.void]
Floats = NDArray[np.float64]
Region = tuple[int, int]

Embed = Callable[[Sequence[Melody]], NDArray[np.float32]]
"""N melodies of two bars, starts from their first bar line, none empty -> (N, D), rows of length 1."""

Compare = Callable[[Sequence[Melody], Sequence[Melody]], Floats]
"""N and M melodies of two bars, none empty -> (N, M) distances."""

PHRASE_BARS = 2
STEPS_PER_BAR = 16
FINE_STEPS = 48
"""12 steps a beat: what grooves of music on other grids are compared at."""

FAR_SEMITONES, FAR_STEPS = 7, 4
"""Two notes a fifth, or a beat, apart are as far apart as can be."""

PITCH, ONSET, DURATION = 0.5, 0.375, 0.125
"""Shares of pitch, onset and duration in how far two notes are apart."""

OCTAVES = (-12, 0, 12)


# --- the whole piece ------------------------------------------------------------------------------------------------------


def pitch_class_consistency(score: Score) -> float:
    """How alike the bars are in their pitch classes, 0 to 1: 1 - total variation of two bars' histograms, mean over all pairs.

    Our definition. Notes are counted in the bar where they begin, whatever their length; bars in which none begins are left out.

    Returns:
        1 if every bar has the same histogram; NaN with fewer than two bars that hold notes.
    """
    bars, pitches = _onsets(score, 1)
    counts = np.zeros((int(bars.max(initial=-1)) + 1, 12))
    np.add.at(counts, (bars, pitches % 12), 1)
    held = counts[counts.any(axis=1)]
    shares = held / np.maximum(held.sum(axis=1, keepdims=True), 1)
    return _over_pairs(np.minimum(shares[:, None], shares[None]).sum(axis=2))


def grooving_consistency(score: Score, *, steps: int = STEPS_PER_BAR, corrected: bool = False) -> float:
    """How alike the bars are in their onsets, 0 to 1: the share of steps on which two bars agree, mean over all pairs.

    Our definition. A step is on if any note begins in it. The value rises with the number of steps, since most of them are silent in
    both bars: on a grid of sixteenths, with 48 steps instead of 16, it lies three times as near to 1.

    Args:
        score: In ticks.
        steps: Of a bar: 16 as in the source, or `FINE_STEPS`, 12 a beat, as in other metrics of grooves; onsets go to the nearest.
        corrected: For chance: (agreement - expected) / (1 - expected), expected of bars with as many onsets each, in any places.
            0 is chance, 1 the same bar again; it hardly depends on `steps`.

    Returns:
        Bars are those up to the last onset, silent ones among them. NaN with fewer than two.
    """
    places, _ = _onsets(score, steps)
    on = np.zeros((int(places.max(initial=-1)) // steps + 1) * steps)
    on[places] = 1
    bars = on.reshape(-1, steps)
    agreed = (bars @ bars.T + (1 - bars) @ (1 - bars).T) / steps
    if not corrected:
        return _over_pairs(agreed)
    density = bars.mean(axis=1)
    chance = _over_pairs(np.outer(density, density) + np.outer(1 - density, 1 - density))
    return (_over_pairs(agreed) - chance) / (1 - chance) if chance < 1 else float("nan")


def _onsets(score: Score, steps: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N,) the step of each pitched note, counted from the first bar line, and its pitch."""
    times, pitches = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for track in score.tracks:
        if not track.is_drum and len(track.notes):
            notes = track.notes.numpy()
            times.append(notes["time"].astype(np.int64))
            pitches.append(notes["pitch"].astype(np.int64))
    at = units.ticks_to_bars(score, np.concatenate(times))
    places = np.floor(at * steps + (0.5 if steps > 1 else 0.0) + 1e-9).astype(np.int64)
    return places, np.concatenate(pitches)


def _over_pairs(values: Floats) -> float:
    """The mean of a square table over all pairs of two different rows."""
    upper = values[np.triu_indices(len(values), 1)]
    return _mean(upper)


# --- the theme ------------------------------------------------------------------------------------------------------------


def melody_inconsistency(vectors: NDArray[np.floating], places: Sequence[int]) -> float:
    """Mean distance of neighbouring fragments of the melody, 0 to 2.

    Our definition.

    Args:
        vectors: (N, D) of fragments, in order.
        places: (N,) the number of each among all fragments, those without a note counted: only neighbours are compared.

    Returns:
        NaN if no two neighbours are there.
    """
    beside = np.diff(np.asarray(places, np.int64)) == 1
    steps = np.linalg.norm(np.diff(vectors.astype(np.float64), axis=0), axis=1)
    return _mean(steps[beside])


def theme_inconsistency(marked: Floats) -> float:
    """Mean distance of theme regions from the condition. Our definition.

    Args:
        marked: (N,) distance of each, or of each part of two bars.

    Returns:
        0 if the theme comes back as it is; NaN without a region.
    """
    return _mean(marked)


def theme_uncontrollability(marked: Floats, unmarked: Floats) -> float:
    """Distance of theme regions from the condition, over that of all else. Our definition.

    Args:
        marked: (N,) distances of theme regions.
        unmarked: (M,) distances of fragments outside them.

    Returns:
        0 if the theme comes back as it is, 1 if regions are no nearer to it than anything else. NaN if either is missing, or all that is
        not marked is the theme too.
    """
    beside = _mean(unmarked)
    return _mean(marked) / beside if beside > 0 else float("nan")


def theme_gap(regions: Sequence[Region]) -> float:
    """Bars from the end of a region to the beginning of the next, mean. Our definition.

    Args:
        regions: In any order; parts of one longer region have to be joined before.

    Returns:
        0 if they follow at once; NaN with fewer than two.
    """
    ordered = sorted(regions)
    return _mean(np.array([later[0] - one[1] for one, later in pairwise(ordered)], np.float64))


@dataclass(frozen=True)
class Parts:
    """The melody of a piece in fragments of two bars, starts from the first bar line of each; none is empty.

    Args:
        marked: Of the regions.
        phrases: For each of `marked`, the phrase of the condition in whose place it stands.
        unmarked: Of all else.
        lost: Parts of regions without a note of melody.
    """

    marked: tuple[Melody, ...]
    phrases: tuple[int, ...]
    unmarked: tuple[Melody, ...]
    lost: int


def parts(melody: Melody, regions: Sequence[Region], n_bars: int, *, n_phrases: int = 1, first_is_condition: bool = False) -> Parts:
    """What is marked and what is not.

    Args:
        melody: (N,) of `MELODY_NOTE`, by start.
        regions: Marked as theme.
        n_bars: Of the piece.
        n_phrases: Of the condition.
        first_is_condition: The condition was taken from the first region, which is then compared with nothing.
    """
    ordered = sorted(regions)
    marked, unmarked, phrases, lost = [], [], [], 0
    for first, end in ordered[1:] if first_is_condition else ordered:
        for number, bar in enumerate(range(first, end, PHRASE_BARS)):
            part = cut(melody, bar, min(bar + PHRASE_BARS, end))
            if len(part):
                marked.append(part)
                phrases.append(number % n_phrases)
            else:
                lost += 1
    borders = [0, *(bar for region in ordered for bar in region), n_bars]
    for begin, end in zip(borders[::2], borders[1::2], strict=True):
        pieces = [cut(melody, bar, bar + PHRASE_BARS) for bar in range(begin, end - PHRASE_BARS + 1, PHRASE_BARS)]
        unmarked += [part for part in pieces if len(part)]
    return Parts(tuple(marked), tuple(phrases), tuple(unmarked), lost)


def cut(melody: Melody, first_bar: int, end_bar: int) -> Melody:
    """The notes that begin in the bars `first_bar` up to and without `end_bar`, starts counted from there."""
    begin, end = np.searchsorted(melody["start"], [first_bar * STEPS_PER_BAR, end_bar * STEPS_PER_BAR])
    out = melody[begin:end].copy()
    out["start"] -= first_bar * STEPS_PER_BAR
    return out


def phrases_of(melody: Melody, n_bars: int) -> list[Melody]:
    """A condition in phrases of two bars; those without a note are left out."""
    found = [cut(melody, bar, bar + PHRASE_BARS) for bar in range(0, n_bars, PHRASE_BARS)]
    return [phrase for phrase in found if len(phrase)]


def distances(found: Parts, condition: Sequence[Melody], compare: Compare) -> tuple[Floats, Floats]:
    """How far the marked parts (N,) and the unmarked ones (M,) are from the condition.

    A marked part is compared with its phrase, an unmarked one with the phrase that it is nearest to.

    Args:
        found: Of the piece.
        condition: The phrases of the theme.
        compare: `by_notes`, or `by_embedding` of something.

    Raises:
        UsageError: The condition has no phrase.
    """
    if not condition:
        raise UsageError("the theme has no melody to compare with")
    marked, unmarked = np.zeros(0), np.zeros(0)
    if found.marked:
        marked = compare(found.marked, condition)[np.arange(len(found.marked)), [number % len(condition) for number in found.phrases]]
    if found.unmarked:
        unmarked = compare(found.unmarked, condition).min(axis=1)
    return marked, unmarked


def measure(
    score: Score, regions: Sequence[Region], condition: Sequence[Melody], embed: Embed, *, first_is_condition: bool = False
) -> dict[str, float]:
    """All six, by the names at the head of this module.

    Args:
        score: In 4/4, with a track MELODY.
        regions: Bars marked as theme.
        condition: The phrases of the theme that it was given.
        embed: Of an encoder of melodies.
        first_is_condition: The piece is a real one, and the condition its own first region.

    Raises:
        UsageError: The score is not in 4/4, or the condition has no phrase.
        CannotObey: It has no clear melody.
    """
    melody, n_bars = melody_notes(score), units.n_bars(score)
    found = parts(melody, regions, n_bars, n_phrases=len(condition), first_is_condition=first_is_condition)
    marked, unmarked = distances(found, condition, by_embedding(embed))
    fragments = [cut(melody, bar, bar + PHRASE_BARS) for bar in range(0, n_bars - PHRASE_BARS + 1, PHRASE_BARS)]
    places = [place for place, fragment in enumerate(fragments) if len(fragment)]
    vectors = embed([fragments[place] for place in places]) if places else np.zeros((0, 1))
    return {
        "pitch_class_consistency": pitch_class_consistency(score),
        "grooving_consistency": grooving_consistency(score),
        "melody_inconsistency": melody_inconsistency(vectors, places),
        "theme_inconsistency": theme_inconsistency(marked),
        "theme_uncontrollability": theme_uncontrollability(marked, unmarked),
        "theme_gap": theme_gap(regions),
    }


# --- distances ------------------------------------------------------------------------------------------------------------


def by_embedding(embed: Embed) -> Compare:
    """Euclidean distances of embedded melodies, 0 to 2."""

    def compare(some: Sequence[Melody], others: Sequence[Melody]) -> Floats:
        vectors = embed([*some, *others]).astype(np.float64)
        apart = vectors[: len(some), None] - vectors[None, len(some) :]
        out: Floats = np.linalg.norm(apart, axis=2)
        return out

    return compare


def by_notes(some: Sequence[Melody], others: Sequence[Melody]) -> Floats:
    """`melody_distance` of each to each, 0 to 1."""
    return np.array([[melody_distance(one, other) for other in others] for one in some])


def melody_distance(one: Melody, other: Melody) -> float:
    """How many changes turn one melody into the other, 0 to 1; no network, no training. Our definition.

    The cheapest way to turn notes into notes, in order: a note is changed into another for what they are apart, 0 to 1 (half for pitch, a
    fifth apart being the most; three eighths for the onset, a beat; one eighth for the duration, in proportion), or taken out or put
    in for one half; over half the number of all notes. Of three octaves that `other` may stand in the nearest counts. Otherwise pitches are
    taken as they are: melodies of different keys have to be brought into one key before.

    Args:
        one: (N,) of `MELODY_NOTE`, by start, starts from its first bar line.
        other: (M,) likewise.

    Returns:
        0 for equal melodies, and for two empty ones; 1 if nothing of one is left in the other. It is the same both ways.

    Source: edit distances of melodies, Mongeau and Sankoff 1990, "Comparison of musical sequences", Computers and the Humanities 24; the
    costs are ours.
    """
    for melody in (one, other):
        if melody.dtype != MELODY_NOTE or melody.ndim != 1:
            raise UsageError(
                "a melody is a row of notes of the type MELODY_NOTE, not {kind} {shape}", kind=melody.dtype, shape=melody.shape
            )
    if not len(one) or not len(other):
        return float(len(one) != len(other))
    beside = ONSET * _near(one["start"], other["start"], FAR_STEPS) + DURATION * _ratio(one["duration"], other["duration"])
    costs = (beside + PITCH * _near(one["pitch"], other["pitch"] + octave, FAR_SEMITONES) for octave in OCTAVES)
    return min(_alignment(cost) for cost in costs) / (0.5 * (len(one) + len(other)))


def _near(one: NDArray[np.integer], other: NDArray[np.integer], far: int) -> Floats:
    """(N, M) how far numbers are apart, 0 to 1."""
    apart = np.abs(one.astype(np.float64)[:, None] - other[None])
    out: Floats = np.minimum(apart, far) / far
    return out


def _ratio(one: NDArray[np.integer], other: NDArray[np.integer]) -> Floats:
    """(N, M) by what share of the longer one durations differ."""
    first, second = one.astype(np.float64)[:, None], other.astype(np.float64)[None]
    out: Floats = np.abs(first - second) / np.maximum(np.maximum(first, second), 1)
    return out


def _alignment(cost: Floats) -> float:
    """The cheapest way through a table (N, M) of what it costs to change one note into another."""
    row = [0.5 * place for place in range(cost.shape[1] + 1)]
    for number, line in enumerate(cost.tolist(), 1):
        before, row = row, [0.5 * number]
        for place, change in enumerate(line):
            row.append(min(before[place] + change, before[place + 1] + 0.5, row[place] + 0.5))
    return row[-1]


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")
