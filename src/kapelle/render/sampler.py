"""Our own SoundFont player: the sound of one key of one preset, by plain array arithmetic.

Takes a checked `SoundFont`; gives tones for `kapelle.render.mixing`. It plays loops, tuning, key and velocity zones, attenuation,
pan, and the envelopes of volume and of the low-pass filter. It leaves out resonance, vibrato, pitch envelopes and pitch bend,
modulators, reverb, chorus and exclusive classes: FluidSynth has them.

Why our own. symusic 0.5.9's player was tried with the same SoundFont: every velocity sounds equally loud, a held piano or guitar
note never dies away, a snare lasts 6 ms, and a damaged SoundFont ends the process. Here a SoundFont cannot do more than be refused.

Source: SoundFont Technical Specification 2.04, sections 8.1 (generators) and 9 (synthesis model).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kapelle.audio.effects import pan_gains
from kapelle.render.soundfont_file import COMPRESSED, FROM_ROM, INSTRUMENT, SAMPLE_ID, SoundFont, Table

if TYPE_CHECKING:
    from kapelle.audio.waveform import Samples
    from kapelle.render.mixing import Tone
    from kapelle.render.performance import Performance
    from kapelle.score.units import FloatArray, IntArray

PAN, KEY_RANGE, VELOCITY_RANGE, KEY, ATTENUATION, COARSE, FINE = 17, 43, 44, 46, 48, 51, 52
MODE, SCALE, ROOT, CUTOFF, ENVELOPE_TO_CUTOFF = 54, 56, 58, 8, 11
FILTER_DELAY, FILTER_ATTACK, FILTER_HOLD, FILTER_DECAY, FILTER_SUSTAIN = 25, 26, 27, 28, 29
KEY_TO_FILTER_HOLD, KEY_TO_FILTER_DECAY = 31, 32
DELAY, ATTACK, HOLD, DECAY, SUSTAIN, RELEASE, KEY_TO_HOLD, KEY_TO_DECAY = 33, 34, 35, 36, 37, 38, 39, 40
OFFSETS = {"start": (0, 4), "end": (1, 12), "loop_start": (2, 45), "loop_end": (3, 50)}

OPEN_CENTS = 13_500  # about 20 kHz: the low-pass filter is out of the way
FILTER_FRAMES = 1024

DEFAULTS = {
    PAN: 0, ATTENUATION: 0, COARSE: 0, FINE: 0, MODE: 0, SCALE: 100, ROOT: -1, KEY: -1, CUTOFF: OPEN_CENTS, ENVELOPE_TO_CUTOFF: 0,
    FILTER_DELAY: -12_000, FILTER_ATTACK: -12_000, FILTER_HOLD: -12_000, FILTER_DECAY: -12_000, FILTER_SUSTAIN: 0,
    KEY_TO_FILTER_HOLD: 0, KEY_TO_FILTER_DECAY: 0,
    DELAY: -12_000, ATTACK: -12_000, HOLD: -12_000, DECAY: -12_000, SUSTAIN: 0, RELEASE: -12_000,
    KEY_TO_HOLD: 0, KEY_TO_DECAY: 0,
}  # fmt: skip
NOT_IN_PRESETS = {MODE, ROOT, KEY, *(oper for pair in OFFSETS.values() for oper in pair)}  # section 8.5

MAX_TONE_S = 30.0  # a key held longer falls silent
SILENT_DB = -80.0
SHORTEST_RELEASE_S = 0.012  # shorter ones click
LONGEST_RELEASE_S = 3.0
# The E-mu hardware attenuated by 0.4 of what a file said, files are made for that, and FluidSynth does the same.
ATTENUATION_SCALE = 0.4
LEVEL = 2.0


@dataclass(frozen=True)
class Zone:
    """A part of a preset: one sample, the keys and velocities it answers to, and its generators."""

    keys: tuple[int, int]
    velocities: tuple[int, int]
    generators: Mapping[int, int]
    sample: int

    def answers(self, pitch: int, velocity: int) -> bool:
        """Whether a note of this pitch and velocity sounds this zone."""
        return self.keys[0] <= pitch <= self.keys[1] and self.velocities[0] <= velocity <= self.velocities[1]


class SamplerTones:
    """The tones of a SoundFont; notes of one preset and pitch that sound the same zones share one."""

    def __init__(self, font: SoundFont, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._font = font
        self._zones: dict[int, tuple[Zone, ...]] = {}
        self._layers: dict[tuple[int, int], IntArray] = {}

    def zones(self, program: int) -> tuple[Zone, ...]:
        """All zones of the preset that plays `program` (-1: drums)."""
        if program not in self._zones:
            row = self._font.find(program)
            self._zones[program] = () if row is None else read_zones(self._font, row)
        return self._zones[program]

    def keys(self, played: Performance) -> IntArray:
        """A number per preset, pitch and set of zones."""
        both = (played.program + 1) * 128 + played.pitch
        keys = np.zeros(len(both), dtype=np.int64)
        for key in np.unique(both).tolist():
            program, pitch = key // 128 - 1, key % 128
            mine = both == key
            keys[mine] = key * 128 + self.layers(program, pitch)[played.velocity[mine]]
        return keys

    def layers(self, program: int, pitch: int) -> IntArray:
        """For each velocity the lowest velocity that sounds the same zones, shape (128,)."""
        if (program, pitch) not in self._layers:
            self._layers[program, pitch] = self._layers_of(program, pitch)
        return self._layers[program, pitch]

    def _layers_of(self, program: int, pitch: int) -> IntArray:
        zones = [zone for zone in self.zones(program) if zone.keys[0] <= pitch <= zone.keys[1]]
        edges = {0, *(zone.velocities[0] for zone in zones), *(zone.velocities[1] + 1 for zone in zones)}
        lows = np.array(sorted(edge for edge in edges if 0 <= edge < 128))
        layers: IntArray = lows[np.searchsorted(lows, np.arange(128), side="right") - 1]
        return layers

    def tone(self, program: int, pitch: int, velocity: int, n_held: int) -> Tone | None:
        """The tone of a key; None if no zone answers to it."""
        zones = [zone for zone in self.zones(program) if zone.answers(pitch, max(velocity, 1))]
        n_held = min(n_held, int(MAX_TONE_S * self.sample_rate))
        return _ZonesTone(self._font, zones, pitch, n_held, self.sample_rate) if zones else None


class _ZonesTone:
    """The sum of the zones of one key, in stereo. The release is that of the zone which rings longest."""

    def __init__(self, font: SoundFont, zones: Sequence[Zone], pitch: int, n_held: int, sample_rate: int) -> None:
        release_s = max(_seconds(zone.generators[RELEASE]) for zone in zones)
        release_s = min(max(release_s, SHORTEST_RELEASE_S), LONGEST_RELEASE_S)
        # The time given is that of 100 dB, in a straight line of decibels; what is below SILENT_DB is cut.
        n_release = max(int(release_s * -SILENT_DB / 100.0 * sample_rate), 1)
        self.release: Samples = (10.0 ** (np.linspace(0.0, SILENT_DB, n_release) / 20.0)).astype(np.float32)
        self._sound = np.zeros((2, n_held + n_release), dtype=np.float32)
        n_longest = 0
        for zone in zones:
            sound = _play(font, zone, pitch, n_held + n_release, sample_rate)
            left, right = pan_gains(np.clip(zone.generators[PAN] / 500.0, -1.0, 1.0))
            self._sound[0, : len(sound)] += sound * np.float32(left)
            self._sound[1, : len(sound)] += sound * np.float32(right)
            n_longest = max(n_longest, len(sound))
        self._sound = self._sound[:, :n_longest]

    def pieces(self, n_frames: int) -> Sequence[Samples]:
        return (self._sound[:, :n_frames],)


def read_zones(font: SoundFont, row: int) -> tuple[Zone, ...]:
    """The zones of the preset in row `row` of phdr, preset and instrument generators added up."""
    zones = []
    for preset_zone in _bags(font.phdr, font.pbag, font.pgen, row, INSTRUMENT):
        added = {oper: amount for oper, amount in preset_zone.items() if oper not in NOT_IN_PRESETS}
        for own in _bags(font.inst, font.ibag, font.igen, preset_zone[INSTRUMENT], SAMPLE_ID):
            keys, velocities = (_meet(own.get(oper), preset_zone.get(oper)) for oper in (KEY_RANGE, VELOCITY_RANGE))
            if keys[0] > keys[1] or velocities[0] > velocities[1]:
                continue
            if int(font.shdr["type"][own[SAMPLE_ID]]) & (FROM_ROM | COMPRESSED):
                continue
            generators = {**DEFAULTS, **own}
            for oper in DEFAULTS.keys() & added.keys():
                generators[oper] += added[oper]
            zones.append(Zone(keys, velocities, generators, own[SAMPLE_ID]))
    return tuple(zones)


def _bags(heads: Table, bags: Table, generators: Table, row: int, last: int) -> list[dict[int, int]]:
    """The zones of one preset or instrument, those of its global zone filled in; `last` is the generator that names the target."""
    found: list[dict[int, int]] = []
    common: dict[int, int] = {}
    first, end = int(heads["bag"][row]), int(heads["bag"][row + 1])
    for bag in range(first, end):
        part = generators[int(bags["gen"][bag]) : int(bags["gen"][bag + 1])]
        zone = dict(zip(part["oper"].tolist(), part["amount"].tolist(), strict=True))
        if last in zone:
            zone[last] &= 0xFFFF
            found.append({**common, **zone})
        elif bag == first:
            common = zone
    return found


def _meet(own: int | None, outer: int | None) -> tuple[int, int]:
    """The range common to two, each packed as low byte to high byte, None for 0 to 127."""
    pairs = [(value & 0xFF, value >> 8 & 0xFF) for value in (own, outer) if value is not None]
    return max([0, *(low for low, _ in pairs)]), min([127, *(high for _, high in pairs)])


def _play(font: SoundFont, zone: Zone, pitch: int, n_frames: int, sample_rate: int) -> Samples:
    """The zone's sample at the pitch, with its envelope up to the release; at most `n_frames` frames."""
    generators = zone.generators
    header = font.shdr[zone.sample]
    key = generators[KEY] if 0 <= generators[KEY] <= 127 else pitch
    root = generators[ROOT] if 0 <= generators[ROOT] <= 127 else (int(header["root"]) if header["root"] <= 127 else 60)
    cents = (key - root) * generators[SCALE] + 100 * generators[COARSE] + generators[FINE] + int(header["correction"])
    speed = 2.0 ** (np.clip(cents, -12_000, 12_000) / 1200.0) * max(int(header["rate"]), 400) / sample_rate
    start, end, loop_start, loop_end = _bounds(font, zone)
    looped = generators[MODE] & 1 and loop_end - loop_start >= 4
    at = np.arange(n_frames) * speed
    if not looped:
        at = at[: int(np.searchsorted(at, end - start - 1))]
        envelope = _envelope(generators, key, len(at), sample_rate)
        raw = np.asarray(font.samples[start:end], dtype=np.float32)
    else:
        envelope = _envelope(generators, key, n_frames, sample_rate)
        at = at[: len(envelope)]
        begin, length = loop_start - start, loop_end - loop_start
        turned = at >= begin + length
        at[turned] = begin + np.mod(at[turned] - begin, length)
        raw = np.concatenate([font.samples[start:loop_end], font.samples[loop_start : loop_start + 4]]).astype(np.float32)
    if len(raw) < 4 or not len(at):
        return np.zeros(0, dtype=np.float32)
    gain = LEVEL / 32_768.0 * 10.0 ** (-ATTENUATION_SCALE * max(generators[ATTENUATION], 0) / 200.0)
    sound = _interpolate(raw, at[: len(envelope)])
    cutoff_cents = _cutoff_cents(generators, key, len(sound), sample_rate)
    if cutoff_cents is not None:
        sound = _filtered(sound, cutoff_cents, sample_rate)
    return sound * (envelope * np.float32(gain))


