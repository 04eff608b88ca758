"""A sound in two layers: what lasts (harmonic) and what strikes (percussive).

Takes mono samples and their spectrogram (`kapelle.audio.spectra`); gives samples. Tones are lines along time in a spectrogram and strokes
are lines along frequency: a running median along either keeps the one and wipes out the other, and each point goes to the two
layers in the ratio of the squared medians. The two layers add up to the sound.

The running median of 31 values is exact and takes about fifty passes of min and max over the data instead of a sort per point.

Source: D. FitzGerald, "Harmonic/percussive separation using median filtering", DAFx 2010; settings and edges as in librosa 0.11. The
median: the blocks of M. van Herk, "A fast algorithm for local minimum and maximum filters", Pattern Recognition Letters 13, 1992,
carried over from the extremes to the middle rank.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from kapelle.audio import spectra
from kapelle.errors import UsageError

if TYPE_CHECKING:
    from kapelle.audio.spectra import Array, Spectrogram
    from kapelle.audio.waveform import Samples

WIDTH = 31
COLUMNS = 64  # of a table that are treated at once: what is kept of them stays in the cache


def layers(samples: Samples, spectrogram: Spectrogram, magnitude: Array) -> tuple[Samples, Samples]:
    """The lasting and the striking layer of `samples`, each of shape (N,); their sum is `samples`.

    Args:
        samples: One channel, shape (N,).
        spectrogram: Its transform, shape (F, K).
        magnitude: Absolute values of `spectrogram`.
    """
    lasting = spectra.sound(spectrogram * lasting_share(magnitude), len(samples))
    # The shares add up to 1 and the transform is linear: one inverse is enough.
    return lasting, samples - lasting


def lasting_share(magnitude: Array) -> Array:
    """Which share of each point belongs to what lasts, 0 to 1, shape (F, K); 0.5 where both medians are nothing."""
    along_time = running_median(magnitude)
    along_frequency = np.ascontiguousarray(running_median(np.ascontiguousarray(magnitude.T)).T)
    larger = np.maximum(along_time, along_frequency)
    nothing = larger < np.finfo(np.float32).tiny
    larger[nothing] = 1.0
    along_time /= larger  # so that squares neither vanish nor overflow
    along_frequency /= larger
    np.square(along_time, out=along_time)
    np.square(along_frequency, out=along_frequency)
    along_frequency += along_time
    along_frequency[nothing] = 1.0
    along_time[nothing] = 0.5
    return cast("Array", np.divide(along_time, along_frequency, out=along_time))


def running_median(table: Array, width: int = WIDTH) -> Array:
    """The median of the `width` rows about each row, column by column, shape as `table`; beyond the ends rows are mirrored.

    The rows are cut into blocks of `width`. The window that begins r rows into a block is the end of that block and the first r rows of
    the next: with both sorted, the middle value is the smallest of the larger ones of pairs whose ranks add up to the middle rank.
    Sorted ends and beginnings grow by one row at a time, and of each only ranks are kept that may still become the middle.

    Args:
        table: Numbers of shape (R, M), R of 1 or more.
        width: Odd, 3 or more.

    Raises:
        UsageError: The width is even or less than 3, or the table has no rows.
    """
    if width < 3 or width % 2 == 0 or table.ndim != 2 or not len(table):
        raise UsageError("a running median needs rows and an odd width of 3 or more, not {width}", width=width)
    n_rows, n_columns = table.shape
    n_blocks = -(-n_rows // width)
    before = width // 2
    padded = np.pad(table, ((before, before), (0, 0)), mode="symmetric")
    padded = np.pad(padded, ((0, (n_blocks + 1) * width - len(padded)), (0, 0)))
    blocks = padded.reshape(n_blocks + 1, width, n_columns)
    out = np.empty((n_blocks, width, n_columns), dtype=table.dtype)
    for start in range(0, n_columns, COLUMNS):
        part = np.ascontiguousarray(blocks[:, :, start : start + COLUMNS].transpose(1, 0, 2))  # (width, blocks + 1, columns)
        for row, median in enumerate(_medians(part[:, :-1], part[:, 1:], width)):
            out[:, row, start : start + COLUMNS] = median
    return cast("Array", out.reshape(-1, n_columns)[:n_rows])


def _medians(blocks: Array, following: Array, width: int) -> list[Array]:
    """For each row r of the blocks, the median of the block's rows from r on and of the following block's rows before r."""
    middle = (width + 1) // 2
    ends = _grown(blocks[::-1], middle)[::-1]
    beginnings = _grown(following[:-1], middle)
    medians = [ends[0][0]]
    for row in range(1, width):
        end, beginning = ends[row], beginnings[row - 1]
        first_end, first_beginning = _lowest_rank(width - row, middle), _lowest_rank(row, middle)
        # Ranks i of the end and middle - i of the beginning, both from 0 ("below all") to their numbers of rows.
        low, high = max(0, middle - row), min(width - row, middle)
        inner = range(max(low, 1), min(high, middle - 1) + 1)
        rows_end = end[inner.start - first_end : inner.stop - first_end]
        rows_beginning = beginning[middle - inner.stop + 1 - first_beginning : middle - inner.start + 1 - first_beginning]
        candidates = [np.maximum(rows_end, rows_beginning[::-1]).min(axis=0)]
        if low == 0:
            candidates.append(beginning[middle - first_beginning])
        if high == middle:
            candidates.append(end[middle - first_end])
        medians.append(candidates[0] if len(candidates) == 1 else np.minimum(*candidates))
    return medians


def _lowest_rank(n: int, middle: int) -> int:
    """Of n sorted values the lowest rank (from 1) that can still be the middle one of all."""
    return max(1, n - middle + 1)


def _grown(rows: Array, middle: int) -> list[Array]:
    """The sorted first 1, 2, 3, ... of `rows` (N, ...), each only from its `_lowest_rank` to rank `middle`."""
    kept = rows[:1]
    grown = [kept]
    for n, row in enumerate(rows[1:], start=2):
        smaller = np.minimum(kept, row)
        if n <= middle:
            kept = np.concatenate([smaller, np.maximum(kept[-1:], row)])
            np.maximum(kept[1:-1], grown[-1][:-1], out=kept[1:-1])
        else:
            kept = np.maximum(kept[:-1], smaller[1:])
        grown.append(kept)
    return grown
