"""Files of weights that can be opened without danger: safetensors, which hold numbers and nothing else.

Takes paths; gives nothing, or an error that says what is wrong. Only the head of a file is read. Pickles, which can run any program when
they are opened, are only looked for by name, to say that this is why nothing else was found. It needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapelle.errors import KapelleError, Missing, UnreadableInput

if TYPE_CHECKING:
    from pathlib import Path

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
REFETCH = "fetch the model again, or check that --weights names the folder of the right model"


def weightless(folder: Path) -> KapelleError:
    """Why a folder without safetensors cannot be read: there are pickles alone, or nothing."""
    pickles = sorted(path.name for path in folder.rglob("*") if path.suffix in PICKLES)
    if pickles:
        return UnreadableInput(
            "{folder} has its weights as {name}, a pickle, which can run any program when it is opened",
            folder=folder, name=pickles[0], hint="take a revision of the model that has .safetensors files",
        )  # fmt: skip
    return Missing("{folder} holds no weights: there is no .safetensors file", folder=folder, hint=REFETCH)


def check_whole(file: Path) -> None:
    """Raise UnreadableInput unless a file is whole safetensors."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt"):
            pass
    except (SafetensorError, OSError) as error:
        raise UnreadableInput("{file} is damaged or was not fetched to its end: {why}", file=file, why=error, hint=REFETCH) from error
