"""A score on the bars of another copy."""

from __future__ import annotations

import numpy as np
import symusic

from kapelle.data import align


def score(notes: list[tuple[int, int]], tpq: int = 480, metre: tuple[int, int] = (4, 4), bpm: float = 90) -> symusic.Score:
    """One track of eighth notes at (ticks, pitch)."""
    out = symusic.Score(tpq)
    track = symusic.Track(program=0, is_drum=False, name="one")
    for time, pitch in notes:
        track.notes.append(symusic.Note(time, tpq // 2, pitch, 90))
    out.tracks.append(track)
    out.time_signatures.append(symusic.TimeSignature(0, *metre))
    out.tempos.append(symusic.Tempo(0, bpm))
    return out


def melody(seed: int = 0, n_notes: int = 120) -> list[tuple[int, int]]:
    rng = np.random.default_rng(seed)
    return [
        (int(time) * 120, int(pitch))
        for time, pitch in zip(np.cumsum(rng.integers(1, 5, n_notes)), rng.integers(48, 84, n_notes), strict=True)
    ]


def times(made: symusic.Score) -> list[tuple[int, int]]:
    return [(note.time, note.pitch) for note in made.tracks[0].notes]


def test_notes_move_by_the_time_between_the_copies_and_metre_and_tempo_are_taken_over() -> None:
    notes = melody()
    off = [(time + 333, pitch) for time, pitch in notes]
    made = align.onto(score(off, metre=(1, 4)), score(notes, metre=(3, 4), bpm=72))
    assert made is not None
    assert times(made) == notes
    assert [(sign.numerator, sign.denominator) for sign in made.time_signatures] == [(3, 4)]
    assert round(made.tempos[0].qpm) == 72


def test_a_copy_that_begins_later_and_in_another_resolution() -> None:
    notes = melody(1)
    later = score([((time + 1000) * 2, pitch) for time, pitch in notes], tpq=960)
    made = align.onto(score(notes, metre=(2, 4)), later)
    assert made is not None
    assert made.ticks_per_quarter == 960
    assert times(made) == [((time + 1000) * 2, pitch) for time, pitch in notes]


def test_notes_before_the_first_bar_are_left_out() -> None:
    notes = melody(2)
    made = align.onto(score([(time + 960, pitch) for time, pitch in [(-960, 60), *notes]]), score(notes))
    assert made is not None
    assert times(made) == notes


def test_other_music_is_refused() -> None:
    assert align.onto(score(melody(3)), score(melody(4))) is None
    assert align.onto(score([]), score(melody(4))) is None
    assert align.onto(score(melody(4)), score([])) is None


def test_a_tenth_of_other_notes_is_forgiven_and_more_is_not() -> None:
    notes = melody(5, 100)
    other = [(time + 60, 30 + pitch % 12) for time, pitch in notes]
    assert align.onto(score(notes[:95] + other[95:]), score(notes)) is not None
    assert align.onto(score(notes[:80] + other[80:]), score(notes)) is None


def test_a_beginning_that_comes_back_is_not_taken_for_its_return_within_reach() -> None:
    notes = melody(6, 800)
    end = notes[-1][0] + 1920
    changed = [(time, pitch + 40 if place < 40 else pitch) for place, (time, pitch) in enumerate(notes)]
    again = [(time + end, pitch) for time, pitch in notes[:200]]
    grid = score([(time + 480, pitch) for time, pitch in changed + again])
    assert align.onto(score(notes), grid) is None
    made = align.onto(score(notes), grid, reach=32)
    assert made is not None
    assert times(made) == [(time + 480, pitch) for time, pitch in notes]
    assert align.onto(score(notes), score([(time + 33 * 480, pitch) for time, pitch in notes]), reach=32) is None
