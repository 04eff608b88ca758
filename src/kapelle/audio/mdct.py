"""A sound as rows of coefficients, hardly more than it has samples, and back: the modified discrete cosine transform.

Takes mono samples (float32, shape (N,)) at any rate; gives coefficients of shape (F, B): B frequencies, evenly from 0 to half the rate,
every B samples, F = ceil(N / B) + 1 rows. Row f sees the 2 B samples from (f - 1) B on, so that each sample is seen twice; what the overlap
adds to a row is taken away again by its neighbours.

With the sine window, whose squares sum to 1 over the overlap (the condition of Princen and Bradley), the transform is orthonormal: `sound`
gives back what `transform` took, the energy of the coefficients is that of the samples, and an error made in the coefficients is
as large in the sound.

It goes by way of the Fourier transform, which one thread computes: a product with the matrix of cosines is dealt to threads, and rounds
otherwise for another number of them.

What is left out: windows that switch between short and long, other windows, streaming.

Source: J. Princen, A. Bradley, "Analysis/Synthesis Filter Bank Design Based on Time Domain Aliasing Cancellation", IEEE Trans. ASSP, 1986.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from kapelle.errors import UsageError

Array = npt.NDArray[np.float32]
Factors = npt.NDArray[np.complex128] | npt.NDArray[np.float64]

MAX_SIZE = 4096
BLOCK_ROWS = 512  # rows that are transformed at once: their samples overlap, and are copied


def transform(samples: Array, size: int) -> Array:
    """The coefficients of `samples`, shape (ceil(N / size) + 1, size); one row of zeros for no samples.

    Args:
        samples: One channel, shape (N,), finite.
        size: Coefficients of a row, and samples from one row to the next, 1 to 4,096.

    Raises:
        UsageError: The samples are not one channel, or the size is out of range.
    """
    if samples.ndim != 1:
        raise UsageError("a transform is made of one channel of sound, not of {shape}", shape=samples.shape)
    window, turn, phase = _turns(size)
    n_rows = -(-len(samples) // size) + 1
    padded = np.zeros((n_rows + 1) * size, dtype=np.float32)
    padded[size : size + len(samples)] = samples
    seen = np.lib.stride_tricks.sliding_window_view(padded, 2 * size)[::size]
    blocks = (np.fft.fft(seen[start : start + BLOCK_ROWS] * (window * turn))[:, :size] for start in range(0, n_rows, BLOCK_ROWS))
    return np.concatenate([(block * phase).real.astype(np.float32) for block in blocks])


def sound(coefficients: Array, n_samples: int) -> Array:
    """The samples, shape (n_samples,), whose transform `coefficients` is, or the nearest to it.

    Args:
        coefficients: Shape (F, B), as `transform` gives them.
        n_samples: How many samples it was made of, 0 to (F - 1) B.

    Raises:
        UsageError: The coefficients are no table, or too few for so many samples.
    """
    if coefficients.ndim != 2:
        raise UsageError("coefficients are a table of rows, not {shape}", shape=coefficients.shape)
    n_rows, size = coefficients.shape
    if not 0 <= n_samples <= (n_rows - 1) * size:
        raise UsageError("{n_rows} rows of {size} cannot hold {n_samples} samples", n_rows=n_rows, size=size, n_samples=n_samples)
    window, turn, phase = _turns(size)
    waves = np.empty((n_rows, 2 * size), dtype=np.float32)
    for start in range(0, n_rows, BLOCK_ROWS):
        block = coefficients[start : start + BLOCK_ROWS] * phase.conj()
        waves[start : start + BLOCK_ROWS] = 2 * size * window * (np.fft.ifft(block, 2 * size) * turn.conj()).real
    out = np.zeros((n_rows + 1, size), dtype=np.float32)
    out[:-1] += waves[:, :size]
    out[1:] += waves[:, size:]
    return out.reshape(-1)[size : size + n_samples]


@functools.lru_cache(maxsize=4)
def _turns(size: int) -> tuple[Factors, Factors, Factors]:
    """The window (2 size,), scaled; what samples are turned by before the Fourier transform (2 size,), and its rows after it (size,).

    Together they are cos(pi / size (n + size / 2 + 1/2) (k + 1/2)), the real part of a turn that falls apart into one of n, one of k, and
    one of n k, which is the Fourier transform.
    """
    if not 1 <= size <= MAX_SIZE:
        raise UsageError("{name} must be {low} to {high}, not {value}", name="size", low=1, high=MAX_SIZE, value=size)
    moments = np.arange(2 * size)
    window = np.sqrt(2.0 / size) * np.sin(np.pi / (2 * size) * (moments + 0.5))
    turn = np.exp(-0.5j * np.pi / size * moments)
    phase = np.exp(-0.5j * np.pi / size * (size + 1) * (np.arange(size) + 0.5))
    for factors in (window, turn, phase):
        factors.flags.writeable = False
    return window, turn, phase
