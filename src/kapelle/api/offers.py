"""What each installed model can be asked for, described so that a panel or a program can be made from it.

Takes what is installed; gives an `Offer` for each model that composes: its verbs, its options as JSON Schema narrowed to what this bundle
knows, its lengths, and settings to begin with. Nothing is composed and no network is loaded.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle import composing
from kapelle.api.requests import DEFAULT_MODELS
from kapelle.composing.request import LENGTHS, Length
from kapelle.config import build, json_schema
from kapelle.errors import CannotObey, RecipeError, UnknownName, UsageError
from kapelle.sampling.options import SamplingOptions
from kapelle.score import keys

if TYPE_CHECKING:
    from kapelle.bundles.manifest import Manifest

KEYS = ("key", "theme_key")
"""Options that are the name of a key."""
HERE = Path(__file__)
LIKED = [
    "piano", "electric piano", "harpsichord", "organ", "vibraphone", "acoustic guitar", "electric guitar", "bass", "upright bass", "violin",
    "viola", "cello", "strings", "choir", "trumpet", "trombone", "horn", "saxophone", "clarinet", "oboe", "bassoon", "flute", "synth lead",
    "synth pad", "drums",
]  # fmt: skip
"""Instruments that people ask for; all of General MIDI can be had."""
SEVERAL = ("instruments",)
"""Options that take several of the suggested values, with commas between them."""

PLACEHOLDER = {"en": "Composes.", "ru": "Сочиняет."}


@dataclass(frozen=True)
class Preset:
    """Settings to begin with.

    Args:
        key: Its name within the model.
        label: In English and Russian.
        body: Parts of a request: ``options``, ``sampling``, ``length``.
    """

    key: str
    label: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Offer:
    """What a model can be asked for.

    Args:
        name: The name that ``--model`` takes.
        bundle: The name of the bundle that composes.
        family: Of networks.
        verbs: What it can be asked to do; all but ``compose`` need a MIDI file.
        about: One line, in English and Russian.
        options: JSON Schema of its options, with labels under ``x-label`` and values that people may like under ``x-suggest``
            (several of them, with commas between, where ``x-several`` is true).
        sampling: JSON Schema of how tokens are drawn, with the bundle's own defaults; None for a model that draws none.
        lengths: Unit -> smallest and largest amount; empty if the file that is brought decides.
        default_length: Amount and unit; None if the file that is brought decides.
        presets: Settings to begin with.
        band: Whether a band can play around its pieces.
        featured: It is told of with its own words; others come after.
        licence: Of the weights.
        n_bytes: Size of the bundle.
        hash: Of the bundle.
        data: Name and licence of what it learned from.
        figures: What was measured of it.
    """

    name: str
    bundle: str
    family: str
    verbs: tuple[str, ...]
    about: Mapping[str, str]
    options: Mapping[str, Any]
    sampling: Mapping[str, Any] | None
    lengths: Mapping[str, tuple[float, float]]
    default_length: Mapping[str, Any] | None
    presets: tuple[Preset, ...]
    band: bool
    featured: bool
    licence: str
    n_bytes: int
    hash: str
    data: tuple[Mapping[str, str], ...]
    figures: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """A table for JSON."""
        return asdict(self)

    def check(
        self, options: Mapping[str, Any] | None = None, sampling: Mapping[str, Any] | None = None, length: Length | None = None
    ) -> None:
        """Refuse what the model cannot be asked for, as far as that is known without composing.

        Raises:
            UsageError: A value is of the wrong type, out of range or not among the choices.
            CannotObey: The model has no such option, draws no tokens, or does not count in that unit.
        """
        self._check_options({name: value for name, value in (options or {}).items() if value is not None})
        if length is not None and length.unit not in self.lengths:
            known = ", ".join(self.lengths) or "none"
            raise CannotObey("{model} counts no {unit}", model=self.name, unit=length.unit, hint="lengths it counts: {known}", known=known)
        if not sampling:
            return
        if self.sampling is None:
            raise CannotObey("{model} draws no tokens: it has no sampling", model=self.name, hint="leave temperature and its like out")
        try:
            build(SamplingOptions, sampling, "sampling")
        except RecipeError as error:
            raise UsageError("{why}", why=error) from error

    def _check_options(self, given: Mapping[str, Any]) -> None:
        properties = self.options["properties"]
        for name in given:
            if name not in properties:
                known = ", ".join(properties)
                raise CannotObey("{model} has no option {name!r}", model=self.name, name=name, hint="it has {known}", known=known)
        composing.options_of(_way(self.name, _manifest(self.bundle)), given)
        for name, value in given.items():
            if name in KEYS and value:
                keys.parse_key(str(value))
            choices = properties[name].get("enum")
            if choices and value not in choices:
                raise UnknownName(name, str(value), [str(one) for one in choices if one not in (None, "")])


def offers() -> list[Offer]:
    """What every installed model that composes can be asked for, the default model first, then those with words of their own."""
    from kapelle.bundles import load

    held = {item.name: item.manifest for item in load.installed() if item.manifest is not None}
    found = [_offer(name, manifest) for name, manifest in held.items() if manifest.codec in composing.WAYS]
    for name in composing.COMBINED:
        first = next((one for one in load.ALIASES[name] if one in held), None)
        if first is not None:
            found.append(_offer(name, held[first]))
    order = [*DEFAULT_MODELS, *_told()]
    return sorted(found, key=lambda offer: (order.index(offer.name) if offer.name in order else len(order), offer.name))


def offer(name: str = "") -> Offer:
    """What a model can be asked for; the default model if the name is empty.

    Raises:
        UnknownName: No installed model of that name composes.
    """
    found = offers()
    if not name and found:
        return found[0]
    from kapelle.bundles import load

    for wanted in (name, *(load.ALIASES.get(name, ()))):
        for one in found:
            if one.name == wanted:
                return one
    raise UnknownName("model", name, [one.name for one in found])


@cache
def _told() -> dict[str, Any]:
    """What is told of the models that ship, by name."""
    return tomllib.loads(HERE.with_suffix(".toml").read_text(encoding="utf-8"))


def _manifest(name: str) -> Manifest:
    from kapelle.bundles import load

    return load.manifest_of(load.find(name))


def _way(name: str, manifest: Manifest) -> composing.Way:
    return composing.way_of(manifest.codec, name)


def _offer(name: str, manifest: Manifest) -> Offer:
    from kapelle.bundles import manifest as manifests

    way = _way(name, manifest)
    offered = way.offered(manifest)
    told = _told().get(name, {})
    about = {"en": told["en"], "ru": told["ru"]} if told else PLACEHOLDER
    presets = tuple(Preset(one["key"], {"en": one["en"], "ru": one["ru"]}, one["body"]) for one in told.get("presets", ()))
    return Offer(
        name=name,
        bundle=manifest.name,
        family=manifest.family,
        verbs=offered.verbs,
        about=about,
        options=_narrowed(json_schema(way.Options), offered.choices),
        sampling=_sampling(manifest.options.get("generation") or {}) if offered.sampled else None,
        lengths={unit: LENGTHS[unit] for unit in offered.lengths},
        default_length=asdict(Length()) if offered.lengths else None,
        presets=presets,
        band=manifest.codec != "roll" and name not in composing.COMBINED,
        featured=bool(told),
        licence=manifest.licence,
        n_bytes=manifest.n_bytes,
        hash=manifests.digest(manifest),
        data=tuple({"name": str(one["name"]), "licence": str(one["licence"])} for one in manifest.provenance.data),
        figures=manifest.provenance.figures,
    )


def _narrowed(schema: dict[str, Any], choices: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A schema of options without those that have no choice, with what is known of the others."""
    properties: dict[str, Any] = {}
    for name, entry in schema["properties"].items():
        if choices.get(name) == ():
            continue
        if name in choices:
            free = [entry["default"]] if entry.get("default", None) == "" else []
            entry["enum"] = [*free, *choices[name]]
        elif name in _suggestions():
            entry["x-suggest"] = _suggestions()[name]
            if name in SEVERAL:
                entry["x-several"] = True
        properties[name] = entry
    return {**schema, "properties": properties}


@cache
def _suggestions() -> dict[str, list[str]]:
    """Option -> values that people may like; others are possible too."""
    return {
        "key": [str(key) for key in keys.ALL_KEYS],
        "metre": ["4/4", "3/4", "2/4", "6/8", "5/4", "9/8", "12/8"],
        "instruments": LIKED,
        "form": ["AABA", "ABA", "AABB", "ABACA"],
    }


def _sampling(own: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of `SamplingOptions` with a bundle's defaults."""
    schema = json_schema(SamplingOptions)
    for name, value in own.items():
        schema["properties"][name]["default"] = value
    return schema
