"""Rough piano rolls: single notes, chords, overtones, silence."""

import numpy as np
import pytest
from symusic import Note, Score, Track

from kapelle.audio import pitches
from kapelle.render import sine, soundfont

RATE = 22_050


def played(chord: list[int], player: str = "sine", program: int = 0) -> np.ndarray:
    """The roll of a chord held for two seconds, from 0.5 to 1.5 s, shape (frames, pitches)."""
    score = Score(480)
    track = Track(program=program)
    track.notes.extend([Note(0, 1920, pitch, 90) for pitch in chord])
    score.tracks.append(track)
    wave = sine.render(score, sample_rate=RATE) if player == "sine" else soundfont.render(score, sample_rate=RATE, player="sampler")
    return pitches.roll(wave.samples.mean(axis=1))[11:32]


def loudest(roll: np.ndarray, count: int) -> set[int]:
    return {int(place) + pitches.LOWEST for place in np.argsort(-roll.mean(axis=0))[:count]}


@pytest.mark.parametrize("pitch", [36, 45, 57, 60, 69, 84, 96])
@pytest.mark.parametrize("player", ["sine", "soundfont"])
def test_a_note_is_heard_at_its_pitch(pitch, player):
    assert loudest(played([pitch], player), 1) == {pitch}


@pytest.mark.parametrize("chord", [[60, 64, 67], [48, 55, 64, 70], [57, 60, 64, 68], [40, 47, 56]])
@pytest.mark.parametrize("player", ["sine", "soundfont"])
def test_the_notes_of_a_chord_are_the_loudest(chord, player):
    assert len(loudest(played(chord, player), len(chord)) & set(chord)) >= len(chord) - 1  # one may be lost in another's overtones


def test_overtones_are_not_notes():
    times = np.arange(2 * RATE) / RATE
    tone = sum(0.3 * 0.7**number * np.sin(2 * np.pi * 220 * (number + 1) * times) for number in range(8)).astype(np.float32)
    mean = pitches.roll(tone)[5:-5].mean(axis=0)
    mean[57 - pitches.LOWEST] = 0.0
    assert mean.max() < 0.1


def test_a_roll_has_a_frame_every_46_ms_and_does_not_change_with_the_level():
    tone = (0.5 * np.sin(2 * np.pi * 330 * np.arange(3 * RATE) / RATE)).astype(np.float32)
    roll = pitches.roll(tone)
    assert roll.shape == (1 + 3 * RATE // 1024, pitches.N_PITCHES)
    assert roll.max() == 1.0 and roll.min() >= 0.0
    np.testing.assert_allclose(pitches.roll(tone * np.float32(0.01)), roll, atol=1e-3)


def test_silence_has_no_pitch():
    assert not pitches.roll(np.zeros(5000, np.float32)).any()
    assert pitches.roll(np.zeros(1, np.float32)).shape == (1, pitches.N_PITCHES)
