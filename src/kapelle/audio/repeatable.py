"""Sound files without clock and chance: what libsndfile writes of them is set to fixed values, so that bytes repeat.

Takes the path of a finished file of ours and changes it in place: the time stamp in a float WAV's PEAK chunk becomes 0, an Ogg
stream's random serial number becomes 1. Nothing that can be heard changes.

Source: RFC 3533 (Ogg pages and their checksum); the PEAK chunk as in libsndfile's own documentation of WAV.
"""

from __future__ import annotations

import functools
import mmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

OGG_SERIAL = 1
OGG_POLYNOMIAL = 0x04C11DB7  # RFC 3533: no reflection, first value 0, nothing added at the end
HEADER_BYTES = 4096  # libsndfile's WAV header is far shorter


def clear_wav_clock(path: Path) -> None:
    """Set the time stamp of the PEAK chunk to 0, if the file has one."""
    with path.open("r+b") as file:
        head = file.read(HEADER_BYTES)
        at = head.find(b"PEAK", 12, head.find(b"data", 12))
        if at >= 0:
            file.seek(at + 12)  # name, size, version
            file.write(bytes(4))


def fix_ogg_serial(path: Path) -> None:
    """Give every page of a one-stream Ogg file the serial number 1 and the checksum that belongs to it."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        at = 0
        while at + 27 <= len(data) and data[at : at + 4] == b"OggS":
            n_segments = data[at + 26]
            n_bytes = 27 + n_segments + sum(data[at + 27 : at + 27 + n_segments])
            new = OGG_SERIAL.to_bytes(4, "little")
            change = int.from_bytes(data[at + 14 : at + 18], "big") ^ int.from_bytes(new, "big")
            checksum = int.from_bytes(data[at + 22 : at + 26], "little")
            # The checksum is linear: a change of four bytes adds those bytes times x^(8 x bytes after them + 32).
            checksum ^= _times(change, _power_of_x(8 * (n_bytes - 18) + 32))
            data[at + 14 : at + 18] = new
            data[at + 22 : at + 26] = checksum.to_bytes(4, "little")
            at += n_bytes


def _times(a: int, b: int) -> int:
    """The product of two polynomials over two elements, modulo the checksum's."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a >> 32:
            a ^= (1 << 32) | OGG_POLYNOMIAL
        b >>= 1
    return product


@functools.lru_cache(maxsize=4096)
def _power_of_x(exponent: int) -> int:
    result, square = 1, 2
    while exponent:
        if exponent & 1:
            result = _times(result, square)
        square = _times(square, square)
        exponent >>= 1
    return result
