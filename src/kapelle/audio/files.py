"""Sound files: a path in, a Waveform out, and back; WAV, FLAC, OGG (Vorbis), Opus and MP3.

What a file is read as is decided by its bytes, what it is written as by its suffix. Writing is atomic (a temporary file beside
the target, then a rename) and repeatable: the same waveform gives the same bytes. libsndfile does the coding; its errors become
ours here and nowhere else. Nothing is streamed: a file is read whole, within the limits below, or a few parts of it are, however long
it is.

Known differences: Opus knows only 8 to 48 kHz in five steps, MP3 only up to 48 kHz and Vorbis only up to 200 kHz, so that other rates
are resampled to 48 kHz before writing them.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kapelle import fresh
from kapelle.audio import repeatable
from kapelle.audio import tags as tagging
from kapelle.audio.effects import resample
from kapelle.audio.waveform import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ, Samples, Waveform
from kapelle.errors import Missing, StorageError, UnknownName, UnreadableInput, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_READ_S = 3600.0
# One write call of libsndfile holds a whole block on the stack of its Vorbis encoder: large ones crash the process.
BLOCK_FRAMES = 4096
READ_BLOCK_FRAMES = 1 << 18
MOST_COMPRESSION = 0.999  # of 1, LAME refuses the whole
UNKNOWN_FRAMES = 1 << 40  # libsndfile says 2^63 - 1 where a header does not tell the length
LOSSY_HZ = 48_000
"""What is resampled to where a lossy format does not know a rate."""


@dataclass(frozen=True)
class _Format:
    name: str
    subtypes: dict[int, str]  # bits per sample -> libsndfile's name; 0 for a lossy format
    rates_hz: tuple[int, ...] = ()  # empty: any up to the highest
    max_channels: int = MAX_CHANNELS
    vorbis_comments: bool = True  # libsndfile writes them well, and no other kind of tag
    highest_hz: int = MAX_RATE_HZ
    least_frames: int = 0  # with fewer, libsndfile writes a file that nobody can read

    def holds_rate(self, rate: int) -> bool:
        return rate <= self.highest_hz and (not self.rates_hz or rate in self.rates_hz)


_WAV = {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}
_FORMATS = {
    ".wav": _Format("WAV", _WAV, vorbis_comments=False),
    ".flac": _Format("FLAC", {16: "PCM_16", 24: "PCM_24"}, least_frames=1),
    ".ogg": _Format("OGG", {0: "VORBIS"}, max_channels=2, highest_hz=192_000),  # above 200 kHz its encoder ends the process
    ".opus": _Format("OGG", {0: "OPUS"}, (48_000, 24_000, 16_000, 12_000, 8_000), 2, least_frames=1),
    ".mp3": _Format(
        "MP3", {0: "MPEG_LAYER_III"}, (48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000), 2, False, least_frames=1
    ),
}
SUFFIXES = tuple(_FORMATS)


def check_suffix(path: Path, bits: int = 16) -> None:
    """Raise unless `write` can write so many bits to a path of this name; cheap, to be called before long work.

    Raises:
        UnknownName: The suffix is not one that it knows.
        UsageError: The format cannot hold so many bits, or the name is in no encoding of this system, which libsndfile would need.
    """
    try:
        str(path).encode(sys.getfilesystemencoding())
    except UnicodeEncodeError as error:
        raise UsageError("the name {path} holds bytes that are no letters", path=path, hint="choose a name in UTF-8") from error
    if path.suffix.lower() not in _FORMATS:
        raise UnknownName("sound format", path.suffix or path.name, SUFFIXES)
    _subtype(_FORMATS[path.suffix.lower()], bits)


def write(path: Path, waveform: Waveform, *, bits: int = 16, quality: float = 0.6, tags: Mapping[str, str] | None = None) -> int:
    """The number of samples that were clipped (0 for a waveform within -1 to 1), after writing `path`.

    Args:
        path: Where to; the suffix chooses the format: .wav, .flac, .ogg, .opus, .mp3. Folders on the way are made, and an existing
            file is replaced.
        waveform: What to write; more than two channels only to WAV and FLAC.
        bits: Bits per sample: 16, 24, and for WAV also 32 (float, never clipped). Lossy formats take no notice of it.
        quality: Of the lossy formats, from 0 (smallest) to 1 (best).
        tags: What the file says of itself, by the names of `tags.KEYS`; empty texts are left out.

    Raises:
        UnknownName: The suffix is not one of the five, or a tag has another name.
        UsageError: The format cannot hold so many bits or channels, or no sound at all, or a tag is too long.
        StorageError: The disk is full, or writing is not allowed there.
    """
    check_suffix(path)
    form = _FORMATS[path.suffix.lower()]
    subtype = _subtype(form, bits)
    said = tagging.check(tags or {})
    if waveform.n_channels > form.max_channels:
        raise UsageError(
            "{format} holds at most {limit} channels, not {n_channels}",
            format=path.suffix,
            limit=form.max_channels,
            n_channels=waveform.n_channels,
            hint="write .wav or .flac",
        )
    if waveform.n_frames < form.least_frames:
        raise UsageError("{format} cannot hold a sound without samples", format=path.suffix, hint="write .wav")
    if not 0.0 <= quality <= 1.0:
        raise UsageError("the quality must be 0 to 1, not {quality}", quality=quality)
    if not form.holds_rate(waveform.sample_rate):
        waveform = resample(waveform, LOSSY_HZ)
    n_clipped = 0
    with replacing(path) as temporary:
        settings: dict[str, Any] = (
            {} if subtype.startswith(("PCM", "FLOAT")) else {"compression_level": min(1.0 - quality, MOST_COMPRESSION)}
        )
        for block in _write_blocks(temporary, waveform, form, subtype, settings, said if form.vorbis_comments else {}):
            n_clipped += 0 if subtype == "FLOAT" else int(np.count_nonzero(np.abs(block) > 1.0))
        if form.name == "OGG":
            repeatable.fix_ogg_serial(temporary)
        elif subtype == "FLOAT":
            repeatable.clear_wav_clock(temporary)
        if said and not form.vorbis_comments:
            tagging.add(temporary, said)
    return n_clipped


def tags(path: Path) -> dict[str, str]:
    """What a sound file says of itself, by the names of `tags.KEYS`, as far as they are known; empty if it says nothing.

    They are such as `write` takes: of a text of another program control characters are left out, and what is too long for us.

    Raises:
        Missing: There is no such file.
        UnreadableInput: It is no sound file, or is damaged.
        StorageError: Reading is not allowed.
    """
    with _opened(path) as file:
        return tagging.of_libsndfile(file) if file.format in ("FLAC", "OGG") else tagging.read(path)


def flac_bytes(waveform: Waveform, *, bits: int = 16) -> bytes:
    """`waveform` as a FLAC file in memory, clipped to -1 to 1; the same waveform gives the same bytes.

    Args:
        waveform: What to code; not empty.
        bits: Bits per sample: 16 or 24.

    Raises:
        UsageError: FLAC cannot hold so many bits.
    """
    import soundfile

    buffer, subtype = io.BytesIO(), _subtype(_FORMATS[".flac"], bits)
    soundfile.write(buffer, _coded(waveform.samples, subtype), waveform.sample_rate, subtype=subtype, format="FLAC")
    return buffer.getvalue()


def _subtype(form: _Format, bits: int) -> str:
    if 0 in form.subtypes:
        return form.subtypes[0]
    if bits not in form.subtypes:
        raise UsageError(
            "{format} is written with {known} bits, not {bits}", format=form.name, known=" or ".join(map(str, form.subtypes)), bits=bits
        )
    return form.subtypes[bits]


def _write_blocks(
    path: Path, waveform: Waveform, form: _Format, subtype: str, settings: dict[str, Any], said: Mapping[str, str]
) -> Iterator[Samples]:
    """Write block by block, giving each block as it was before clipping."""
    import soundfile

    try:
        with soundfile.SoundFile(path, "w", waveform.sample_rate, waveform.n_channels, subtype, format=form.name, **settings) as file:
            for key, text in said.items():  # before the sound, as libsndfile wants it
                setattr(file, key, text)
            for start in range(0, waveform.n_frames, BLOCK_FRAMES):
                block = np.ascontiguousarray(waveform.samples[start : start + BLOCK_FRAMES])
                file.write(_coded(block, subtype))
                yield block
    except (soundfile.SoundFileError, AssertionError) as error:  # a short write is an assertion in soundfile
        if shutil.disk_usage(path.parent).free < waveform.samples.nbytes:  # libsndfile says "System error"
            raise StorageError("no space left to write {path}", path=path.parent, hint="free some, or choose another disk") from error
        raise StorageError(
            "cannot write {name} sound to {folder}: {why}", name=form.name, folder=path.parent, why=error or "disk full?"
        ) from error


def _coded(block: Samples, subtype: str) -> npt.NDArray[Any]:
    """Samples as libsndfile is to write them: floats as they are, for lossy formats clipped, else the nearest whole numbers.

    Left to itself it rounds for FLAC, but for WAV always down: half a step of offset, and twice the noise of rounding in power.
    """
    if subtype == "FLOAT":
        return block
    if not subtype.startswith("PCM"):
        return np.clip(block, -1.0, 1.0)
    bits = int(subtype.removeprefix("PCM_"))
    top = np.float32(1 << (bits - 1))
    whole: npt.NDArray[np.int32] = np.clip(np.rint(block * top), -top, top - 1).astype(np.int32) << (32 - bits)
    return whole  # it takes the upper bits of 32


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and vanishes when it does not.

    Folders on the way are made.

    Raises:
        StorageError: Writing is not allowed there, or the disk is full.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = fresh.file_in(path.parent, f".{path.stem[:40]}-", path.suffix)
        os.close(handle)
        yield temporary
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError("no space left to write {path}", path=path, hint="free some, or choose another disk") from error
        why = error.strerror or error
        raise StorageError("cannot write {path}: {why}", path=path, why=why, hint="choose a folder that you may write to") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def read(path: Path, *, max_s: float = MAX_READ_S) -> Waveform:
    """The sound in `path`, whatever format libsndfile finds in it.

    Args:
        path: A sound file.
        max_s: The longest that is accepted, in seconds.

    Raises:
        Missing: There is no such file.
        UnreadableInput: It is no sound file, it is damaged, or it is longer than `max_s`.
        StorageError: Reading is not allowed.
    """
    with _opened(path) as file:
        return _read_open(path, file, max_s)


def read_parts(path: Path, part_s: float, n_parts: int) -> list[Waveform]:
    """Parts of the sound in `path`, evenly over its length; whatever its length, no more than the parts is held in memory.

    The parts are the middles of as many equal pieces of the file: of three parts of 30 s of three hours, the second is the middle half
    minute. There are fewer where they would overlap, and a file shorter than two parts gives its middle.

    Args:
        path: A sound file.
        part_s: Length of a part in seconds, more than 0; the only part of a shorter file is shorter.
        n_parts: How many, at most, 1 or more.

    Raises:
        As `read`, but no file is too long.
    """
    with _opened(path) as file:
        _check_open(path, file)
        if not 0 < file.frames < UNKNOWN_FRAMES:  # the header does not tell: only reading does
            whole = _read_open(path, file, MAX_READ_S)
            return [
                Waveform(whole.samples[place], whole.sample_rate) for place in places(whole.n_frames, whole.sample_rate, part_s, n_parts)
            ]
        parts = []
        for place in places(file.frames, file.samplerate, part_s, n_parts):
            file.seek(place.start)
            parts.append(_sound(path, file.read(place.stop - place.start, dtype="float32", always_2d=True), file.samplerate))
        return parts


def places(n_frames: int, rate: int, part_s: float, n_parts: int) -> list[slice]:
    """Where the parts of a sound of `n_frames` lie, as `read_parts` takes them: slices of frames, at least one."""
    length = min(max(round(part_s * rate), 1), n_frames)
    count = max(min(n_parts, n_frames // max(length, 1)), 1)
    starts = [round((number + 0.5) * n_frames / count - length / 2) for number in range(count)]
    return [slice(start, start + length) for start in starts]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file as libsndfile has it open; what it and the system say of it becomes ours."""
    import soundfile

    try:
        with path.open("rb"):
            pass
        with soundfile.SoundFile(path) as file:
            yield file
    except FileNotFoundError as error:
        raise Missing("no sound file at {path}", path=path) from error
    except OSError as error:
        raise StorageError("cannot read {path}: {why}", path=path, why=error.strerror or error) from error
    except (soundfile.SoundFileError, TypeError, ValueError) as error:  # TypeError: a .raw file, which says nothing of itself
        why = getattr(error, "error_string", str(error))
        raise UnreadableInput(
            "{path} is not a sound file that can be read: {why}", path=path, why=why, hint="WAV, FLAC, OGG, Opus and MP3 are known"
        ) from error


