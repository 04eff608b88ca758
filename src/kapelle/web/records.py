"""What the library says of a piece: its record, made from a piece or from a file, as a row and as JSON.

Gives `Record`. Texts are cleaned here: no control characters, bounded length. It keeps nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from kapelle.api.naming import one_line
from kapelle.errors import UsageError
from kapelle.score import read
from kapelle.score.info import info

if TYPE_CHECKING:
    import symusic

    from kapelle.composing.piece import Piece

MAX_TAG, MAX_TAGS = 40, 20
MAX_VALUE = 2000
"""A text in a request that is longer is a file; the record tells its size alone."""


@dataclass(frozen=True)
class Record:
    """What is known of a piece.

    Args:
        id: Its id.
        title: For people.
        created: Seconds since 1970.
        source: ``composed`` or ``uploaded``.
        verb: By which it was made.
        model: Name of the bundle; empty if it was not composed here.
        bundle_hash: Of that bundle.
        seed: Its seed.
        request: What was asked, files left out.
        parent: Id of the piece that it came from.
        favourite: Marked by the user.
        tags: By the user.
        n_bars: Bars.
        n_notes: Notes.
        duration_s: Seconds.
        key: The key that it says it is in, or that its notes suggest.
        tempo_bpm: At its beginning.
        metre: At its beginning.
        tracks: Names of its tracks.
        judge: How it was judged among others, if it was.
        deleted: When it was put into the trash.
        named: The title was given by somebody.
        facts: What was found or chosen while it was composed: genre, key, tempo ...
    """

    id: str
    title: str
    created: float
    source: str
    verb: str
    model: str
    bundle_hash: str
    seed: int | None
    request: Mapping[str, Any]
    parent: str | None
    favourite: bool
    tags: tuple[str, ...]
    n_bars: int
    n_notes: int
    duration_s: float
    key: str | None
    tempo_bpm: float
    metre: str
    tracks: tuple[str, ...]
    judge: Mapping[str, Any] | None = None
    deleted: float | None = None
    named: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The record for JSON."""
        return {item.name: getattr(self, item.name) for item in fields(self)} | {"tags": list(self.tags), "tracks": list(self.tracks)}

    @property
    def words(self) -> str:
        """What a search looks into."""
        what = [self.facts.get(name) or "" for name in ("genre", "composer")]
        return " ".join(map(str, (self.title, *self.tags, self.model, *what, self.key or ""))).casefold()


COLUMNS = (*(item.name for item in fields(Record)), "words")
_JSON = ("request", "tags", "tracks", "judge", "facts")


def to_row(record: Record) -> tuple[Any, ...]:
    """The values of `COLUMNS`."""
    table = record.as_dict() | {"words": record.words}
    return tuple(json.dumps(table[name]) if name in _JSON and table[name] is not None else table[name] for name in COLUMNS)


def from_row(row: Mapping[str, Any]) -> Record:
    """The record of a row of the database."""
    return from_dict({name: json.loads(row[name]) if name in _JSON and row[name] else row[name] for name in COLUMNS[:-1]})


def from_dict(table: Mapping[str, Any]) -> Record:
    """The record of a table of `Record.as_dict`."""
    plain = {**table, "tags": tuple(table["tags"]), "tracks": tuple(table["tracks"]), "favourite": bool(table["favourite"]),
             "named": bool(table.get("named"))}  # fmt: skip
    return Record(**plain)


def of_piece(piece: Piece, id: str, **given: Any) -> Record:
    """The record of a piece that was composed; `given` are verb, parent, title, tags and judge."""
    facts, wish = piece.report.facts, piece.request
    named = one_line(given.pop("title", ""))
    return Record(
        id=id, title=named or title_of(piece), named=bool(named), created=time.time(), source="composed", model=wish.model or piece.model,
        bundle_hash=piece.bundle_hash, seed=wish.seed, request=request_of(piece), facts=facts_of(piece),
        favourite=False, parent=given.pop("parent", "") or None,
        tags=clean_tags(given.pop("tags", ())), **given, **music_of(piece.score, str(facts.get("key") or ""), piece.report.n_bars),
    )  # fmt: skip


def of_file(data: bytes, id: str, title: str) -> Record:
    """The record of a MIDI file that somebody brought.

    Raises:
        MidiError: It is none.
    """
    return Record(
        id=id, title=one_line(title) or "MIDI", named=True, created=time.time(), source="uploaded", verb="upload", model="", bundle_hash="",
        seed=None, request={}, parent=None, favourite=False, tags=(), **music_of(read.read(data)),
    )  # fmt: skip


def music_of(score: symusic.Score, key: str = "", n_bars: int = 0) -> dict[str, Any]:
    """What a score says of itself, by the names of `Record`.

    Args:
        score: The music.
        key: Its key, if it is known.
        n_bars: Its bars, if they are known: the last ones may be empty.
    """
    found = info(score)
    return {
        "n_bars": n_bars or found.n_bars,
        "n_notes": found.n_notes,
        "duration_s": round(found.duration_s, 3),
        "key": key or found.signature or found.key,
        "tempo_bpm": round(found.tempos_bpm[0], 2),
        "metre": found.metres[0],
        "tracks": tuple(one_line(track.name) or track.instrument for track in found.tracks if track.n_notes),
    }


def title_of(piece: Piece) -> str:
    """A title for a piece that was given none: what it is of, its key and tempo."""
    facts = piece.report.facts
    what = named(str(facts.get("genre") or facts.get("composer") or piece.request.model or piece.model))
    tempo = facts.get("tempo")
    parts = (what, str(facts.get("key") or ""), f"{float(tempo):.0f} bpm" if isinstance(tempo, int | float) else "")
    return " · ".join(filter(None, parts))


def named(word: str) -> str:
    """A name of the toolkit as people write it, as the page does too: what has no vowel, or is known as one, is an abbreviation."""
    parts = [part.upper() if part == "edm" or not set(part) & set("aeiouy0123456789") else part for part in word.split("-")]
    text = " ".join(parts)
    return text[:1].upper() + text[1:]


def facts_of(piece: Piece) -> dict[str, Any]:
    """What was found or chosen while a piece was composed, for JSON."""
    return {str(name): _told(value) for name, value in piece.report.facts.items()}


def _told(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_told(item) for item in value]
    value = value.item() if hasattr(value, "item") else value  # numpy's
    return value if isinstance(value, int | float | str | None) else str(value)


def request_of(piece: Piece) -> dict[str, Any]:
    """What was asked, for people: files are told by their sizes."""
    return {name: _short(value) for name, value in piece.request.to_json().items() if name not in ("count",)}


def _short(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _short(item) for key, item in value.items()}
    return {"bytes": len(value) * 3 // 4} if isinstance(value, str) and len(value) > MAX_VALUE else value


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags without doubles, each a text of one line.

    Raises:
        UsageError: There are too many.
    """
    found = tuple(dict.fromkeys(filter(None, (one_line(str(tag), MAX_TAG) for tag in tags))))
    if len(found) > MAX_TAGS:
        raise UsageError("a piece has at most {limit} tags, not {n}", limit=MAX_TAGS, n=len(found))
    return found
