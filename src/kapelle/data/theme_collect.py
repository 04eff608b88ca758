"""Songs, one after the other, to theme shards and their report.

Takes results of `theme_songs.song` in a fixed order and an embedding of fragments; finds the theme of each song and where it recurs, and
makes ids of it. Equal songs are kept once, the first one. A song whose melody never comes back is left out. Named songs go to the part
that names them, the others are dealt by `split.assign`.

What training's encoder hears of a song stands after it among the ids: its first region, with whatever rings over the end of that, without
Tempo.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle import config
from kapelle.data import theme_shards, themes
from kapelle.data.cleaning import read_all
from kapelle.data.ledger import Ledger, in_parts
from kapelle.data.split import PARTS, TEST, VALIDATION, assign
from kapelle.data.storage import writing
from kapelle.data.theme_shards import SONG, WINDOW
from kapelle.data.theme_songs import ThemeReading, ThemeSong
from kapelle.errors import Missing
from kapelle.tokens import theme, vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from kapelle.data.cleaning import File
    from kapelle.data.recipe import ThemePreparation, ThemeSection, ThemeSource
    from kapelle.data.themes import Embed

LOWEST, HIGHEST = 1, 126
"""Pitches that no transposition leaves."""


@dataclass(frozen=True)
class Told:
    """A song as ids.

    Args:
        file: Where it is from.
        song: Its notes.
        regions: The bars in which its theme sounds, the first ones first.
        ids: (T,) of the song.
        labels: (T,) see `theme_shards`.
        theme: What the encoder hears.
    """

    file: File
    song: ThemeSong
    regions: list[tuple[int, int]]
    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    theme: NDArray[np.int64]


class ThemeCollector:
    """Gathers songs into the arrays of the theme shards."""

    def __init__(self, preparation: ThemePreparation, embed: Embed | None) -> None:
        if embed is None:
            raise Missing(
                "themes are found by an encoder of melodies, and none was given", hint="pass embed, as `kapelle.api.prepare` does"
            )
        self.preparation, self.embed = preparation, embed
        self.words = theme.vocabulary(preparation.tokenizer.mode)
        self.where = theme.layout(self.words)
        self.songs: list[Told] = []
        self.ledger = Ledger()
        self.lost = Counter[str]()  # notes
        self.known: set[bytes] = set()

    def collect(self, files: Sequence[File], cache: Path, processes: int, progress: Callable[[int, int], None]) -> None:
        """Read all files, find their themes, tell the progress, and refuse if none is fit."""
        sections = self.preparation
        reading = ThemeReading(sections.tokenizer, sections.preprocessing, sections.data.sources)
        with closing(read_all(files, reading, cache, processes)) as results:
            self.ledger.take_all(results, len(files), self._take, progress)
        self.parts = dealt([one.file for one in self.songs], sections.data)

    def _take(self, file: File, song: ThemeSong) -> str:
        """Keep a song as ids with its theme, or tell why it is left out. A song that has none does not make its equals known."""
        digest = hashlib.sha256(song.melody.tobytes() + b"|" + song.piano.tobytes()).digest()
        if digest in self.known:
            return "the same as another song"
        rules, spec = self.preparation.preprocessing, self.preparation.tokenizer
        found = themes.find(song.melody, song.n_bars, self.embed, eps=rules.eps or themes.EPS)
        if found is None:
            return "no theme: no two bars of the melody come back"
        made = theme.encode(song.score, spec, found.regions, n_bars=song.n_bars)
        heard = self._heard(made.ids)
        if len(heard) > rules.context_len:
            return "its theme is longer than the context"
        self.known.add(digest)
        self.lost.update(song.lost)
        self.lost.update({name: made.lost[name] for name in ("pitches", "resized", "softened")})
        self.songs.append(Told(file, song, found.regions, made.ids, made.labels, heard))
        return ""

    def _heard(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The first region of a song's ids, without Tempo."""
        first = int(np.flatnonzero(ids == self.where.theme_start)[0])
        stop = int(np.flatnonzero(ids == self.where.theme_end)[0]) + 1
        return ids[first:stop][~self.words.mask(["Tempo"])[ids[first:stop]]]

    def write(self, out: Path) -> dict[str, Any]:
        """Write the shards, and return what ``shards.json`` says."""
        arrays = self.arrays()
        with writing(out):
            out.mkdir(parents=True, exist_ok=True)
            spec = config.plain(self.preparation.tokenizer)
            vocabulary.save(self.words, out / "tokenizer.json", {"codec": theme_shards.CODEC, "spec": spec})
        return theme_shards.write(out, self.info(arrays), arrays)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of `theme_shards.ARRAYS`."""
        rules = self.preparation.preprocessing
        marks = (self.where.theme_start, self.where.theme_end) if rules.windows == "themes" else None
        songs, windows = np.zeros(len(self.songs), SONG), []
        at = 0
        for place, (one, part) in enumerate(zip(self.songs, self.parts, strict=True)):
            stop = at + len(one.ids)
            pitches = np.concatenate([one.song.melody["pitch"], one.song.piano["pitch"]])
            down, up = min(0, LOWEST - int(pitches.min())), max(0, HIGHEST - int(pitches.max()))
            n_notes = int((self.words.mask(_note_kinds(self.words))[one.ids]).sum())
            songs[place] = (at, stop, stop, stop + len(one.theme), n_notes, one.song.n_bars, part, one.file.source, down, up)
            windows += [(place, at + a, at + b) for a, b in theme_shards.cut(one.ids, rules.context_len, marks)]
            at = stop + len(one.theme)
        rows = [part for one in self.songs for part in (one.ids, one.theme)]
        labels = [part for one in self.songs for part in (one.labels, theme.labels_of(one.theme, self.words))]
        return {
            "ids": np.concatenate(rows).astype(np.uint16),
            "labels": np.concatenate(labels).astype(np.uint16),
            "songs": songs,
            "windows": np.array(windows, WINDOW),
        }

    def files_under(self, folder: Path) -> list[dict[str, str]]:
        """Every file by its name below `folder`, with the part it went to or why it was left out."""
        return self.ledger.files_under(folder, in_parts(self.parts))

    def info(self, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
        """What `shards.json` says."""
        data, spec, rules = self.preparation.data, self.preparation.tokenizer, self.preparation.preprocessing
        songs, windows = arrays["songs"], arrays["windows"]
        pitches = [[int(ids[0]), int(ids[-1]) + 1] for ids in map(self.words.ids, _note_kinds(self.words))]
        counts = Counter((int(song["source"]), int(song["part"])) for song in songs)
        named = {one.file.path.stem for one in self.songs}
        return {
            "format": 1,
            "mode": spec.mode, "vocabulary": len(self.words), "pad": 0, "context_len": rules.context_len,
            "pitch_ids": pitches, "note_ids": pitches, "normalised_key": spec.normalise_key,
            "theme_start": self.where.theme_start, "theme_end": self.where.theme_end, "bar": self.where.bar,
            "theme_bars": themes.BARS, "eps": rules.eps or themes.EPS,
            "files": self.ledger.seen, "kept": len(songs),
            "songs": len(songs), "windows": len(windows), "tokens": int((songs["stop"] - songs["start"]).sum()),
            "notes": int(songs["n_notes"].sum()), "bars": int(songs["n_bars"].sum()),
            "parts": {
                name: {"songs": self.parts.count(p), "windows": int((songs["part"][windows["song"]] == p).sum())}
                for p, name in enumerate(PARTS)
            },
            "pieces": {
                source.folder: {name: counts[s, p] for p, name in enumerate(PARTS)} for s, source in enumerate(data.sources)
            },
            "statistics": statistics(self.songs),
            "dropped": self.ledger.dropped(),
            "notes_changed": dict(sorted(self.lost.items())),
            "named_but_left_out": {
                source.folder: [name for name in (*source.test, *source.validation) if name not in named] for source in data.sources
            },
            "sources": [
                {
                    **config.plain(source), "name": source.folder, "files": self.ledger.files[s],
                    "kept": sum(counts[s, p] for p in range(len(PARTS))),
                    "songs": {name: counts[s, p] for p, name in enumerate(PARTS)},
                }
                for s, source in enumerate(data.sources)
            ],
        }  # fmt: skip


def dealt(files: Sequence[File], data: ThemeSection) -> list[int]:
    """The part of every file: that for which its source names it, or its share of those that are not named."""
    parts = [_named(file, data.sources[file.source]) for file in files]
    rest = [place for place, part in enumerate(parts) if part < 0]
    groups = [(data.sources[file.source].folder, file.group) for file in files]
    for place, part in zip(rest, assign([groups[place] for place in rest], data.validation, data.test), strict=True):
        parts[place] = part
    return parts


def _named(file: File, source: ThemeSource) -> int:
    """The part for which a source names a file; -1: none."""
    if file.path.stem in source.test:
        return TEST
    return VALIDATION if file.path.stem in source.validation else -1


def statistics(songs: Sequence[Told]) -> dict[str, float]:
    """What songs are like, on average: lengths in bars and tokens, how much of them is theme, how far apart its regions are.

    Args:
        songs: At least one.
    """
    n, bars = len(songs), sum(one.song.n_bars for one in songs)
    tokens, inside = sum(len(one.ids) for one in songs), sum(int((one.labels > 0).sum()) for one in songs)
    regions = [one.regions for one in songs]
    gaps = [later[0] - earlier[1] for own in regions for earlier, later in pairwise(own)]
    n_themes = sum(map(len, regions))
    figures = {
        "bars_per_song": bars / n,
        "tokens_per_song": tokens / n,
        "tokens_per_bar": tokens / bars,
        "theme_percent": 100 * inside / tokens,
        "regions_per_song": n_themes / n,
        "tokens_per_theme": sum(len(one.theme) for one in songs) / n,
        "tokens_per_region": inside / n_themes + 1,
        "bars_between_regions": float(np.mean(gaps)) if gaps else 0.0,
        "first_region_bar": sum(own[0][0] for own in regions) / n,
    }
    return {name: round(value, 3) for name, value in figures.items()}


def _note_kinds(words: vocabulary.Vocabulary) -> list[str]:
    return [kind for kind in words.kinds if kind.startswith("Note-On-")]
