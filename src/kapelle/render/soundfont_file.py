"""SoundFont 2 files: bytes from outside become checked tables here, or one clear error.

Takes the path of an .sf2 file; gives its samples (mapped, not loaded) and its tables of presets, instruments and generators as
numpy arrays, with every index checked against the table it points into, so that what comes after needs no checks. Compressed
SoundFonts (.sf3) are told apart; modulators and the 24-bit extension are passed over.

Source: E-mu Systems, SoundFont Technical Specification 2.04 (2006), sections 4, 5 and 7.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kapelle.errors import Missing, StorageError, UnreadableInput

Table = npt.NDArray[Any]

INSTRUMENT, SAMPLE_ID = 41, 53  # generators that end a zone by naming what it plays
COMPRESSED, FROM_ROM = 0x10, 0x8000  # bits of a sample's type

_NAME = ("name", "S20")
_TABLES: dict[bytes, list[tuple[str, str]]] = {
    b"phdr": [_NAME, ("preset", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("rest", "V12")],
    b"pbag": [("gen", "<u2"), ("mod", "<u2")],
    b"pgen": [("oper", "<u2"), ("amount", "<i2")],
    b"inst": [_NAME, ("bag", "<u2")],
    b"ibag": [("gen", "<u2"), ("mod", "<u2")],
    b"igen": [("oper", "<u2"), ("amount", "<i2")],
    b"shdr": [
        _NAME, ("start", "<u4"), ("end", "<u4"), ("loop_start", "<u4"), ("loop_end", "<u4"),
        ("rate", "<u4"), ("root", "u1"), ("correction", "i1"), ("link", "<u2"), ("type", "<u2"),
    ],
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class SoundFont:
    """A checked SoundFont. Tables end with a terminal row, as in the file; bag columns point into the bag tables, and so on."""

    path: Path
    samples: npt.NDArray[np.int16]
    phdr: Table
    pbag: Table
    pgen: Table
    inst: Table
    ibag: Table
    igen: Table
    shdr: Table

    @property
    def compressed(self) -> bool:
        """Whether the samples are Vorbis streams (.sf3), which only FluidSynth can play."""
        return bool((self.shdr["type"][:-1] & COMPRESSED).any())

    def presets(self) -> dict[tuple[int, int], int]:
        """(bank, program) to row of phdr; drums are bank 128."""
        rows = zip(self.phdr["bank"][:-1].tolist(), self.phdr["preset"][:-1].tolist(), strict=True)
        return {key: row for row, key in reversed(list(enumerate(rows)))}

    def find(self, program: int) -> int | None:
        """The row of the preset that plays General MIDI program `program` (-1: drums), or the nearest there is; None if none is.

        A program that is missing is played by the first of its family, by any melodic preset, or, for drums, by nothing.
        """
        presets = self.presets()
        if program < 0:
            kits = sorted(key for key in presets if key[0] == 128)
            return presets[kits[0]] if kits else None
        for key in ((0, program), (0, program // 8 * 8)):
            if key in presets:
                return presets[key]
        melodic = sorted(key for key in presets if key[0] != 128)
        return presets[melodic[0]] if melodic else None


def bundled() -> Path:
    """The General MIDI SoundFont inside the pretty_midi package.

    Raises:
        Missing: pretty_midi is not installed, or holds no SoundFont.
    """
    spec = importlib.util.find_spec("pretty_midi")  # found, not imported: that would cost half a second
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).glob("*.sf2")):
            return path
    raise Missing("no SoundFont is installed", hint="install pretty_midi, or name a file with --soundfont, or use --synth sine")


def load(path: Path) -> SoundFont:
    """The SoundFont at `path`, checked.

    Raises:
        Missing: There is no such file.
        UnreadableInput: It is no SoundFont 2, or it is damaged.
        StorageError: Reading is not allowed.
    """
    try:
        data = np.memmap(path, dtype=np.uint8, mode="r")
    except FileNotFoundError as error:
        raise Missing("no SoundFont at {path}", path=path) from error
    except ValueError as error:  # an empty file cannot be mapped
        raise _damaged(path, "it is empty") from error
    except OSError as error:
        raise StorageError("cannot read {path}: {why}", path=path, why=error.strerror or error) from error
    if bytes(data[:4]) != b"RIFF" or bytes(data[8:12]) != b"sfbk":
        raise _damaged(path, "it does not begin with RIFF and sfbk")
    chunks = _chunks(path, data)
    tables = {}
    for name, columns in _TABLES.items():
        kind = np.dtype(columns)
        start, n_bytes = chunks[name]
        if n_bytes % kind.itemsize or n_bytes == 0:
            raise _damaged(path, f"its table {name.decode()} has {n_bytes} bytes")
        tables[name.decode()] = np.frombuffer(data[start : start + n_bytes].tobytes(), dtype=kind)
    start, n_bytes = chunks[b"smpl"]
    samples = data[start : start + n_bytes // 2 * 2].view("<i2")
    font = SoundFont(path, samples, **tables)
    _check_indexes(font)
    return font


def _damaged(path: Path, why: str) -> UnreadableInput:
    return UnreadableInput(
        "{path} is not a SoundFont that can be used: {why}",
        path=path,
        why=why,
        hint="a whole .sf2 file is needed; leave out --soundfont for the one that comes with Kapelle",
    )


def _chunks(path: Path, data: Table) -> dict[bytes, tuple[int, int]]:
    """Name to (start, bytes) of the chunks within the three lists of the file; all that are needed are there."""
    found: dict[bytes, tuple[int, int]] = {}
    for name, start, n_bytes in _walk(path, data, 12, len(data)):
        if name == b"LIST":
            for inner, inner_start, inner_bytes in _walk(path, data, start + 4, start + n_bytes):
                found.setdefault(inner, (inner_start, inner_bytes))
    missing = [name.decode() for name in (b"smpl", *_TABLES) if name not in found]
    if missing:
        raise _damaged(path, f"it lacks {', '.join(missing)}")
    return found


def _walk(path: Path, data: Table, at: int, end: int) -> list[tuple[bytes, int, int]]:
    chunks = []
    while at + 8 <= end:
        n_bytes = int.from_bytes(data[at + 4 : at + 8].tobytes(), "little")
        if at + 8 + n_bytes > end:
            raise _damaged(path, f"it ends within a chunk at byte {at}")
        chunks.append((data[at : at + 4].tobytes(), at + 8, n_bytes))
        at += 8 + n_bytes + n_bytes % 2
    return chunks


def _check_indexes(font: SoundFont) -> None:
    for name, index, limit in (
        ("phdr", font.phdr["bag"], len(font.pbag) - 1),
        ("pbag", font.pbag["gen"], len(font.pgen)),
        ("inst", font.inst["bag"], len(font.ibag) - 1),
        ("ibag", font.ibag["gen"], len(font.igen)),
    ):
        if (np.diff(index.astype(np.int64)) < 0).any() or int(index.max()) > limit:
            raise _damaged(font.path, f"its table {name} points outside its target")
    for name, table, oper, limit in (
        ("pgen", font.pgen, INSTRUMENT, len(font.inst) - 1),
        ("igen", font.igen, SAMPLE_ID, len(font.shdr) - 1),
    ):
        named = table["amount"][table["oper"] == oper].astype(np.int64) & 0xFFFF
        if named.size and int(named.max()) >= limit:
            raise _damaged(font.path, f"its table {name} names something that is not there")
    headers = font.shdr[:-1]
    own = (headers["type"] & (FROM_ROM | COMPRESSED)) == 0
    if (own & ((headers["start"] > headers["end"]) | (headers["end"] > len(font.samples)))).any():
        raise _damaged(font.path, "a sample lies outside the sample data")
