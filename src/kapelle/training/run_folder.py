"""The folder of a run: made or recognised at the start, locked while somebody trains in it, and the files that others read.

``recipe.toml`` (overrides as comments below it), ``shards.json``, ``tokenizer.json``, ``weights.safetensors`` (the best by
validation, or the latest while there was none), ``stages/`` (weights of chosen steps), ``figures.json``. Checkpoints and logs have
files of their own.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from kapelle.data.storage import put, put_text, writing
from kapelle.errors import CheckpointError, Missing, UsageError
from kapelle.training import checkpoint
from kapelle.training import recipe as recipes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import torch

    from kapelle.training.recipe import Recipe

COPIES = ("shards.json", "tokenizer.json")
WEIGHTS, FIGURES = "weights.safetensors", "figures.json"


def begin(run: Path, recipe_path: Path, data: Path, overrides: Sequence[str]) -> None:
    """Make the run folder, or see that the run in it is this one.

    Raises:
        CheckpointError: It holds checkpoints of another recipe or other shards.
        UsageError: The shards were prepared with other settings than the recipe's.
        StorageError: It cannot be written.
    """
    recipe = recipes.read(recipe_path, overrides)
    _check_data(recipe, data)
    mine = run / "recipe.toml"
    if mine.is_file() and any((run / "checkpoints").glob("step-*")):
        keys = recipes.differences(recipes.read_again(mine), recipe)
        if _table(run / COPIES[0]) != _table(data / COPIES[0]):
            keys.append("shards")
        if keys:
            hint = "choose another folder with -o, or delete this one; different: {keys}"
            raise CheckpointError("{run} holds a run of another recipe", run=run, keys=", ".join(keys), hint=hint)
    with writing(run):
        run.mkdir(parents=True, exist_ok=True)
        put_text(mine, recipes.text_with(recipe_path, overrides))
        for name in COPIES:
            if (data / name).is_file():
                put_text(run / name, (data / name).read_text(encoding="utf-8"))


def _check_data(recipe: Recipe, data: Path) -> None:
    """Refuse shards that another [tokenizer] or [preprocessing] made; keys that the recipe leaves out are not compared."""
    made = _table(data / COPIES[1]).get("spec") or {}
    other = [f"tokenizer.{key}" for key, value in recipe.tokenizer.items() if key in made and made[key] != value]
    context = recipe.preprocessing.get("context_len")
    if context is not None and context != _table(data / COPIES[0]).get("context_len", context):
        other.append("preprocessing.context_len")
    if other:
        hint = "prepare them again with this recipe, or train with the recipe that they were made with"
        raise UsageError("the shards in {data} were prepared with another {keys}", data=data, keys=", ".join(other), hint=hint)


def _table(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}


@contextmanager
def alone(run: Path) -> Iterator[None]:
    """While inside, no other process can enter for the same run. Where the system has no such locks (Windows), nothing is checked.

    Raises:
        UsageError: Somebody is inside.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with writing(run):
        run.mkdir(parents=True, exist_ok=True)
        file = (run / ".lock").open("a")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            hint = "wait until it ends, or choose another folder with -o"
            raise UsageError("another process is training in {run}", run=run, hint=hint) from error
        yield


def write_weights(run: Path, network: torch.nn.Module, step: int, name: str = WEIGHTS) -> None:
    """Write parameters and kept buffers in 32-bit floats, with the step they are from, to the file `name` of a run."""
    tensors = {key: value.detach().float().cpu().contiguous() for key, value in checkpoint.tensors_of(network).items()}
    try:
        (run / name).parent.mkdir(exist_ok=True)
        put(run / name, lambda temporary: save_file(tensors, temporary, metadata={"step": str(step)}))
    except SafetensorError as error:
        raise OSError(str(error)) from error


def stage(step: int) -> str:
    """The file in a run that keeps the weights of a step in `TrainingSection.stages`."""
    return f"stages/step-{step:08d}.safetensors"


def weights_step(run: Path) -> int:
    """The step that the weights are from; -1 if there are none, or they do not say."""
    try:
        with safe_open(run / WEIGHTS, "pt") as file:
            return int((file.metadata() or {}).get("step", -1))
    except (OSError, ValueError, SafetensorError):
        return -1


def begin_with(network: torch.nn.Module, place: Path) -> None:
    """Put the weights of a run, or of a file of weights, into a network.

    Raises:
        Missing: There are none.
        CheckpointError: They are damaged or belong to another network.
    """
    checkpoint.put_into(checkpoint.tensors_of(network), weights_for(network, place), place)


def weights_for(network: torch.nn.Module, place: Path) -> dict[str, torch.Tensor]:
    """The weights of a run, or of a file, for a network: parts that it says are new (``NEW``, how their names begin) may be missing there.

    Raises:
        Missing: There are none.
        CheckpointError: They are damaged.
    """
    new = getattr(network, "NEW", None)
    own = {name: value for name, value in checkpoint.tensors_of(network).items() if new and name.startswith(new)}
    return {**own, **weights_of(place)}


def weights_of(place: Path) -> dict[str, torch.Tensor]:
    """The weights of a run, or of a file of weights, by parameter.

    Raises:
        Missing: There are none.
        CheckpointError: They are damaged.
    """
    path = place / WEIGHTS if place.is_dir() else place
    if not path.is_file():
        raise Missing("no weights at {path}", path=path, hint="give a run folder, or the weights.safetensors in one")
    try:
        held: dict[str, torch.Tensor] = load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError("the weights in {path} are damaged: {why}", path=path, why=error) from error
    return held


def write_figures(run: Path, figures: Mapping[str, Any]) -> None:
    """Write ``figures.json``."""
    put_text(run / FIGURES, json.dumps(figures, indent=1) + "\n")
