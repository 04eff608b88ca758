"""Studies: many pieces side by side, to be heard on a page and counted.

Takes plans by name or file, gives `Results` and the pages of a site; what people say of the pieces of a site is asked and counted in
`listening`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.errors import Missing, UsageError
from kapelle.progress import Report, quiet
from kapelle.workers import Workers

if TYPE_CHECKING:
    from kapelle.composing.request import Length
    from kapelle.study.bridge import Asked
    from kapelle.study.experiment import Experiment, Model
    from kapelle.study.models import Subject
    from kapelle.study.plan import Plan
    from kapelle.study.run import Options, Results
    from kapelle.study.sound import Sound

PLANS = ("musegan-stages", "musegan-samples", "theme-stages", "theme-samples", "bridge-grid", "bridge-samples", "all-models")
"""The plans that ship with Kapelle."""


@dataclass(frozen=True)
class StudyWay:
    """How a study is carried out.

    Args:
        sound: In place of the plan's; None leaves it.
        theme: A MIDI file in place of the plan's theme.
        classifiers: In place of the plan's; None leaves them.
        workers: Who makes the cells; the bytes are the same whoever does.
        force: Make every cell again.
        retry: Make again what failed.
        progress: Called with (cells done, cells in all).
        cancelled: Asked before every cell; True stops, and the same call goes on later.
    """

    sound: Sound | None = None
    theme: str | Path | None = None
    classifiers: Sequence[str] | None = None
    workers: Workers = field(default_factory=Workers)
    force: bool = False
    retry: bool = False
    progress: Report = quiet
    cancelled: Callable[[], bool] = lambda: False

    def options(self, sound: Sound) -> Options:
        """As `kapelle.study.run` takes them; `sound` is the plan's."""
        from kapelle.study.run import Options

        return Options(self.sound or sound, self.force, self.retry, self.workers, self.progress, self.cancelled)


def plan_path(name: str | Path) -> Path:
    """The file of a plan, by path or by the name of one that ships with Kapelle.

    Raises:
        Missing: There is none.
    """
    if Path(name).is_file():
        return Path(name)
    here = Path(__file__).parents[1]
    for folder in (here / "plans", here.parents[1] / "plans"):
        path = folder / f"{name}.toml"
        if path.is_file():
            return path
    raise Missing("no plan {name!r}", name=str(name), hint="plans that come with Kapelle: {known}", known=", ".join(PLANS))


def study(plan: str | Path, out: str | Path, way: StudyWay | None = None) -> Results:
    """The study of a plan in the folder `out`: files of every piece, tables, and pages that open from the disk.

    Args:
        plan: A TOML file, or the name of a plan that ships with Kapelle.
        out: A folder; cells that are there already are kept.
        way: How.

    Raises:
        Missing: There is no such plan, or a bundle or file that it names is not there.
        RecipeError: The plan has a key that is unknown or of the wrong type.
        UsageError: It asks for what there is not, or the folder holds another study.
        Interrupted: It was stopped.
    """
    from kapelle.study import experiment
    from kapelle.study.run import run

    way = way or StudyWay()
    path = plan_path(plan)
    found = experiment.load(path)
    asked, make = (_bridge if found.kind == "bridge" else _models)(found, path.parent, Path(out), way)
    classifiers = tuple(found.classifiers if way.classifiers is None else way.classifiers)
    asked = replace(asked, title=found.title, note=found.note or asked.note, figures=found.figures, classifiers=classifiers,
                    least_s=found.least_s)  # fmt: skip
    return run(asked, make, Path(out), way.options(found.sound))


def _bridge(found: Experiment, near: Path, out: Path, way: StudyWay) -> tuple[Plan, Any]:
    """Plan and maker of a study of kind bridge."""
    from kapelle.study import bridge
    from kapelle.study.experiment import bars_of_bridge

    bands, themes = ([_bundle(name, near, out, way) for name in names] for names in (found.bands, found.themes))
    latents = found.latents or tuple(range(found.seed, found.seed + bridge.N_LATENTS))
    asked = bridge.Asked(tuple(bands) or bridge.BANDS, tuple(themes) or bridge.THEMES, latents, bars_of_bridge(found), found.theme_bars,
                         found.samples or 1)  # fmt: skip
    return bridge.plan(asked), bridge.maker(asked)


def _models(found: Experiment, near: Path, out: Path, way: StudyWay) -> tuple[Plan, Any]:
    """Plan and maker of a study of kind models."""
    from kapelle.study import models
    from kapelle.study.experiment import Model, seeds_of

    seeds = seeds_of(found)
    wanted = [*(Model(name=name) for name in found.models), *found.model]
    subjects = tuple(_subject(one, found, near, out, way) for one in wanted)
    plan = models.plan(subjects, seeds, axis="latents" if found.latents else "seed", note=found.note or models.NOTE)
    return plan, models.Maker(subjects, seeds)


