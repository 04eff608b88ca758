"""The section of docs/reference/figures.md about denoising: see `_page.py`, which puts it on the page."""

from __future__ import annotations

from typing import Any

import _texts


def denoising(found: dict[str, Any]) -> str:
    """What each way does to music with noise, and to music without."""
    text = (
        f"## Denoising music\n\n`python benchmarks/denoising.py --data DIR --speed`; {len(found['pieces'])} rendered pieces that the "
        f"filter was not developed with, {found['seconds']:g} s of each, strength {found['strength']:g}. Gain of the signal-to-noise ratio "
        "in dB, mean over pieces (worst piece); below zero a way makes it worse. LSD: log spectral distance in dB, the less the better.\n"
    )
    for name, kinds in found["noisy"].items():
        levels = list(next(iter(kinds.values())))
        rows = [
            (kind, *(f"{row['snr_gain']:+.1f} ({row['snr_gain_worst']:+.1f})" for row in by_level.values()),
             *(f"{row['lsd_gain']:+.1f}" for row in by_level.values()))
            for kind, by_level in kinds.items()
        ]  # fmt: skip
        head = ("noise", *(f"SNR gain at {level} dB" for level in levels), *(f"LSD gain at {level} dB" for level in levels))
        text += f"\n{name}:\n\n{_texts.table(head, rows)}"
    return text + _clean(found) + _goals(found)


def _clean(found: dict[str, Any]) -> str:
    speeds = found.get("speed", {})
    rows = [
        (name, f"{row['si_sdr']:.1f} ({row['si_sdr_worst']:.1f})", f"{row['octave']:.2f} ({row['octave_worst']:.2f})",
         f"{speeds[name]:.0f}" if name in speeds else "-")
        for name, row in found["clean"].items()
    ]  # fmt: skip
    head = ("way", "SI-SDR, dB (worst)", "largest change of an octave, dB (worst)", "x real time, stereo, one core")
    text = f"\nMusic that holds no noise, before and after:\n\n{_texts.table(head, rows)}"
    for name, why in found["not_measured"].items():
        text += f"\nNot measured here: {name} ({why.split(',')[0]}).\n"
    return text


def _goals(found: dict[str, Any]) -> str:
    goals, white, clean = found["goals"], found["noisy"]["wiener"]["white"]["10"], found["clean"]["wiener"]
    rows = [
        ("SNR gain, white noise at 10 dB, mean", f"{white['snr_gain']:+.1f} dB", f">= {goals['snr_gain_white_10']:+g} dB"),
        ("clean music: SI-SDR, worst piece", f"{clean['si_sdr_worst']:.0f} dB", f">= {goals['clean_si_sdr_db']:g} dB"),
        ("clean music: change of any octave, worst piece", f"{clean['octave_worst']:.2f} dB", f"<= {goals['clean_octave_db']:g} dB"),
    ]
    return f"\nwiener against its goals:\n\n{_texts.table(('figure', 'value', 'goal'), rows)}"


SECTIONS = {"denoising": denoising}
