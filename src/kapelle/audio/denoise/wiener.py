"""Our own filter against steady noise: a decision-directed Wiener filter over a noise floor that is found in the sound itself.

Takes a `Waveform` and a strength; gives a `Waveform` of the same shape. Needs numpy alone. Mains hum is subtracted first, if there is
any. All channels get the same gains, so that everything stays where it stands between the speakers; memory beyond the waveforms does not
grow with the length. Where no noise is found (music alone, a test tone, less than half a second) the sound comes back as good as
unchanged.

Source and equations: `kapelle.audio.denoise.gains` and `noise_floor`, docs/explanation/denoising.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from kapelle.audio.denoise import gains, hum
from kapelle.audio.denoise.noise_floor import NoiseFloor, noise_floor
from kapelle.audio.frames import Grid
from kapelle.audio.waveform import Waveform, amplitude
from kapelle.progress import Report, quiet

DEEPEST_DB = 30.0
"""How far noise is turned down at full strength."""

Rule = Literal["wiener", "log-amplitude"]


def check_installed() -> None:
    """Nothing is needed beyond the base install."""


def denoise(
    wave: Waveform,
    strength: float = 0.6,
    *,
    rule: Rule = "log-amplitude",
    progress: Report = quiet,
) -> Waveform:
    """`wave` with its steady noise turned down by 30 dB x `strength`; of the same length, rate and channels.

    Args:
        wave: The sound.
        strength: 0 to 1.
        rule: Of the gains: the least error of the logarithm of the amplitude, as the ear hears it, or of the wave.
        progress: Called with (work done, work in all).
    """
    grid = Grid(wave.n_frames, wave.sample_rate)
    total = max(2 * grid.n_frames, 1)
    lowest = amplitude(-DEEPEST_DB * strength)
    lines = hum.find(wave)
    if lines is not None:
        wave = hum.without(wave, lines, 1.0 - lowest)
    floor = floor_of(wave, lambda done: progress(done, total))
    if floor is None:
        return wave
    out = np.zeros_like(wave.samples)
    ratios = gains.DecisionDirected(len(grid.frequencies))
    for frames in grid.blocks():
        spectra = grid.transform(wave.samples, frames)
        gamma = grid.power(spectra).sum(axis=1) / floor.power(frames)  # (F, K): all channels together
        xi = gains.second_look(ratios(gamma), gamma)
        gain = gains.wiener(xi) if rule == "wiener" else gains.log_amplitude(xi, gamma)
        gain = gains.with_presence(gain, gains.presence(xi), lowest)
        grid.add(out, spectra * gain[:, None], frames)
        progress(grid.n_frames + frames.stop, total)
    return Waveform(out, wave.sample_rate)


def floor_of(wave: Waveform, progress: Callable[[int], None] = lambda frames: None) -> NoiseFloor | None:
    """The noise found in `wave`; None if it is too short or too silent to tell."""
    return noise_floor(wave.samples, Grid(wave.n_frames, wave.sample_rate), progress)
