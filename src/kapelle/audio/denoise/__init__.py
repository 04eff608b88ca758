"""Noise taken out of a sound that holds music: `denoise`, by one of three methods.

Takes a `Waveform`; gives one of the same length, rate and channels. ``wiener`` is our own filter, needs numpy alone and is the default:
it leaves alone what it does not take for noise. ``noisereduce`` and ``deepfilternet`` are adapters of programs by others, which must be
installed, and which were made for speech: what each does to music stands in docs/reference/figures.md. Nothing here reads or writes files.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from kapelle.errors import UnknownName, UsageError
from kapelle.progress import Report, quiet

if TYPE_CHECKING:
    from kapelle.audio.waveform import Waveform

__all__ = ["DEFAULT_METHOD", "DEFAULT_STRENGTH", "METHODS", "check", "denoise"]

DEFAULT_METHOD = "wiener"
DEFAULT_STRENGTH = 0.6
_MODULES = {"wiener": "wiener", "noisereduce": "gating", "deepfilternet": "deep_filter"}
METHODS: tuple[str, ...] = tuple(_MODULES)


def denoise(
    wave: Waveform,
    method: str = DEFAULT_METHOD,
    strength: float = DEFAULT_STRENGTH,
    *,
    progress: Report = quiet,
) -> Waveform:
    """`wave` with less noise; of the same length, rate and number of channels.

    Args:
        wave: The sound.
        method: One of METHODS.
        strength: How far noise is turned down: 0 not at all (the sound is given back as it is), 1 by 30 dB with ``wiener``.
        progress: Called with (work done, work in all).

    Raises:
        UnknownName: There is no such method.
        UsageError: The strength is not 0 to 1.
        Missing: The program behind the method is not installed.
    """
    check(method, strength)
    if strength == 0.0 or wave.peak == 0.0:
        return wave
    module = import_module(f"kapelle.audio.denoise.{_MODULES[method]}")
    cleaned: Waveform = module.denoise(wave, strength, progress=progress)
    return cleaned


def check(method: str, strength: float = DEFAULT_STRENGTH) -> None:
    """Refuse a method or a strength that there is not; cheap, to be called before long work.

    Raises:
        UnknownName: There is no such method.
        UsageError: The strength is not 0 to 1.
        Missing: The program behind the method is not installed.
    """
    if method not in _MODULES:
        raise UnknownName("way to denoise", method, METHODS)
    if not 0.0 <= strength <= 1.0:
        raise UsageError("the strength must be 0 to 1, not {strength}", strength=strength)
    import_module(f"kapelle.audio.denoise.{_MODULES[method]}").check_installed()
