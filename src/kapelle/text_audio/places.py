"""Where a text-to-audio model runs: on which device, with which numbers, and whether it fits there.

Takes names as people give them; gives a `Place`. Nothing is allocated here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kapelle.errors import Missing, UnknownName

if TYPE_CHECKING:
    import torch

    from kapelle.text_audio.catalogue import SoundModel

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "float16", "bfloat16")


@dataclass(frozen=True)
class Place:
    """A device of torch, and the numbers that it computes with."""

    device: torch.device
    dtype: torch.dtype


def choose(model: SoundModel, *, device: str = "auto", dtype: str = "auto") -> Place:
    """The place for a model.

    Args:
        model: Which.
        device: One of `DEVICES`; "auto" takes the best that is there.
        dtype: One of `DTYPES`; "auto" is float32 on a CPU, and half as wide elsewhere.

    Raises:
        UnknownName: There is no such name.
        Missing: The device is not there.
    """
    import torch

    for what, name, known in (("device", device, DEVICES), ("dtype", dtype, DTYPES)):
        if name not in known:
            raise UnknownName(what, name, known)
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if there[name])
    if not there[device]:
        raise Missing("this machine has no {device} that torch can use", device=device, hint="take --device cpu")
    if dtype == "auto":
        dtype = "float32" if device == "cpu" else "float16"
    return Place(torch.device(device), getattr(torch, dtype))
