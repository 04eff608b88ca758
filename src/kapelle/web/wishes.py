"""From what was sent to what is asked of a model: the body of a job as a checked request.

Takes JSON, gives `ComposeRequest`. No path comes in here: a file is an upload, a piece of the library, or base64; a model is a plain name.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import fields
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from kapelle import api, composing
from kapelle.composing.request import Length
from kapelle.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from kapelle.composing.request import ComposeRequest
    from kapelle.web.library import Library

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
"""A name of a model: never a path."""

MAX_PIECES = 64
"""Pieces of one job; thousands are the command line's business."""

MAX_CANDIDATES = 256
"""Candidates of one job."""

NEEDS_FILE = ("extend", "accompany", "develop")

Body = Mapping[str, Any]


def wish_of(verb: str, body: Body, library: Library, job: str) -> ComposeRequest:
    """The request in the body of a job.

    Args:
        verb: compose, extend, accompany, develop or interpolate.
        body: As it was sent.
        library: Where its files are.
        job: Id of the job, which gives the seed where none was sent: begun again, it is the same.

    Raises:
        UsageError: It contradicts itself, is out of range or unknown to the model.
        NotFound: There is no such piece or upload.
    """
    model = model_of(verb, name_of(body.get("model")))
    count = int(body.get("count") or 1)
    if not 1 <= count <= MAX_PIECES:
        raise UsageError("count must be 1 to {limit}, not {count}", limit=MAX_PIECES, count=count)
    source = source_of(body, library) if verb in NEEDS_FILE else None
    return api.request(
        model,
        length=length_of(body.get("length")),
        seed=seed_of(body, job),
        count=count,
        sampling=body.get("sampling") or None,
        options=options_of(model, {**(body.get("options") or {}), **_towards(verb, body)}, library),
        prompt=source if verb == "extend" else None,
        lead=source if verb == "accompany" else None,
        theme=source if verb == "develop" else None,
        band=_band(body.get("band")),
        max_copied_notes=int(body.get("max_copied_notes") or 0),
    )


def model_of(verb: str, name: str) -> str:
    """The model that does a verb, where it is named as people name it or not at all."""
    if verb == "accompany":
        return api.ACCOMPANISTS.get(name, name)
    return name or {"develop": "theme", "interpolate": "band"}.get(verb, "")


def name_of(value: Any) -> str:
    """The name of a model; empty if none is given.

    Raises:
        UnknownName: It is none.
    """
    if value in (None, ""):
        return ""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise UnknownName("model", str(value)[:100], [offer.name for offer in api.offers()])
    return value


def _band(value: Any) -> str:
    return "band" if value is True else name_of(value or "")


def _towards(verb: str, body: Body) -> dict[str, Any]:
    if verb != "interpolate":
        return {}
    if body.get("towards") is None:
        raise UsageError("a way between two seeds needs the other seed", hint="give towards")
    return {"towards": int(body["towards"])}


def seed_of(body: Body, job: str) -> int:
    """The seed that was sent, or else the one that belongs to the job."""
    given = body.get("seed")
    return int(given) if given is not None else int.from_bytes(sha256(job.encode()).digest()[:4]) % 2**31


def length_of(table: Mapping[str, Any] | None) -> Length | None:
    """The length in ``{amount, unit}``; None if none is given."""
    if not table:
        return None
    amount = table.get("amount", Length().amount)
    if isinstance(amount, float) and amount.is_integer():
        amount = int(amount)
    return Length(amount, str(table.get("unit", "bars")))


def source_of(body: Body, library: Library) -> bytes:
    """The MIDI file that a verb needs.

    Raises:
        UsageError: None is named.
        NotFound: There is no such piece or upload.
    """
    found = _file(body.get("source"), library)
    if found is None:
        raise UsageError("this needs music to begin with", hint="drop a MIDI file, or choose a piece of the library")
    return found


def _file(named: Any, library: Library) -> bytes | None:
    if isinstance(named, Mapping) and named.get("piece"):
        return library.midi(str(named["piece"]))
    if isinstance(named, Mapping) and named.get("upload"):
        return library.upload(str(named["upload"]))
    return None


def options_of(model: str, given: Mapping[str, Any], library: Library) -> dict[str, Any]:
    """Options in which files have become bytes.

    Raises:
        UsageError: What stands for a file is no base64.
        NotFound: There is no such piece or upload.
    """
    way = composing.way_of(api.bundle(model).manifest.codec, model)
    media = {item.name for item in fields(way.Options) if item.metadata.get("media")}
    return {name: _bytes(name, value, library) if name in media else value for name, value in given.items()}


def _bytes(name: str, value: Any, library: Library) -> bytes | None:
    if value in (None, ""):
        return None
    found = _file(value, library)
    if found is not None:
        return found
    try:
        return b64decode(value, validate=True)
    except (ValueError, TypeError) as error:
        raise UsageError("{name} takes a MIDI file: an upload, a piece or base64", name=name) from error
