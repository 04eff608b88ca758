"""From a folder of MIDI to a bundle in one go: prepare, train, export; from nothing or from a model that is there.

Takes a recipe and a folder, gives a bundle and a report. Everything in between stays in a work folder, so that the same call goes on where
an interrupted one was::

    shards/  run/             what prepare and train made; run/curves.png shows the training
    start/                    the weights that training began with, where it began with a model
    report.json               files kept and dropped, music, split, training, held-out figures

If the folder holds none of the recipe's own sources, it is taken for music of the user's (`music`); how long to train on it is then a
matter of its amount (`schedule`), and its genres are told to a model that has its own by the rule in `genres`.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.errors import UsageError
from kapelle.fitting.music import Music, own_music, plain

if TYPE_CHECKING:
    from kapelle.bundles.export import ExportOptions
    from kapelle.bundles.manifest import Manifest
    from kapelle.fitting.genres import Naming
    from kapelle.fitting.schedule import Schedule
    from kapelle.fitting.start import Start
    from kapelle.training.fit import FitOptions

__all__ = ["Fitted", "Fitting", "Music", "fit", "own_music"]

REPORT = "report.json"
MEASURES = {"roll": "band", "theme": "theme", "fragments": "encoder"}
"""Codec -> the module here that counts and measures its music; `measure` for those of language models."""


@dataclass(frozen=True)
class Fitting:
    """How to go from a folder to a bundle.

    Args:
        work: Where shards and run are kept; beside the bundle if left out.
        processes: How many read files; 0 for one per core.
        prepared: Told (files done, files in all) while files are read.
        planned: Told the report as far as it is known before training.
        start: What training begins with: a bundle's name or folder, a run, a file of weights; empty: with nothing.
        epochs: How often training goes over the music; 0: by the amount of music.
        training: How to train; its overrides change the recipe for preparation too.
        export: How to export; without a name the bundle is named after its folder.
    """

    work: Path | None = None
    processes: int = 0
    prepared: Callable[[int, int], None] = field(default=lambda done, total: None)
    planned: Callable[[dict[str, Any]], None] = field(default=lambda report: None)
    start: str = ""
    epochs: float = 0.0
    training: FitOptions | None = None
    export: ExportOptions | None = None


@dataclass(frozen=True)
class Fitted:
    """What came of it: the report, as it stands in the work folder; the figures of the training; the bundle's manifest."""

    report: dict[str, Any]
    figures: dict[str, Any]
    manifest: Manifest


@dataclass(frozen=True)
class _Plan:
    """What is settled before a file is read."""

    recipe: Path
    codec: str
    overrides: tuple[str, ...]
    given: tuple[str, ...]
    music: Music | None
    start: Start | None
    naming: Naming | None

    @property
    def measures(self) -> Any:
        """The module that counts and measures music of the codec."""
        return import_module(f"kapelle.fitting.{MEASURES.get(self.codec, 'measure')}")


def fit(recipe: Path, folder: Path, out: Path, how: Fitting | None = None) -> Fitted:
    """Train a recipe on a folder of MIDI and write the bundle `out`.

    Raises:
        Missing: There is no such folder, no MIDI in it, or nothing to begin with by that name.
        UsageError: `out` is there already, no file or too little is fit for training, or what training is to begin with is of another kind.
        CheckpointError: The work folder holds a run of something else.
        StorageError: The disk is full, or not writable.
        Interrupted: Stopped; the same call goes on.
    """
    from kapelle.bundles.export import ExportOptions, export
    from kapelle.data import prepare
    from kapelle.fitting import showing
    from kapelle.fitting import start as starts
    from kapelle.fitting.melodies import embedding
    from kapelle.training.fit import FitOptions
    from kapelle.training.fit import fit as train

    how = how or Fitting()
    training, exporting = how.training or FitOptions(), how.export or ExportOptions()
    if out.exists() and not exporting.force:
        raise UsageError("{path} is there already", path=out, hint="--force replaces it")
    work = how.work or out.with_name(f"{out.name}-work")
    plan = _plan(recipe, folder, how, tuple(training.overrides))
    weights = starts.keep(plan.start, work)
    sections = prepare.preparation(recipe, plan.overrides)
    processes = how.processes or os.cpu_count() or 1
    embed = embedding(sections)
    made = prepare.prepare(folder, sections, work / "shards", processes=processes, progress=how.prepared, embed=embed)
    timing, overrides = _schedule(plan, how, work / "shards")
    report = _report(plan, made, timing, work)
    how.planned(report)
    callbacks = (*training.callbacks, *showing.callbacks(recipe, overrides, work / "shards"))
    training = replace(training, overrides=overrides, start_from=weights, callbacks=callbacks)
    figures = train(recipe, work / "shards", work / "run", training)
    found = plan.measures.held_out(work / "shards", work / "run", weights)
    name = exporting.name or plain(out.name)
    described = _described(plan, made, exporting, name, found)
    manifest = export(work / "run", out, replace(described, files={**_index(work / "shards", folder, plan.codec), **described.files}))
    report |= {"bundle": str(out), "name": name, "bytes": manifest.n_bytes, "held_out": found, "figures": figures}
    _write(report, work)
    return Fitted(report, figures, manifest)


