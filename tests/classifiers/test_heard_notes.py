"""Notes that are heard: from a roll to notes, from notes to beats, and what written music and its sound have in common."""

import numpy as np
import pytest
from symusic import Note, Score, Tempo, Track

from kapelle.audio.pitches import LOWEST, N_PITCHES
from kapelle.audio.spectra import HOP, RATE_HZ
from kapelle.classifiers import heard_notes, midi_features
from kapelle.classifiers.audio_features import features
from kapelle.classifiers.note_grid import grid
from kapelle.render import sine


def roll_of(notes: list[tuple[int, int, int]], n_frames: int = 60) -> np.ndarray:
    roll = np.zeros((n_frames, N_PITCHES), np.float32)
    for start, end, pitch in notes:
        roll[start:end, pitch - LOWEST] = 0.8
    return roll


def test_notes_are_runs_of_strong_frames_in_order():
    notes = [(2, 10, 60), (2, 6, 64), (12, 40, 60), (50, 60, 72)]
    assert heard_notes.heard(roll_of(notes)).tolist() == [list(note) for note in notes]


def test_what_is_short_or_weak_is_no_note():
    roll = roll_of([(2, 3, 60), (10, 20, 64)])
    roll[10:20, 67 - LOWEST] = 0.05
    assert heard_notes.heard(roll).tolist() == [[10, 20, 64]]
    assert heard_notes.heard(np.zeros((10, N_PITCHES), np.float32)).shape == (0, 3)


def test_a_note_that_is_struck_again_ends_where_it_is():
    roll = roll_of([(5, 30, 60)])
    roll[5:15, 60 - LOWEST] = np.linspace(0.8, 0.3, 10)
    assert heard_notes.heard(roll).tolist() == [[5, 15, 60], [15, 30, 60]]


def test_notes_on_beats_come_to_lie_on_quarters():
    frames_per_s = RATE_HZ / HOP
    onsets = np.zeros(int(12 * frames_per_s), np.float32)
    moments = np.arange(0.2, 11.5, 0.5)
    onsets[np.rint(moments * frames_per_s).astype(int)] = 1.0
    notes = np.array([[round(moment * frames_per_s / 2), round((moment + 0.4) * frames_per_s / 2), 60] for moment in moments])
    held = heard_notes.grid(notes, onsets, 120.0)
    off = (held.start + 1) % 12 - 1
    assert (np.abs(off) <= 1).all()
    assert held.start.min() >= 0 and (held.end > held.start).all() and held.lines[-1] >= held.end.max()
    doubled = heard_notes.grid(notes, onsets, 240.0)
    np.testing.assert_array_equal(doubled.start, held.start)


def chorale(seconds: float = 20.0) -> Score:
    score = Score(480)
    score.tempos.append(Tempo(0, 96))
    track = Track(program=0)
    for bar, root in enumerate([60, 65, 67, 60, 57, 62, 67, 60] * 2):
        for step in (0, 4, 7):
            track.notes.append(Note(bar * 1920, 1800, root + step, 80))
        for beat in range(4):
            track.notes.append(Note(bar * 1920 + beat * 480, 440, 72 + (0, 4, 7, 4)[beat], 90))
    score.tracks.append(track)
    return score


def test_features_of_heard_notes_are_near_those_of_the_written_ones():
    score = chorale()
    wanted = dict(zip(midi_features.NAMES, midi_features.measure(grid(score)).tolist(), strict=True))
    heard = features(sine.render(score, sample_rate=RATE_HZ)).as_dict()
    for name, bound in (("pitch_class_entropy", 0.7), ("scale_share", 0.15), ("register_middle", 6.0)):
        assert heard[f"heard_{name}"] == pytest.approx(wanted[name], abs=bound), name


def test_nothing_heard_is_nothing_measured():
    onsets = np.ones(100, np.float32)
    assert np.isnan(heard_notes.measure(np.zeros((50, N_PITCHES), np.float32), onsets, 120.0)).all()
    assert np.isnan(heard_notes.measure(roll_of([(2, 10, 60)]), onsets, 0.0)).all()
    assert len(heard_notes.NAMES) == len(midi_features.NAMES)
