"""Whether the settings of a network ask for no more numbers than its weights hold: looked at before room is made for them.

A folder may say anything. Libraries make a network as its settings have it, and compare it with the weights only then: a few digits too
many there would take all memory of a machine, or hours. So the network is first made without memory, and its numbers are counted.
It takes a class and its folder; nothing is read but JSON and the heads of safetensors.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from kapelle.errors import UnreadableInput
from kapelle.text_audio import places
from kapelle.text_audio.safe_files import REFETCH

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = "config.json"
MOST_LAYERS = 1_000
"""Of one kind, and of the items of a list: published networks have less than a hundred."""
SHARED = 2.0
"""How often one number may be counted: some stand in two places of a network, and once in its file."""
SPARE = 1_000_000
"""Numbers that a network may have beyond its file, such as tables of positions that are computed."""
_COUNTS = ("layer", "depth", "block", "stage", "num_residual")


def check(kind: Any, folder: Path) -> None:
    """Raise unless a network of a class, as the settings in a folder have it, fits the weights there.

    Args:
        kind: Of transformers or diffusers, with ``from_pretrained``.
        folder: With ``config.json`` and safetensors.

    Raises:
        UnreadableInput: There are no settings, or they ask for more than the weights are.
    """
    file = folder / SETTINGS
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableInput("{file} cannot be read: {why}", file=file, why=str(error)[:200], hint=REFETCH) from error
    for name, value in _boasts(settings):
        raise UnreadableInput("{file}: {name} is {value!r}", file=file, name=name, value=value, hint=REFETCH)
    wanted, stored = _wanted(kind, folder), sum(places.stored(path) for path in folder.glob("*.safetensors"))
    if wanted > SHARED * stored + SPARE:
        raise UnreadableInput(
            "{file} asks for {wanted:,} numbers, and the weights beside it have {stored:,}",
            file=file, wanted=wanted, stored=stored, hint=REFETCH,
        )  # fmt: skip


def reason(error: Exception) -> str:
    """The first line of what a library says of a network that it could not read; one that speaks of its own parameters is said anew."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return "the weights have other shapes than the settings say" if "ignore_mismatched_sizes" in lines[0] else lines[0][:300]


def _boasts(settings: Any, name: str = "") -> list[tuple[str, int]]:
    """Names and values of what would be made too often."""
    if isinstance(settings, dict):
        return [one for key, value in settings.items() for one in _boasts(value, str(key))]
    if isinstance(settings, list):
        return [(name, len(settings))] if len(settings) > MOST_LAYERS else [one for value in settings for one in _boasts(value, name)]
    many = isinstance(settings, int) and settings > MOST_LAYERS and any(part in name.lower() for part in _COUNTS)
    return [(name, settings)] if many and "channel" not in name else []


def _wanted(kind: Any, folder: Path) -> int:
    """Numbers of the network as its settings have it; it is made without memory."""
    with torch.device("meta"):
        if hasattr(kind, "config_class") and kind.config_class is not None:
            network = kind(kind.config_class.from_pretrained(folder, local_files_only=True))
        else:
            network = kind.from_config(kind.load_config(folder, local_files_only=True))
    return sum(parameter.numel() for parameter in network.parameters())
