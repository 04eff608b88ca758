"""Kapelle composes music.

::

    import kapelle

    piece = kapelle.compose(genre="jazz", bars=16, seed=7)
    piece.save("jazz.mid")
    piece.to_wav("jazz.wav")

The public names are those of ``__all__``; each is loaded when it is first used, so importing costs nothing.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kapelle.api import (
        accompany,
        bundle,
        classify,
        compose,
        compose_events,
        compose_many,
        denoise_file,
        develop,
        evaluate,
        export,
        extend,
        imagine,
        info_file,
        interpolate,
        originality,
        plot_file,
        prepare,
        rank,
        read_midi,
        remake,
        render_file,
        request,
        train,
    )
    from kapelle.composing.piece import Piece
    from kapelle.composing.request import ComposeRequest, Length
    from kapelle.errors import KapelleError
    from kapelle.text_audio.request import SoundRequest

__version__ = "0.1.0"

_HOMES = {
    "ComposeRequest": "kapelle.composing.request",
    "KapelleError": "kapelle.errors",
    "Length": "kapelle.composing.request",
    "Piece": "kapelle.composing.piece",
    "SoundRequest": "kapelle.text_audio.request",
    **dict.fromkeys(
        ("accompany", "bundle", "classify", "compose", "compose_events", "compose_many", "denoise_file", "develop", "evaluate",
         "export", "extend", "imagine", "info_file", "interpolate", "originality", "plot_file", "prepare", "rank", "read_midi",
         "remake", "render_file", "request", "train"), "kapelle.api",
    ),
}  # fmt: skip

__all__ = [
    "ComposeRequest",
    "KapelleError",
    "Length",
    "Piece",
    "SoundRequest",
    "accompany",
    "bundle",
    "classify",
    "compose",
    "compose_events",
    "compose_many",
    "denoise_file",
    "develop",
    "evaluate",
    "export",
    "extend",
    "imagine",
    "info_file",
    "interpolate",
    "originality",
    "plot_file",
    "prepare",
    "rank",
    "read_midi",
    "remake",
    "render_file",
    "request",
    "train",
]

# onnxruntime reads this as it loads. Its packages would otherwise tell their maker which graphs run where, under a number kept in ~/.cache.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def __getattr__(name: str) -> Any:
    """The public name, loaded from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module 'kapelle' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
