"""Small scores for the tests of metrics, written in quarter notes, and their excerpts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from symusic import Note, Score, TimeSignature, Track

from kapelle.metrics.excerpt import Excerpt, excerpt

Row = tuple[float, float, int]
"""Onset and length in quarters, pitch."""


def part(rows: Iterable[Row], tpq: int = 480, *, program: int = 0, drums: bool = False) -> Track:
    track = Track(program=program, is_drum=drums)
    for onset, length, pitch in rows:
        track.notes.append(Note(round(onset * tpq), round(length * tpq), pitch, 80))
    return track


def piece(rows: Iterable[Row] = (), drums: Iterable[Row] = (), tpq: int = 480, metres: Sequence[tuple[float, int, int]] = ()) -> Score:
    """One track of notes and one of drums, each there if it has any; metres as quarter, numerator, denominator."""
    score = Score(tpq)
    for at, numerator, denominator in metres:
        score.time_signatures.append(TimeSignature(round(at * tpq), numerator, denominator))
    for given, is_drum in ((list(rows), False), (list(drums), True)):
        if given:
            score.tracks.append(part(given, tpq, drums=is_drum))
    return score


def notes(rows: Iterable[Row] = (), n_bars: int | None = None, **more) -> Excerpt:
    return excerpt(piece(rows, **more), n_bars)


def line(*pitches: int, length: float = 1.0, start: float = 0.0) -> list[Row]:
    """Notes one after another."""
    return [(start + i * length, length, pitch) for i, pitch in enumerate(pitches)]


def repeated(rows: Sequence[Row], times: int, every: float = 4.0) -> list[Row]:
    """The same rows again and again, a bar of 4/4 apart."""
    return [(onset + i * every, length, pitch) for i in range(times) for onset, length, pitch in rows]


def random_piece(seed: int, tpq: int = 12, *, quarters: int = 32, drums: bool = True, metre: tuple[int, int] = (4, 4)) -> Score:
    """Three tracks of notes anywhere on the ticks, one of them of drums; overlaps and unisons are frequent."""
    draw = np.random.default_rng(seed)
    score = Score(tpq)
    score.time_signatures.append(TimeSignature(0, *metre))
    for number in range(3):
        n = int(draw.integers(1, 60))
        track = Track(program=int(draw.integers(0, 96)), is_drum=drums and number == 2)
        for onset, length, pitch in zip(
            draw.integers(0, quarters * tpq, n), draw.integers(1, 3 * tpq, n), draw.integers(36, 84, n), strict=True
        ):
            track.notes.append(Note(int(onset), int(length), int(pitch), 80))
        score.tracks.append(track)
    return score