def _check_open(path: Path, file: Any) -> None:
    rate, n_channels = file.samplerate, file.channels
    if not (MIN_RATE_HZ <= rate <= MAX_RATE_HZ and 1 <= n_channels <= MAX_CHANNELS):
        raise UnreadableInput("{path} has {n_channels} channels at {rate} Hz", path=path, n_channels=n_channels, rate=rate)


def _read_open(path: Path, file: Any, max_s: float) -> Waveform:
    _check_open(path, file)
    rate, n_channels = file.samplerate, file.channels
    limit = int(max_s * rate)
    if file.frames >= UNKNOWN_FRAMES:
        file.seekable = lambda: False  # or soundfile seeks after each read, which fails in a FLAC that was written into a pipe
    # A header may lie about the length: one too long is refused, but memory is only touched for what is really read.
    too_long = limit < file.frames < UNKNOWN_FRAMES
    if not too_long:
        samples = np.empty((min(file.frames, limit), n_channels), dtype=np.float32)
        n_frames = 0
        while n_block := len(file.read(out=samples[n_frames : n_frames + READ_BLOCK_FRAMES])):
            n_frames += n_block
        samples = samples[:n_frames]
        too_long = n_frames == limit < file.frames and len(file.read(1)) > 0
    if too_long:
        raise UnreadableInput("{path} is longer than {limit:.0f} minutes", path=path, limit=max_s / 60, hint="cut it into parts")
    return _sound(path, samples, rate)


def _sound(path: Path, samples: Samples, rate: int) -> Waveform:
    try:
        return Waveform(samples, rate)
    except UsageError as error:
        raise UnreadableInput("{path} is damaged: {why}", path=path, why=error) from error
