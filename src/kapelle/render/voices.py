"""What the sine renderer's instruments are made of: one row per family of eight General MIDI programs.

Data only; `kapelle.render.sine` turns a row into sound. The rows were set by ear and by looking at spectra; they aim at being
told apart, in tune and pleasant together, not at imitating.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Voice:
    """One family of instruments as a sum of decaying sines.

    Args:
        amplitudes: Of the partials, any scale: they are scaled so that each voice is equally strong.
        ratios: Frequency of each partial over the note's; empty for 1, 2, 3 ...
        decay_s: Time in which the first partial of middle C falls by 8.7 dB; infinity for instruments that hold a note.
        damping: How much faster each further partial decays, in parts of the first one's speed.
        settle: Part of the level that is lost soon after the attack (0 to 1), for instruments that hold a note.
        attack_s: Time to full level.
        release_s: Time from the end of the note to silence.
        detune_cents: Width of a pair of voices that beat against each other; 0 for a single one.
        level: Loudness within the band.
    """

    amplitudes: tuple[float, ...]
    ratios: tuple[float, ...] = ()
    decay_s: float = float("inf")
    damping: float = 0.0
    settle: float = 0.0
    attack_s: float = 0.005
    release_s: float = 0.1
    detune_cents: float = 0.0
    level: float = 1.0


SETTLE_S = 0.12  # time constant in which `settle` is lost

PIANO = Voice((1.0, 0.55, 0.33, 0.22, 0.14, 0.10, 0.07, 0.05, 0.035, 0.025), decay_s=1.6, damping=0.35, attack_s=0.003, release_s=0.16)
MALLET = Voice((1.0, 0.28, 0.10), (1.0, 4.0, 10.0), decay_s=0.8, damping=1.6, attack_s=0.002, release_s=0.35)
ORGAN = Voice(
    (0.35, 1.0, 0.25, 0.7, 0.45, 0.35, 0.15, 0.2), (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0), attack_s=0.012, release_s=0.06, level=0.7
)
GUITAR = Voice((1.0, 0.62, 0.45, 0.28, 0.2, 0.12, 0.08, 0.05), decay_s=1.1, damping=0.3, attack_s=0.003, release_s=0.1)
BASS = Voice((1.0, 0.6, 0.32, 0.16, 0.08, 0.04), decay_s=1.3, damping=0.5, attack_s=0.006, release_s=0.08, level=1.15)
STRINGS = Voice((1.0, 0.55, 0.4, 0.28, 0.2, 0.13, 0.09, 0.06, 0.04), settle=0.2, attack_s=0.07, release_s=0.2, detune_cents=5.0, level=0.75)
ENSEMBLE = Voice((1.0, 0.6, 0.25, 0.22, 0.16, 0.07, 0.04), settle=0.1, attack_s=0.11, release_s=0.3, detune_cents=7.0, level=0.7)
BRASS = Voice((1.0, 0.9, 0.75, 0.52, 0.38, 0.26, 0.16, 0.1, 0.06), settle=0.3, attack_s=0.035, release_s=0.09, level=0.8)
REED = Voice((1.0, 0.22, 0.6, 0.18, 0.38, 0.12, 0.2, 0.06, 0.1), settle=0.15, attack_s=0.03, release_s=0.08, level=0.75)
PIPE = Voice((1.0, 0.28, 0.1, 0.04), settle=0.1, attack_s=0.05, release_s=0.12, level=0.9)
LEAD = Voice((1.0, 0.12, 0.33, 0.06, 0.2, 0.04, 0.14, 0.03, 0.09), settle=0.25, attack_s=0.008, release_s=0.08, detune_cents=3.0, level=0.7)
PAD = Voice((1.0, 0.5, 0.3, 0.14, 0.09, 0.05), attack_s=0.28, release_s=0.6, detune_cents=7.0, level=0.65)
EFFECT = Voice((1.0, 0.3, 0.2, 0.25, 0.1, 0.12), decay_s=2.5, damping=0.15, attack_s=0.12, release_s=0.5, detune_cents=7.0, level=0.65)
PLUCKED = Voice((1.0, 0.75, 0.5, 0.42, 0.22, 0.18, 0.1), decay_s=0.6, damping=0.3, attack_s=0.002, release_s=0.12)
STRUCK = Voice((1.0, 0.5, 0.25, 0.12), (1.0, 2.01, 3.02, 4.6), decay_s=0.28, damping=0.8, attack_s=0.002, release_s=0.2)
NOISE = Voice((1.0, 0.6, 0.5, 0.4), (1.0, 1.41, 1.87, 2.39), decay_s=0.9, attack_s=0.08, release_s=0.3, detune_cents=30.0, level=0.4)

FAMILIES: tuple[Voice, ...] = (
    PIANO, MALLET, ORGAN, GUITAR, BASS, STRINGS, ENSEMBLE, BRASS, REED, PIPE, LEAD, PAD, EFFECT, PLUCKED, STRUCK, NOISE,
)  # fmt: skip
"""The voice of program p is FAMILIES[p // 8]."""
