"""One run in several processes: starting them, and adding up numbers and gradients over them.

Gradients are added up once for every update, in one vector, however many passes made them and however unevenly the blocks were
dealt; torch's own synchronisation during the backward pass is switched off by the loop.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from lightning.fabric import Fabric
from lightning.fabric.utilities.exceptions import MisconfigurationException

from kapelle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def is_first_process() -> bool:
    """True in the process that prints and writes; the others are copies of the program for further devices."""
    return int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0) == 0


@contextmanager
def unannounced() -> Iterator[None]:
    """Inside, Lightning does not announce what it does: that is of no use to those who asked for it."""
    heard = [logging.getLogger(name) for name in ("lightning.fabric", "lightning.pytorch")]
    before = [log.level for log in heard]
    for log in heard:
        log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for log, level in zip(heard, before, strict=True):
            log.setLevel(level)


def launched(accelerator: str, devices: int, precision: str) -> Fabric:
    """A Fabric whose processes all run; with several devices the program is started again for each but the first.

    Raises:
        UsageError: This machine does not have what was asked for.
    """
    try:
        fabric = Fabric(accelerator=accelerator, devices=devices, precision=precision)  # type: ignore[arg-type,unused-ignore]
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        hint = "ask for fewer devices, --accelerator cpu, or training.precision=32-true"
        raise UsageError("cannot train here as asked: {why}", why=" ".join(str(error).split()), hint=hint) from error
    fabric.launch()
    return fabric


def summed(fabric: Fabric, values: Sequence[float]) -> list[float]:
    """Sums over processes, the same on all of them."""
    if fabric.world_size == 1:
        return list(values)
    mine = torch.tensor(values, dtype=torch.float64, device=fabric.device)
    out: list[float] = fabric.all_reduce(mine, reduce_op="sum").tolist()
    return out


def add_up_gradients(fabric: Fabric, parameters: Sequence[torch.nn.Parameter]) -> None:
    """Each gradient becomes the sum over processes; what has none anywhere keeps none, and the optimiser leaves it alone."""
    if fabric.world_size == 1:
        return
    present = torch.tensor([float(p.grad is not None) for p in parameters], device=fabric.device)
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flat = torch.cat([present, *(part.flatten().float() for part in parts)])
    sizes = [len(parameters), *(part.numel() for part in parts)]
    anywhere, *rest = torch.split(fabric.all_reduce(flat, reduce_op="sum"), sizes)
    for parameter, part, found in zip(parameters, rest, anywhere.tolist(), strict=True):
        parameter.grad = part.view_as(parameter).to(parameter.dtype) if found else None
