"""A finished training run as a bundle.

Takes a run folder as training leaves it: ``recipe.toml`` (overrides stand in it as comments ``# override: key=value``),
``weights.safetensors``, and where there are ``shards.json``, ``tokenizer.json`` and ``figures.json``. Gives a folder that
`kapelle.bundles.load` reads; it is loaded once before it gets its name, so what cannot be read is never written. Same run, same bytes.
Needs the onnx and safetensors packages (extra ``train``), no torch. It trains and judges nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from kapelle import config, models
from kapelle.bundles import card, load, manifest, rounding
from kapelle.bundles.manifest import FILE_NAME, Codec, FileEntry, Manifest, Provenance
from kapelle.errors import CheckpointError, Missing, StorageError, UsageError

Precision = Literal["8bit", "fp32", "fp16"]

SHARD_KEYS = (
    "genres", "pad", "bos", "eos", "genre_ids", "note_ids", "context_len", "families", "tracks", "form", "normalised_key",
    "classes", "inputs", "features", "low", "high", "excerpts",
)  # fmt: skip
"""What of shards.json those need who run the model, copied into the options."""


OF_THE_BEST = ("best", "last", "step", "finished", "seconds", "tokens")
"""What of figures.json does not hold for an earlier stage."""


@dataclass(frozen=True)
class ExportOptions:
    """How to export.

    Args:
        name: Name of the bundle; empty for the recipe's.
        precision: ``8bit`` (blocks of 8-bit weights, a quarter of the size, three times the speed) or ``fp32``; trees are always ``fp16``.
        licence: Of the weights; empty for what the recipe says.
        figures: More measured results for the card, beside those of figures.json; ``measured`` is Markdown that stands in it as it is.
        options: More entries for the manifest's options.
        data: More data sets that the weights learned from, each with a name and a licence: those of the model that training began with.
        files: More files, such as ``originality.idx``, by name.
        force: Replace a bundle that is there already.
        stage: Export the weights that the run kept of this step, not its best; 0: the best.
    """

    name: str = ""
    precision: Precision = "8bit"
    licence: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    data: Sequence[Mapping[str, Any]] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    force: bool = False
    stage: int = 0


@dataclass(frozen=True)
class _Run:
    """A run folder, read."""

    recipe_text: str
    recipe: dict[str, Any]
    shards: dict[str, Any]
    figures: dict[str, Any]
    tokenizer: bytes | None
    weights: dict[str, np.ndarray]


def export(run: Path, out: Path, options: ExportOptions | None = None) -> Manifest:
    """Write the bundle `out` from the run folder `run`, and return its manifest.

    Raises:
        Missing: The run, one of its files, or the extra ``train`` is not there.
        CheckpointError: The weights are damaged or do not fit the recipe.
        UsageError: `out` exists, and `force` was not asked for or it is no bundle.
        StorageError: `out` cannot be written.
    """
    options = options or ExportOptions()
    _check_free(out, options.force)
    held = _read_run(run, options.stage)
    family = models.family(str(held.recipe["family"]))
    shape = _shape(family, held, run)
    precision = getattr(family, "PRECISION", options.precision)  # some have but one
    graphs, rounded = _graphs(family, shape, held, precision, run)
    own = {key: value for key, value in held.figures.items() if not (options.stage and key in OF_THE_BEST)}
    own |= {"stage": options.stage} if options.stage else {}
    figures = {**own, **options.figures, **rounded}
    best = held.figures.get("best") or {}
    provenance = Provenance(
        recipe=held.recipe_text,
        data=(*_sources(held.shards), *options.data),
        steps=options.stage or int(best.get("step", held.figures.get("step", 0))),
        seconds=None if options.stage else held.figures.get("seconds"),
        figures=figures,
    )
    draft = Manifest(
        name=options.name or str(held.recipe["name"]),
        family=str(held.recipe["family"]),
        kind=models.kind_of(family, shape),
        graphs={},
        files={},
        licence=options.licence or str(held.recipe.get("licence") or "not stated; see the licences of the data"),
        states=family.states(shape),
        codec=held.recipe.get("codec") if held.recipe.get("codec") in get_args(Codec) else None,
        options=_options(family, shape, held, replace(options, precision=precision)),
        provenance=provenance,
    )
    extra = {"card.md": card.text(draft, precision).encode(), **options.files}
    if held.tokenizer is not None:
        extra["tokenizer.json"] = held.tokenizer
    return write_bundle(out, draft, graphs, extra, force=options.force)


def write_bundle(out: Path, draft: Manifest, graphs: Mapping[str, bytes], files: Mapping[str, bytes], *, force: bool = False) -> Manifest:
    """Write a bundle, whole or not at all, and return its manifest.

    Args:
        out: The folder to make.
        draft: The manifest but for `graphs` and `files`, which are filled in here.
        graphs: Role -> ONNX file.
        files: Every other file but bundle.json, by name.
        force: Replace a bundle that is there already; a folder that is no bundle is never replaced.

    Raises:
        BundleError: The result could not be loaded again.
        UsageError: `out` exists.
        StorageError: `out` cannot be written.
    """
    _check_free(out, force)
    contents = {f"{role}.onnx": data for role, data in graphs.items()} | dict(files)
    entries = {name: FileEntry(hashlib.sha256(data).hexdigest(), len(data)) for name, data in contents.items()}
    made = replace(draft, graphs={role: f"{role}.onnx" for role in graphs}, files=entries)
    contents[FILE_NAME] = manifest.dump(made)
    temporary = out.with_name(f".{out.name}-{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
        for name, data in contents.items():
            with (temporary / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        load.load(temporary)
        _replace(temporary, out)
    except OSError as error:
        raise StorageError("cannot write {path}: {why}", path=out, why=error.strerror or error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return made


def _check_free(out: Path, force: bool) -> None:
    if not out.exists():
        return
    if not (out / FILE_NAME).is_file():
        raise UsageError("{path} is there already and is no bundle", path=out, hint="choose another place with -o")
    if not force:
        raise UsageError("{path} is there already", path=out, hint="--force replaces it")


def _replace(temporary: Path, out: Path) -> None:
    """Give the finished folder its name; an old bundle is moved aside first and removed last."""
    old = out.with_name(f".{out.name}-{os.getpid()}.old")
    if out.exists():
        out.rename(old)
    temporary.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def recipe_table(text: str, where: object) -> dict[str, Any]:
    """The tables of a recipe as a run or a manifest keeps it, the overrides below it applied; `where` is what an error calls it.

    Raises:
        CheckpointError: It is no TOML.
    """
    try:
        recipe = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CheckpointError("{path} is not valid TOML: {why}", path=where, why=error) from error
    for line in text.splitlines():
        if line.startswith("# override: "):
            config.override(recipe, line.removeprefix("# override: "))
    return recipe


def _read_run(run: Path, stage: int = 0) -> _Run:
    text = _required(run, "recipe.toml").decode()
    recipe = recipe_table(text, run / "recipe.toml")
    for key in ("name", "family"):
        if key not in recipe:
            raise CheckpointError("{path} has no key {key!r}", path=run / "recipe.toml", key=key)
    tokenizer = run / "tokenizer.json"
    return _Run(
        recipe_text=text,
        recipe=recipe,
        shards=_table(run / "shards.json"),
        figures=_table(run / "figures.json"),
        tokenizer=tokenizer.read_bytes() if tokenizer.is_file() else None,
        weights=_weights(run, _stage(run, stage)),
    )


def _required(run: Path, name: str) -> bytes:
    try:
        return (run / name).read_bytes()
    except FileNotFoundError as error:
        raise Missing("{run} is no finished run: it has no {name}", run=run, name=name, hint="`kapelle train` makes one") from error
    except OSError as error:
        raise StorageError("cannot read {path}: {why}", path=run / name, why=error.strerror) from error


def _table(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        table = json.loads(path.read_bytes())
    except ValueError as error:
        raise CheckpointError("{path} is not valid JSON: {why}", path=path, why=error) from error
    return table if isinstance(table, dict) else {}


def _stage(run: Path, step: int) -> str:
    """The file of the weights of a step, below the run; of its best ones for 0."""
    if not step:
        return "weights.safetensors"
    kept = {int(path.stem.removeprefix("step-")): path for path in sorted((run / "stages").glob("step-*.safetensors"))}
    if step not in kept:
        known = ", ".join(str(number) for number in sorted(kept)) or "none"
        raise Missing("{run} kept no weights of step {step}", run=run, step=step, hint="steps that it kept: {known}", known=known)
    return f"stages/{kept[step].name}"


def _weights(run: Path, name: str) -> dict[str, np.ndarray]:
    data = _required(run, name)
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load as read_safetensors
    except ImportError as error:
        raise _extra_missing() from error
    try:
        weights: dict[str, np.ndarray] = read_safetensors(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError("{path} is damaged: {why}", path=run / name, why=error) from error
    for key, array in weights.items():
        if not np.isfinite(array).all():
            raise CheckpointError("{path}: {name} holds NaN or infinite values", path=run / name, name=key)
    return weights


def _shape(family: models.Family, held: _Run, run: Path) -> Any:
    """The family's Config, with the vocabulary or the sizes that the shards tell."""
    table = dict(held.recipe.get("model", {})) | dict(held.shards.get("sizes", {}))
    vocabulary = held.shards.get("vocabulary_size", held.shards.get("vocabulary"))
    if vocabulary is not None:
        table["vocabulary"] = vocabulary
    return config.build(family.Config, table, f"{run / 'recipe.toml'}: model")


