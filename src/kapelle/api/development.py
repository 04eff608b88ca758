"""Developing a theme: from a MIDI file that somebody brings to a piece in which it comes back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kapelle.api.files import midi_bytes
from kapelle.api.requests import compose_many, length_of, request, split_settings
from kapelle.composing.request import ComposeRequest, Length

MODEL = "theme"
"""The bundle that develops a theme when none is named."""


def develop(
    theme: str | Path | bytes,
    *,
    model: str = MODEL,
    bars: int | None = None,
    seconds: float | None = None,
    seed: int | None = None,
    count: int = 1,
    processes: int = 1,
    band: str | bool = "",
    **settings: Any,
) -> Any:
    """A `Piece`, or a list of them if `count` is above 1: `theme` comes back in it, developed.

    Args:
        theme: A MIDI file in 4/4 with a melody, or its bytes; its first eight bars count.
        model: Bundle name or path.
        bars: Length in bars; one of the two lengths, 16 bars if none.
        seconds: Length in seconds, rounded to whole bars.
        seed: Drawn if left out.
        count: Pieces.
        processes: To compose several pieces with.
        band: Play a band around the piece: True, or the name of the bundle that plays.
        settings: Sampling (temperature, top_p ...) and the model's options (theme_bars, form, theme_length, key, tempo ...).

    Raises:
        MidiError: `theme` is no MIDI file.
        UsageError, CannotObey: It has no melody or is in another metre; or what is asked contradicts itself or is beyond the model.
        Missing: No such bundle, or no such file.
    """
    sampling, options = split_settings(settings)
    wish = development(theme, model=model, length=length_of(bars=bars, seconds=seconds), seed=seed, count=count, sampling=sampling,
                       options=options, band="band" if band is True else band or "")  # fmt: skip
    pieces = list(compose_many(wish, processes=processes))
    return pieces if count > 1 else pieces[0]


def development(
    theme: str | Path | bytes,
    *,
    model: str = MODEL,
    length: Length | None = None,
    seed: int | None = None,
    count: int = 1,
    sampling: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    band: str = "",
) -> ComposeRequest:
    """The checked request of `develop`, with its arguments; arguments as of `request`."""
    return request(
        model or MODEL, length=length, seed=seed, count=count, sampling=sampling, options=options, theme=midi_bytes(theme), band=band
    )
