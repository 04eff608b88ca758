"""Flow matching against closed forms: a Gaussian's velocity field is known exactly, and so is the order of each solver."""

import math

import numpy as np
import pytest

from kapelle.errors import Interrupted, UnknownName, UsageError
from kapelle.text_audio import flow

MEAN, DEVIATION = 1.5, 0.4


def of_gaussian(state, time):
    """The mean velocity of all straight lines from N(0, 1) to N(MEAN, DEVIATION²) through a point, in closed form.

    Noise e and sound y are independent, so at time t the point x = t y + (1 - t) e is Gaussian with mean t m and variance
    t² d² + (1 - t)²; the velocity y - e has covariance t d² - (1 - t) with it: a linear regression gives the mean.
    """
    variance = time**2 * DEVIATION**2 + (1 - time) ** 2
    return MEAN + (time * DEVIATION**2 - (1 - time)) / variance * (state - time * MEAN)


def test_the_field_of_a_gaussian_is_the_mean_velocity_of_lines_through_a_point():
    draw = np.random.default_rng(0)
    noise, sound = draw.normal(size=1_000_000), draw.normal(MEAN, DEVIATION, 1_000_000)
    for time, place in ((0.2, 0.5), (0.5, 0.3), (0.8, 1.4)):
        near = np.abs(time * sound + (1 - time) * noise - place) < 0.02
        assert near.sum() > 2_500
        assert (sound - noise)[near].mean() == pytest.approx(of_gaussian(place, time), abs=0.05)


def test_following_the_field_of_a_gaussian_draws_from_it():
    """The exact flow takes e to MEAN + DEVIATION e: order is kept, so quantiles go to quantiles."""
    noise = np.random.default_rng(1).normal(size=10_000)
    drawn = flow.integrate(of_gaussian, noise, flow.times(100), solver="midpoint")
    assert np.abs(drawn - (MEAN + DEVIATION * noise)).max() < 0.005
    assert drawn.mean() == pytest.approx(MEAN, abs=0.02)
    assert drawn.std() == pytest.approx(DEVIATION, abs=0.02)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2), ("runge-kutta", 4)])
def test_halving_the_steps_of_a_solver_divides_its_error_by_two_to_its_order(solver, order):
    """On x' = -(1 + t) x² from 2, whose solution is 1 / (1/2 + t + t²/2): a field that bends in place and in time."""

    def error(n_steps):
        return abs(flow.integrate(lambda state, time: -(1 + time) * state**2, 2.0, flow.times(n_steps), solver=solver) - 0.5)

    measured = math.log2(error(160) / error(320))
    assert measured == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("solver", flow.SOLVERS)
def test_a_field_that_is_constant_is_followed_exactly(solver):
    assert flow.integrate(lambda state, time: 2.5, -1.0, flow.times(3), solver=solver) == pytest.approx(1.5)


def test_times_go_evenly_from_noise_to_sound():
    assert flow.times(4) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert flow.times(1) == [0.0, 1.0]


def test_a_shift_crowds_times_near_the_noise():
    shifted = flow.times(4, shift=4.0)
    assert shifted[0] == 0.0 and shifted[-1] == 1.0
    assert shifted[2] == pytest.approx(0.2)
    assert np.all(np.diff(shifted, 2) > 0)


@pytest.mark.parametrize(
    "wrong", [{"n_steps": 0}, {"n_steps": 3, "shift": 0.0}, {"n_steps": 3, "shift": -1.0}, {"n_steps": 3, "shift": math.nan}]
)
def test_no_steps_and_impossible_shifts_are_refused(wrong):
    with pytest.raises(UsageError):
        flow.times(**wrong)


def test_every_step_is_told_and_can_be_the_last():
    told = []

    def stepped(done):
        told.append(done)
        if done == 3:
            raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        flow.integrate(of_gaussian, 0.0, flow.times(5), stepped=stepped)
    assert told == [1, 2, 3]


def test_an_unknown_solver_is_refused_with_the_known_ones():
    with pytest.raises(UnknownName) as refused:
        flow.integrate(of_gaussian, 0.0, flow.times(5), solver="dopri5")
    assert "runge-kutta" in refused.value.hint


def test_guidance_extrapolates_from_what_is_absent_through_what_is_given():
    assert [flow.guided(1.0, 3.0, guidance) for guidance in (0.0, 1.0, 5.0)] == [1.0, 3.0, 11.0]


def test_flow_needs_neither_torch_nor_scipy():
    import subprocess
    import sys

    code = "import sys; import kapelle.text_audio.flow; print(sorted({'torch', 'scipy'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
