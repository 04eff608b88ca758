"""Music that nobody should take for real, to measure how much of a figure even that reaches.

Two of them. **Bars shuffled**: a real excerpt whose bars stand in another order; every note within a bar is real, and nothing runs over a
bar line. **A Markov chain** over notes: each note is drawn given the two before it, as so many semitones from the last note and so many
twelfths of a quarter after it, with a duration; what followed the same two notes somewhere in the music that it learned from is taken. It
knows no bars, no chords and no key, in one voice of time; it copies runs of three notes and, where only one continuation was ever seen,
longer ones.

Takes scores and seeds, gives scores; the same seed gives the same piece. It is an n-gram of order 3 over notes, and no model of Kapelle.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from symusic import Note, Score, Tempo, TimeSignature, Track

from kapelle.score import units
from kapelle.score.edit import note_arrays, note_list

STEPS_PER_QUARTER = 12
MOST_STEPS = 4 * STEPS_PER_QUARTER
"""A pause or a duration is at most a bar of four quarters."""

MOST_SEMITONES = 48
LOW, HIGH = 21, 108
BPM, VELOCITY = 120.0, 80

Event = tuple[int, int, int]
"""Steps after the note before, semitones from it, duration in steps."""

Context = tuple[Event, ...]


def shuffled_bars(score: Score, n_bars: int, seed: int) -> Score:
    """The first `n_bars` of a score in another order.

    A note belongs to the bar in which it begins, and goes with it; what would sound past the new end is cut there. Each bar keeps its
    metre; the tempo is the first one throughout. Controls are left out.

    Args:
        score: In ticks.
        n_bars: Bars, 1 or more.
        seed: Of the order; of two bars or more it is never the one that was.
    """
    lines = units.bar_starts(score, units.bars_to_ticks(score, n_bars))
    n = len(lines) - 1
    order = np.random.Generator(np.random.Philox(seed)).permutation(n)
    if n > 1 and (order == np.arange(n)).all():
        order = np.roll(order, 1)
    lengths = np.diff(lines)
    places = np.zeros(n, np.int64)
    places[order] = np.cumsum(lengths[order]) - lengths[order]
    out = Score(score.tpq)
    out.tempos.append(Tempo(0, units.bpm_at(score)))
    for bar in order.tolist():
        above, below = units.metre_at(score, int(lines[bar]))
        out.time_signatures.append(TimeSignature(int(places[bar]), above, below))
    for track in score.tracks:
        out.tracks.append(_moved(track, lines, places))
    return out


def _moved(track: Track, lines: NDArray[np.int64], places: NDArray[np.int64]) -> Track:
    notes = note_arrays(track)
    notes = {name: column[notes["time"] < lines[-1]] for name, column in notes.items()}
    bar = np.searchsorted(lines, notes["time"], side="right") - 1
    notes["time"] = notes["time"] - lines[bar] + places[bar]
    notes["duration"] = np.minimum(notes["duration"], lines[-1] - notes["time"])
    order = np.lexsort((notes["pitch"], notes["time"]))
    out = Track(track.name, track.program, track.is_drum)
    out.notes = note_list({name: column[order] for name, column in notes.items()})
    return out


@dataclass(frozen=True)
class Chain:
    """What a Markov chain learned.

    Args:
        after: Two events, one, or none -> all that ever followed, as often as it did.
        openings: Pitches of the first notes.
    """

    after: dict[Context, list[Event]]
    openings: tuple[int, ...]


def learn(scores: Iterable[Score]) -> Chain | None:
    """The chain of some pieces' pitched notes, in order of onset, then pitch; None if there is no note to follow another."""
    after: dict[Context, list[Event]] = {}
    openings = []
    for score in scores:
        events, first = _events(score)
        if not events:
            continue
        openings.append(first)
        for place, event in enumerate(events):
            for n in range(min(place, 2) + 1):
                after.setdefault(tuple(events[place - n : place]), []).append(event)
    return Chain(after, tuple(openings)) if after else None


def _events(score: Score) -> tuple[list[Event], int]:
    """The notes but the first as events, and the first one's pitch."""
    rows = []
    for track in score.tracks:
        if not track.is_drum and len(track.notes):
            notes = note_arrays(track)
            rows.append(np.stack([notes["time"], notes["pitch"], notes["duration"]]))
    if not rows:
        return [], 0
    time, pitch, duration = np.concatenate(rows, axis=1)
    unit = STEPS_PER_QUARTER / max(score.tpq, 1)
    steps = np.rint(time * unit).astype(np.int64)
    order = np.lexsort((pitch, steps))
    later = np.minimum(np.diff(steps[order]), MOST_STEPS)
    higher = np.clip(np.diff(pitch[order]), -MOST_SEMITONES, MOST_SEMITONES)
    long = np.clip(np.rint(duration[order][1:] * unit), 1, MOST_STEPS).astype(np.int64)
    return list(zip(later.tolist(), higher.tolist(), long.tolist(), strict=True)), int(pitch[order][0])


def composed(chain: Chain, n_bars: int, seed: int) -> Score:
    """A piece of `n_bars` bars in 4/4 drawn from a chain, on one piano track.

    Where nothing ever followed two notes, the last one alone decides, and then none. Pitches stay on the piano by octaves. The last note
    is cut at the final bar line.

    Args:
        chain: What was learned.
        n_bars: Bars, 1 or more.
        seed: Of the draws.
    """
    draw = np.random.Generator(np.random.Philox(seed))
    end = n_bars * 4 * STEPS_PER_QUARTER
    pitch, at = chain.openings[int(draw.integers(len(chain.openings)))], 0
    notes = [(0, STEPS_PER_QUARTER, pitch)]
    context: Context = ()
    idle = 0
    while True:
        event = _drawn(chain, context, draw)
        context = (*context[-1:], event)
        idle = 0 if event[0] else idle + 1
        if idle > MOST_AT_ONCE:  # a chord that finds no end
            context, idle = (), 0
            at += STEPS_PER_QUARTER
        at += event[0]
        if at >= end:
            break
        pitch = _on_the_piano(pitch + event[1])
        notes.append((at, min(event[2], end - at), pitch))
    score = Score(STEPS_PER_QUARTER)
    score.tempos.append(Tempo(0, BPM))
    score.time_signatures.append(TimeSignature(0, 4, 4))
    track = Track("Markov chain", 0, False)
    for start, length, number in dict.fromkeys(notes):
        track.notes.append(Note(start, length, number, VELOCITY))
    score.tracks.append(track)
    return score


MOST_AT_ONCE = 12


def _drawn(chain: Chain, context: Context, draw: np.random.Generator) -> Event:
    while context not in chain.after and context:
        context = context[1:]
    known: Sequence[Event] = chain.after[context]
    return known[int(draw.integers(len(known)))]


def _on_the_piano(pitch: int) -> int:
    while pitch < LOW:
        pitch += 12
    while pitch > HIGH:
        pitch -= 12
    return pitch
