"""What training begins with when it does not begin from nothing: a bundle, a run, or a file of weights.

Takes a name or a place, gives a `Start`: the weights as arrays, and all that the new model must share with it (family, shape of the
network, vocabulary). It trains nothing; it writes the weights as training reads them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle import config, models
from kapelle.bundles import load
from kapelle.bundles.manifest import FILE_NAME
from kapelle.data.storage import put, put_text, writing
from kapelle.errors import CheckpointError, Missing, UsageError
from kapelle.fitting.music import toml
from kapelle.training import run_folder
from kapelle.training.recipe import read_again

if TYPE_CHECKING:
    import torch

    from kapelle.training.recipe import Recipe
    from kapelle.training.score import Logits

FOLDER, FACTS = "start", "start.json"
OWN_SYMBOLS = ("chords",)
"""Codecs whose vocabulary is made of the music itself: what the model knows goes over to it by the names of the tokens."""


@dataclass(frozen=True)
class Start:
    """A model to go on from.

    Args:
        name: As people call it.
        identity: Changes when the weights do.
        weights: By parameter, float32.
        family: A row of `kapelle.models.FAMILIES`; empty where only weights are known.
        codec: How music becomes ids; empty likewise.
        model: The recipe's [model], without the vocabulary's size.
        tokenizer: What ``tokenizer.json`` says: ``spec`` and ``tokens``; of a band, which has no tokens, ``spec`` alone; None where only
            weights are known.
        preprocessing: The recipe's [preprocessing].
        licence: Of the weights.
        data: The data sets that they learned from, each with a name and a licence.
    """

    name: str
    identity: str
    weights: Mapping[str, np.ndarray] = field(repr=False)
    family: str = ""
    codec: str = ""
    model: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: Mapping[str, Any] | None = field(default=None, repr=False)
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""
    data: tuple[Mapping[str, Any], ...] = ()

    @property
    def genres(self) -> tuple[str, ...]:
        """The genres that have a token, in the order of their ids."""
        return tuple((self.tokenizer or {}).get("spec", {}).get("genres", ()))

    def overrides(self, genres: tuple[str, ...]) -> tuple[str, ...]:
        """What changes in a recipe that goes on from here; `genres` are the names of the genre tokens from now on, if it has some."""
        if self.tokenizer is None:
            return ()
        spec = dict(self.tokenizer.get("spec", {}))
        if genres:
            spec["genres"] = list(genres)
        return f"tokenizer={toml(spec)}", f"model={toml(self.model)}", f"preprocessing={toml(self.preprocessing)}"


def find(text: str) -> Start:
    """What `text` names: a run folder, a file of weights, or else a bundle, by folder or name.

    Raises:
        Missing: There is no such thing.
        BundleError, CheckpointError: It is damaged.
    """
    place = Path(text).expanduser()
    if place.is_file():
        beside = place.name == run_folder.WEIGHTS and (place.parent / "recipe.toml").is_file()
        return _from_run(place.parent) if beside else _from_file(place)
    if (place / "recipe.toml").is_file() and not (place / FILE_NAME).is_file():
        return _from_run(place)
    return _from_bundle(load.load(text))


def check(start: Start, recipe: Recipe, given: tuple[str, ...]) -> None:
    """Raise UsageError unless `recipe` can go on from `start`; `given` are the changes that the user asked for."""
    for what, found, wanted in (("family", start.family, recipe.family), ("codec", start.codec, recipe.codec)):
        if found and found != wanted:
            raise UsageError(
                "{start} is of the {what} {found!r}, the recipe {recipe} of {wanted!r}", start=start.name, what=what, found=found,
                recipe=recipe.name, wanted=wanted, hint="name the recipe that it was made with",
            )  # fmt: skip
    fixed = [text.partition("=")[0] for text in given if text.startswith(("tokenizer", "model")) and not text.startswith("model.dropout")]
    if fixed and start.tokenizer is not None:
        hint = "leave it out, or train anew without --from"
        raise UsageError("{key} is settled by {start}, from which training begins", key=fixed[0], start=start.name, hint=hint)


def check_vocabulary(start: Start, data: Path) -> None:
    """Raise UsageError unless the shards in `data` speak the vocabulary of `start`, names of genres aside."""
    if start.tokenizer is None or "tokens" not in start.tokenizer or start.codec in OWN_SYMBOLS:
        return
    made = json.loads((data / "tokenizer.json").read_text(encoding="utf-8"))["tokens"]
    ours, theirs = ([name for name in names if not name.startswith("Genre_")] for names in (made, start.tokenizer["tokens"]))
    if ours != theirs or len(made) != len(start.tokenizer["tokens"]):
        hint = "train anew without --from"
        raise UsageError("the vocabulary of {start} cannot be made again for other music", start=start.name, hint=hint)


def keep(start: Start | None, work: Path) -> Path | None:
    """What training is told to begin with: a place in the work folder, written if need be; None without a start.

    Raises:
        CheckpointError: The run in the folder began otherwise.
        StorageError: The folder cannot be written.
    """
    place = work / FOLDER
    facts = {"name": start.name, "identity": start.identity} if start else {}
    try:
        held = json.loads((place / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        held = {}
    if held != facts and any((work / "run" / "checkpoints").glob("step-*")):
        hint = "choose another folder with --work, or delete this one"
        before = held.get("name") or "nothing"
        raise CheckpointError("{work} holds a run that began with {before}", work=work, before=before, hint=hint)
    if start is None:
        return None
    by_name = start.tokenizer is not None and start.codec in OWN_SYMBOLS
    with writing(work):
        place.mkdir(parents=True, exist_ok=True)
        if held != facts:
            _write(start, place, by_name=by_name)
            put_text(place / FACTS, json.dumps(facts) + "\n")  # last: with it all is there
    return place if by_name else place / run_folder.WEIGHTS


def _write(start: Start, place: Path, *, by_name: bool) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        put(place / run_folder.WEIGHTS, lambda temporary: save_file(dict(start.weights), temporary))
    except SafetensorError as error:
        raise OSError(str(error)) from error
    if by_name:
        put_text(place / "tokenizer.json", json.dumps(start.tokenizer, ensure_ascii=False) + "\n")


def _from_bundle(bundle: load.Bundle) -> Start:
    from kapelle.bundles.export import recipe_table
    from kapelle.bundles.weights import shape, weights

    manifest, arrays = bundle.manifest, weights(bundle)
    tokenizer = json.loads(bundle.contents["tokenizer.json"]) if "tokenizer.json" in bundle.contents else None
    model = {name: value for name, value in config.plain(shape(manifest)).items() if name != "vocabulary"}
    preprocessing = dict(recipe_table(manifest.provenance.recipe, bundle.path).get("preprocessing", {}))
    if "context_len" in manifest.options:
        preprocessing["context_len"] = manifest.options["context_len"]
    return Start(
        bundle.name, bundle.hash, arrays, manifest.family, manifest.codec or "", model, tokenizer, preprocessing, manifest.licence,
        manifest.provenance.data,
    )  # fmt: skip


def _from_run(run: Path) -> Start:
    if not (run / run_folder.WEIGHTS).is_file():
        raise Missing("no weights at {path}", path=run / run_folder.WEIGHTS, hint="give a run folder, or the weights.safetensors in one")
    recipe, held = read_again(run / "recipe.toml"), _from_file(run / run_folder.WEIGHTS)
    try:
        shards = json.loads((run / "shards.json").read_text(encoding="utf-8"))
        wordless = recipe.codec in ("roll", "fragments")
        tokenizer = {"spec": recipe.tokenizer} if wordless else json.loads((run / "tokenizer.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError("the run {run} is damaged: {why}", run=run, why=error) from error
    data = tuple({**source, "name": source.get("folder", "unnamed"), "licence": source.get("licence", "not stated")}
                 for source in shards.get("sources", ()))  # fmt: skip
    return Start(
        run.name, held.identity, held.weights, recipe.family, recipe.codec, recipe.model, tokenizer, recipe.preprocessing,
        recipe.licence, data,
    )  # fmt: skip


def _from_file(path: Path) -> Start:
    from safetensors import SafetensorError
    from safetensors.numpy import load as parse

    try:
        data = path.read_bytes()
        arrays = parse(data)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise CheckpointError("the weights in {path} are damaged: {why}", path=path, why=error) from error
    return Start(path.name, hashlib.sha256(data).hexdigest(), arrays)


def network(start: Start, vocabulary: int) -> tuple[Logits, torch.nn.Module]:
    """The network of a start in eval mode on the CPU, and what gives its logits.

    Raises:
        CheckpointError: The weights do not fit its own shape.
    """
    import torch

    from kapelle.training import checkpoint

    family = models.family(start.family)
    with torch.random.fork_rng(devices=[]):
        made = family.build(config.build(family.Config, {**start.model, "vocabulary": vocabulary}, f"{start.name}: model"))
    held = {name: torch.tensor(array) for name, array in start.weights.items()}
    checkpoint.put_into(dict(made.named_parameters()), held, Path(start.name))
    return family.logits, made.eval()  # type: ignore[attr-defined]  # families of language models have it
