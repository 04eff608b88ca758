"""The first page of a bundle: ``bundle.json`` as a frozen `Manifest`, and back.

Takes bytes from outside (they may be anything), gives a Manifest in which every value has been checked, or a BundleError of one line.
It looks at no other file: whether the files are there and are what they claim to be is the business of `kapelle.bundles.load`.
The format is described in docs/reference/bundle.md.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, cast, get_args

from kapelle.errors import BundleError
from kapelle.models import Kind, StateSpec

FORMAT = 1
"""Raised when an older Kapelle could not read the folder any more."""

FILE_NAME = "bundle.json"
MAX_MANIFEST_BYTES = 4_000_000
MAX_FILES = 32
MAX_STATES = 512
MAX_SIDE = 1_000_000
"""Largest size of one dimension of a state."""

Codec = Literal["remi", "chords", "theme", "roll", "fragments"]
Role = Literal["step", "encode", "generate", "predict"]

ROLES: dict[Kind, tuple[Role, ...]] = {
    "autoregressive": ("step",),
    "encoder_decoder": ("encode", "step"),
    "one_shot": ("generate",),
    "symbols": ("step",),
    "classifier": ("predict",),
    "encoder": ("encode",),
}
"""The graphs that a bundle of each kind has: these and no others."""

SUFFIXES = (".json", ".onnx", ".md", ".txt", ".idx")
"""What a file of a bundle may end in. Weights as pickle (.pt, .bin, .pkl, .ckpt) have no place in one."""

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FAMILY = re.compile(r"[a-z][a-z0-9_]{0,63}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+")
_STATE = re.compile(r"[A-Za-z0-9_.]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DTYPES = ("float32", "float16", "int64", "int32")


@dataclass(frozen=True)
class FileEntry:
    """One file of the bundle.

    Args:
        sha256: In lower-case hexadecimal.
        size: In bytes.
    """

    sha256: str
    size: int


@dataclass(frozen=True)
class Provenance:
    """Where the weights come from.

    Args:
        recipe: The recipe's text, from which the same model can be trained again.
        data: One table per data set: at least ``name`` and ``licence``.
        steps: Optimizer steps of the weights kept.
        seconds: Time of training; None when it was not measured.
        figures: Measured results, as they stand in the card.
    """

    recipe: str = ""
    data: tuple[Mapping[str, Any], ...] = ()
    steps: int = 0
    seconds: float | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """What a bundle is.

    Args:
        name: The name that ``--model`` takes.
        family: The module of `kapelle.models` that wrote the graphs; running them needs it no more.
        kind: How the graphs are run.
        graphs: Role -> file name.
        states: What the step graph carries from token to token.
        codec: How ids and music translate; None where no music is involved.
        options: Sizes and tables for those who run the model: ``vocabulary``, ``context`` (needed when a state is of kind kv) ...
        files: File name -> digest and size, of every file but bundle.json.
        licence: SPDX name, or a sentence, for the weights.
        provenance: Where the weights come from.
    """

    name: str
    family: str
    kind: Kind
    graphs: Mapping[str, str]
    files: Mapping[str, FileEntry]
    licence: str
    states: tuple[StateSpec, ...] = ()
    codec: Codec | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def n_bytes(self) -> int:
        """Size of all files but bundle.json."""
        return sum(entry.size for entry in self.files.values())

    @property
    def context(self) -> int | None:
        """The longest memory in tokens; None where the memory is recurrent or there is none."""
        return cast("int", self.options["context"]) if any(state.kind == "kv" for state in self.states) else None


def dump(manifest: Manifest) -> bytes:
    """The canonical text of bundle.json: sorted keys, two spaces, UTF-8, one newline at the end.

    Raises:
        BundleError: A value is not what the format allows; nothing is written that `parse` would refuse.
    """
    source = manifest.provenance
    table = {
        "format": FORMAT,
        "name": manifest.name,
        "family": manifest.family,
        "kind": manifest.kind,
        "graphs": dict(manifest.graphs),
        "states": [{"name": s.name, "shape": list(s.shape), "dtype": s.dtype, "kind": s.kind} for s in manifest.states],
        "codec": manifest.codec,
        "options": manifest.options,
        "files": {name: {"sha256": entry.sha256, "size": entry.size} for name, entry in manifest.files.items()},
        "licence": manifest.licence,
        "provenance": {
            "recipe": source.recipe,
            "data": [dict(item) for item in source.data],
            "steps": source.steps,
            "seconds": source.seconds,
            "figures": source.figures,
        },
    }
    try:
        text = json.dumps(table, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise BundleError("{file} cannot hold this: {why}", file=FILE_NAME, why=error) from error
    data = (text + "\n").encode()
    parse(data)
    return data


def parse(data: bytes) -> Manifest:
    """The Manifest that the bytes of a bundle.json hold.

    Raises:
        BundleError: They are no JSON, a key is unknown or missing, or a value is out of bounds; the message names it.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise BundleError("{file} has {size} bytes, more than {limit}", file=FILE_NAME, size=len(data), limit=MAX_MANIFEST_BYTES)
    try:
        table = json.loads(data.decode(), parse_constant=_no_constant, object_pairs_hook=_unique)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise BundleError("{file} is not valid JSON: {why}", file=FILE_NAME, why=error) from error
    if not isinstance(table, dict):
        _refuse("the whole", "a table", table)
    if table.get("format") != FORMAT:
        raise BundleError(
            "{file} is of format {found!r}, this Kapelle reads format {known}",
            file=FILE_NAME,
            found=table.get("format"),
            known=FORMAT,
            hint="export the model again, or upgrade Kapelle",
        )
    _keys(
        table,
        ("format", "name", "family", "kind", "graphs", "states", "codec", "options", "files", "licence", "provenance"),
        "the whole",
    )
    return _manifest(table)


