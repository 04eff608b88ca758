"""The networks of MuseGAN as tables: which layer does what to how many cells, derived from the form of the data.

Takes a `Config`, gives rows of `Layer`; printed one below the other they are the tables of docs/explanation/musegan.md. Every layer works
along one axis: a generator's layers make one row of channels into `kernel` rows along time first and then along pitch, a critic's
and the encoder's do the opposite. It holds no weights and loads no torch.

The published tables are for bars of 96 steps and 84 pitches; for other forms the same rules give other rows:
- time grows from 2 by twos and then by threes to the number of steps, with 512 channels halved every second layer;
- pitch grows from 1 to the number of octaves and from there to the pitches: an octave is one product;
- a critic folds pitches and octaves, then time twice by two; what remains (24 steps of 96, the 4 beats of 16) it reads by the two
  overlapping layers of the paper if they fit, else in one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kapelle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kapelle.models.musegan import Config

OCTAVE = 12
FEATURES = 16
"""Channels of every layer of the encoder, whatever the width."""

HIDDEN = 1024
"""Channels of h0, of the hidden layer of a temporal generator, and of the last hidden layer of a critic."""

BAR = 128
"""Numbers by which a critic of phrases knows a bar."""


@dataclass(frozen=True)
class Layer:
    """One row of a table.

    Args:
        name: As in the paper's code: h0 ..., e0 ..., and d0 ... for critics; b0 ... is our own.
        axis: What it works along: ``time`` or ``pitch``.
        kernel: Rows that one becomes (generator), or that become one (encoder, critic).
        stride: Rows from one kernel to the next; the kernel itself but for overlapping layers.
        inputs: Channels in, features of the encoder included.
        channels: Channels out.
        steps: Steps of a bar after it.
        pitches: Rows along pitch after it.
    """

    name: str
    axis: str
    kernel: int
    stride: int
    inputs: int
    channels: int
    steps: int
    pitches: int


def scaled(config: Config, channels: int) -> int:
    """`channels` of the paper in a network of the Config's width, at least one."""
    return max(1, round(channels * config.width))


def time_factors(n_steps: int) -> tuple[int, ...]:
    """How time grows to `n_steps`: twos, then threes; (2, 2, 2, 2, 2, 3) for 96, (2, 2, 2, 2) for 16.

    Raises:
        UsageError: Other factors than 2 and 3, or fewer than two twos.
    """
    factors, left = [], n_steps
    for prime in (2, 3):
        while left > 1 and left % prime == 0:
            factors.append(prime)
            left //= prime
    if left != 1 or factors[:2] != [2, 2]:
        raise UsageError(
            "a bar must have 4 steps times twos and threes, not {n_steps}", n_steps=n_steps, hint="16, 24, 48 and 96 are such numbers"
        )
    return tuple(factors)


def octaves(n_pitches: int) -> int:
    """How many octaves `n_pitches` are.

    Raises:
        UsageError: They are not whole octaves.
    """
    if n_pitches < OCTAVE or n_pitches % OCTAVE:
        raise UsageError("a roll must have whole octaves, not {n_pitches} pitches", n_pitches=n_pitches, hint="72 and 84 are such numbers")
    return n_pitches // OCTAVE


def bar_generator(config: Config, n_out: int) -> tuple[Layer, ...]:
    """h0, ...: from the latent of a bar to its cells; `n_out` tracks come out of the last."""
    features = FEATURES if config.conditional else 0
    first, *times = time_factors(config.n_steps)
    rows = [Layer("h0", "time", first, first, config.latent, scaled(config, HIDDEN // 2), first, 1)]
    plan = [("time", factor, scaled(config, 512 >> (number // 2))) for number, factor in enumerate(times, start=1)]
    plan += [("pitch", octaves(config.n_pitches), scaled(config, 64)), ("pitch", OCTAVE, n_out)]
    for number, (axis, factor, channels) in enumerate(plan, start=1):
        last = rows[-1]
        steps, pitches = (last.steps * factor, last.pitches) if axis == "time" else (last.steps, last.pitches * factor)
        rows.append(Layer(f"h{number}", axis, factor, factor, last.channels + features, channels, steps, pitches))
    return tuple(rows)


def encoder(config: Config) -> tuple[Layer, ...]:
    """e0, ...: a bar of the given track back to two rows; e0 is read by the last layer of a bar generator, the last e by h1."""
    rows: list[Layer] = []
    inputs, steps, pitches = config.n_tracks, config.n_steps, config.n_pitches
    for number, layer in enumerate(reversed(bar_generator(config, 1)[1:])):
        steps, pitches = (steps // layer.kernel, pitches) if layer.axis == "time" else (steps, pitches // layer.kernel)
        rows.append(Layer(f"e{number}", layer.axis, layer.kernel, layer.kernel, inputs, FEATURES, steps, pitches))
        inputs = FEATURES
    return tuple(rows)


def ears(config: Config, n_in: int) -> tuple[tuple[Layer, ...], ...]:
    """The tables of all ways in which a critic hears the `n_in` tracks of a bar."""
    return (bar_critic(config, n_in), beat_critic(config, n_in)) if config.hears_beats else (bar_critic(config, n_in),)


def bar_critic(config: Config, n_in: int) -> tuple[Layer, ...]:
    """d0, ...: pitch before time, as published: chords, then their rhythm."""
    high, rest = octaves(config.n_pitches), config.n_steps // 4
    plan = [("pitch", OCTAVE, OCTAVE, 128), ("pitch", high, high, 128), ("time", 2, 2, 128), ("time", 2, 2, 128)]
    plan += [("time", 4, 2, 256), ("time", 3, 2, 512)] if rest >= 8 else [("time", rest, rest, 512)]
    return _critic(config, "d", n_in, plan)


def beat_critic(config: Config, n_in: int) -> tuple[Layer, ...]:
    """b0, ...: time before pitch: in which steps of a beat each note sounds, then with which others, then from beat to beat."""
    beat, high = config.n_steps // 4, octaves(config.n_pitches)
    plan = [("time", beat, beat, 48), ("pitch", OCTAVE, OCTAVE, 96), ("pitch", high, high, 128), ("time", 4, 4, 256)]
    return _critic(config, "b", n_in, plan)


def _critic(config: Config, letter: str, n_in: int, plan: Sequence[tuple[str, int, int, int]]) -> tuple[Layer, ...]:
    """Rows of a table from (axis, kernel, stride, channels of the paper)."""
    rows: list[Layer] = []
    inputs, steps, pitches = n_in, config.n_steps, config.n_pitches
    for number, (axis, kernel, stride, channels) in enumerate(plan):
        if axis == "time":
            steps = (steps - kernel) // stride + 1
        else:
            pitches //= kernel
        rows.append(Layer(f"{letter}{number}", axis, kernel, stride, inputs, scaled(config, channels), steps, pitches))
        inputs = rows[-1].channels
    return tuple(rows)
