"""A piece of sound: float samples and the rate at which they follow each other.

Takes float32 samples of shape (F, C), F frames by C channels, full scale at -1 and 1; gives its length and its levels. It is
immutable (the samples are a read-only view) and holds no file name and no format: that is `kapelle.audio.files`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from kapelle.errors import UsageError

Samples = npt.NDArray[np.float32]

MIN_RATE_HZ = 4_000
MAX_RATE_HZ = 384_000
MAX_CHANNELS = 8


@dataclass(frozen=True, eq=False)
class Waveform:
    """A piece of sound.

    Args:
        samples: Float numbers of shape (F, C), finite, C of 1 to 8; a vector is taken as one channel. Beyond -1 to 1 is allowed
            here, and is clipped (and counted) where a file of whole numbers is written. The array is not copied if it is
            float32 already.
        sample_rate: Frames per second, 4,000 to 384,000.

    Raises:
        UsageError: The shape, the rate or a sample is not as described.
    """

    samples: Samples
    sample_rate: int

    def __post_init__(self) -> None:
        samples = np.asarray(self.samples, dtype=np.float32)
        if samples.ndim == 1:
            samples = samples[:, None]
        if samples.ndim != 2 or not 1 <= samples.shape[1] <= MAX_CHANNELS:
            raise UsageError("samples must be (frames, 1 to {limit} channels), not {shape}", limit=MAX_CHANNELS, shape=samples.shape)
        if not MIN_RATE_HZ <= self.sample_rate <= MAX_RATE_HZ:
            raise UsageError(
                "the sample rate must be {low} to {high} Hz, not {rate}", low=MIN_RATE_HZ, high=MAX_RATE_HZ, rate=self.sample_rate
            )
        view = samples.view()
        view.flags.writeable = False
        object.__setattr__(self, "samples", view)
        if not np.isfinite(self.peak):
            raise UsageError("the samples hold NaN or infinity", hint="look for a division by zero before this waveform was made")

    @property
    def n_frames(self) -> int:
        """Number of frames, 0 or more."""
        return int(self.samples.shape[0])

    @property
    def n_channels(self) -> int:
        """Number of channels, 1 to 8."""
        return int(self.samples.shape[1])

    @property
    def duration_s(self) -> float:
        """Length in seconds, 0 or more."""
        return self.n_frames / self.sample_rate

    @cached_property
    def peak(self) -> float:
        """Largest absolute sample, 0 or more; 0 without samples."""
        if not self.samples.size:
            return 0.0
        return float(max(self.samples.max(), -self.samples.min()))  # two passes, no copy; NaN stays NaN

    @property
    def peak_db(self) -> float:
        """Peak in decibels of full scale; minus infinity for silence."""
        return decibels(self.peak)

    @property
    def rms_db(self) -> float:
        """Root mean square over all channels in decibels of full scale; minus infinity for silence."""
        if not self.samples.size:
            return decibels(0.0)
        power = sum(float(np.dot(column, column)) for column in np.array_split(self.samples.astype(np.float64).T.ravel(), 64))
        return decibels(float(np.sqrt(power / self.samples.size)))


def decibels(amplitude: float) -> float:
    """The level of an amplitude (0 or more) in decibels of full scale; minus infinity for 0."""
    return float(20.0 * np.log10(amplitude)) if amplitude > 0.0 else float("-inf")


def amplitude(level_db: float) -> float:
    """The amplitude of a level in decibels of full scale: 1.0 for 0 dB, 0.5 for about -6 dB."""
    return float(10.0 ** (level_db / 20.0))
