"""FluidSynth, where its library is found: everything a SoundFont and a MIDI file can say, with reverb and chorus.

Takes a `symusic.Score` and a checked `SoundFont`; gives stereo float32. Each track has a channel of its own, so that the sixteen
of MIDI are no limit. The library is called in this process, without audio driver, files or threads; its messages are turned off.
Controllers that would change the preset, and channel mode messages, are not passed on: the preset is the track's program.

Known difference: events begin on FluidSynth's blocks of 64 frames, 1.5 ms at 44.1 kHz.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.errors import Missing, UnreadableInput
from kapelle.render.mixing import finished
from kapelle.render.performance import PAN, perform, seats
from kapelle.score import units

if TYPE_CHECKING:
    from symusic import Score, Track

    from kapelle.audio.waveform import Samples, Waveform
    from kapelle.render.soundfont_file import SoundFont
    from kapelle.score.units import FloatArray, IntArray, TempoMap

BLOCK_FRAMES = 64
MAX_CHANNELS = 256
SUSTAIN = 64
BANK_CONTROLS = (0, 32)
FIRST_MODE_CONTROL = 120
GAIN = 0.3  # floats do not clip, and the result is normalised: only far from the noise floor
SETTINGS = {
    "synth.polyphony": 512,
    # Samples are read as their presets are chosen: to read all at once FluidSynth starts threads, which stay, and a forked process hangs.
    "synth.dynamic-sample-loading": 1,
}
LOG_LEVELS = 5
# Its reverb hums at -150 dB without any note, and volume 0 still lets -96 dB through: normalising would make both heard.
SILENCE = 1e-6
NEARLY_MUTE = 1e-4

# The order in which events of one moment are sent.
OFF, CONTROL, BEND, ON = range(4)


@functools.cache
def available() -> bool:
    """Whether FluidSynth can be used: pyfluidsynth is installed and finds the library."""
    try:
        _library()
    except Missing:
        return False
    return True


@functools.cache
def _library() -> tuple[Any, ctypes.CDLL]:
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # under CI it prints what it found
            import fluidsynth
        library = ctypes.CDLL(fluidsynth.lib)
        library.fluid_synth_write_float.restype = ctypes.c_int
    except (ImportError, OSError, AttributeError) as error:
        raise Missing(
            "FluidSynth is not there: {why}",
            why=error,
            hint="install its library (libfluidsynth3, fluid-synth or fluidsynth) and `pip install kapelle[fluidsynth]`",
        ) from error
    for level in range(LOG_LEVELS):
        library.fluid_set_log_function(level, None, None)
    return fluidsynth, library


def render(score: Score, font: SoundFont, *, sample_rate: int = 44_100, tail_s: float = 1.5) -> Waveform:
    """`score` as stereo sound by FluidSynth, from its start to `tail_s` seconds after its last note, faded at the end.

    Raises:
        Missing: FluidSynth is not installed.
        UnreadableInput: FluidSynth does not accept the SoundFont.
    """
    module, library = _library()
    n_frames = int(np.ceil((units.duration_s(score) + tail_s) * sample_rate))
    tracks = [(track, seat) for track, seat in zip(score.tracks, seats(score), strict=True) if len(track.notes)]
    n_channels = min(max(-(-len(tracks) // 16) * 16, 16), MAX_CHANNELS)
    synth = module.Synth(gain=GAIN, samplerate=float(sample_rate), channels=n_channels, **SETTINGS)
    try:
        number = synth.sfload(str(font.path))
        if number < 0:
            raise UnreadableInput("FluidSynth cannot use the SoundFont {path}", path=font.path, hint="try another one")
        for channel, (track, seat) in enumerate(tracks[:MAX_CHANNELS]):
            _prepare(synth, number, font, channel, track, seat)
        events = _events([track for track, _ in tracks], units.tempo_map(score), sample_rate)
        out = _play(synth, library, events, n_frames)
    finally:
        synth.delete()
    if float(max(out.max(initial=0.0), -out.min(initial=0.0))) < (NEARLY_MUTE if not perform(score).gain.any() else SILENCE):
        out[:] = 0.0
    return finished(out, sample_rate, tail_s)


def _prepare(synth: Any, number: int, font: SoundFont, channel: int, track: Track, seat: float) -> None:
    row = font.find(-1 if track.is_drum else track.program)
    if row is not None:
        bank, program = int(font.phdr["bank"][row]), int(font.phdr["preset"][row])
        if track.is_drum and (128, track.program) in font.presets():
            program = track.program
        synth.program_select(channel, number, bank, program)
    else:
        synth.program_unset(channel)
    synth.cc(channel, PAN, round(64 + 63 * seat))


def _events(tracks: list[Track], tempi: TempoMap, sample_rate: int) -> IntArray:
    """Rows of frame, kind, channel, first and second value, in the order of sending, shape (E, 5)."""
    parts = []
    for index, track in enumerate(tracks):
        channel = index % MAX_CHANNELS
        starts, ends, pitch, velocity = _separate(track, tempi)
        parts += [_rows(starts, ON, channel, pitch, velocity), _rows(ends, OFF, channel, pitch, np.zeros_like(pitch))]
        controls = track.controls.numpy()
        number, value = controls["number"].astype(np.int64), controls["value"].astype(np.int64)
        good = (number < FIRST_MODE_CONTROL) & ~np.isin(number, BANK_CONTROLS)
        parts.append(_rows(tempi.to_seconds(controls["time"]), CONTROL, channel, number, np.clip(value, 0, 127))[good])
        if len(track.pedals) and not (number == SUSTAIN).any():  # a score built by hand may have pedals and no controllers
            pedals = track.pedals.numpy()
            down, up = tempi.to_seconds(pedals["time"]), tempi.to_seconds(pedals["time"].astype(np.int64) + pedals["duration"])
            same = np.full(len(down), SUSTAIN)
            parts += [_rows(down, CONTROL, channel, same, np.full(len(down), 127)), _rows(up, CONTROL, channel, same, same * 0)]
        bends = track.pitch_bends.numpy()
        value = np.clip(bends["value"].astype(np.int64), -8192, 8191)
        parts.append(_rows(tempi.to_seconds(bends["time"]), BEND, channel, value, np.zeros_like(value)))
    rows = np.concatenate(parts) if parts else np.zeros((0, 5))
    order = np.lexsort((rows[:, 1], rows[:, 0]))  # stable: events of one kind and moment stay as the file has them
    rows[:, 0] *= sample_rate
    return np.rint(rows[order]).astype(np.int64)


def _rows(seconds: FloatArray, kind: int, channel: int, first: IntArray, second: IntArray) -> FloatArray:
    n = len(seconds)
    return np.stack([np.maximum(seconds, 0.0), np.full(n, kind), np.full(n, channel), first, second], axis=1).astype(np.float64)


def _separate(track: Track, tempi: TempoMap) -> tuple[FloatArray, FloatArray, IntArray, IntArray]:
    """The notes of a track in seconds, none reaching into the next of its pitch, whose key it would lift; doubles are left out."""
    notes = track.notes.numpy()
    start_ticks = notes["time"].astype(np.int64)
    starts, ends = tempi.to_seconds(start_ticks), tempi.to_seconds(start_ticks + notes["duration"])
    pitch, velocity = notes["pitch"].astype(np.int64), notes["velocity"].astype(np.int64)
    order = np.lexsort((ends, starts, pitch))
    starts, ends, pitch, velocity = starts[order], np.maximum(ends[order], starts[order] + 0.01), pitch[order], velocity[order]
    same = pitch[1:] == pitch[:-1]
    ends[:-1] = np.where(same, np.minimum(ends[:-1], starts[1:]), ends[:-1])
    good = np.ones(len(pitch), dtype=bool)
    good[:-1] = ~same | (ends[:-1] > starts[:-1])
    good &= velocity > 0
    return starts[good], ends[good], pitch[good], velocity[good]


def _play(synth: Any, library: ctypes.CDLL, events: IntArray, n_frames: int) -> Samples:
    out = np.zeros((2, n_frames), dtype=np.float32)
    send = {
        OFF: lambda channel, pitch, _: synth.noteoff(channel, pitch),
        CONTROL: synth.cc,
        BEND: lambda channel, value, _: synth.pitch_bend(channel, value),
        ON: synth.noteon,
    }
    done = 0
    for frame, kind, channel, first, second in events.tolist():
        until = min(frame // BLOCK_FRAMES * BLOCK_FRAMES, n_frames)
        if until > done:
            _write(synth, library, out, done, until)
            done = until
        send[kind](channel, first, second)
    _write(synth, library, out, done, n_frames)
    return out


def _write(synth: Any, library: ctypes.CDLL, out: Samples, start: int, end: int) -> None:
    if end > start:
        left, right = (ctypes.c_void_p(side.ctypes.data) for side in out)
        library.fluid_synth_write_float(ctypes.c_void_p(synth.synth), end - start, left, start, 1, right, start, 1)