def _bounds(font: SoundFont, zone: Zone) -> tuple[int, int, int, int]:
    """Start, end, loop start and loop end within the samples, with the zone's offsets, forced into order."""
    header, found = font.shdr[zone.sample], {}
    for name, (fine, coarse) in OFFSETS.items():
        found[name] = int(header[name]) + zone.generators.get(fine, 0) + 32_768 * zone.generators.get(coarse, 0)
    end = min(max(found["end"], 0), len(font.samples))
    start = min(max(found["start"], 0), end)
    loop_end = min(max(found["loop_end"], start), end)
    return start, end, min(max(found["loop_start"], start), loop_end), loop_end


def _interpolate(raw: Samples, at: FloatArray) -> Samples:
    """`raw` at fractional places, by the cubic through four neighbours (Catmull-Rom)."""
    whole = np.clip(at.astype(np.int64), 0, len(raw) - 2)
    x = (at - whole).astype(np.float32)
    padded = np.concatenate([raw[:1], raw, raw[-1:]])
    a, b, c, d = padded[whole], padded[whole + 1], padded[whole + 2], padded[np.minimum(whole + 3, len(padded) - 1)]
    slope = (c - a) * np.float32(0.5)
    sound: Samples = b + x * (
        slope + x * (a - np.float32(2.5) * b + 2 * c - np.float32(0.5) * d + x * (np.float32(1.5) * (b - c) + np.float32(0.5) * (d - a)))
    )
    return sound