def digest(manifest: Manifest) -> str:
    """The bundle's hash: sha256 of its canonical bundle.json, and through the digests in it of every file."""
    return hashlib.sha256(dump(manifest)).hexdigest()


def _manifest(table: dict[str, Any]) -> Manifest:
    kind: Kind = _choice(table["kind"], get_args(Kind), "kind")
    files = _files(table["files"])
    graphs = _graphs(table["graphs"], kind, files)
    states = tuple(_state(item, f"states[{index}]") for index, item in enumerate(_list(table["states"], "states", MAX_STATES)))
    if states and "step" not in graphs:
        _refuse("states", "empty for a bundle without a step graph", f"{len(states)} states")
    if len({state.name for state in states}) != len(states):
        _refuse("states", "named apart", [state.name for state in states])
    options = _table(table["options"], "options")
    if any(state.kind == "kv" for state in states):
        _count(options.get("context"), "options.context", 1, MAX_SIDE)
    return Manifest(
        name=_match(table["name"], _NAME, "name", "lower-case words joined by -"),
        family=_match(table["family"], _FAMILY, "family", "a lower-case name"),
        kind=kind,
        graphs=graphs,
        files=files,
        licence=_text(table["licence"], "licence"),
        states=states,
        codec=None if table["codec"] is None else _choice(table["codec"], get_args(Codec), "codec"),
        options=options,
        provenance=_provenance(table["provenance"]),
    )


def _files(value: object) -> dict[str, FileEntry]:
    table = _table(value, "files")
    if not 1 <= len(table) <= MAX_FILES:
        _refuse("files", f"1 to {MAX_FILES} files", len(table))
    out = {}
    for name, entry in table.items():
        where = f"files[{name!r}]"
        if not _FILE.fullmatch(name) or len(name) > 64 or not name.endswith(SUFFIXES) or name == FILE_NAME:
            _refuse("files", f"plain file names ending in {', '.join(SUFFIXES)}", name)
        _keys(_table(entry, where), ("sha256", "size"), where)
        sha256 = _match(entry["sha256"], _DIGEST, f"{where}.sha256", "64 hexadecimal digits")
        out[name] = FileEntry(sha256, _count(entry["size"], f"{where}.size", 0, 2**40))
    if len({name.lower() for name in out}) != len(out):
        _refuse("files", "names that differ in more than case", sorted(out))
    return out


