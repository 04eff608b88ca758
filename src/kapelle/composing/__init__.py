"""Ways of composing, one file each: a request and a bundle go in, events and a piece come out.

A way belongs to a codec: whatever speaks REMI composes by `remi`. The table below is the only list of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from kapelle.config import build, check
from kapelle.errors import CannotObey, RecipeError, UsageError

if TYPE_CHECKING:
    from kapelle.bundles.load import Bundle
    from kapelle.bundles.manifest import Manifest
    from kapelle.composing.events import Event
    from kapelle.composing.offered import Offered
    from kapelle.composing.request import ComposeRequest

WAYS = {
    "remi": "kapelle.composing.remi",
    "chords": "kapelle.composing.chopin",
    "roll": "kapelle.composing.band",
    "theme": "kapelle.composing.theme",
}
"""Codec of the bundle -> module."""

COMBINED = {"bridge": "kapelle.composing.bridge"}
"""Names of models that are two bundles -> module. The bundle that such a name is an alias of is the one that the music is by."""

Cancelled = Callable[[], bool]


class Way(Protocol):
    """What the module of a way of composing offers."""

    Options: type[Any]  # a frozen dataclass of settings: what can be asked of such a model

    def offered(self, manifest: Manifest) -> Offered:
        """What a bundle can be asked for."""

    def compose(self, bundle: Bundle, request: ComposeRequest, options: Any, cancelled: Cancelled) -> Iterator[Event]:
        """Events of one piece, the last of them Done."""


def way_of(codec: str | None, name: str = "") -> Way:
    """The way of composing for bundles of a codec, or for a model of two bundles by its name.

    Raises:
        UsageError: Bundles of this codec do not compose.
    """
    if name in COMBINED:
        return cast("Way", importlib.import_module(COMBINED[name]))
    hint = "`kapelle models` lists the models; `kapelle classify` asks classifiers"
    if codec is None:
        raise UsageError("a bundle that classifies does not compose", hint=hint)
    if codec not in WAYS:
        raise UsageError("bundles of codec {codec!r} do not compose", codec=codec, hint=hint)
    return cast("Way", importlib.import_module(WAYS[codec]))


def options_of(way: Way, given: Mapping[str, Any]) -> Any:
    """The options of a way, from plain values.

    Raises:
        CannotObey: The way has no such option; the hint names those that have.
        UsageError: A value is out of range.
    """
    names = set(way.Options.__dataclass_fields__)
    for name in given:
        if name not in names:
            having = ", ".join(_having(name)) or "none"
            raise CannotObey("this model has no option {name!r}", name=name, hint="models that have it: {having}", having=having)
    try:
        options = build(way.Options, given, "options")
    except RecipeError as error:
        raise UsageError("{why}", why=error) from error
    check(options)
    return options


def _having(option: str) -> list[str]:
    """The installed bundles that can be asked for `option`; one that lists its choices, and has none, cannot."""
    from kapelle.bundles import load

    codecs = {codec for codec in WAYS if option in way_of(codec).Options.__dataclass_fields__}
    manifests = [item.manifest for item in load.installed() if item.manifest is not None]
    combined = [name for name in COMBINED if option in way_of(None, name).Options.__dataclass_fields__]
    return [*(one.name for one in manifests if one.codec in codecs and one.options.get(f"{option}s") != []), *combined]
