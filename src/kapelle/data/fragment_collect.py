"""Songs, one after the other, to fragment shards and their report: what an encoder of melodies learns from.

Takes results of `theme_songs.song` in a fixed order, keeps their melodies alone, and notes where every fragment of two bars stands. Equal
melodies are kept once, the first one. Parts are dealt as for themes: named songs to the part that names them, the others by shares.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle import config
from kapelle.config import setting
from kapelle.data import fragment_shards, themes
from kapelle.data.cleaning import read_all
from kapelle.data.fragment_shards import FRAGMENT, NOTE
from kapelle.data.ledger import Ledger, in_parts
from kapelle.data.split import PARTS
from kapelle.data.theme_collect import dealt
from kapelle.data.theme_songs import ThemeReading, ThemeRules, ThemeSong
from kapelle.score.keys import parse_key
from kapelle.tokens.theme import ThemeSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from kapelle.data.cleaning import File
    from kapelle.data.recipe import FragmentPreparation


@dataclass(frozen=True)
class FragmentSpec:
    """The [tokenizer] section of a recipe of codec ``fragments``: what a fragment is."""

    hop: int = setting(1, help="bars from one fragment to the next", min=1, max=2)
    min_notes: int = setting(4, help="fragments with fewer notes are left out", min=1)


@dataclass(frozen=True)
class FragmentRules:
    """The [preprocessing] section: what a song must be."""

    min_bars: int = setting(16, help="songs with fewer bars from the melody's first to its last are left out", min=4)
    max_off_grid: float = setting(0.4, help="songs with a larger share of notes far from the grid are left out", min=0.0, max=1.0)
    one_key: bool = setting(True, help="leave out songs that modulate, where key signatures tell")


class FragmentCollector:
    """Gathers melodies into the arrays of the fragment shards."""

    def __init__(self, preparation: FragmentPreparation) -> None:
        self.preparation = preparation
        self.songs: list[tuple[File, ThemeSong]] = []
        self.ledger = Ledger()

    def collect(self, files: Sequence[File], cache: Path, processes: int, progress: Callable[[int, int], None]) -> None:
        """Read all files, tell the progress, and refuse if none is fit."""
        data, own = self.preparation.data, self.preparation.preprocessing
        rules = ThemeRules(min_bars=own.min_bars, max_off_grid=own.max_off_grid, one_key=own.one_key)
        reading = ThemeReading(ThemeSpec(normalise_key=False), rules, data.sources)
        with closing(read_all(files, reading, cache, processes)) as results:
            self.ledger.take_all(results, len(files), self._take, progress)
        self.parts = dealt([file for file, _ in self.songs], data)

    def _take(self, file: File, song: ThemeSong) -> str:
        if not self.ledger.is_new(song.melody.tobytes()):
            return "the same as another song"
        self.songs.append((file, song))
        return ""

    def write(self, out: Path) -> dict[str, Any]:
        """Write the shards, and return what ``shards.json`` says."""
        arrays = self.arrays()
        return fragment_shards.write(out, self.info(arrays), arrays)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of `fragment_shards.ARRAYS`."""
        spec, rows, at = self.preparation.tokenizer, [], 0
        for number, ((file, song), part) in enumerate(zip(self.songs, self.parts, strict=True)):
            key = parse_key(song.key)
            tonic = (key if key.mode == "major" else key.relative).tonic
            for one in themes.fragments(song.melody, song.n_bars, hop=spec.hop):
                if len(one.notes) >= spec.min_notes:
                    first = at + int(np.searchsorted(song.melody["start"], one.bar * themes.STEPS_PER_BAR))
                    rows.append((first, first + len(one.notes), number, one.bar, part, file.source, tonic))
            at += len(song.melody)
        return {"notes": np.concatenate([song.melody for _, song in self.songs]).astype(NOTE), "fragments": np.array(rows, FRAGMENT)}

    def files_under(self, folder: Path) -> list[dict[str, str]]:
        """Every file by its name below `folder`, with the part it went to or why it was left out."""
        return self.ledger.files_under(folder, in_parts(self.parts))

    def info(self, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
        """What `shards.json` says."""
        data, table = self.preparation.data, arrays["fragments"]
        songs = Counter((file.source, part) for (file, _), part in zip(self.songs, self.parts, strict=True))
        names = {file.path.stem for file, _ in self.songs}
        return {
            "format": 1,
            "sizes": themes.SIZES, "fragment_bars": themes.BARS, "hop": self.preparation.tokenizer.hop,
            "min_notes": self.preparation.tokenizer.min_notes,
            "files": self.ledger.seen, "kept": len(self.songs), "notes": len(arrays["notes"]), "fragments": len(table),
            "parts": {
                name: {"songs": self.parts.count(p), "fragments": int((table["part"] == p).sum())} for p, name in enumerate(PARTS)
            },
            "pieces": {source.folder: {name: songs[s, p] for p, name in enumerate(PARTS)} for s, source in enumerate(data.sources)},
            "dropped": self.ledger.dropped(),
            "named_but_left_out": {
                source.folder: [name for name in (*source.test, *source.validation) if name not in names] for source in data.sources
            },
            "sources": [
                {
                    **config.plain(source), "name": source.folder, "files": self.ledger.files[s],
                    "kept": sum(songs[s, p] for p in range(len(PARTS))),
                }
                for s, source in enumerate(data.sources)
            ],
        }  # fmt: skip
