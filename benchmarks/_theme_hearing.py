"""Does a network hear its theme: what real returns of a theme cost it in bits, told the song's own theme and told another one.

Takes a bundle of codec theme and shards of the same vocabulary. Every region of a song but the first is read with what stands before it in
the song, as far as the network reaches; only the ids inside the region count. Nothing is drawn and no rule of composing takes part.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapelle.bundles import load
from kapelle.bundles.session import Translator
from kapelle.data import theme_shards
from kapelle.errors import UsageError

Floats = NDArray[np.float64]


def bits(name: str | Path, folder: Path, part: str = "test", n_songs: int = 0) -> Floats:
    """(S, 2) bits per id of the returns of each song: told its own theme, and told that of another song; NaN for a song of one region.

    Raises:
        UsageError: The bundle and the shards are of different vocabularies.
    """
    bundle, shards = load.load(load.find(name)), theme_shards.read(folder)
    if int(bundle.manifest.options.get("vocabulary", -1)) != shards.vocabulary_size:
        raise UsageError("{name} and the shards {path} are of different vocabularies", name=bundle.name, path=folder)
    session = Translator(bundle)
    rows = shards.songs[shards.songs_of(part)][: n_songs or None]
    themes = [shards.ids[row["theme_start"] : row["theme_stop"]].astype(np.int64) for row in rows]
    others = np.roll(np.arange(len(rows)), max(len(rows) // 2, 1))
    return np.array([[_of_song(session, shards, row, themes[one]) for one in (i, others[i])] for i, row in enumerate(rows)])


def _of_song(session: Translator, shards: theme_shards.ThemeShards, song: Any, theme: NDArray[np.int64]) -> float:
    """Bits per id of the returns in a song, told `theme`."""
    start, stop = int(song["start"]), int(song["stop"])
    ids = shards.ids[start:stop].astype(np.int64)
    labels = shards.labels[start:stop].astype(np.int64)
    begins = np.flatnonzero(ids == int(shards.info["theme_start"]))[1:]
    ends = np.flatnonzero(ids == int(shards.info["theme_end"]))[1:]
    total, count = 0.0, 0
    for first, last in zip(begins, ends, strict=True):
        window = slice(max(0, int(last) + 1 - int(session.context or len(ids))), int(last))
        session.encode({"theme": theme[None]})
        logits = session.score({"ids": ids[window], "theme": labels[window]}).astype(np.float64)  # (T, V)
        places = np.arange(max(int(first), window.start), int(last))
        rows = logits[places - window.start]
        chances = rows - np.logaddexp.reduce(rows, axis=1, keepdims=True)
        total -= float(chances[np.arange(len(places)), ids[places + 1]].sum()) / np.log(2)
        count += len(places)
    return total / count if count else float("nan")