def _seconds(timecents: int) -> float:
    return float(2.0 ** (min(max(timecents, -16_000), 8_000) / 1200.0)) if timecents > -12_000 else 0.0


def _envelope(generators: Mapping[int, int], key: int, n_frames: int, sample_rate: int) -> Samples:
    """Level over time while the key is held, from 0 to 1; cut where it has fallen below SILENT_DB for good."""
    delay, attack = (int(_seconds(generators[oper]) * sample_rate) for oper in (DELAY, ATTACK))
    hold = int(_seconds(generators[HOLD] + generators[KEY_TO_HOLD] * (60 - key)) * sample_rate)
    decay_s = max(_seconds(generators[DECAY] + generators[KEY_TO_DECAY] * (60 - key)), 0.001)
    sustain_db = -min(max(generators[SUSTAIN], 0), 1440) / 10.0
    peak = delay + attack + hold
    t = np.arange(max(n_frames - peak, 0))
    level_db = np.maximum(t * (-100.0 / (decay_s * sample_rate)), sustain_db)
    if sustain_db <= SILENT_DB:
        level_db = level_db[: int(np.searchsorted(-level_db, -SILENT_DB))]
    rise = np.arange(1, attack + 1) / max(attack, 1)
    parts = (np.zeros(delay), rise, np.ones(hold), 10.0 ** (level_db / 20.0))
    return np.concatenate(parts)[:n_frames].astype(np.float32)


