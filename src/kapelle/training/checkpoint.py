"""Checkpoints that survive a kill at any moment: written aside, synced, checksummed, renamed; the one before is kept.

Takes a network, its optimisers and a step; gives a folder ``step-00001234`` of safetensors and JSON, no pickle. Reading takes
the newest one whose checksums hold and says which damaged ones it passed over.

Random state is not stored because there is none: batches, dropout and augmentation are functions of (seed, step).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from kapelle.data.storage import sync
from kapelle.errors import CheckpointError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

KEEP = 2
ASIDE = ".writing-"

Optimizers = Mapping[str, torch.optim.Optimizer]


def save(folder: Path, step: int, network: torch.nn.Module, optimizers: Optimizers, extra: Mapping[str, Any]) -> Path:
    """Write the checkpoint of a step below `folder`, drop all but the newest two, and return its place.

    Checkpoints of later steps are dropped too: they are damaged, or this run would not have gone on before them.

    Args:
        folder: Where the checkpoints of the run are.
        step: Optimiser steps done.
        network: Its parameters and buffers are kept.
        optimizers: Their states are kept, one file for each name.
        extra: Anything that JSON holds, given back by `load`.

    Raises:
        StorageError: The disk is full or not writable; older checkpoints are untouched.
    """
    place, temporary = folder / f"step-{step:08d}", folder / f"{ASIDE}{os.getpid()}"
    try:
        for leftover in folder.glob(f"{ASIDE}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        temporary.mkdir(parents=True)
        _write(temporary, step, network, optimizers, extra)
        if place.exists():
            place.rename(folder / f"{ASIDE}{os.getpid()}-before")
        temporary.rename(place)
        sync(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        why = getattr(error, "strerror", None) or error
        hint = "free some space; the same command goes on from the checkpoint before"
        raise StorageError("cannot write a checkpoint to {folder}: {why}", folder=folder, why=why, hint=hint) from error
    places = sorted(folder.glob("step-*"))
    for old in [*places[: places.index(place)][: -KEEP + 1], *places[places.index(place) + 1 :]]:
        shutil.rmtree(old, ignore_errors=True)
    return place


def _write(folder: Path, step: int, network: torch.nn.Module, optimizers: Optimizers, extra: Mapping[str, Any]) -> None:
    save_file({name: _plain(value) for name, value in tensors_of(network).items()}, folder / "model.safetensors")
    for name, optimizer in optimizers.items():
        save_file(_flatten(optimizer, network), folder / f"{name}.safetensors")
    sums = {item.name: _sha256(item) for item in sorted(folder.iterdir())}
    (folder / "state.json").write_text(json.dumps({"step": step, "sha256": sums, **extra}, indent=1) + "\n", encoding="utf-8")
    for item in [*folder.iterdir(), folder]:
        sync(item)


def newest(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest sound checkpoint below `folder`, if any, and the names of damaged ones passed over."""
    damaged: list[str] = []
    for place in sorted(folder.glob("step-*"), reverse=True):
        if _sound(place):
            return place, damaged
        damaged.append(place.name)
    return None, damaged


def _sound(place: Path) -> bool:
    try:
        state = json.loads((place / "state.json").read_text(encoding="utf-8"))
        sums = state["sha256"]
        return state["step"] == int(place.name.removeprefix("step-")) and all(_sha256(place / name) == sums[name] for name in sums)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def load(place: Path, network: torch.nn.Module, optimizers: Optimizers) -> dict[str, Any]:
    """Put a checkpoint's tensors into a network and its optimisers; what `save` was given as `extra`, and the step, is returned.

    Raises:
        CheckpointError: It is damaged or belongs to another network.
    """
    try:
        state: dict[str, Any] = json.loads((place / "state.json").read_text(encoding="utf-8"))
        held = load_file(place / "model.safetensors")
        states = {name: load_file(place / f"{name}.safetensors") for name in optimizers}
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError("the checkpoint {place} is damaged: {why}", place=place, why=error) from error
    put_into(tensors_of(network), held, place)
    for name, optimizer in optimizers.items():
        _unflatten(optimizer, network, states[name])
    return state


def put_into(own: Mapping[str, torch.Tensor], held: Mapping[str, torch.Tensor], place: Path) -> None:
    """Copy tensors read from `place` into those of a network, all or none.

    Raises:
        CheckpointError: Names or shapes differ.
    """
    if {name: value.shape for name, value in held.items()} != {name: value.shape for name, value in own.items()}:
        hint = "choose another run folder, or the recipe it was made with"
        raise CheckpointError("the weights in {place} belong to another network", place=place, hint=hint)
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(held[name])


def tensors_of(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Parameters, shared ones once, and those buffers that a network keeps, by name."""
    kept = network.state_dict()
    return {**dict(network.named_parameters()), **{name: value for name, value in network.named_buffers() if name in kept}}


def _plain(value: torch.Tensor) -> torch.Tensor:
    """A tensor with memory of its own, as safetensors wants it."""
    return value.detach().cpu().contiguous()


def _flatten(optimizer: torch.optim.Optimizer, network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """An optimiser's state as tensors named ``parameter:entry``; never empty, for safetensors' sake."""
    names: dict[torch.Tensor, str] = {parameter: name for name, parameter in network.named_parameters()}
    out = {}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if value is not None:
                out[f"{names[parameter]}:{key}"] = _plain(torch.as_tensor(value))
    return out or {"empty:step": torch.zeros(1)}


def _unflatten(optimizer: torch.optim.Optimizer, network: torch.nn.Module, held: dict[str, torch.Tensor]) -> None:
    parameters = dict(network.named_parameters())
    for label, value in held.items():
        name, key = label.rsplit(":", 1)
        if name in parameters:
            device = parameters[name].device if value.ndim else "cpu"
            optimizer.state[parameters[name]][key] = value.to(device)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
