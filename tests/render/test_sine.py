"""The sine renderer: in tune, in time, in balance, repeatable, quick."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import symusic

from kapelle.render import sine
from kapelle.render.drums import KIT, strike
from kapelle.render.voices import FAMILIES
from pieces import score, track


def fundamental_hz(samples: np.ndarray, rate: int, low: float, high: float) -> float:
    """The strongest frequency between two, by a spectrum padded to steps of less than 0.1 Hz."""
    n = 1 << 20
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), n))
    hz = np.fft.rfftfreq(n, 1 / rate)
    band = (hz >= low) & (hz <= high)
    return float(hz[band][spectrum[band].argmax()])


@pytest.mark.parametrize("family", range(16))
def test_a4_has_its_fundamental_at_440_hz_in_every_family(family):
    wave = sine.render(score(track((0, 1920, 69, 100), program=family * 8)))
    got = fundamental_hz(wave.samples[:88_200, 0], 44_100, 400, 480)
    assert got == pytest.approx(440.0, abs=1.0 if family < 15 else 5.0)  # the last are noises


@pytest.mark.parametrize(("pitch", "hz"), [(21, 27.5), (60, 261.626), (81, 880.0), (108, 4186.0)])
def test_a_piano_is_in_tune_from_the_lowest_to_the_highest_key(pitch, hz):
    wave = sine.render(score(track((0, 1920, pitch, 100))))
    assert fundamental_hz(wave.samples[:44_100, 0], 44_100, hz * 0.9, hz * 1.1) == pytest.approx(hz, rel=0.002)


def test_the_length_is_the_piece_and_its_tail_and_the_end_is_silent():
    wave = sine.render(score(track((0, 960, 60, 100))), tail_s=1.5)
    assert wave.duration_s == pytest.approx(1.0 + 1.5)
    assert wave.n_channels == 2
    assert wave.samples[-1].tolist() == [0.0, 0.0]
    assert np.abs(wave.samples[: 44_100 // 2]).max() > 0.05


def test_notes_begin_when_the_tempo_map_says():
    piece = score(track((0, 100, 60, 100), (960, 100, 60, 100), (1920, 100, 60, 100)), bpm=120)
    piece.tempos.append(symusic.Tempo(960, qpm=60.0))
    loud = np.abs(sine.render(piece).samples[:, 0])
    for second in (1.0, 3.0):
        at = int(second * 44_100)
        assert loud[at - 2000 : at].max() < 0.02 * loud[at : at + 2000].max()


@pytest.mark.parametrize("program", [0, 19, 48])
def test_velocity_is_loudness(program):
    levels = [sine.render(score(track((0, 960, 60, velocity), program=program))).rms_db for velocity in (20, 64, 127)]
    assert levels[0] < levels[1] - 6 < levels[2] - 12


def test_volume_pan_and_pedal_are_followed():
    plain, quiet, left, held = (track((0, 240, 60, 100)) for _ in range(4))
    quiet.controls.append(symusic.ControlChange(0, 7, 50))
    left.controls.append(symusic.ControlChange(0, 10, 0))
    held.pedals.append(symusic.Pedal(0, 1920))
    held.notes.append(symusic.Note(1900, 20, 80, 1))
    waves = [sine.render(score(one)) for one in (plain, quiet, left, held)]
    assert waves[1].rms_db == pytest.approx(waves[0].rms_db - 12.04, abs=0.1)
    assert np.abs(waves[2].samples[:, 1]).max() < 1e-6 < np.abs(waves[2].samples[:, 0]).max()
    later = slice(int(0.8 * 44_100), int(1.2 * 44_100))
    assert np.abs(waves[0].samples[later]).max() < 1e-4
    assert np.abs(waves[3].samples[later]).max() > 1e-2


def test_a_muted_piece_an_empty_one_and_one_without_tracks_are_silent():
    for piece, seconds in ((score(track((0, 960, 60, 0))), 2.5), (score(track()), 1.5), (score(), 1.5)):
        wave = sine.render(piece)
        assert wave.peak == 0.0
        assert wave.duration_s == pytest.approx(seconds)


def test_notes_of_no_length_and_extreme_pitches_sound_without_trouble():
    piece = score(*(track(*((0, 0, pitch, 100) for pitch in (0, 64, 127)), program=8 * family) for family in range(16)))
    piece.tracks.append(track(*((0, 0, pitch, 100) for pitch in range(128)), drums=True))
    assert 0.0 < sine.render(piece).peak < 100.0


def test_a_key_struck_again_ends_what_it_sounded_before():
    organ = [
        sine.render(score(track((0, 1920, 60, 100), *more, program=19))).samples[66_150:80_000] for more in ([], [(960, 120, 60, 100)])
    ]
    assert np.abs(organ[0]).max() > 0.01
    assert np.abs(organ[1]).max() < 1e-6


def test_notes_are_told_apart_from_each_other_only_by_time_and_gain():
    """What shares a tone must sound as if it did not: the cache is no approximation."""
    notes = [(0, 960, 60, 100), (1440, 120, 60, 50), (2400, 480, 60, 127)]
    together = sine.render(score(track(*notes)))
    for start, duration, pitch, velocity in notes:
        alone = sine.render(score(track((0, duration, pitch, velocity))))
        at, n = int(start / 960 * 44_100), int(duration / 960 * 44_100)
        np.testing.assert_array_equal(together.samples[at + n // 2 : at + n], alone.samples[n // 2 : n])


def test_a_drone_longer_than_a_kept_tone_goes_on_without_a_seam():
    wave = sine.render(score(track((0, 960 * 50, 57, 100), program=19))).samples[:, 0]
    kept = int(sine.MAX_TONE_S * 44_100) // sine.PIECE_FRAMES * sine.PIECE_FRAMES
    steps = np.abs(np.diff(wave[44_100 : 44_100 * 49]))
    for seam in (kept, 2 * kept):
        assert np.abs(np.diff(wave[seam - 3 : seam + 3])).max() <= steps.max() * 1.0001
    assert np.abs(wave[48 * 44_100 : 49 * 44_100]).max() == pytest.approx(np.abs(wave[2 * 44_100 : 3 * 44_100]).max(), rel=0.01)


def test_a_release_across_the_end_of_a_kept_tone_goes_on_falling():
    kept = int(sine.MAX_TONE_S * 44_100) // sine.PIECE_FRAMES * sine.PIECE_FRAMES
    ticks = int((kept - 1_000) / 44_100 * 960)
    wave = np.abs(sine.render(score(track((0, ticks, 57, 100), program=19))).samples[:, 0])
    assert wave[kept : kept + 400].max() < 0.6 * wave[kept - 3_000 : kept - 2_000].max()
    assert wave[kept + 2_000 :].max() < 1e-6


def test_the_same_score_gives_the_same_samples_with_any_number_of_threads(tmp_path):
    code = (
        "import sys, hashlib, numpy as np; from pieces import score, track; from kapelle.render import sine;"
        "t = [track(*((i * 90, 200, 40 + i % 50, 60 + i % 60) for i in range(60)), program=8 * p, drums=p == 15) for p in range(16)];"
        "print(hashlib.sha256(np.ascontiguousarray(sine.render(score(*t)).samples)).hexdigest())"
    )
    roots = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(sine.__file__).parents[2])])
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": roots, "OPENBLAS_NUM_THREADS": n, "OMP_NUM_THREADS": n},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for n in ("1", "2")
    }
    assert len(found) == 1


def test_five_minutes_with_five_thousand_notes_take_less_than_two_seconds():
    random = np.random.default_rng(0)
    tracks = [
        track(
            *((int(t), 400, int(p), 90) for t, p in zip(random.integers(0, 288_000, 1250), random.integers(40, 90, 1250), strict=True)),
            program=program,
            drums=program == 24,
        )
        for program in (0, 24, 33, 48)
    ]
    started = time.process_time()
    wave = sine.render(score(*tracks))
    assert wave.duration_s > 295
    assert time.process_time() - started < 2.0


def test_every_drum_is_short_finite_and_the_same_each_time():
    for pitch in [*sorted(KIT), 0, 127]:
        sound = strike(pitch, 44_100)
        assert np.isfinite(sound).all()
        assert 0.2 < np.abs(sound).max() <= 1.31
        assert len(sound) < 5 * 44_100
        assert abs(sound[-1]) < 1e-3
        np.testing.assert_array_equal(sound, strike.__wrapped__(pitch, 44_100))


def test_the_kick_is_low_and_the_hat_is_high():
    def centre_hz(pitch: int) -> float:
        power = np.abs(np.fft.rfft(strike(pitch, 44_100))) ** 2
        return float((power * np.fft.rfftfreq(len(strike(pitch, 44_100)), 1 / 44_100)).sum() / power.sum())

    assert centre_hz(36) < centre_hz(45) < 400 < centre_hz(38) < 5_000 < centre_hz(42)


def test_there_is_a_voice_for_each_of_the_sixteen_families():
    assert len(FAMILIES) == 16
    for voice in FAMILIES:
        assert not voice.ratios or len(voice.ratios) == len(voice.amplitudes)
