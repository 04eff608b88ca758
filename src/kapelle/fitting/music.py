"""What music there is in a folder of the user's, as changes to a recipe that let it read that folder.

Takes a folder, gives the rows of ``[[data.sources]]``: each subfolder is a genre named after it, and a folder that holds files itself is
one genre named after the folder. It opens no file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kapelle.data.split import FEWEST_GROUPS, group_key
from kapelle.errors import Missing
from kapelle.score.folders import MIDI_SUFFIXES

FEW_FILES = 100
"""With fewer, shares of a few in a hundred would hold out a piece or two: 15 in a hundred go to validation, none to a test."""


NO_GENRES = ("roll", "theme", "fragments")
"""Codecs whose sources have no genre."""


@dataclass(frozen=True)
class Music:
    """Music of the user's.

    Args:
        folder: Where it is.
        rows: folder, genre and group of every source.
        n_files: MIDI files in all of them.
    """

    folder: Path
    rows: tuple[dict[str, str], ...]
    n_files: int

    @property
    def genres(self) -> tuple[str, ...]:
        """The genres, each once."""
        return tuple(dict.fromkeys(row["genre"] for row in self.rows))

    def as_one(self) -> Music:
        """The same as one genre, named after the folder."""
        name = plain(self.folder.resolve().name)
        return replace(self, rows=tuple({**row, "genre": name} for row in self.rows))

    def overrides(self, codec: str, *, genres: bool) -> tuple[str, ...]:
        """What changes in a recipe of the codec: sources, shares, and no licence, which was that of other music; `genres`: tokens too."""
        few = self.n_files < FEW_FILES
        rows = [{key: value for key, value in row.items() if key != "genre"} for row in self.rows] if codec in NO_GENRES else self.rows
        if codec in ("theme", "fragments"):
            rows = [{**row, "melody": "found"} for row in rows]
        words = [f"data.sources={toml(rows)}", 'licence=""']
        if codec == "remi" and genres:
            words.append(f"tokenizer.genres={toml(self.genres)}")
        if codec == "chords":  # its symbols are those of the music itself; a composer's token would be of other music
            words += ["tokenizer.composers=[]", *([f"tokenizer.min_count={max(2, self.n_files)}"] if few else [])]
        return (*words, *(("data.validation=0.15", "data.test=0.0") if few else ()))


def own_music(folder: Path, known: list[str]) -> Music | None:
    """The music in `folder`; None if that holds one of the `known` sources, which a recipe reads as it is.

    Args:
        folder: With MIDI files, or with a folder of them for each genre.
        known: The folders that the recipe names.

    Raises:
        Missing: There is no such folder, or no MIDI in it.
    """
    if not folder.is_dir():
        raise Missing("no folder {folder}", folder=folder, hint="check the name and the folder")
    if any((folder / name).is_dir() for name in known):
        return None
    if any(_is_midi(path) for path in folder.iterdir()):
        places = {".": folder}
    else:
        places = {place.name: place for place in sorted(folder.iterdir()) if place.is_dir()}
    found = {name: files for name, place in places.items() if (files := _midi_in(place))}
    if not found:
        raise Missing("no MIDI files in {folder}", folder=folder, hint="put them there, or in one folder for each genre")
    rows = tuple({"folder": name, "genre": _genre(places[name]), "group": _group(places[name], files)} for name, files in found.items())
    return Music(folder, rows, sum(map(len, found.values())))


def plain(name: str) -> str:
    """A name as tokens and bundles have them: lower-case words joined by hyphens."""
    return "-".join(re.findall(r"[a-z0-9]+", name.lower())) or "own"


def toml(value: Any) -> str:
    """A plain value as TOML writes it on one line."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key} = {toml(item)}' for key, item in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)


def _genre(place: Path) -> str:
    return plain(place.resolve().name)


def _group(place: Path, files: list[Path]) -> str:
    """Whether files of one parent folder must stay together: folders of artists, where there are enough of them to hold some out."""
    artists = {group_key(path.parent.name) for path in files}
    return "path" if any(path.parent == place for path in files) or len(artists) < FEWEST_GROUPS else "parent"


def _midi_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if _is_midi(path)]


def _is_midi(path: Path) -> bool:
    return path.suffix.lower() in MIDI_SUFFIXES and path.is_file()
