"""A text-to-audio model, from its name to something that makes sound.

Takes a name and where to run; gives a `Backend`. Weights come from a folder that is given, or from the hub; memory is looked at before
anything is read.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from kapelle.errors import Missing

if TYPE_CHECKING:
    from pathlib import Path

    from kapelle.text_audio.backend import Backend
    from kapelle.text_audio.catalogue import SoundModel

PACKAGES = ("torch", "transformers", "diffusers", "torchsde", "safetensors", "huggingface_hub", "pyloudnorm")


def check_extra() -> None:
    """Raise Missing unless the packages of the extra ``audio`` are there."""
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        raise Missing(
            "making sound from text needs packages that are not installed: {missing}",
            missing=", ".join(missing), hint="pip install 'kapelle[audio]'",
        )  # fmt: skip


def open_model(model: SoundModel, folder: Path, *, device: str = "auto", dtype: str = "auto") -> Backend:
    """A model, loaded.

    Args:
        model: Which, of the catalogue.
        folder: Its weights, as the hub has them: `weights.fetch` gives it, or any folder of this layout.
        device: "auto", "cpu", "cuda", "mps"; "auto" takes the best that is there.
        dtype: "auto", "float32", "float16", "bfloat16"; "auto" is float32 on a CPU.

    Raises:
        Missing: The extra ``audio`` is not installed, or the folder lacks a file.
        UnreadableInput: A file is damaged, or is not safetensors.
        UsageError: There is no such device, or it cannot compute so.
        NotEnoughMemory: The model would not fit.
    """
    check_extra()
    from kapelle.text_audio.places import choose

    place = choose(model, device=device, dtype=dtype, folder=folder)
    family = import_module(f"kapelle.text_audio.{model.family}")
    backend: Backend = family.load(folder, model, place)
    return backend
