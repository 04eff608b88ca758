"""The filter takes noise away and leaves music; whatever it gets, it gives back in the same shape."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapelle.audio.denoise import DEFAULT_METHOD, METHODS, check, denoise, wiener
from kapelle.audio.denoise.noise_floor import noise_floor
from kapelle.audio.frames import Grid
from kapelle.audio.measures import octave_changes_db, octave_levels_db, si_sdr_db, snr_db
from kapelle.audio.waveform import Waveform
from kapelle.errors import UnknownName, UsageError
from sounds import RATE_HZ, mixed, noise, notes


def gain_db(music, hiss, **how):
    noisy = mixed(music, hiss)
    return snr_db(music, denoise(noisy, **how)) - snr_db(music, noisy)


@pytest.mark.parametrize(("kind", "level", "goal"), [("white", 10, 8.0), ("white", 20, 5.5), ("white", 30, 3.5), ("pink", 10, 2.0)])
def test_noise_goes_down(kind, level, goal):
    music = notes()
    assert gain_db(music, noise(music, level, kind)) >= goal


def test_clean_music_stays():
    for seed in (0, 1):
        music = notes(seed=seed)
        cleaned = denoise(music)
        assert si_sdr_db(music, cleaned) >= 30.0
        assert max(map(abs, octave_changes_db(music, cleaned, depth_db=90.0).values())) <= 0.5


def test_held_chords_of_an_organ_are_no_noise():
    time = np.arange(8 * RATE_HZ) / RATE_HZ
    chord = sum(np.sin(2 * np.pi * hz * k * time + k * hz) / k for hz in (98.0, 196.3, 246.9, 293.7) for k in range(1, 9))
    wave = Waveform((0.1 * chord).astype(np.float32), RATE_HZ)
    assert si_sdr_db(wave, denoise(wave)) >= 60.0


def test_noise_alone_is_turned_down_as_far_as_the_strength_says():
    hiss = noise(notes(), 0.0)
    for strength, drop in ((0.2, 6.0), (0.6, 18.0), (1.0, 30.0)):
        cleaned = denoise(hiss, strength=strength)
        assert hiss.rms_db - cleaned.rms_db == pytest.approx(drop, abs=1.5)


def test_the_rest_of_noise_does_not_tinkle():
    """What is left of noise alone keeps the spread of noise: no points stand out."""
    hiss = noise(notes(), 0.0)
    grid = Grid(hiss.n_frames, hiss.sample_rate)
    power = grid.power(grid.transform(denoise(hiss).samples, slice(20, 200)))[:, 0, 20:-20].ravel()
    assert np.mean((power / power.mean()) ** 2) < 3.0  # 2 for exponential powers


def test_strength_0_is_the_sound_itself_and_silence_stays():
    music = notes(1.0)
    assert denoise(music, strength=0.0) is music
    silence = Waveform(np.zeros((RATE_HZ, 2), np.float32), RATE_HZ)
    assert not denoise(silence).samples.any()


def test_places_between_the_speakers_stay():
    """A sound on the left alone stays there, with noise on both sides."""
    music = notes()
    left = Waveform(music.samples * np.array([1.0, 0.25], np.float32), RATE_HZ)
    cleaned = denoise(mixed(left, noise(left, 15)))
    levels = [octave_levels_db(Waveform(cleaned.samples[:, side], RATE_HZ)) for side in (0, 1)]
    wanted = [octave_levels_db(Waveform(left.samples[:, side], RATE_HZ)) for side in (0, 1)]
    for octave in (125.0, 250.0, 500.0):
        assert levels[0][octave] - levels[1][octave] == pytest.approx(wanted[0][octave] - wanted[1][octave], abs=0.7)


def test_the_floor_is_found_where_it_is():
    music = notes()
    for level in (10, 30):
        hiss = noise(music, level)
        noisy = mixed(music, hiss)
        floor = noise_floor(noisy.samples, Grid(noisy.n_frames, RATE_HZ))
        assert floor.mean_db == pytest.approx(hiss.rms_db, abs=1.5)
    assert wiener.floor_of(music).mean_db < music.rms_db - 45.0


def test_digital_silence_before_the_noise_does_not_hide_it():
    music = notes()
    hiss = noise(music, 15)
    gap = Waveform(np.zeros((3 * RATE_HZ, 2), np.float32), RATE_HZ)
    joined = Waveform(np.concatenate([gap.samples, mixed(music, hiss).samples, gap.samples]), RATE_HZ)
    cleaned = denoise(joined)
    inner = Waveform(cleaned.samples[3 * RATE_HZ : -3 * RATE_HZ], RATE_HZ)
    assert snr_db(music, inner) >= 15.0 + 6.0
    assert np.abs(cleaned.samples[:RATE_HZ]).max() == 0.0


def test_a_recording_that_ends_below_half_its_rate_is_still_cleaned():
    """Noise up to 6 kHz and nothing above, as a lossy file or a slow recorder leaves it."""
    music = notes()
    noisy = mixed(music, noise(music, 10))
    spectrum = np.fft.rfft(noisy.samples, axis=0)
    spectrum[np.fft.rfftfreq(noisy.n_frames, 1 / RATE_HZ) > 6_000] = 0.0
    low = Waveform(np.fft.irfft(spectrum, noisy.n_frames, axis=0).astype(np.float32), RATE_HZ)
    assert snr_db(music, denoise(low)) - snr_db(music, low) >= 3.0


def test_noise_that_changes_its_level_is_followed():
    music = notes(120.0, 8_000, step_s=0.5)
    hiss = noise(music, 12)
    louder = np.where(np.arange(music.n_frames) < 60 * 8_000, 0.1, 1.0).astype(np.float32)[:, None]
    floor = wiener.floor_of(mixed(music, Waveform(hiss.samples * louder, 8_000)))
    top = floor.level_db[:, :, -3:].mean(axis=(1, 2))
    assert top[-1] - top[0] == pytest.approx(20.0, abs=2.5)


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 32_000, 96_000, 384_000])
def test_every_rate_is_cleaned(rate):
    music = notes(1.5 if rate < 100_000 else 0.8, rate, seed=2)
    cleaned = denoise(mixed(music, noise(music, 10)))
    assert (cleaned.n_frames, cleaned.sample_rate, cleaned.n_channels) == (music.n_frames, rate, 2)
    assert snr_db(music, cleaned) >= (12.5 if rate < 100_000 else 11.0)


@pytest.mark.parametrize("n_frames", [0, 1, 2, 511, 2048, 2049, 30_000])
@pytest.mark.parametrize("n_channels", [1, 2, 8])
def test_short_sounds_come_back_in_their_shape(n_frames, n_channels):
    random = np.random.default_rng(n_frames)
    wave = Waveform(random.uniform(-1, 1, (n_frames, n_channels)).astype(np.float32), RATE_HZ)
    cleaned = denoise(wave)
    assert cleaned.samples.shape == wave.samples.shape


@pytest.mark.parametrize(
    "make",
    [
        lambda n: np.full(n, 0.5),
        lambda n: np.ones(n),
        lambda n: np.where(np.arange(n) % 2, 1.0, -1.0),
        lambda n: np.sin(2 * np.pi * 440 * np.arange(n) / RATE_HZ),
        lambda n: np.eye(1, n, n // 2).ravel(),
    ],
    ids=["constant", "full scale", "half the rate", "sine", "click"],
)
def test_what_holds_no_noise_stays(make):
    wave = Waveform(make(3 * RATE_HZ).astype(np.float32), RATE_HZ)
    assert snr_db(wave, denoise(wave)) >= 50.0


@settings(max_examples=25, deadline=None)
@given(
    n_frames=st.integers(0, 9000),
    n_channels=st.integers(1, 3),
    scale=st.sampled_from([1e-30, 1e-6, 1.0, 1e4, 1e18]),
    strength=st.floats(0.0, 1.0),
    seed=st.integers(0, 99),
)
def test_whatever_comes_in_finite_numbers_of_the_shape_come_out(n_frames, n_channels, scale, strength, seed):
    random = np.random.default_rng(seed)
    samples = (random.normal(size=(n_frames, n_channels)) * scale * random.choice([0, 1], (n_frames, 1))).astype(np.float32)
    cleaned = denoise(Waveform(samples, 4_000), strength=strength)
    assert cleaned.samples.shape == samples.shape
    assert np.isfinite(cleaned.samples).all()
    assert cleaned.peak <= max(wave_peak := float(np.abs(samples).max(initial=0.0)), 1e-30) * 2.0 or wave_peak == 0.0


def test_the_same_sound_gives_the_same_samples():
    noisy = mixed(notes(2.0), noise(notes(2.0), 10))
    assert np.array_equal(denoise(noisy).samples, denoise(noisy).samples)


def test_memory_does_not_grow_with_the_length():
    """Beyond what goes in and comes out, five minutes need as much as one."""
    random = np.random.default_rng(0)

    def extra_bytes(seconds):
        wave = Waveform(random.normal(size=(round(seconds * 8_000), 1)).astype(np.float32) * 0.1, 8_000)
        tracemalloc.start()
        denoise(wave)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak - wave.samples.nbytes

    assert extra_bytes(300) < extra_bytes(60) + 3_000_000


def test_progress_runs_to_its_end():
    told = []
    denoise(notes(4.0), progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1]
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_unknown_methods_and_strengths_are_refused():
    assert DEFAULT_METHOD == METHODS[0] == "wiener"
    with pytest.raises(UnknownName, match="rnnoise"):
        denoise(notes(0.1), "rnnoise")
    for strength in (-0.1, 1.1, float("nan")):
        with pytest.raises(UsageError, match="strength"):
            check("wiener", strength)


def test_the_filter_needs_neither_scipy_nor_torch():
    code = (
        "import sys, numpy as np\n"
        "from kapelle.audio.denoise import denoise\nfrom kapelle.audio.waveform import Waveform\n"
        "denoise(Waveform(np.random.default_rng(0).normal(size=(9000, 1)).astype('float32'), 8000))\n"
        "assert not {'scipy', 'torch', 'matplotlib', 'noisereduce'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_noise_in_a_sound_that_was_coded_is_found_too(tmp_path):
    """A coder leaves nothing above 16 kHz or so, and holes below: neither is to be taken for a sound without noise."""
    from kapelle.audio import files

    music = notes(rate=44_100)

    def coded(wave):
        files.write(tmp_path / "coded.mp3", wave)
        return files.read(tmp_path / "coded.mp3")

    noisy = coded(mixed(music, noise(music, 15.0)))
    assert snr_db(music, denoise(noisy)) - snr_db(music, noisy) >= 2.0
    clean = coded(music)
    assert si_sdr_db(clean, denoise(clean)) >= 30.0
