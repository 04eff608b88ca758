"""Sound, track by track: chunks for a page to play at once, and stems for a DAW.

Takes the bytes of a MIDI file; gives FLAC chunks, and one sound file per track, all of one length and begun at one time, that add up to
the piece. Both are played by Kapelle's own SoundFont player, whose tracks are independent: with FluidSynth's common reverb they could not
be taken apart.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kapelle.api.files import free, read_midi
from kapelle.api.naming import file_stem
from kapelle.errors import UnknownName, UsageError
from kapelle.progress import Report, quiet

if TYPE_CHECKING:
    from symusic import Score

    from kapelle.audio.waveform import Waveform
    from kapelle.render.performance import Performance

STEM_SUFFIXES = (".wav", ".flac")
TAIL_S = 1.5
STEM_BITS = 24
PEAK_DB = -1.0


def piece_chunk(data: bytes, track: int, k: int) -> bytes:
    """Chunk `k` of a track as FLAC: the sound of its notes that begin in those two seconds, with all of their ringing.

    Args:
        data: A MIDI file.
        track: Number of the track, from 0, as `notes` tells them.
        k: Number of the chunk, from 0; silence where the track has no notes.

    Raises:
        MidiError: It is no MIDI file.
        UnknownName: There is no such track.
        UsageError: `k` is below 0, or the notes are more than are played.
    """
    from kapelle.render import chunks

    played = _played(data)
    if not 0 <= track < len(played):
        raise UnknownName("track", str(track), tuple(map(str, range(len(played)))))
    return chunks.flac(chunks.chunk_of(played[track], k))


@lru_cache(maxsize=8)
def _played(data: bytes) -> tuple[Performance, ...]:
    """The tracks of a piece; a page asks for all chunks of one piece, one after another."""
    from kapelle.render.performance import perform_tracks

    return perform_tracks(read_midi(data))


def stems(data: bytes, suffix: str = ".wav", *, progress: Report = quiet) -> Iterator[tuple[str, bytes]]:
    """Each track that has notes as a sound file: a name, safe on every system, and the bytes.

    All are of one length, stereo at 44.1 kHz with 24 bits, and have one gain, so that their sum peaks at -1 dB, as the piece does when it
    is rendered; less where a track alone would be louder than the sum.

    Args:
        data: A MIDI file.
        suffix: ".wav" or ".flac".
        progress: Called with (tracks done, tracks in all).

    Raises:
        MidiError: It is no MIDI file.
        UnknownName: Stems are not written in that format.
        UsageError: The piece has no notes, or more at once than are played.
        NotEnoughMemory: It lasts longer than an hour.
    """
    from kapelle.render import check

    check_stem_suffix(suffix)
    score = read_midi(data)
    check(score)
    numbers = [number for number, track in enumerate(score.tracks) if len(track.notes)]
    if not numbers:
        raise UsageError("the piece has no notes: there is nothing to play")
    return _stems(score, numbers, suffix, progress)


def check_stem_suffix(suffix: str) -> None:
    """Raise UnknownName unless stems are written in that format."""
    if suffix not in STEM_SUFFIXES:
        raise UnknownName("sound format", suffix, STEM_SUFFIXES)


def _stems(score: Score, numbers: Sequence[int], suffix: str, progress: Report) -> Iterator[tuple[str, bytes]]:
    """Play every track twice: to find the gain of all, and to write it. A piece of an hour would not fit into memory track by track."""
    from kapelle.audio.waveform import Waveform, amplitude
    from kapelle.render.chunks import mixed
    from kapelle.render.performance import perform_tracks

    played = perform_tracks(score)
    total, peak = None, 0.0
    for done, number in enumerate(numbers):
        progress(done, 2 * len(numbers))
        wave = mixed(played[number], TAIL_S)
        peak = max(peak, wave.peak)
        total = wave.samples.copy() if total is None else np.add(total, wave.samples, out=total)
    assert total is not None
    gain = np.float32(amplitude(PEAK_DB) / max(peak, float(np.abs(total).max()), 1e-6))
    del total, wave
    for done, (number, name) in enumerate(zip(numbers, stem_names(score, numbers), strict=True), len(numbers)):
        progress(done, 2 * len(numbers))
        wave = mixed(played[number], TAIL_S)
        yield name + suffix, _coded(Waveform(wave.samples * gain, wave.sample_rate), suffix)
    progress(2 * len(numbers), 2 * len(numbers))


def stem_names(score: Score, numbers: Sequence[int]) -> list[str]:
    """A name for each of the tracks, without suffix, that tells its place and instrument, such as ``02 Flute``; none twice."""
    from kapelle.score.instruments import program_name

    width = max(len(str(len(numbers))), 2)
    names = []
    for place, number in enumerate(numbers, 1):
        track = score.tracks[number]
        name = track.name.strip() or program_name(track.program, is_drum=track.is_drum)
        names.append(f"{place:0{width}} {file_stem(name)}")
    return names


def _coded(wave: Waveform, suffix: str) -> bytes:
    from kapelle.audio import files

    with tempfile.TemporaryDirectory(prefix="kapelle-") as folder:
        path = Path(folder) / f"stem{suffix}"
        files.write(path, wave, bits=STEM_BITS)
        return path.read_bytes()


def stems_file(
    source: str | Path, out: str | Path, suffix: str = ".wav", *, force: bool = False, progress: Report = quiet
) -> tuple[Path, list[str]]:
    """Write the stems of a MIDI file into a zip; its path and the names in it. The same piece gives the same bytes.

    Args:
        source: The MIDI file.
        out: The zip, which appears whole or not at all.
        suffix: Of the stems, ".wav" or ".flac".
        force: Replace a file that is there already.
        progress: Called with (tracks done, tracks in all).

    Raises:
        MidiError, UnknownName, UsageError, NotEnoughMemory: As `stems`; UsageError also where `out` is there already.
        StorageError: The disk is full, or writing is not allowed there.
    """
    from kapelle.api.files import midi_bytes
    from kapelle.audio.files import replacing

    out = free(out, force)
    sounds = stems(midi_bytes(source), suffix, progress=progress)
    names = []
    with replacing(out) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, sound in sounds:
            item = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # the earliest that a zip can tell: no time of day in the bytes
            item.compress_type, item.create_system = zipfile.ZIP_DEFLATED, 3
            archive.writestr(item, sound, compresslevel=1)  # silence shrinks, sound hardly
            names.append(name)
    return out, names