def _cutoff_cents(generators: Mapping[int, int], key: int, n_frames: int, sample_rate: int) -> FloatArray | None:
    """The low-pass filter's cutoff over time, in cents above 8.176 Hz, one per hop of FILTER_FRAMES / 2; None if it never matters."""
    depth, base = generators[ENVELOPE_TO_CUTOFF], generators[CUTOFF]
    t = np.arange(-(-2 * n_frames // FILTER_FRAMES) + 1) * (FILTER_FRAMES / 2 / sample_rate)
    attack_s, hold_s = _seconds(generators[FILTER_ATTACK]), _seconds(generators[FILTER_HOLD] + generators[KEY_TO_FILTER_HOLD] * (60 - key))
    decay_s = _seconds(generators[FILTER_DECAY] + generators[KEY_TO_FILTER_DECAY] * (60 - key))
    t -= _seconds(generators[FILTER_DELAY])
    rest = 1.0 - min(max(generators[FILTER_SUSTAIN], 0), 1000) / 1000.0
    level = np.minimum(t / max(attack_s, 0.001), 1.0 - (t - attack_s - hold_s) / max(decay_s, 0.001))
    level = np.where(t < attack_s + hold_s, np.clip(level, 0.0, 1.0), np.clip(level, rest, 1.0))
    cents = np.clip(base + depth * level, 1_500.0, OPEN_CENTS)
    return cents if cents.min() < OPEN_CENTS else None


def _filtered(sound: Samples, cutoff_cents: FloatArray, sample_rate: int) -> Samples:
    """`sound` through a low-pass of two poles (no resonance, no phase) whose cutoff moves; by overlapping windows, Hann, half apart."""
    hop = FILTER_FRAMES // 2
    padded = np.pad(sound, (hop, 2 * FILTER_FRAMES))
    windows = np.lib.stride_tricks.sliding_window_view(padded, FILTER_FRAMES)[::hop][: len(cutoff_cents)]
    shape = (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(FILTER_FRAMES) / FILTER_FRAMES)).astype(np.float32)
    spectra = np.fft.rfft(windows * shape, axis=1)
    ratio = np.fft.rfftfreq(FILTER_FRAMES, 1.0 / sample_rate) / (8.176 * 2.0 ** (cutoff_cents[: len(windows), None] / 1200.0))
    spectra /= np.sqrt(1.0 + ratio**4)
    parts = np.fft.irfft(spectra, FILTER_FRAMES, axis=1)
    halves = parts[:, :hop], parts[:, hop:]
    out = np.concatenate([halves[0], np.zeros((1, hop))]) + np.concatenate([np.zeros((1, hop)), halves[1]])
    filtered: Samples = out.reshape(-1)[hop : hop + len(sound)].astype(np.float32)
    return filtered