def _subject(one: Model, found: Experiment, near: Path, out: Path, way: StudyWay) -> Subject:
    """A model of a plan: what is asked of it, or the files of its folder."""
    from kapelle.api.requests import bundle, length_of, request
    from kapelle.study.composers import composer, library

    if one.folder:
        folder = near / one.folder
        return library(folder, one.label or folder.name, found.seed, n_bars=one.bars or found.bars)
    name = _bundle(one.name, near, out, way)
    theme = way.theme or (near / one.theme if one.theme else near / found.theme if found.theme else None)
    own = {"bars": one.bars or None, "notes": one.notes or None}
    shared = {"bars": found.bars or None, "seconds": found.seconds or None}
    length = length_of(**(own if one.bars or one.notes else shared))
    held = bundle(name)
    data = _theme_data(Path(theme)) if theme and held.manifest.codec == "theme" and name != "bridge" else None
    wish = request(name, length=length, seed=0, options=found.options | one.options, theme=data)
    return composer(wish, held, one.label, first_try=found.first_try)


def _theme_data(path: Path) -> bytes:
    from kapelle.api.files import midi_bytes

    return midi_bytes(path)


def _bundle(name: str, near: Path, out: Path, way: StudyWay) -> str:
    """What finds a bundle: its name, its folder, or the folder that a stage of a run is exported to.

    Raises:
        UsageError: ``RUN@STEP`` is no number of a step.
    """
    run, at, step = name.rpartition("@")
    if at:
        if not step.isdigit():
            raise UsageError("a stage of a run is written RUN@STEP, not {name}", name=name)
        return str(_exported(near / run, int(step), out, way))
    return str(near / name) if (near / name / "bundle.json").is_file() else name


def _exported(run: Path, step: int, out: Path, way: StudyWay) -> Path:
    """The bundle of a stage of a run, written once into the folder of the study."""
    from kapelle.api.workshop import export

    name = f"{run.name}-{step}"
    folder = out / "bundles" / name
    if way.force or not (folder / "bundle.json").is_file():
        export(run, folder, name=name, stage=step, force=way.force)
    return folder


def study_bridge(out: str | Path, asked: Asked | None = None, way: StudyWay | None = None) -> Results:
    """The grid of the thesis in the folder `out`: stages of a band by fixed latents by stages of the Theme Transformer.

    Args:
        out: A folder; cells that are there already are kept.
        asked: Which bundles, which latents, how many bars; the 45 of the thesis' design as far as bundles ship.
        way: How.

    Raises:
        Missing: A bundle is not installed.
        UsageError: The folder holds another study.
        Interrupted: It was stopped.
    """
    from kapelle.study import bridge
    from kapelle.study.run import run
    from kapelle.study.sound import Sound

    asked, way = asked or bridge.Asked(), way or StudyWay()
    return run(bridge.plan(asked), bridge.maker(asked), Path(out), way.options(Sound()))


def study_models(
    out: str | Path,
    models: Sequence[str],
    *,
    seeds: Sequence[int] = range(20220529, 20220529 + 45),
    length: Length | None = None,
    options: Mapping[str, Any] | None = None,
    way: StudyWay | None = None,
) -> Results:
    """The same request to every one of `models`, with the same seeds, in the folder `out`.

    Args:
        out: A folder; cells that are there already are kept.
        models: Bundle names or paths, or ``bridge``; stages of one model, or different ones.
        seeds: Each once.
        length: 16 bars if left out.
        options: Of the models; all of them must have them.
        way: How.

    Raises:
        Missing: A bundle is not installed.
        UsageError: No model is named, or the folder holds another study.
        Interrupted: It was stopped.
    """
    from kapelle.api.requests import bundle, request
    from kapelle.study import models as study
    from kapelle.study.composers import composer, labelled
    from kapelle.study.run import run
    from kapelle.study.sound import Sound

    if not models:
        raise UsageError("no model is named that could be studied", hint="--model NAME, as often as there are models")
    names, way = tuple(dict.fromkeys(models)), way or StudyWay()
    subjects = tuple(
        composer(request(name, length=length, seed=0, options=options), bundle(name), label)
        for name, label in zip(names, labelled(names), strict=True)
    )
    return run(study.plan(subjects, seeds), study.Maker(subjects, tuple(seeds)), Path(out), way.options(Sound()))
