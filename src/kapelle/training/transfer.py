"""Beginning with the weights of a network that spoke another vocabulary: rows go by the names of their tokens.

Takes a fresh network and a run folder, changes the network. What both vocabularies have keeps its row; new tokens keep their fresh ones.
A table of positions that is longer now repeats the old one. All else must be of the same shape. Names of tokens are only compared.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch

from kapelle.errors import CheckpointError
from kapelle.training import checkpoint, run_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def begin_with(network: torch.nn.Module, place: Path, data: Path) -> None:
    """Put the weights of a run, or of a file of weights, into a network that learns from the shards `data`.

    Raises:
        Missing: There are none.
        CheckpointError: They are damaged or belong to another network.
    """
    before, now = (names(folder / "tokenizer.json") for folder in (place, data))
    if not before or before == now:
        run_folder.begin_with(network, place)
        return
    own, held = checkpoint.tensors_of(network), run_folder.weights_for(network, place)
    if own.keys() != held.keys():
        raise _other_network(place)
    with torch.no_grad():
        for name, value in own.items():
            made = _fitted(held[name], value, before, now)
            if made is None:
                raise _other_network(place)
            value.copy_(made)


def names(tokenizer: Path) -> list[str]:
    """The tokens of a ``tokenizer.json`` in the order of their ids; empty if there is none."""
    try:
        table = json.loads(tokenizer.read_text(encoding="utf-8"))
        return [str(name) for name in table["tokens"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _fitted(held: torch.Tensor, fresh: torch.Tensor, before: Sequence[str], now: Sequence[str]) -> torch.Tensor | None:
    """`held` in the shape of `fresh`; None if it does not go."""
    if held.ndim != fresh.ndim or held.shape[1:] != fresh.shape[1:]:
        return None
    if len(held) == len(before) and len(fresh) == len(now):
        places = {name: place for place, name in enumerate(before)}
        pairs = [(place, places[name]) for place, name in enumerate(now) if name in places]
        made = fresh.detach().clone()
        made[[to for to, _ in pairs]] = held[[place for _, place in pairs]].to(made.dtype)
        return made
    if len(held) == len(fresh):
        return held
    return (
        held.repeat(-(-len(fresh) // len(held)), *[1] * (held.ndim - 1))[: len(fresh)]
        if len(held) < len(fresh) and held.ndim == 2
        else None
    )


def _other_network(place: Path) -> CheckpointError:
    hint = "choose another run folder, or the recipe it was made with"
    return CheckpointError("the weights in {place} belong to another network", place=place, hint=hint)
