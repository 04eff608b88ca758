"""Settings as frozen dataclasses: read from TOML strictly, described as JSON Schema, overridden by ``key=value``.

Takes a dataclass type whose fields are plain (int, float, str, bool, tuples, optional, nested dataclasses); gives instances of
it. An unknown key, a missing key and a wrong type are errors that name the key and the file. It does not interpolate, include
or inherit: one recipe is one file.
"""

from __future__ import annotations

import dataclasses
import numbers
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, field, fields, is_dataclass
from typing import Any, TypeVar

from kapelle.errors import Missing, RecipeError, StorageError, UsageError

if typing.TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")


def setting(
    default: Any = MISSING,
    *,
    help: str = "",
    ru: str = "",
    unit: str = "",
    min: float | None = None,
    max: float | None = None,
    step: float | None = None,
    choices: Sequence[str] = (),
    media: str = "",
) -> Any:
    """A dataclass field that knows what it is: the one description from which flags, schemas and panels are made.

    Args:
        default: The value when none is given; left out, the field is required.
        help: One line in English.
        ru: The same line in Russian.
        unit: The unit of a number, as shown to people.
        min: Smallest value allowed.
        max: Largest value allowed.
        step: The increment that a slider uses.
        choices: The values allowed, for a field of text.
        media: For a field of text that holds a whole file in base64, its media type; people give a path.
    """
    metadata = {"help": help, "ru": ru, "unit": unit, "min": min, "max": max, "step": step, "choices": tuple(choices)}
    metadata |= {"media": media} if media else {}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def check(settings: Any) -> None:
    """Raise UsageError if a value of a dataclass of `setting` fields is out of its range or not among its choices."""
    for item in fields(settings):
        value = getattr(settings, item.name)
        low, high, choices = item.metadata.get("min"), item.metadata.get("max"), item.metadata.get("choices")
        if value is None or isinstance(value, bool):
            continue
        if isinstance(value, int | float) and not ((low is None or value >= low) and (high is None or value <= high)):
            name = item.name.replace("_", "-")
            if high is None:
                raise UsageError("{name} must be {low} or more, not {value}", name=name, low=low, value=value)
            low = "any" if low is None else low
            raise UsageError("{name} must be {low} to {high}, not {value}", name=name, low=low, high=high, value=value)
        if isinstance(value, str) and choices and value not in choices:
            raise UsageError(
                "{name} must be one of {choices}, not {value!r}",
                name=item.name.replace("_", "-"),
                choices=", ".join(filter(None, choices)),
                value=value,
            )


def json_schema(kind: type[Any]) -> dict[str, Any]:
    """The JSON Schema of a dataclass of `setting` fields, with labels in English and Russian under ``x-label``."""
    hints = typing.get_type_hints(kind)
    properties = {item.name: _property(item, hints[item.name]) for item in fields(kind)}
    required = [item.name for item in fields(kind) if item.default is MISSING and item.default_factory is MISSING]
    return {"type": "object", "title": kind.__name__, "properties": properties, "required": required, "additionalProperties": False}


def _property(item: Field[Any], kind: Any) -> dict[str, Any]:
    plain, optional = _strip_optional(kind)
    if is_dataclass(plain):
        return json_schema(typing.cast("type[Any]", plain))
    names = {int: "integer", float: "number", str: "string", bool: "boolean"}
    base = names.get(plain, "array" if typing.get_origin(plain) is tuple else "object")
    meta = item.metadata
    out: dict[str, Any] = {"type": [base, "null"] if optional else base}
    if item.default is not MISSING:
        out["default"] = item.default
    for key, name in (("min", "minimum"), ("max", "maximum"), ("step", "multipleOf"), ("unit", "x-unit")):
        if meta.get(key) not in (None, ""):
            out["x-step" if key == "step" else name] = meta[key]
    if meta.get("choices"):
        out["enum"] = [*meta["choices"], *([None] if optional else [])]
    if meta.get("media"):
        out |= {"contentEncoding": "base64", "contentMediaType": meta["media"]}
    if meta.get("help"):
        out["x-label"] = {"en": meta["help"], "ru": meta.get("ru") or meta["help"]}
    return out