def _graphs(value: object, kind: Kind, files: Mapping[str, FileEntry]) -> dict[str, str]:
    table = _table(value, "graphs")
    if set(table) != set(ROLES[kind]):
        _refuse("graphs", f"{' and '.join(ROLES[kind])} for kind {kind}", sorted(table))
    for role, name in table.items():
        if not isinstance(name, str) or not name.endswith(".onnx") or name not in files:
            _refuse(f"graphs.{role}", "an .onnx file listed under files", name)
    return table


def _state(value: object, where: str) -> StateSpec:
    table = _table(value, where)
    _keys(table, ("name", "shape", "dtype", "kind"), where)
    shape = _list(table["shape"], f"{where}.shape", 8)
    for side in shape:
        if side not in ("batch", "context"):
            _count(side, f"{where}.shape", 1, MAX_SIDE)
    kind: Literal["kv", "recurrent"] = _choice(table["kind"], ("kv", "recurrent"), f"{where}.kind")
    if kind == "kv" and ("context" not in shape or "batch" not in shape):
        _refuse(f"{where}.shape", "with the sides batch and context for a state of kind kv", shape)
    if kind == "recurrent" and "context" in shape:
        _refuse(f"{where}.shape", "without the side context for a recurrent state", shape)
    return StateSpec(
        _match(table["name"], _STATE, f"{where}.name", "letters, digits, points and underscores"),
        tuple(shape),
        _choice(table["dtype"], _DTYPES, f"{where}.dtype"),
        kind,
    )


def _provenance(value: object) -> Provenance:
    table = _table(value, "provenance")
    _keys(table, ("recipe", "data", "steps", "seconds", "figures"), "provenance")
    data = tuple(_table(item, "provenance.data") for item in _list(table["data"], "provenance.data", 1000))
    for item in data:
        if not isinstance(item.get("name"), str) or not isinstance(item.get("licence"), str):
            _refuse("provenance.data", "tables with a name and a licence", item)
    seconds = table["seconds"]
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0):
        _refuse("provenance.seconds", "a time or null", seconds)
    return Provenance(
        recipe=_text(table["recipe"], "provenance.recipe"),
        data=data,
        steps=_count(table["steps"], "provenance.steps", 0, 2**53),
        seconds=seconds,
        figures=_table(table["figures"], "provenance.figures"),
    )


def _refuse(where: str, kind: str, value: object) -> NoReturn:
    text = repr(value)
    raise BundleError(
        "{file}: {where} must be {kind}, not {value}",
        file=FILE_NAME,
        where=where,
        kind=kind,
        value=text if len(text) <= 100 else text[:100] + "...",
    )


def _keys(table: Mapping[str, object], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise BundleError("{file}: unknown key {key!r} in {where}", file=FILE_NAME, key=key[:100], where=where)
    for key in known:
        if key not in table:
            raise BundleError("{file}: missing key {key!r} in {where}", file=FILE_NAME, key=key, where=where)


def _table(value: object, where: str) -> dict[str, Any]:
    return value if isinstance(value, dict) else _refuse(where, "a table", value)


def _list(value: object, where: str, most: int) -> list[Any]:
    return value if isinstance(value, list) and len(value) <= most else _refuse(where, f"a list of at most {most}", value)


def _text(value: object, where: str) -> str:
    return value if isinstance(value, str) else _refuse(where, "a text", value)


def _match(value: object, pattern: re.Pattern[str], where: str, kind: str) -> str:
    return value if isinstance(value, str) and pattern.fullmatch(value) else _refuse(where, kind, value)


def _choice(value: object, known: Sequence[str], where: str) -> Any:
    return value if isinstance(value, str) and value in known else _refuse(where, f"one of {', '.join(known)}", value)


def _count(value: object, where: str, low: int, high: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    _refuse(where, f"a whole number from {low} to {high}", value)


def _plain(value: object) -> object:
    """What `json` does not know itself: read-only mappings and tuples."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key stands twice in one table")
    return table
