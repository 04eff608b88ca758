"""From a folder of MIDI to a bundle in one go: prepare, train, export.

Takes a recipe and a folder, gives a bundle; shards and run stay in a work folder, so that the same call goes on where an interrupted
one was. If the folder holds none of the recipe's own sources, it is taken for music of the user's: each subfolder is a genre named
after it, and files that lie in the folder itself are one genre named after the folder.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.errors import Missing, UsageError

if TYPE_CHECKING:
    from kapelle.bundles.export import ExportOptions
    from kapelle.bundles.manifest import Manifest
    from kapelle.training.fit import FitOptions

SUFFIXES = (".mid", ".midi", ".kar", ".rmi")


@dataclass(frozen=True)
class Fitting:
    """How to go from a folder to a bundle.

    Args:
        work: Where shards and run are kept; beside the bundle if left out.
        processes: How many read files; 0 for one per core.
        prepared: Told (files done, files in all) while files are read.
        training: How to train; its overrides change the recipe for preparation too.
        export: How to export; without a name the bundle is named after its folder.
    """

    work: Path | None = None
    processes: int = 0
    prepared: Callable[[int, int], None] = field(default=lambda done, total: None)
    training: FitOptions | None = None
    export: ExportOptions | None = None


@dataclass(frozen=True)
class Fitted:
    """What came of it: the report of the preparation, the figures of the training, the bundle's manifest."""

    report: dict[str, Any]
    figures: dict[str, Any]
    manifest: Manifest


def fit(recipe: Path, folder: Path, out: Path, how: Fitting | None = None) -> Fitted:
    """Train a recipe on a folder of MIDI and write the bundle `out`.

    Raises:
        Missing: There is no such folder, or no MIDI in it.
        UsageError: `out` is there already, or no file is fit for training.
        Interrupted: Stopped; the same call goes on.
    """
    from kapelle.bundles.export import ExportOptions, export
    from kapelle.data import prepare
    from kapelle.data.recipe import preparation
    from kapelle.training.fit import FitOptions
    from kapelle.training.fit import fit as train

    how = how or Fitting()
    training, exporting = how.training or FitOptions(), how.export or ExportOptions()
    if out.exists() and not exporting.force:
        raise UsageError("{path} is there already", path=out, hint="--force replaces it")
    work = how.work or out.with_name(f"{out.name}-work")
    own = [source.folder for source in preparation(recipe, training.overrides).data.sources]
    overrides = (*training.overrides, *own_sources(folder, own))
    plan = preparation(recipe, overrides)
    report = prepare.prepare(folder, plan, work / "shards", processes=how.processes or os.cpu_count() or 1, progress=how.prepared)
    figures = train(recipe, work / "shards", work / "run", dataclasses.replace(training, overrides=overrides))
    named = dataclasses.replace(exporting, name=exporting.name or _plain(out.name))
    return Fitted(report, figures, export(work / "run", out, named))


def own_sources(folder: Path, known: list[str]) -> tuple[str, ...]:
    """Changes to a recipe that let it read `folder`; none if the folder holds one of the `known` sources.

    Args:
        folder: With MIDI files, or with a folder of them for each genre.
        known: The folders that the recipe names.

    Raises:
        Missing: There is no such folder, or no MIDI in it.
    """
    if not folder.is_dir():
        raise Missing("no folder {folder}", folder=folder, hint="check the name and the folder")
    if any((folder / name).is_dir() for name in known):
        return ()
    if any(_is_midi(path) for path in folder.iterdir()):
        genres = {".": folder}
    else:
        genres = {place.name: place for place in sorted(folder.iterdir()) if place.is_dir() and _has_midi(place)}
    if not genres:
        raise Missing("no MIDI files in {folder}", folder=folder, hint="put them there, or in one folder for each genre")
    rows = [
        {"folder": name, "genre": _plain(place.resolve().name), "group": "file" if any(map(_is_midi, place.iterdir())) else "parent"}
        for name, place in genres.items()
    ]
    names = list(dict.fromkeys(row["genre"] for row in rows))
    # the licence in the recipe is that of weights trained on its own sources
    return f"data.sources={_toml(rows)}", f"tokenizer.genres={_toml(names)}", 'licence=""'


def _is_midi(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _has_midi(folder: Path) -> bool:
    return any(_is_midi(path) for path in folder.rglob("*"))


def _plain(name: str) -> str:
    """A name as tokens and bundles have them: lower-case words joined by hyphens."""
    return "-".join(re.findall(r"[a-z0-9]+", name.lower())) or "own"


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {_toml(item)}' for key, item in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)
