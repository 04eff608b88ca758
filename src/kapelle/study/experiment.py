"""A plan of a study as a file: TOML of at most forty lines, read strictly.

Takes a path; gives an `Experiment`. An unknown key is an error that names it, and so is one that says nothing to this kind of study.
Paths in a plan are seen from its folder. It neither looks for bundles nor composes: see `kapelle.api.studies`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from kapelle import config
from kapelle.config import setting
from kapelle.errors import RecipeError
from kapelle.study.bridge import BARS, SEED
from kapelle.study.sound import Sound

KINDS = ("models", "bridge")
_OF_KIND = {
    "models": ("models", "model", "seeds", "seconds", "theme", "first_try", "options"),
    "bridge": ("bands", "themes", "theme_bars"),
}
"""Keys that belong to one kind alone."""


@dataclass(frozen=True)
class Model:
    """A table ``[[model]]``: a bundle, a stage of a run, or a folder of music that is there already."""

    name: str = setting("", help="bundle by name or folder, or RUN@STEP: a stage that a training run kept")
    folder: str = setting("", help="folder of MIDI files that stand among the models, such as real music")
    label: str = setting("", help="what it is called; its own name if left out")
    theme: str = setting("", help="MIDI file that it develops")
    bars: int = setting(0, help="length of its pieces", unit="bars", min=0, max=512)
    notes: int = setting(0, help="length of its pieces", unit="notes", min=0, max=50_000)
    options: dict[str, Any] = setting({}, help="what it is asked beside that: genre, key, tempo ...")


@dataclass(frozen=True)
class Experiment:
    """A study as its file says it.

    Either `seeds` (or `latents`, which is what a seed is to a band) or a number of `samples` from the seed `seed` on.
    """

    kind: str = setting(help="models: models by seeds; bridge: bands by latents by stages of the Theme Transformer", choices=KINDS)
    title: str = setting(help="for people")
    note: str = setting("", help="for people: what is compared, what to listen for")
    models: tuple[str, ...] = setting((), help="bundles by name or folder, or RUN@STEP")
    model: tuple[Model, ...] = setting((), help="models with settings of their own")
    bands: tuple[str, ...] = setting((), help="bundles of the bridge's bands, early stages first")
    themes: tuple[str, ...] = setting((), help="bundles of the Theme Transformer, early stages first")
    seeds: tuple[int, ...] = setting((), help="fixed seeds")
    latents: tuple[int, ...] = setting((), help="seeds of fixed latents")
    samples: int = setting(0, help="pieces of each model, or on each theme of a bridge", min=0, max=10_000)
    seed: int = setting(SEED, help="the first seed, where they are not listed", min=0)
    bars: int = setting(0, help="length of every piece", unit="bars", min=0, max=512)
    seconds: float = setting(0.0, help="length of every piece", unit="s", min=0, max=3600)
    theme: str = setting("", help="MIDI file that is developed")
    theme_bars: int = setting(2, help="bars of the band that are the theme", min=1, max=8)
    first_try: bool = setting(False, help="take first attempts as they are")
    options: dict[str, Any] = setting({}, help="what every model is asked: key, tempo ...")
    figures: tuple[str, ...] = setting((), help="figures that are shown; all if left out")
    classifiers: tuple[str, ...] = setting((), help="bundles that say which genre a piece is")
    least_s: float = setting(30.0, help="pieces that are shorter are counted", unit="s", min=0)
    sound: Sound = field(default_factory=Sound, metadata={"help": "what is heard of every piece"})


def load(path: Path) -> Experiment:
    """The study in a TOML file.

    Raises:
        Missing: There is no such file.
        RecipeError: It is no TOML; a key is unknown, missing, of the wrong type, or says nothing to this kind of study.
    """
    found = config.load(Experiment, path)
    for other, keys in _OF_KIND.items():
        given = [key for key in keys if other != found.kind and getattr(found, key) != _default(key)]
        if given:
            raise RecipeError("{key!r} in {where} says nothing to a study of kind {kind}", key=given[0], where=path, kind=found.kind)
    pairs = [("seeds", "latents"), ("bars", "seconds")] + ([("seeds", "samples"), ("latents", "samples")] if found.kind == "models" else [])
    for first, second in pairs:
        if getattr(found, first) and getattr(found, second):
            raise RecipeError("{first} and {second} in {where} contradict each other", first=first, second=second, where=path)
    for model in found.model:
        if bool(model.name) == bool(model.folder):
            raise RecipeError("a model in {where} needs a name or a folder, one of the two", where=path)
    if found.kind == "models" and not (found.models or found.model):
        raise RecipeError("missing key {key!r} in {where}", key="models", where=str(path))
    return found


def _default(key: str) -> Any:
    found = next(item for item in fields(Experiment) if item.name == key)
    return found.default_factory() if callable(found.default_factory) else found.default


def seeds_of(found: Experiment) -> tuple[int, ...]:
    """The seeds of a study of models: those that are listed, or as many as there are samples, three if nothing is said."""
    return found.seeds or found.latents or tuple(range(found.seed, found.seed + (found.samples or 3)))


def bars_of_bridge(found: Experiment) -> int:
    """How long the pieces of a bridge are."""
    return found.bars or BARS
