"""The music in a folder of shards, piece by piece, as the model that learns from it sees it: decoded from its ids or cells.

Takes a folder of shards that composing models learn from (tokens of ``remi`` and ``chords``, songs with themes, phrases of bands); gives
names and scores. Copies of a piece in other keys, and the phrases of one song, bear one name. It reads no MIDI but to find names: token
shards know their files by the first digits of their SHA-256 alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.data import phrase_shards, shard_folder, shards, theme_shards
from kapelle.data.split import PARTS
from kapelle.errors import Missing, ShardError, StorageError, UsageError
from kapelle.score.folders import files_in
from kapelle.score.roll import Form, Roll, to_score
from kapelle.tokens import chords, remi, theme
from kapelle.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:
    from pathlib import Path

    from symusic import Score

DIGEST = 16
"""Hexadecimal digits of a file's SHA-256 that shards keep."""
MAX_NAME = 120

CODECS = ("remi", "chords", "theme", "roll")
"""Codecs of shards that models learn to compose from."""

Named = tuple[str, "Score"]
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Music:
    """The music of a folder of shards.

    Args:
        grid: Steps of a quarter note.
        fingerprint: Of the arrays; empty where the shards have none.
        count: Pieces, or phrases, of a part.
        pieces: Of a part: names and scores.
    """

    grid: int
    fingerprint: str
    count: Callable[[str], int]
    pieces: Callable[[str], Iterator[Named]]


def names_in(folder: Path) -> dict[str, str]:
    """First digits of the SHA-256 -> name, for every MIDI file below a folder: its path from there, without its suffix.

    Raises:
        Missing: There is no such folder.
        StorageError: A file may not be read.
    """
    if not folder.is_dir():
        raise Missing("no folder {path}", path=folder)
    out: dict[str, str] = {}
    try:
        for path in files_in(folder):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()[:DIGEST]
            out.setdefault(digest, path.relative_to(folder).with_suffix("").as_posix())
    except OSError as error:
        raise StorageError("cannot read {path}: {why}", path=error.filename or folder, why=error.strerror) from error
    return out


def opened(path: Path, names: Mapping[str, str] | None = None) -> Music:
    """The music of the shards in `path`.

    Args:
        path: A folder of shards.
        names: What `names_in` gives, for shards that know digests alone.

    Raises:
        Missing: There are no shards.
        ShardError: They are damaged.
        UsageError: They hold no music that a model composes from.
    """
    if not (path / shard_folder.INFO).is_file():
        raise Missing("no shards in {path}", path=path, hint="make them with `kapelle data prepare FOLDER --recipe RECIPE -o {path}`")
    with shard_folder.reading(path) as info:
        codec = info.get("codec") or _tokenizer(path).get("codec")
    kinds = dict(zip(CODECS, (_remi, _chords, _theme, _band), strict=True))
    if codec not in kinds:
        raise UsageError("the shards in {path} are of codec {codec!r}, from which no model composes", path=path, codec=codec)
    return kinds[codec](path, names or {})


def _tokenizer(path: Path) -> dict[str, Any]:
    try:
        table = json.loads((path / "tokenizer.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ShardError("the shards in {path} are damaged: {why}", path=path, why=error, hint="prepare them again") from error
    return table if isinstance(table, dict) else {}


def _listed(path: Path, wanted: list[str]) -> list[str] | None:
    """The files that were kept, in the order of the pieces; None where the list is missing or does not fit their parts."""
    try:
        rows = [row for row in json.loads((path / "files.json").read_text(encoding="utf-8")) if "part" in row]
        names = [str(row["file"]).rsplit(".", 1)[0] for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return names if [row["part"] for row in rows] == wanted else None


def _plain(name: str) -> str:
    """A name that is not too long: its end, where the title stands."""
    return name if len(name) <= MAX_NAME else "..." + name[3 - MAX_NAME :]


def _token_music(path: Path, names: Mapping[str, str], grid: int, decode: Callable[[list[int]], Score]) -> Music:
    held = shards.read(path)
    digests = [digest.decode() for digest in held.digests.tolist()]
    first = {digest: place for place, digest in reversed(list(enumerate(digests)))}  # copies in other keys come after all originals
    order = sorted(first, key=lambda digest: first[digest])
    listed = _listed(path, [PARTS[int(held.pieces["part"][first[digest]])] for digest in order])
    known = {**(dict(zip(order, listed, strict=True)) if listed else {}), **names}

    def places(part: str) -> list[int]:
        return sorted(place for place in first.values() if PARTS[int(held.pieces["part"][place])] == part)

    def pieces(part: str) -> Iterator[Named]:
        for place in places(part):
            piece = held.pieces[place]
            ids = held.tokens[int(piece["start"]) : int(piece["stop"])].tolist()
            yield _plain(known.get(digests[place], digests[place])), decode(ids)

    return Music(grid, str(held.info.get("fingerprint", "")), lambda part: len(places(part)), pieces)


def _remi(path: Path, names: Mapping[str, str]) -> Music:
    table = _tokenizer(path)
    spec = remi.spec_of(table)
    words = remi.vocabulary(spec)
    return _token_music(path, names, spec.positions_per_beat, lambda ids: remi.decode(ids, spec, words).score)


def _chords(path: Path, names: Mapping[str, str]) -> Music:
    table = _tokenizer(path)
    spec = chords.spec_of(table)
    words = Vocabulary(tuple(table["tokens"]))

    def decode(ids: list[int]) -> Score:
        return chords.to_score(chords.decode(ids, spec, words), positions_per_beat=spec.positions_per_beat)

    return _token_music(path, names, spec.positions_per_beat, decode)


def _theme(path: Path, names: Mapping[str, str]) -> Music:
    held = theme_shards.read(path)
    spec = theme.ThemeSpec(mode=held.info["mode"])
    listed = _listed(path, [PARTS[int(part)] for part in held.songs["part"].tolist()])

    def pieces(part: str) -> Iterator[Named]:
        for place in held.songs_of(part).tolist():
            song = held.songs[place]
            ids = held.ids[int(song["start"]) : int(song["stop"])].tolist()
            yield _plain(listed[place] if listed else f"song {place + 1}"), theme.decode(ids, spec).score

    return Music(theme.STEPS_PER_BEAT, str(held.info.get("fingerprint", "")), lambda part: len(held.songs_of(part)), pieces)


def _band(path: Path, names: Mapping[str, str]) -> Music:
    held = phrase_shards.read(path)
    form = Form(**held.info["form"])
    _, heads = np.unique(held.phrases["song"], return_index=True)
    listed = _listed(path, [PARTS[int(part)] for part in held.phrases["part"][heads].tolist()])
    n_bars = held.sizes["n_bars"]

    def pieces(part: str) -> Iterator[Named]:
        """Phrases that follow one another in a song are one stretch of music."""
        chosen = held.of(part)
        rows = held.phrases[chosen]
        new = (np.diff(rows["song"]) != 0) | (np.diff(rows["bar"]) != n_bars)
        for group in np.split(chosen, np.flatnonzero(new) + 1) if len(chosen) else []:
            cells = np.concatenate(list(held.cells(group)), axis=1)
            song = int(held.phrases["song"][group[0]])
            yield _plain(listed[song] if listed else f"song {song + 1}"), to_score(Roll(cells, held.tracks, form), keep_empty=False)

    def count(part: str) -> int:
        return len(np.unique(held.phrases["song"][held.of(part)]))

    return Music(form.steps_per_bar // 4, str(held.info.get("fingerprint", "")), count, pieces)
