"""The workshop: models and recipes, datasets, preparing, training, exporting.

Takes names and paths, gives reports, figures and manifests. Torch is needed from `train` on, and loaded there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.api.sharing import index_of
from kapelle.errors import Missing, UnreadableInput, UsageError
from kapelle.progress import Report, quiet

if TYPE_CHECKING:
    from kapelle.bundles.load import Installed
    from kapelle.bundles.manifest import Manifest
    from kapelle.data.catalogue import Check, Dataset
    from kapelle.data.fetch import Fetched, Order
    from kapelle.diagnosis import Finding
    from kapelle.fitting import Fitted, Fitting
    from kapelle.training.fit import FitOptions

RECIPES = (
    "genre", "genre-small", "remi-lstm", "ensemble", "chopin", "chopin-composers", "chopin-faithful",
    "band-composer", "band-hybrid", "band-jamming", "band-accompany", "band-tutorial", "theme", "theme-faithful", "theme-encoder",
    "theme-variational", "bridge-joint", "genre-midi", "human-or-generated", "genre-judge",
)  # fmt: skip


def models() -> list[Installed]:
    """The bundles that can be named in ``--model``."""
    from kapelle.bundles import load

    return load.installed()


def recipes() -> dict[str, Path]:
    """The recipes that ship with Kapelle: name -> file."""
    return {name: recipe_path(name) for name in RECIPES}


def diagnose() -> list[Finding]:
    """What was found on this machine, and how to add what is missing."""
    from kapelle import diagnosis

    return diagnosis.diagnose()


def recipe_path(name: str | Path) -> Path:
    """The file of a recipe, by path or by the name of one that ships with Kapelle.

    Raises:
        Missing: There is none.
    """
    if Path(name).is_file():
        return Path(name)
    here = Path(__file__).parents[1]
    for folder in (here / "recipes", here.parents[1] / "recipes"):
        path = folder / f"{name}.toml"
        if path.is_file():
            return path
    raise Missing("no recipe {name!r}", name=str(name), hint="recipes that come with Kapelle: {known}", known=", ".join(RECIPES))


def prepare(
    folder: str | Path, recipe: str | Path, out: str | Path, *, processes: int = 0, progress: Report = quiet, overrides: Sequence[str] = ()
) -> dict[str, Any]:
    """Turn folders of MIDI into token shards and return the report: what was kept, and why the rest was not."""
    from kapelle.data import prepare as preparing
    from kapelle.fitting.features import measuring
    from kapelle.fitting.melodies import embedding

    plan = preparing.preparation(recipe_path(recipe), overrides)
    processes = processes or os.cpu_count() or 1
    return preparing.prepare(
        Path(folder), plan, Path(out), processes=processes, progress=progress, embed=embedding(plan), measure=measuring(plan)
    )


def datasets() -> list[tuple[Dataset, Check | None]]:
    """The datasets that can be fetched by name, each with what was found when it was last compared with its server, if it was."""
    from kapelle.data import catalogue

    checks = catalogue.read_checks(_checks())
    return [(row, checks.get(row.name)) for row in catalogue.CATALOGUE]


def order_dataset(what: str, out: str | Path = "data", *, sha256: str = "", force: bool = False) -> Order:
    """What would be fetched: a dataset by name, an address, an archive or a folder. Nothing is downloaded; show it, then `fetch_dataset`.

    Args:
        what: See above.
        out: The data folder, in which the dataset gets a folder of its own.
        sha256: That the file must have.
        force: What is there may be replaced.
    """
    from kapelle.data import fetch

    return fetch.order(what, Path(out), sha256=sha256, force=force)


def fetch_dataset(order: Order, *, keep: bool = False, progress: Report = quiet) -> Fetched:
    """Download, check and unpack what was ordered, and tell what is there and which recipes read it.

    Raises:
        NetworkError, UnreadableInput, StorageError, Missing: See `kapelle.data.fetch.fetch`.
        Interrupted: Stopped; the same call goes on from there.
    """
    from kapelle.data import fetch

    return fetch.fetch(order, recipes(), state=_checks(), keep=keep, progress=progress)


def verify_dataset(name: str, *, full: bool = False, progress: Report = quiet) -> Check:
    """What the server of a dataset says today, compared with the catalogue and remembered; `full` downloads it and compares its sha256.

    Raises:
        UnknownName: There is no such dataset.
        NetworkError: There is no answer.
    """
    from kapelle.data import catalogue, fetch

    return fetch.verify(catalogue.find(name), _checks(), _checks().parent / fetch.WORK / name, full=full, progress=progress)


def _checks() -> Path:
    """The file in which comparisons of datasets with their servers are remembered."""
    from kapelle.bundles import load

    return load.home() / "datasets.json"


def train(recipe: str | Path, shards: str | Path, run: str | Path, options: FitOptions | None = None) -> dict[str, Any]:
    """Train a model, or go on training it, and return its figures; bands show phrases at every validation.

    Raises:
        Missing: The train extra is not installed.
        Interrupted: Stopped; everything is saved.
    """
    _needs_train()
    from kapelle.fitting import showing
    from kapelle.training.fit import FitOptions
    from kapelle.training.fit import fit as loop
    from kapelle.training.recipe import read

    options, place = options or FitOptions(), recipe_path(recipe)
    if read(place, options.overrides).objective == "trees":
        from kapelle.training import trees

        return trees.fit(place, Path(shards), Path(run), options)
    shown = showing.callbacks(place, options.overrides, Path(shards))
    return loop(place, Path(shards), Path(run), replace(options, callbacks=(*options.callbacks, *shown)))


def export(
    run: str | Path,
    out: str | Path,
    *,
    name: str = "",
    precision: str = "8bit",
    licence: str = "",
    measured: Path | None = None,
    stage: int = 0,
    shards: str | Path | None = None,
    names: str | Path | None = None,
    force: bool = False,
) -> Manifest:
    """Write a run as a bundle, card included, and return its manifest.

    Args:
        run: Folder of a training run.
        out: Folder of the bundle.
        name: Name of the bundle; the recipe's if left out.
        precision: "8bit" or "fp32".
        licence: Of the weights; the recipe's if left out.
        measured: A Markdown file of figures for the card.
        stage: The step whose weights the run kept that are wanted; 0: its best.
        shards: What the run learned from: the bundle gets an index of it, by which pieces are compared with it.
        names: The data folder, in which names of its pieces are looked up.
        force: Replace a bundle that is there already.
    """
    _needs_train()
    from kapelle.bundles.export import ExportOptions
    from kapelle.bundles.export import export as write

    try:
        figures = {"measured": measured.read_text(encoding="utf-8")} if measured else {}
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableInput("cannot read {path}: {why}", path=measured, why=error) from error
    files = {} if shards is None else {"originality.idx": index_of(shards, names=names)}
    options = ExportOptions(
        name=name, precision=precision, licence=licence, figures=figures, files=files, force=force, stage=stage  # type: ignore[arg-type]
    )  # fmt: skip
    return write(Path(run), Path(out), options)


def fit(recipe: str | Path, folder: str | Path, out: str | Path, how: Fitting | None = None) -> Fitted:
    """Train a recipe on a folder of MIDI, from reading the files to writing the bundle `out`; see `kapelle.fitting`."""
    _needs_train()
    from kapelle import fitting
    from kapelle.training.recipe import read

    place = recipe_path(recipe)
    if read(place, how.training.overrides if how and how.training else ()).codec in ("features", "rolls"):
        hint = "`kapelle data prepare`, `kapelle train` and `kapelle export` make it: it needs folders of all its classes"
        raise UsageError("the classifier {recipe} is not made in one go", recipe=place.stem, hint=hint)
    return fitting.fit(place, Path(folder), Path(out), how)


def _needs_train() -> None:
    from importlib.util import find_spec

    if any(find_spec(package) is None for package in ("torch", "transformers", "lightning", "safetensors", "onnx")):
        raise Missing("training needs packages that are not installed", hint="pip install 'kapelle[train]'")
