"""Flow matching: from noise to a sound along an ordinary differential equation.

A flow-matching network is trained on straight lines: at time t, from 0 (noise) to 1 (sound), a point of the line is

    x(t) = t · sound + (1 - (1 - s) · t) · noise,  with a small s, such as 0.0001,

and the network learns the velocity of this point, ``sound - (1 - s) · noise``, from x(t), t and the prompt alone. What it can learn is
the mean velocity of all lines through a point. Following this field from noise at t = 0 to t = 1 draws a sound: that is an initial value
problem, and this file solves it with a fixed number of steps.

Takes a velocity field, a draw of noise and times; gives the state at the last time. It works on anything that adds and multiplies: torch
tensors, numpy arrays, numbers. It draws nothing and knows no network.

Source: Lipman et al. 2023, "Flow Matching for Generative Modeling"; Gao et al. 2024, "Lumina-T2X" (equations, Euler steps); Zhuo et al.
2024, "Lumina-Next" (the shift of times); Ho & Salimans 2022, "Classifier-Free Diffusion Guidance".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from kapelle.errors import UnknownName, UsageError

State = Any
"""Where a draw is: a tensor, an array or a number."""

Field = Callable[[State, float], State]
"""The velocity (of the shape of the state) at a state and a time, 0 to 1."""

Step = Callable[[Field, State, float, float], State]
"""The state at the second time, from the field, the state at the first, and both times."""


def euler(field: Field, state: State, start: float, end: float) -> State:
    """One step along the velocity at its start: one evaluation, an error of the first order in the length of a step."""
    return state + (end - start) * field(state, start)


def midpoint(field: Field, state: State, start: float, end: float) -> State:
    """One step along the velocity half-way: two evaluations, second order."""
    half = (start + end) / 2
    return state + (end - start) * field(euler(field, state, start, half), half)


def heun(field: Field, state: State, start: float, end: float) -> State:
    """One step along the mean of the velocities at its start and at its end: two evaluations, second order."""
    first = field(state, start)
    second = field(state + (end - start) * first, end)
    return state + (end - start) * (first + second) / 2


def runge_kutta(field: Field, state: State, start: float, end: float) -> State:
    """One step of the classical method of Runge and Kutta: four evaluations, fourth order."""
    length, half = end - start, (start + end) / 2
    first = field(state, start)
    second = field(state + length / 2 * first, half)
    third = field(state + length / 2 * second, half)
    fourth = field(state + length * third, end)
    return state + length / 6 * (first + 2 * second + 2 * third + fourth)


SOLVERS: dict[str, Step] = {"euler": euler, "midpoint": midpoint, "heun": heun, "runge-kutta": runge_kutta}


def times(n_steps: int, *, shift: float = 1.0) -> list[float]:
    """The n_steps + 1 times from 0 to 1 between which steps are taken.

    Args:
        n_steps: 1 or more.
        shift: 1 spaces them evenly; above 1 they crowd near the noise, where the field bends most, so that fewer steps do.

    Raises:
        UsageError: There is no step, or the shift is not above 0.
    """
    if n_steps < 1 or not shift > 0:
        raise UsageError("{n} steps with a shift of {shift:g}: at least one step, and a shift above 0", n=n_steps, shift=shift)
    even = [step / n_steps for step in range(n_steps + 1)]
    return [time / (time + shift * (1 - time)) for time in even]


def integrate(
    field: Field,
    noise: State,
    at: Sequence[float],
    *,
    solver: str = "euler",
    stepped: Callable[[int], None] = lambda done: None,
) -> State:
    """The state at the last time, from `noise` at the first.

    Args:
        field: The velocity.
        noise: The state to begin with.
        at: Times as `times` gives them.
        solver: One of `SOLVERS`.
        stepped: Called after each step with the number of steps done; it may raise, to stop.

    Raises:
        UnknownName: There is no such solver.
    """
    if solver not in SOLVERS:
        raise UnknownName("solver", solver, SOLVERS)
    state = noise
    for done, (start, end) in enumerate(pairwise(at)):
        state = SOLVERS[solver](field, state, start, end)
        stepped(done + 1)
    return state


def guided(absent: State, given: State, guidance: float) -> State:
    """The velocity that follows a prompt more strictly than was learned.

    Args:
        absent: The velocity without the prompt, or for what is to be kept away from.
        given: The velocity for the prompt.
        guidance: 0 gives `absent`, 1 gives `given`, above 1 goes on in this direction.
    """
    return absent + guidance * (given - absent)
