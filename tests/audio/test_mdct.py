"""The modified discrete cosine transform: perfect reconstruction, energy kept, tones where they belong."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapelle.audio import mdct
from kapelle.errors import UsageError


def definition(size: int) -> np.ndarray:
    """One windowed cosine for each coefficient, shape (2 size, size), as Princen and Bradley write it."""
    moments = np.arange(2 * size)[:, None] + 0.5
    waves = np.cos(np.pi / size * (moments + size / 2) * (np.arange(size) + 0.5))
    return np.sqrt(2 / size) * np.sin(np.pi / (2 * size) * moments) * waves


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(0, 3000), size=st.sampled_from([1, 2, 3, 8, 100, 640]), seed=st.integers(0, 9))
def test_a_transform_undone_is_the_sound_again_and_has_its_energy(n, size, seed):
    samples = noise(n, seed)
    rows = mdct.transform(samples, size)
    assert rows.shape == (-(-n // size) + 1, size)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(mdct.sound(rows, n), samples, atol=2e-5)
    assert np.square(rows, dtype=np.float64).sum() == pytest.approx(np.square(samples, dtype=np.float64).sum(), rel=1e-4)


def test_an_error_in_the_coefficients_is_as_large_in_the_sound():
    rows = mdct.transform(noise(6400), 64)
    wrong = mdct.transform(noise(6400, 1), 64)  # what no sound can have is not in the picture
    difference = mdct.sound(rows + wrong, 6400) - mdct.sound(rows, 6400)
    assert np.square(difference).sum() == pytest.approx(np.square(wrong).sum(), rel=1e-4)


def test_the_window_meets_the_condition_of_princen_and_bradley():
    basis = definition(16)
    whole = np.zeros((64, 48))
    for place in range(3):  # three neighbours
        whole[16 * place : 16 * place + 32, 16 * place : 16 * place + 16] = basis
    np.testing.assert_allclose(whole.T @ whole, np.eye(48), atol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 7, 16, 640])
def test_a_row_is_a_product_with_the_cosines(size):
    samples = noise(4 * size, size)
    padded = np.concatenate([np.zeros(size), samples, np.zeros(size)])
    frames = np.stack([padded[size * row : size * (row + 2)] for row in range(5)])
    np.testing.assert_allclose(mdct.transform(samples, size), frames @ definition(size), atol=1e-5)


def test_the_same_bytes_for_any_number_of_threads():
    program = (
        "import hashlib, numpy as np; from kapelle.audio import mdct; "
        "rows = mdct.transform(np.random.default_rng(0).standard_normal(64_000).astype('float32'), 640); "
        "print(hashlib.sha256(rows.tobytes() + mdct.sound(rows, 64_000).tobytes()).hexdigest())"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
            capture_output=True, text=True, check=True,
        ).stdout
        for threads in ("1", "2")
    }  # fmt: skip
    assert len(told) == 1


def test_a_tone_is_in_the_coefficients_of_its_frequency():
    rows = mdct.transform(np.sin(2 * np.pi * 1000 * np.arange(32_000) / 32_000).astype(np.float32), 640)
    power = np.square(rows).sum(axis=0)
    assert abs(power.argmax() - 1000 / 25) <= 1  # 640 frequencies up to 16 kHz: 25 Hz apart
    assert power[35:45].sum() > 0.99 * power.sum()


def test_silence_and_nothing():
    assert not mdct.transform(np.zeros(100, dtype=np.float32), 8).any()
    assert mdct.transform(np.zeros(0, dtype=np.float32), 8).shape == (1, 8)
    assert mdct.sound(np.zeros((1, 8), dtype=np.float32), 0).shape == (0,)


@pytest.mark.parametrize("size", [0, 4097])
def test_a_size_out_of_range_is_refused(size):
    with pytest.raises(UsageError, match="1 to 4096"):
        mdct.transform(noise(10), size)


def test_what_is_no_channel_and_what_holds_too_little_is_refused():
    with pytest.raises(UsageError, match="one channel"):
        mdct.transform(np.zeros((5, 2), dtype=np.float32), 8)
    with pytest.raises(UsageError, match="table"):
        mdct.sound(np.zeros(8, dtype=np.float32), 8)
    with pytest.raises(UsageError, match="cannot hold 17 samples"):
        mdct.sound(np.zeros((3, 8), dtype=np.float32), 17)