def _plan(recipe: Path, folder: Path, how: Fitting, given: tuple[str, ...]) -> _Plan:
    from kapelle.data.prepare import preparation
    from kapelle.fitting import start as starts
    from kapelle.fitting.genres import name_genres
    from kapelle.training.recipe import read

    asked = read(recipe, given)
    music = own_music(folder, [source.folder for source in preparation(recipe, given).data.sources])
    if not how.start:
        own = music.overrides(asked.codec, genres=True) if music else ()
        return _Plan(recipe, asked.codec, (*own, *given), given, music, None, None)
    start = starts.find(how.start)
    starts.check(start, asked, given)
    if start.tokenizer is None:  # weights alone: all else is the recipe's
        start = replace(start, family=asked.family, codec=asked.codec, model=asked.model)
    naming = name_genres(start, music) if music and start.codec == "remi" else None
    music = naming.music if naming else music
    tokens = naming.tokens if naming else start.genres
    own = music.overrides(start.codec, genres=start.tokenizer is None) if music else ()
    overrides = (*start.overrides(tokens), *own, *given)
    return _Plan(recipe, asked.codec, overrides, given, music, start, naming)


def _schedule(plan: _Plan, how: Fitting, data: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """How long training will be, and all changes to the recipe, those asked for last."""
    from kapelle.fitting import schedule as schedules
    from kapelle.fitting import start as starts
    from kapelle.training.recipe import read

    amount = plan.measures.amount(data)
    if plan.start:
        starts.check_vocabulary(plan.start, data)
    if plan.music is None and plan.start is None and not how.epochs:
        return schedules.kept(read(plan.recipe, plan.overrides).training, amount), plan.overrides
    rule = schedules.RULES[amount.unit, plan.start is not None]
    timing: Schedule = schedules.schedule(amount, read(plan.recipe).training, rule, how.epochs)
    overrides = (*plan.overrides[: len(plan.overrides) - len(plan.given)], *timing.overrides(), *plan.given)
    return schedules.kept(read(plan.recipe, overrides).training, amount), overrides


def _report(plan: _Plan, made: dict[str, Any], timing: dict[str, Any], work: Path) -> dict[str, Any]:
    from kapelle.data.prepare import FILES

    files = json.loads((work / "shards" / FILES).read_text(encoding="utf-8"))
    genres: Counter[str] = Counter()
    for source in made["sources"]:
        genres[source.get("genre", "")] += source["kept"]
    naming = plan.naming
    return {
        "work": str(work),
        "files": made["files"],
        "kept": made["kept"],
        "dropped": made["dropped"],
        "list": files,
        "music": plan.measures.music(work / "shards"),
        "genres": {genre: n for genre, n in genres.items() if genre and n},
        "split": dict(Counter(file["part"] for file in files if "part" in file)),
        "start": {"name": plan.start.name, "identity": plan.start.identity} if plan.start else None,
        "instead_of": dict(naming.instead_of) if naming else {},
        "joined": list(naming.joined) if naming else [],
        "training": timing,
        "curves": str(work / "run" / "curves.png"),
    }


def _described(plan: _Plan, made: dict[str, Any], exporting: ExportOptions, name: str, found: dict[str, Any]) -> ExportOptions:
    """What the card and the manifest say beside what the run knows."""
    start, figures, options, licence = plan.start, dict(exporting.figures), dict(exporting.options), exporting.licence
    if found:
        table = plan.measures.markdown(found, name, start.name if start else "")
        figures["measured"] = "\n\n".join(text for text in (figures.get("measured"), table) if text)
    if start:
        figures |= {"began_with": start.name, "began_with_sha256": start.identity}
        licence = licence or (f"{start.licence}; trained on with other music" if start.licence and plan.music else start.licence)
    if plan.naming:  # tokens of genres that are not the user's are still there, but no longer composed
        known = dict(zip(made["genres"], made["genre_ids"], strict=True))
        own = [genre for genre in known if genre in plan.naming.music.genres]
        options |= {"genres": own, "genre_ids": [known[genre] for genre in own]}
    return replace(
        exporting, name=name, licence=licence, figures=figures, options=options, data=(*(start.data if start else ()), *exporting.data)
    )


def _index(shards: Path, folder: Path, codec: str) -> dict[str, bytes]:
    """The index of the music that the bundle learned from, by which pieces are compared with it; none for what does not compose."""
    from kapelle.judging import originality, originality_figures, training_music

    if codec not in training_music.CODECS:
        return {}
    music = training_music.opened(shards, training_music.names_in(folder))
    return {originality.FILE_NAME: originality_figures.indexed(music)} if music.count("train") else {}


def _write(report: dict[str, Any], work: Path) -> None:
    from kapelle.data.storage import put_text, writing

    with writing(work):
        put_text(work / REPORT, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
