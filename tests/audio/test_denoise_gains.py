"""The gains are those of their papers; what is cut into frames comes back."""

import numpy as np
import pytest

from kapelle.audio.denoise import gains
from kapelle.audio.frames import Grid


def test_the_exponential_integral_is_that_of_scipy():
    special = pytest.importorskip("scipy.special")
    x = np.concatenate([np.logspace(-12, 2.5, 400), [1.999999, 2.0, 2.000001]])
    assert np.allclose(gains.exponential_integral(x), special.exp1(x), rtol=1e-11, atol=0.0)


def test_the_exponential_integral_has_known_values():
    """Abramowitz and Stegun, table 5.1."""
    assert gains.exponential_integral(np.array([0.5, 1.0, 2.0])) == pytest.approx([0.5597735947, 0.2193839343, 0.0489005107], rel=1e-9)


def test_the_log_amplitude_gain_is_its_formula():
    xi, gamma = np.meshgrid([0.01, 0.3, 1.0, 30.0], [0.01, 0.5, 2.0, 50.0])
    share = xi / (1 + xi)
    wanted = share * np.exp(0.5 * gains.exponential_integral(share * gamma))
    assert np.allclose(gains.log_amplitude(xi, gamma), np.minimum(wanted, 1.0), rtol=1e-4)


def test_the_log_amplitude_gain_keeps_more_than_wiener():
    xi, gamma = np.meshgrid(np.logspace(-3, 2, 30), np.logspace(-2, 3, 30))
    assert np.all(gains.log_amplitude(xi, gamma) >= gains.wiener(xi))
    assert np.all(gains.log_amplitude(xi, gamma) <= 1.0)


def test_the_ratio_follows_what_was_kept():
    """By hand: a = 0.5, gamma 3 then 1: xi = 0.5 x 0 + 0.5 x 2 = 1, kept 0.25 x 3; then 0.5 x 0.75 + 0 = 0.375."""
    ratios = gains.DecisionDirected(1, smoothing=0.5)
    assert ratios(np.array([[3.0], [1.0]])).ravel().tolist() == [1.0, 0.375]


def test_the_ratio_goes_on_where_a_block_ended():
    gamma = np.random.default_rng(0).exponential(size=(50, 7)) * 4
    whole = gains.DecisionDirected(7)(gamma)
    parts = gains.DecisionDirected(7)
    assert np.array_equal(np.concatenate([parts(gamma[:13]), parts(gamma[13:])]), whole)


def test_a_second_look_sees_a_beginning_at_once():
    gamma = np.concatenate([np.full((40, 1), 1.0), np.full((3, 1), 100.0)])
    first = gains.DecisionDirected(1)(gamma)
    second = gains.second_look(first, gamma)
    assert second[40, 0] > 5 * first[40, 0]


@pytest.mark.parametrize(("n_samples", "rate"), [(1, 44_100), (513, 44_100), (50_000, 44_100), (7001, 4_000), (40_000, 384_000)])
def test_frames_come_back_as_they_were(n_samples, rate):
    samples = np.random.default_rng(0).uniform(-1, 1, (n_samples, 2)).astype(np.float32)
    grid = Grid(n_samples, rate)
    out = np.zeros_like(samples)
    for frames in grid.blocks():
        grid.add(out, grid.transform(samples, frames), frames)
    assert np.abs(out - samples).max() < 1e-6


def test_white_noise_has_its_variance_at_every_frequency():
    samples = np.random.default_rng(0).normal(size=(400_000, 1)).astype(np.float32) * 0.1
    grid = Grid(len(samples), 44_100)
    power = np.mean([grid.power(grid.transform(samples, frames)).mean(axis=0)[0] for frames in grid.blocks(8, 700)], axis=0)
    assert power[5:-5].mean() == pytest.approx(0.01, rel=0.02)
    assert grid.size == 2048


def test_an_empty_sound_has_no_frames():
    assert Grid(0, 44_100).n_frames == 0
    assert list(Grid(0, 44_100).blocks()) == []
