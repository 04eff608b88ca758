"""Baselines: what stays, what goes, and the same again from the same seed."""

from __future__ import annotations

from collections import Counter

import symusic

import pieces
from folders import Q, tune
from kapelle.judging import baselines
from kapelle.metrics.piece import measure
from kapelle.score import units


def notes(score):
    return [(note.time, note.duration, note.pitch) for track in score.tracks for note in track.notes]


def by_bar(score):
    """The notes of every bar, from its beginning, as a multiset."""
    bars = {}
    for time, duration, pitch in notes(score):
        bars.setdefault(time // (4 * Q), Counter())[time % (4 * Q), duration, pitch] += 1
    return bars


def test_shuffling_keeps_every_bar_and_changes_their_order() -> None:
    score = tune(1)
    found = baselines.shuffled_bars(score, 16, 3)
    assert sorted(map(str, by_bar(found).values())) == sorted(map(str, by_bar(score).values()))
    assert by_bar(found) != by_bar(score)
    assert measure(found, 16)["pitch_class_entropy"] == measure(score, 16)["pitch_class_entropy"]


def test_shuffling_is_decided_by_the_seed() -> None:
    score = tune(1)
    assert notes(baselines.shuffled_bars(score, 16, 3)) == notes(baselines.shuffled_bars(score, 16, 3))
    assert notes(baselines.shuffled_bars(score, 16, 3)) != notes(baselines.shuffled_bars(score, 16, 4))


def test_two_bars_never_stay_in_their_order() -> None:
    score = tune(1, 2)
    assert all(notes(baselines.shuffled_bars(score, 2, seed)) != notes(score) for seed in range(6))


def test_notes_over_the_end_are_cut_and_metres_go_with_their_bars() -> None:
    long = pieces.score(pieces.track((0, 7 * Q, 60, 80), (4 * Q, Q, 64, 80)))
    long.time_signatures.extend([symusic.TimeSignature(0, 4, 4), symusic.TimeSignature(4 * Q, 3, 4)])
    found = baselines.shuffled_bars(long, 2, 0)
    assert notes(found) == [(0, Q, 64), (3 * Q, 4 * Q, 60)]
    assert [(metre.time, metre.numerator) for metre in found.time_signatures] == [(0, 3), (3 * Q, 4)]


def test_a_chain_of_one_loop_plays_it_again() -> None:
    loop = pieces.score(pieces.track(*((step * Q, Q, 60 + (0, 4, 7)[step % 3], 80) for step in range(48))))
    chain = baselines.learn([loop])
    assert chain is not None
    found = baselines.composed(chain, 4, 0)
    unit = baselines.STEPS_PER_QUARTER
    assert notes(found)[:4] == [(0, unit, 60), (unit, unit, 64), (2 * unit, unit, 67), (3 * unit, unit, 60)] or len(notes(found)) == 16


def test_a_chain_composes_so_many_bars_within_the_piano() -> None:
    chain = baselines.learn([tune(seed) for seed in range(6)])
    assert chain is not None
    found = baselines.composed(chain, 16, 1)
    assert units.n_bars(found) in (15, 16)
    assert all(21 <= pitch <= 108 for _, _, pitch in notes(found))
    assert max(time + duration for time, duration, _ in notes(found)) <= 16 * 4 * found.tpq
    assert notes(found) == notes(baselines.composed(chain, 16, 1))
    assert notes(found) != notes(baselines.composed(chain, 16, 2))


def test_a_chord_without_end_ends() -> None:
    chord = pieces.score(pieces.track(*((0, Q, pitch, 80) for pitch in range(40, 80))))
    chain = baselines.learn([chord])
    assert chain is not None
    assert baselines.composed(chain, 2, 0).tracks[0].notes[-1].time < 2 * 4 * baselines.STEPS_PER_QUARTER


def test_nothing_is_learned_from_nothing() -> None:
    assert baselines.learn([]) is None
    assert baselines.learn([pieces.score(), pieces.score(pieces.track((0, Q, 60, 80)))]) is None
    drums = pieces.score(pieces.track((0, Q, 36, 80), (Q, Q, 38, 80), drums=True))
    assert baselines.learn([drums]) is None
