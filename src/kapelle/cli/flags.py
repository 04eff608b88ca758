"""Dataclasses as command lines: every field is an option or an argument, with its help, range and choices.

Takes dataclasses whose fields were made by `option`, `argument`, `group`, `generated` or `kapelle.config.setting`; gives the list of
their `Flag`s, and instances from texts. The same settings that a model declares for JSON Schema and the page become options here, so
that none is written twice. It neither parses a command line nor prints.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from kapelle.config import check
from kapelle.errors import UsageError

Settings = Callable[[], Iterable[type[Any]]]


@dataclass(frozen=True)
class Flag:
    """One option or argument.

    Args:
        name: Of the field.
        kind: What its text becomes: int, float, str, Path or bool.
        many: A tuple of them.
        required: There is no default.
        default: The value if it is not given.
        meta: Help (``help``, ``ru``), ``metavar``, ``short``, ``choices``, ``min``, ``max``, ``unit``, ``positional``; ``implied`` is
            the value of the bare option, which takes a text only if that ends in one of ``suffixes``; ``aliases`` are other names.
        section: Title under which the help shows it.
    """

    name: str
    kind: type[Any]
    many: bool
    required: bool
    default: Any
    meta: Mapping[str, Any]
    section: str = "Options"

    @property
    def label(self) -> str:
        """What it is called in messages: ``--top-k`` or ``IN.mid``."""
        return self.metavar if self.positional else "--" + self.name.rstrip("_").replace("_", "-")

    @property
    def positional(self) -> bool:
        """It is given by its place."""
        return bool(self.meta.get("positional"))

    @property
    def metavar(self) -> str:
        """What stands for its value in the help; empty for a switch."""
        if self.meta.get("metavar"):
            return str(self.meta["metavar"])
        if self.kind is bool:
            return ""
        if self.meta.get("choices"):
            return "|".join(filter(None, self.meta["choices"]))  # the empty one is what leaving it out means
        if self.meta.get("media"):
            return "FILE"
        return {int: "N", float: "X", Path: "FILE"}.get(self.kind, "TEXT")

    def value(self, given: Any) -> Any:
        """The value of what was typed.

        Raises:
            UsageError: It is no number where one is needed, or none of the choices.
        """
        if self.kind is bool:
            return bool(given)
        return tuple(self._one(text) for text in given) if self.many else self._one(given)

    def _one(self, text: str) -> Any:
        choices = self.meta.get("choices")
        if choices and text not in choices:
            known = ", ".join(filter(None, choices))
            raise UsageError("{name} must be one of {choices}, not {value!r}", name=self.label, choices=known, value=text)
        try:
            value = self.kind(text)
        except ValueError as error:
            wanted = "a whole number" if self.kind is int else "a number"
            raise UsageError("{name} needs {why}, not {value!r}", name=self.label, why=wanted, value=text) from error
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError("{name} needs {why}, not {value!r}", name=self.label, why="a number", value=text)
        return value


def option(
    default: Any = MISSING,
    *,
    help: str,
    short: str = "",
    metavar: str = "",
    choices: Iterable[str] = (),
    min: float | None = None,
    max: float | None = None,
    implied: str = "",
    suffixes: Iterable[str] = (),
    aliases: Iterable[str] = (),
) -> Any:
    """A field that is an option; see `Flag` for the meaning."""
    meta = {"help": help, "short": short, "metavar": metavar, "choices": tuple(choices), "min": min, "max": max}
    return field(default=default, metadata={**meta, "implied": implied, "suffixes": tuple(suffixes), "aliases": tuple(aliases)})


def argument(default: Any = MISSING, *, help: str, metavar: str) -> Any:
    """A field that is given by its place."""
    return field(default=default, metadata={"help": help, "metavar": metavar, "positional": True})


def group(kind: type[Any], section: str) -> Any:
    """A field that holds an instance of another dataclass of options, shown in a section of their own."""
    return field(metadata={"group": kind, "section": section})


def generated(settings: Settings, section: str, without: Iterable[str] = (), *, defaults: bool = False) -> Any:
    """A field that holds the values given for the fields of dataclasses of settings, as a dict by name, in a section of their own.

    Args:
        settings: Gives the dataclasses.
        section: Title in the help.
        without: Fields that mean nothing to this verb.
        defaults: The dataclasses' own defaults count whatever the model, so that the help can tell them.
    """
    return field(metadata={"generated": settings, "section": section, "without": frozenset(without), "defaults": defaults})


def _settings(item: dataclasses.Field[Any]) -> Iterator[tuple[type[Any], dataclasses.Field[Any]]]:
    """The fields of settings that a `generated` field stands for, each with its dataclass."""
    for source in item.metadata["generated"]():
        yield from ((source, one) for one in fields(source) if one.name not in item.metadata["without"])


def flags_of(kind: type[Any]) -> list[Flag]:
    """The flags of a dataclass: arguments first, then options, groups and generated ones in their places.

    Of settings with one name, the first counts.
    """
    hints = typing.get_type_hints(kind)
    out: list[Flag] = []
    for item in fields(kind):
        if "group" in item.metadata:
            out += [replace(flag, section=item.metadata["section"]) for flag in flags_of(item.metadata["group"])]
        elif "generated" in item.metadata:
            found: dict[str, Flag] = {}
            for source, one in _settings(item):
                default = one.default if item.metadata["defaults"] else None
                found.setdefault(one.name, replace(_flag(one, typing.get_type_hints(source), default), section=item.metadata["section"]))
            out += found.values()
        else:
            out.append(_flag(item, hints, item.default))
    return sorted(out, key=lambda flag: not flag.meta.get("positional"))


def _flag(item: dataclasses.Field[Any], hints: Mapping[str, Any], default: Any) -> Flag:
    kind = hints[item.name]
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        kind = next(member for member in typing.get_args(kind) if member is not types.NoneType)
    many = typing.get_origin(kind) is tuple
    if many:
        kind = typing.get_args(kind)[0]
    if kind not in (int, float, str, Path, bool):
        raise TypeError(f"{item.name}: no option can be made from {kind}")
    return Flag(item.name, kind, many, default is MISSING, None if default is MISSING else default, item.metadata)


def build(kind: type[Any], given: Mapping[str, Any]) -> Any:
    """An instance of the dataclass `kind` from what was typed, by field name; what is None or empty was not given.

    Raises:
        UsageError: A value is missing, of the wrong type, out of range or none of the choices.
    """
    own = {flag.name: flag for flag in flags_of(kind)}
    values: dict[str, Any] = {}
    for item in fields(kind):
        if "group" in item.metadata:
            values[item.name] = build(item.metadata["group"], given)
        elif "generated" in item.metadata:
            names = {one.name for _, one in _settings(item)}
            values[item.name] = {name: own[name].value(given[name]) for name in own if name in names and _is_given(given.get(name))}
        elif _is_given(given.get(item.name)):
            values[item.name] = own[item.name].value(given[item.name])
        elif own[item.name].required:
            raise UsageError("{name} is missing: {why}", name=own[item.name].label, why=item.metadata["help"], hint="see {name} in --help")
    made = kind(**values)
    check(made)
    return made


def _is_given(value: Any) -> bool:
    return value is not None and value != [] and value != ()
