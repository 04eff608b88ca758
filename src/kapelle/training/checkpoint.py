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
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from kapelle.errors import CheckpointError, StorageError

KEEP = 2


def save(folder: Path, step: int, model: torch.nn.Module, optimizers: Mapping[str, torch.optim.Optimizer], extra: Mapping[str, Any]) -> Path:
    """Write the checkpoint of a step below `folder` and drop all but the newest two.

    Raises:
        StorageError: The disk is full or not writable; older checkpoints are untouched.
    """
    place, temporary = folder / f"step-{step:08d}", folder / f".writing-{os.getpid()}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        save_file({name: value.contiguous() for name, value in _tensors(model).items()}, temporary / "model.safetensors")
        for name, optimizer in optimizers.items():
            save_file(_flatten(optimizer, model), temporary / f"{name}.safetensors")
        sums = {item.name: _sha256(item) for item in sorted(temporary.iterdir())}
        state = {"step": step, "sha256": sums, **extra}
        (temporary / "state.json").write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
        for item in [*temporary.iterdir(), temporary]:
            _sync(item)
        shutil.rmtree(place, ignore_errors=True)
        temporary.rename(place)
        _sync(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise StorageError("cannot write a checkpoint to {folder}: {why}", folder=folder, why=error.strerror or error) from error
    for old in sorted(folder.glob("step-*"))[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)
    return place


def newest(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest sound checkpoint below `folder`, if any, and the names of damaged ones passed over."""
    damaged = []
    for place in sorted(folder.glob("step-*"), reverse=True):
        try:
            sums = json.loads((place / "state.json").read_text(encoding="utf-8"))["sha256"]
            if all(_sha256(place / name) == digest for name, digest in sums.items()):
                return place, damaged
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        damaged.append(place.name)
    return None, damaged


def load(place: Path, model: torch.nn.Module, optimizers: Mapping[str, torch.optim.Optimizer]) -> dict[str, Any]:
    """Put a checkpoint's tensors into a network and its optimisers; its ``state.json`` is returned.

    Raises:
        CheckpointError: It belongs to another network.
    """
    state: dict[str, Any] = json.loads((place / "state.json").read_text(encoding="utf-8"))
    try:
        held = load_file(place / "model.safetensors")
        own = _tensors(model)
        if set(held) != set(own) or any(held[name].shape != own[name].shape for name in own):
            raise CheckpointError("the checkpoint {place} belongs to another network", place=place, hint="choose another run folder, or the recipe it was made with")
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(held[name])
        for name, optimizer in optimizers.items():
            _unflatten(optimizer, model, load_file(place / f"{name}.safetensors"))
    except (OSError, KeyError, RuntimeError) as error:
        raise CheckpointError("the checkpoint {place} is damaged: {why}", place=place, why=error) from error
    return state


def _tensors(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers by name, shared ones once."""
    out = dict(model.named_parameters())
    return out | {name: value for name, value in model.named_buffers() if name in model.state_dict()}


def _flatten(optimizer: torch.optim.Optimizer, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    names = {parameter: name for name, parameter in model.named_parameters()}
    out = {}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            out[f"{names[parameter]}:{key}"] = value.contiguous() if torch.is_tensor(value) else torch.tensor(value)
    return out or {"empty:step": torch.zeros(1)}


def _unflatten(optimizer: torch.optim.Optimizer, model: torch.nn.Module, held: dict[str, torch.Tensor]) -> None:
    parameters = dict(model.named_parameters())
    for label, value in held.items():
        name, key = label.rsplit(":", 1)
        if name in parameters:
            device = parameters[name].device if value.ndim else "cpu"
            optimizer.state[parameters[name]][key] = value.to(device)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