def load(kind: type[T], path: Path, overrides: Sequence[str] = ()) -> T:
    """The TOML file `path` as an instance of `kind`, with ``section.key=value`` overrides applied to it.

    Raises:
        Missing: There is no such file.
        RecipeError: It is no TOML, or a key is unknown, missing or of the wrong type.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Missing("no recipe at {path}", path=path, hint="`kapelle models --recipes` lists those that come with Kapelle") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError("{path} is not valid TOML: {why}", path=path, why=error) from error
    except OSError as error:
        raise StorageError("cannot read {path}: {why}", path=path, why=error.strerror) from error
    for text in overrides:
        override(table, text)
    return build(kind, table, str(path))


def build(kind: type[T], table: Mapping[str, Any], where: str = "") -> T:
    """The mapping `table` as an instance of the dataclass `kind`; `where` is what an error calls it."""
    hints = typing.get_type_hints(kind)
    known = {item.name: item for item in fields(typing.cast("Any", kind))}
    for key in table:
        if key not in known:
            raise RecipeError("unknown key {key!r} in {where}", key=key, where=where, hint="known: {known}", known=", ".join(known))
    values = {}
    for name, item in known.items():
        if name in table:
            values[name] = _convert(hints[name], table[name], f"{where}: {name}")
        elif item.default is MISSING and item.default_factory is MISSING:
            raise RecipeError("missing key {key!r} in {where}", key=name, where=where)
    made = kind(**values)
    try:
        check(made)
    except UsageError as error:
        raise RecipeError("in {where}: {why}", where=where, why=error) from error
    return made


def plain(settings: Any) -> dict[str, Any]:
    """A dataclass as nested dicts and lists, ready for JSON; `build` gives it back."""
    return typing.cast("dict[str, Any]", _listed(dataclasses.asdict(settings)))


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, tuple | list) else value


def native(value: Any) -> Any:
    """`value` as a number of Python if it is one of another library, such as NumPy; anything else as it is."""
    if type(value) in (bool, int, float) or not isinstance(value, numbers.Real):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def _strip_optional(kind: Any) -> tuple[Any, bool]:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        members = [item for item in typing.get_args(kind) if item is not types.NoneType]
        if len(members) == 1:
            return members[0], True
    return kind, False


def _convert(kind: Any, value: Any, where: str) -> Any:
    kind, optional = _strip_optional(kind)
    origin, value = typing.get_origin(kind), native(value)
    if value is None and optional:
        return None
    if is_dataclass(kind) and isinstance(value, Mapping):
        return build(typing.cast("type[Any]", kind), value, where)
    if origin is tuple and isinstance(value, list | tuple):
        arguments = typing.get_args(kind)
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(kinds) == len(value):
            return tuple(_convert(inner, item, where) for inner, item in zip(kinds, value, strict=True))
    if origin is dict and isinstance(value, Mapping):
        inner = typing.get_args(kind)[1]
        return {str(key): _convert(inner, item, f"{where}.{key}") for key, item in value.items()}
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is Any or (isinstance(kind, type) and isinstance(value, kind) and (kind is bool or not isinstance(value, bool))):
        return value
    raise RecipeError("{where} must be {kind}, not {value!r}", where=where, kind=getattr(kind, "__name__", str(kind)), value=value)


def override(table: dict[str, Any], text: str) -> None:
    """Apply one ``section.key=value`` to a nested table, in place; the value is read as TOML, or else as plain text."""
    path, sign, raw = text.partition("=")
    if not sign or not path:
        raise UsageError("an override reads key=value, not {text!r}", text=text)
    *sections, key = path.split(".")
    for section in sections:
        table = table.setdefault(section, {})
    try:
        table[key] = tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        table[key] = raw
