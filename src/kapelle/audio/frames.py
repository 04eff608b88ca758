"""A sound as overlapping frames of frequencies, block by block, and back: what filters that work on spectra share.

Takes a `Waveform`; gives complex spectra of shape (F, C, K), F frames, C channels, K frequencies, F at most BLOCK_FRAMES, so that an
hour takes no more memory than a minute beyond the samples themselves. Analysis and synthesis use the root of a Hann window at an
overlap of four: what is not changed comes back as it was.

A frame is about 46 ms long. Longer ones part the partials of held tones better and blur strokes; the length was chosen on rendered music.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kapelle.audio.spectra import bell

if TYPE_CHECKING:
    from kapelle.audio.waveform import Samples

Table = npt.NDArray[np.float64]
Spectra = npt.NDArray[np.complex128]

FRAME_S = 0.046
OVERLAP = 4
BLOCK_FRAMES = 256


@dataclass(frozen=True)
class Grid:
    """How a sound is cut into frames.

    Args:
        n_samples: Its length.
        sample_rate: Its rate in Hz.
    """

    n_samples: int
    sample_rate: int

    @property
    def size(self) -> int:
        """Samples of a frame: the power of two nearest to FRAME_S."""
        return int(2 ** round(math.log2(FRAME_S * self.sample_rate)))

    @property
    def hop(self) -> int:
        """Samples from frame to frame."""
        return self.size // OVERLAP

    @property
    def n_frames(self) -> int:
        """As many as touch a sample; 0 without samples."""
        return -(-(self.n_samples + self.size - self.hop) // self.hop) if self.n_samples else 0

    @cached_property
    def window(self) -> Table:
        """Root of a Hann window, shape (size,)."""
        window: Table = np.sqrt(bell(self.size))
        return window

    @property
    def frequencies(self) -> Table:
        """Of the columns, in Hz, shape (K,)."""
        return np.arange(self.size // 2 + 1, dtype=np.float64) * (self.sample_rate / self.size)

    def blocks(self, first: int = 0, last: int | None = None) -> Iterator[slice]:
        """The frames from `first` to `last` in blocks."""
        stop = self.n_frames if last is None else last
        for start in range(first, stop, BLOCK_FRAMES):
            yield slice(start, min(start + BLOCK_FRAMES, stop))

    def transform(self, samples: Samples, frames: slice) -> Spectra:
        """The spectra of some frames of all channels, shape (F, C, K); beyond its ends the sound is silent."""
        start = frames.start * self.hop - (self.size - self.hop)
        stop = (frames.stop - 1) * self.hop - (self.size - self.hop) + self.size
        part = samples[max(start, 0) : max(min(stop, self.n_samples), 0)]
        padded = np.zeros((stop - start, samples.shape[1]))
        padded[max(-start, 0) : max(-start, 0) + len(part)] = part
        cut = np.lib.stride_tricks.sliding_window_view(padded, self.size, axis=0)[:: self.hop]  # (F, C, size)
        return np.fft.rfft(cut * self.window, axis=2)

    def add(self, out: Samples, spectra: Spectra, frames: slice) -> None:
        """Add the sound of some frames to `out`, shape (N, C), in its place."""
        pieces = np.fft.irfft(spectra, n=self.size, axis=2) * (self.window * (2.0 / OVERLAP))
        length = (len(pieces) - 1) * self.hop + self.size
        summed = np.zeros((length, out.shape[1]))
        for number, piece in enumerate(pieces):
            summed[number * self.hop : number * self.hop + self.size] += piece.T
        start = frames.start * self.hop - (self.size - self.hop)
        low, high = max(start, 0), min(start + length, self.n_samples)
        out[low:high] += summed[low - start : high - start].astype(np.float32)

    def power(self, spectra: Spectra) -> Table:
        """Squared magnitudes, scaled so that white noise of variance v has power v everywhere; shape as `spectra`."""
        return (spectra.real**2 + spectra.imag**2) / (self.size / 2)
