"""The sine renderer: a score as a sum of decaying sines and noise bursts. Needs no SoundFont and no program, and is fast.

Takes a `symusic.Score`; gives stereo float32. Volume, expression, pan and the sustain pedal are followed (see
`kapelle.render.performance`); pitch bend and vibrato are not. The result is not normalised.

Why it is fast. All notes of one family and pitch share one long tone, made once: a note is a slice of it with a gain and a
release. The tone itself is made in blocks: partial k at frame 512 i + j is the product of a coarse and a fine complex
exponential, so that the sum over the partials is one small matrix product. The products all have one fixed shape, so that a
tone's samples depend neither on its length nor on the number of threads.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kapelle.render.drums import strike
from kapelle.render.mixing import Struck, Tone, mix
from kapelle.render.performance import Performance, perform
from kapelle.render.voices import FAMILIES, SETTLE_S, Voice

if TYPE_CHECKING:
    from symusic import Score

    from kapelle.audio.waveform import Samples, Waveform
    from kapelle.score.units import IntArray

ComplexArray = npt.NDArray[np.complex128]

A4_HZ = 440.0
MIDDLE_C_HZ = 261.626
FINE = 512  # frames per block
COARSE = 8  # blocks per product
PIECE_FRAMES = FINE * COARSE
MAX_TONE_S = 20.0  # longer notes are made piece by piece, so that a drone of an hour needs no memory of its own
HIGHEST_PARTIAL_HZ = 16_000.0
HIGHEST_OF_RATE = 0.45  # of the sample rate: beyond half of it a partial would fold back
SILENT_BELOW = 1e-4  # -80 dB: where a decaying tone is cut
DECAY_SLOPE = 0.5  # low notes ring longer: decay speed grows with the square root of the frequency


def render(score: Score, *, sample_rate: int = 44_100, tail_s: float = 1.5) -> Waveform:
    """`score` as stereo sound, from its start to `tail_s` seconds after its last note; silence for a score without notes."""
    return mix(perform(score), _Tones(sample_rate), tail_s)


class _Tones:
    """The tones of all families; notes of one family and pitch share one."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate

    def keys(self, played: Performance) -> IntArray:
        return np.where(played.program < 0, len(FAMILIES), played.program // 8) * 128 + played.pitch

    def tone(self, program: int, pitch: int, _velocity: int, n_held: int) -> Tone | None:
        if program < 0:
            return Struck(strike(pitch, self.sample_rate))
        voice = FAMILIES[program // 8]
        if frequency_hz(pitch) * 2 ** (voice.detune_cents / 2400) >= HIGHEST_OF_RATE * self.sample_rate:
            return None
        return _Tone(voice, pitch, n_held + int(voice.release_s * self.sample_rate), self.sample_rate)


class _Tone:
    """The sound of one key of one voice, held for as long as asked.

    Args:
        voice: The family.
        pitch: MIDI pitch, 0 to 127.
        n_frames: The longest note that will be asked for; the first MAX_TONE_S seconds of it are kept.
        sample_rate: Frames per second.
    """

    def __init__(self, voice: Voice, pitch: int, n_frames: int, sample_rate: int) -> None:
        n_release = int(voice.release_s * sample_rate)
        self.release = ((1.0 - np.arange(n_release) / max(n_release, 1)) ** 2).astype(np.float32)
        self._amplitudes, self._rates = _partials(voice, pitch, sample_rate)
        fine = np.exp(self._rates[:, None] * np.arange(FINE))
        self._fine = np.concatenate([fine.real, fine.imag]).astype(np.float32)  # (2K, FINE)
        slowest = float(-self._rates.real.max(initial=-np.inf))
        audible = -np.log(SILENT_BELOW) / slowest if slowest > 0.0 else np.inf
        self._n_audible = n_frames if audible > n_frames else int(audible)
        n_most = int(MAX_TONE_S * sample_rate) // PIECE_FRAMES * PIECE_FRAMES
        self._kept = self._blocks(0, min(self._n_audible, n_most))
        onset = _onset(voice, sample_rate)[: len(self._kept)]
        self._kept[: len(onset)] *= onset

    def pieces(self, n_frames: int) -> list[Samples]:
        """The first `n_frames` frames, or fewer where the tone has died before; in order, the first a view."""
        n_frames = min(n_frames, self._n_audible)
        rest = range(len(self._kept), n_frames, max(len(self._kept), 1))
        return [self._kept[:n_frames], *(self._blocks(start, min(len(self._kept), n_frames - start)) for start in rest)]

    def _blocks(self, start: int, n_frames: int) -> Samples:
        """Frames `start` (a multiple of FINE) to `start + n_frames`, without the onset."""
        n_pieces = -(-n_frames // PIECE_FRAMES)
        frames = start + FINE * np.arange(n_pieces * COARSE)
        coarse = self._amplitudes * np.exp(self._rates * frames[:, None])
        coarse[np.abs(coarse) < 1e-12] = 0.0  # no denormal numbers into the product: they are slow
        # The imaginary part of coarse times fine, summed over the partials.
        factors = np.concatenate([coarse.imag, coarse.real], axis=1).astype(np.float32).reshape(n_pieces, COARSE, -1)
        sound: Samples = np.matmul(factors, self._fine).reshape(-1)[:n_frames]
        return sound


def frequency_hz(pitch: float) -> float:
    """The frequency of a MIDI pitch in equal temperament: 440 for 69."""
    return float(A4_HZ * 2.0 ** ((pitch - 69) / 12.0))


def _partials(voice: Voice, pitch: int, sample_rate: int) -> tuple[ComplexArray, ComplexArray]:
    """Complex amplitudes (K,), and exponents per frame (K,): minus decay plus i times angle."""
    hz = frequency_hz(pitch)
    ratios = np.array(voice.ratios or range(1, len(voice.amplitudes) + 1), dtype=np.float64)
    amplitudes = np.array(voice.amplitudes)
    amplitudes = voice.level * amplitudes / np.sqrt(np.square(amplitudes).sum())
    speed = (hz / MIDDLE_C_HZ) ** DECAY_SLOPE / voice.decay_s  # per second
    decays = speed * (1.0 + voice.damping * np.arange(len(ratios)))
    # Phases that grow with the square of the number spread the peaks of a rich tone over its period (Schroeder 1970).
    phases = np.pi * np.arange(len(ratios)) ** 2 / len(ratios)
    if voice.detune_cents:
        apart = 2.0 ** (voice.detune_cents / 2400.0)
        ratios, decays = np.concatenate([ratios / apart, ratios * apart]), np.tile(decays, 2)
        phases, amplitudes = np.concatenate([phases, phases + 2.0]), np.tile(amplitudes, 2) / np.sqrt(2.0)
    heard = ratios * hz < min(HIGHEST_PARTIAL_HZ, HIGHEST_OF_RATE * sample_rate)
    rates = (-decays + 2j * np.pi * hz * ratios) / sample_rate
    return (amplitudes * np.exp(1j * phases))[heard], rates[heard]


@functools.lru_cache(maxsize=64)
def _onset(voice: Voice, sample_rate: int) -> Samples:
    """The first part of the envelope: half a cosine up, and the level above the held one that is soon lost."""
    n_frames = int(max(voice.attack_s, 8.0 * SETTLE_S if voice.settle else 0.0) * sample_rate)
    t = np.arange(n_frames) / sample_rate
    rise = 0.5 - 0.5 * np.cos(np.pi * np.minimum(t / voice.attack_s, 1.0))
    surplus = 1.0 + voice.settle / (1.0 - voice.settle) * np.exp(-t / SETTLE_S)
    return (rise * surplus).astype(np.float32)