def _graphs(family: models.Family, shape: Any, held: _Run, precision: Precision, run: Path) -> tuple[dict[str, bytes], dict[str, float]]:
    """The ONNX files by role, and figures of what rounding changes."""
    try:
        from kapelle.bundles.quantise import quantise

        graphs = family.graphs(shape, held.weights)
    except ImportError as error:
        raise _extra_missing() from error
    except (KeyError, ValueError) as error:
        raise CheckpointError("{path} does not fit its recipe: {why}", path=run / "weights.safetensors", why=error) from error
    plain = {role: graph.SerializeToString(deterministic=True) for role, graph in graphs.items()}
    if precision == "fp32":
        return plain, {}
    small = {role: quantise(graph).SerializeToString(deterministic=True) for role, graph in graphs.items()}
    return small, rounding.figures(family, shape, plain, small)


def _options(family: Any, shape: Any, held: _Run, options: ExportOptions) -> dict[str, Any]:
    """What those who run the model, or train it on, must know of it."""
    out: dict[str, Any] = {"precision": options.precision, "generation": held.recipe.get("generation", {}), "model": config.plain(shape)}
    if hasattr(shape, "vocabulary"):
        out["vocabulary"] = shape.vocabulary
    if hasattr(shape, "n_positions"):
        out["context"] = shape.n_positions
    if hasattr(shape, "window"):
        out["window"] = shape.window
    if hasattr(family, "latents"):  # it makes rolls
        out["latents"] = {name: list(sides) for name, sides in family.latents(shape).items()}
        out |= {"bars": shape.bars, "conditional": bool(shape.conditional)}
    out |= {key: held.shards[key] for key in SHARD_KEYS if key in held.shards}
    return out | dict(options.options)


def _sources(shards: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The data sets of shards.json, each with a name and a licence."""
    out = []
    for source in shards.get("sources", ()):
        row = dict(source)
        row["name"] = str(row.get("name") or row.get("folder") or "unnamed")
        row["licence"] = str(row.get("licence") or "not stated")
        out.append(row)
    return out


def _extra_missing() -> Missing:
    return Missing("exporting needs the packages onnx and safetensors", hint="pip install 'kapelle[train]'")
