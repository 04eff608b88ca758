"""The parts of a published model, each read from its folder by its own class.

Takes a folder in the layout of diffusers and the classes that its parts must have; gives the parts, on their device. No name in the folder
chooses code, nothing but safetensors is opened, and a weight that is missing is an error where the libraries would fill it with random
numbers. It knows no model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from kapelle.errors import KapelleError, Missing, UnreadableInput
from kapelle.text_audio import claims
from kapelle.text_audio.libraries import guarded, is_out_of_memory, quietly
from kapelle.text_audio.safe_files import REFETCH, check_whole, weightless

if TYPE_CHECKING:
    from pathlib import Path

    from kapelle.text_audio.places import Place

INDEX = "model_index.json"
UNBOUNDED_TOKENS = 1_000_000
TOKENS_AS_PUBLISHED = 512


@dataclass(frozen=True)
class Part:
    """One part of a pipeline.

    Args:
        kind: The class that reads it.
        names: What the folder may call this class: published folders name some by older names.
        exact: Compute in float32 whatever the place says: small networks that end in samples, where half precision is heard.
    """

    kind: type[Any]
    names: tuple[str, ...] = ()
    exact: bool = False


def read_parts(folder: Path, pipeline: str, parts: Mapping[str, Part], place: Place) -> dict[str, Any]:
    """The parts of a pipeline, by name, on their device and ready to use.

    Args:
        folder: In the layout that diffusers publishes.
        pipeline: The class of pipeline that it must declare.
        parts: What it must have.
        place: Where they run.

    Raises:
        Missing: The folder, or a file of it, is not there.
        UnreadableInput: It is another kind of pipeline, or a file is damaged, incomplete or not safetensors.
        NotEnoughMemory: It would not fit.
    """
    declared = _declared(folder, pipeline)
    for name, part in parts.items():
        called = declared.get(name)
        if not isinstance(called, list) or len(called) != 2 or called[1] not in (part.kind.__name__, *part.names):
            raise UnreadableInput("{folder} declares {name} as {found}", folder=folder, name=name, found=called, hint=REFETCH)
    read = {}
    with quietly(), guarded(place):
        for name, part in parts.items():
            read[name] = read_part(folder / name, part, place)
    return read


def _declared(folder: Path, pipeline: str) -> dict[str, Any]:
    index = folder / INDEX
    if not folder.is_dir():
        raise Missing("there is no folder {folder}", folder=folder, hint=REFETCH)
    if not index.is_file():
        raise Missing("{folder} holds no {file}: it is no published pipeline", folder=folder, file=INDEX, hint=REFETCH)
    try:
        declared = json.loads(index.read_text(encoding="utf-8"))
        found = declared["_class_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableInput("{file} cannot be read: {why}", file=index, why=error, hint=REFETCH) from error
    if found != pipeline:
        raise UnreadableInput("{folder} holds {found}, not {pipeline}", folder=folder, found=found, pipeline=pipeline, hint=REFETCH)
    return dict(declared)


def read_part(folder: Path, part: Part, place: Place) -> Any:
    """One part from its folder; networks on their device, ready to use. To be called inside `quietly` and `guarded`."""
    if not folder.is_dir():
        raise Missing("the model lacks its part {name}: there is no {folder}", name=folder.name, folder=folder, hint=REFETCH)
    is_network = issubclass(part.kind, torch.nn.Module)
    asked: dict[str, Any] = {"local_files_only": True}
    if part.kind.__name__.startswith("Auto") and not is_network:
        asked["trust_remote_code"] = False  # else transformers asks whoever sits at the terminal
    if is_network:
        files = sorted(folder.glob("*.safetensors"))
        if not files:
            raise weightless(folder)
        for file in files:
            check_whole(file)
        asked |= {"use_safetensors": True, "output_loading_info": True}
        # the two libraries call it by two names
        asked["dtype" if part.kind.__module__.startswith("transformers.") else "torch_dtype"] = torch.float32 if part.exact else place.dtype
    try:
        with torch.random.fork_rng(devices=[]):  # weights are drawn before they are read
            if is_network:
                claims.check(part.kind, folder)
            read = part.kind.from_pretrained(folder, **asked)
    except (KapelleError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # what these libraries raise at a bad folder is of every kind
        if is_out_of_memory(error):
            raise
        raise UnreadableInput(
            "{folder} cannot be read as a {kind}: {why}", folder=folder, kind=part.kind.__name__, why=claims.reason(error), hint=REFETCH
        ) from error
    if not is_network:
        return read
    network, told = read
    # of what was not found, buffers are computed, and tied weights are not parameters of their own
    lacking = sorted(set(told["missing_keys"]) & {name for name, _ in network.named_parameters()})
    if lacking:
        raise UnreadableInput(
            "{folder} lacks {n} weights, {name} among them", folder=folder, n=len(lacking), name=lacking[0], hint=REFETCH
        )  # fmt: skip
    return network.to(place.device).eval().requires_grad_(False)


def bound(tokenizer: Any) -> Any:
    """The tokenizer, with a longest text: without one in its folder, padding up to it would never end."""
    if tokenizer.model_max_length > UNBOUNDED_TOKENS:
        tokenizer.model_max_length = TOKENS_AS_PUBLISHED
    return tokenizer
