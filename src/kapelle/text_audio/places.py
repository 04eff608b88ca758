"""Where a text-to-audio model runs: on which device, with which numbers, and whether it fits there.

Takes names as people give them; gives a `Place`. Nothing is allocated here. What a model needs is estimated by a rule: its weights at
their width, a fifth more for what it computes on the way, and a gigabyte for sounds and texts (less for tiny models). Where that is more
than is free, it is refused before anything is read, with what would fit; `ANYWAY` in the environment has it tried nevertheless.

Known limits: the rule does not know the length of the sound.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kapelle.errors import CannotObey, Missing, NotEnoughMemory, UnknownName
from kapelle.text_audio import hub, memory

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from kapelle.text_audio.catalogue import SoundModel

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "float16", "bfloat16")
WIDTHS = {"float32": 4, "float16": 2, "bfloat16": 2}
"""Bytes of a number."""

ANYWAY = "KAPELLE_TRY_ANYWAY"
WORKING_SHARE = 0.2
WORKING_BYTES = 1e9
MOST_HEAD_BYTES = 100_000_000
"""Of a safetensors file, as its own library has it."""


@dataclass(frozen=True)
class Place:
    """A device of torch, and the numbers that it computes with."""

    device: torch.device
    dtype: torch.dtype


def choose(model: SoundModel, *, device: str = "auto", dtype: str = "auto", folder: Path | None = None) -> Place:
    """The place for a model.

    Args:
        model: Which.
        device: One of `DEVICES`; "auto" takes the best that is there.
        dtype: One of `DTYPES`; "auto" is float32 on a CPU, and float16 elsewhere.
        folder: Its weights, whose real number counts for the memory, as far as it can be told; None: the catalogue's.

    Raises:
        UnknownName: There is no such name.
        Missing: The device is not there.
        CannotObey: The device does not compute with these numbers.
        NotEnoughMemory: The model would not fit.
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
    _check_numbers(device, dtype)
    n_parameters = numbers(folder) if folder else 0
    check_memory(replace(model, n_parameters=n_parameters) if n_parameters else model, device, dtype)
    return Place(torch.device(device), getattr(torch, dtype))


def needed(model: SoundModel, dtype: str) -> int:
    """Bytes that a model takes while it runs, about.

    Args:
        model: Which.
        dtype: A key of `WIDTHS`.
    """
    weights = model.n_parameters * WIDTHS[dtype]
    return int(weights * (1 + WORKING_SHARE) + min(WORKING_BYTES, weights))


def numbers(folder: Path) -> int:
    """How many numbers the weights in a folder have, by the heads of its safetensors; 0 if that cannot be told."""
    files = [*folder.glob("*"), *folder.glob("*/*")]
    listed = [hub.HubFile(path.relative_to(folder).as_posix(), 0, "") for path in files]
    return sum(stored(folder / file.path) for file in hub.needed(listed) if file.path.endswith(hub.WEIGHTS))


def stored(path: Path) -> int:
    """How many numbers a safetensors file says that it has, of those that it has room for."""
    arrays = [array for array in _head(path).values() if isinstance(array, dict)]
    shapes = [shape for array in arrays if isinstance(shape := array.get("shape"), list) and all(isinstance(size, int) for size in shape)]
    told = sum(math.prod(shape) for shape in shapes)
    return min(told, path.stat().st_size) if told > 0 else 0


def _head(path: Path) -> dict[str, Any]:
    """What a safetensors file says of its arrays; empty if it is none: its reader will say so."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            head = json.loads(file.read(size)) if size <= MOST_HEAD_BYTES else {}
    except (OSError, ValueError):
        return {}
    return head if isinstance(head, dict) else {}


def check_memory(model: SoundModel, device: str, dtype: str) -> None:
    """Raise NotEnoughMemory if a model would not fit; where nobody tells what is free, it is not known and not refused."""
    free = memory.free(device)
    if free is None or needed(model, dtype) <= free or os.environ.get(ANYWAY, "") not in ("", "0"):
        return
    values = {
        "model": model.name, "needed": needed(model, dtype) / 1e9, "dtype": dtype, "device": device, "free": free / 1e9,
        "half": _half(device), "smaller": _smaller(model, dtype, free), "anyway": ANYWAY,
    }  # fmt: skip
    if dtype == "float32" and needed(model, str(values["half"])) <= free:
        hint = "take --dtype {half}; or set {anyway}=1 to try it as it is"
    elif values["smaller"]:
        hint = "take --model {smaller}; or set {anyway}=1 to try it as it is"
    elif device != "cpu":
        hint = "take --device cpu; or set {anyway}=1 to try it as it is"
    else:
        hint = "close other programs; or set {anyway}=1 to try it as it is"
    raise NotEnoughMemory("{model} needs about {needed:.1f} GB in {dtype}, and the {device} has {free:.1f} GB free", hint=hint, **values)


def _half(device: str) -> str:
    """The numbers half as wide that a device computes with."""
    return "bfloat16" if device == "cpu" else "float16"


def _smaller(model: SoundModel, dtype: str, free: int) -> str:
    """The largest model of the same family, and as many channels, that would fit; empty if none does."""
    from kapelle.text_audio.catalogue import MODELS

    fitting = [
        one for one in MODELS if one.family == model.family and one.n_parameters < model.n_parameters and needed(one, dtype) <= free
    ]  # fmt: skip
    alike = [one for one in fitting if (one.channels, one.takes) == (model.channels, model.takes)]
    return max(alike or fitting, key=lambda one: one.n_parameters).name if fitting else ""


def _check_numbers(device: str, dtype: str) -> None:
    """Raise CannotObey for numbers that a device has no good way to compute with."""
    import torch

    if (device, dtype) == ("cpu", "float16"):
        raise CannotObey(
            "a CPU computes slowly in float16, and its range is too small for some models",
            hint="take --dtype bfloat16, as small, or float32",
        )
    if dtype != "bfloat16" or device == "cpu":
        return
    able = torch.cuda.get_device_capability() >= (8, 0) if device == "cuda" else torch.backends.mps.is_macos_or_newer(14, 0)
    if not able:
        raise CannotObey("this {device} does not compute in bfloat16", device=device, hint="take --dtype float16 or float32")
