"""What the benchmarks of themes share: songs of theme shards with their themes, pieces developed on them, what is measured of both.

A song's theme is the first region that its shards mark, two bars of melody and piano; a model gets it as a MIDI file in the key of the
shards and gives a piece, whose regions are read back from the markers of the written bytes. Real songs are measured as they stand there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import symusic
from numpy.typing import NDArray

import kapelle
from kapelle.data import theme_shards
from kapelle.metrics import theme as metrics
from kapelle.metrics.degenerate import degeneracy
from kapelle.score import edit, keys, units
from kapelle.score.marks import bars_of, marks_of
from kapelle.score.melody import melody_notes
from kapelle.score.write import to_bytes
from kapelle.tokens import theme as tokens

LABEL = "theme"
"""Of the markers of regions."""

ALONE = {"likeness": 0.0}
"""Setting with which composing leaves returns to the network, and gives the theme's own notes no weight beside."""

Floats = NDArray[np.float64]
Region = tuple[int, int]


@dataclass(frozen=True)
class Music:
    """A real song, or a piece that a model made.

    Args:
        name: Of the song; of the song whose theme it develops.
        score: Tracks MELODY and PIANO, in 4/4.
        regions: (first bar, end bar) that are marked as theme.
        n_bars: Its length.
        condition: The melody of its theme, in phrases of two bars.
        real: It is the song itself: its first region is the condition.
        facts: How it came about.
    """

    name: str
    score: symusic.Score = field(repr=False)
    regions: tuple[Region, ...]
    n_bars: int
    condition: tuple[metrics.Melody, ...] = field(repr=False)
    real: bool = False
    facts: dict[str, Any] = field(default_factory=dict, repr=False)

    def parts(self) -> metrics.Parts:
        """Its melody, cut into what is marked and what is not."""
        return metrics.parts(
            melody_notes(self.score), self.regions, self.n_bars, n_phrases=len(self.condition), first_is_condition=self.real
        )

    def theme(self) -> bytes:
        """The first region as a MIDI file, melody and piano, for a model to develop."""
        first, end = self.regions[0]
        out = edit.crop_bars(self.score, first, end - first)
        out.markers = []
        minor = keys.estimate_key(self.score).mode == "minor"  # of two bars alone it would be a guess
        out.key_signatures = [symusic.KeySignature(0, 0, int(minor))]
        return to_bytes(out)


# --- songs ----------------------------------------------------------------------------------------------------------------


def songs(folder: Path, part: str) -> list[Music]:
    """The songs of a part of theme shards."""
    shards = theme_shards.read(folder)
    spec = tokens.ThemeSpec(shards.info["mode"], shards.info["normalised_key"])
    names = _names(folder, len(shards.songs))
    out = []
    for place in shards.songs_of(part):
        song = shards.songs[place]
        decoded = tokens.decode(shards.ids[song["start"] : song["stop"]].tolist(), spec)
        first, end = decoded.regions[0]
        condition = (metrics.cut(melody_notes(decoded.score), first, end),)
        out.append(Music(names[place], decoded.score, decoded.regions, decoded.n_bars, condition, real=True))
    return out


def _names(folder: Path, n: int) -> list[str]:
    """What the songs are called: the stems of their files, where the shards keep a list of these."""
    path = folder / "files.json"
    rows = [row["file"] for row in json.loads(path.read_text(encoding="utf-8")) if "part" in row] if path.is_file() else []
    return [Path(name).stem for name in rows] if len(rows) == n else [str(number) for number in range(n)]


# --- pieces ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wish:
    """A piece to be made.

    Args:
        name: Of the song whose theme it is.
        theme: A MIDI file.
        model: Bundle.
        bars: Its length.
        seed: Of it.
        settings: What else is asked for.
    """

    name: str
    theme: bytes = field(repr=False)
    model: str
    bars: int
    seed: int
    settings: tuple[tuple[str, Any], ...] = ()


def wishes(themes: Sequence[Music], model: str, bars: Sequence[int], count: int, **settings: Any) -> list[Wish]:
    """`count` pieces: the themes in turn, each turn with the next length and other seeds; settings as of `kapelle.develop`."""
    files = [music.theme() for music in themes]
    n, told = len(files), tuple(settings.items())
    return [Wish(themes[i % n].name, files[i % n], model, bars[(i // n + i % n) % len(bars)], i, told) for i in range(count)]


def develop(wish: Wish) -> dict[str, Any]:
    """The written bytes and what the report says."""
    piece = kapelle.develop(wish.theme, model=wish.model, bars=wish.bars, seed=wish.seed, **dict(wish.settings))
    report = piece.report
    return {
        "midi": piece.to_midi(), "attempts": report.attempts, "failures": list(report.first_failures), "problems": list(report.problems),
        "dropped": report.dropped, "tokens": getattr(report, "n_tokens", None),
    }  # fmt: skip


def in_processes(job: Callable[[Any], Any], todo: Sequence[Any], processes: int) -> Iterator[Any]:
    """`job` of each, in order."""
    if processes <= 1:
        yield from map(job, todo)
        return
    with ProcessPoolExecutor(min(processes, max(len(todo), 1)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(job, todo)


def read_back(wish: Wish, made: dict[str, Any], condition: tuple[metrics.Melody, ...]) -> Music:
    """The piece in its written bytes."""
    score = kapelle.read_midi(made["midi"])
    return Music(wish.name, music_tracks(score), regions_of(score), wish.bars, condition, facts=made)


def regions_of(score: symusic.Score) -> tuple[Region, ...]:
    """The bars that the markers of a file call theme."""
    return tuple(bars_of(score, mark) for mark in marks_of(score) if mark.label == LABEL)


def music_tracks(score: symusic.Score) -> symusic.Score:
    """A score without its theme track."""
    out = score.copy()
    out.tracks = [track for track in out.tracks if track.name.strip().casefold() != tokens.THEME_TRACK.casefold()]
    return out


def made(themes: Sequence[Music], model: str, bars: int, *, processes: int = 2, **settings: Any) -> list[Music]:
    """A piece of `bars` bars on each theme; settings as of `kapelle.develop`."""
    conditions = {music.name: music.condition for music in themes}
    todo = wishes(themes, model, (bars,), len(themes), **settings)
    return [read_back(wish, one, conditions[wish.name]) for wish, one in zip(todo, in_processes(develop, todo, processes), strict=True)]


def bridged(count: int, bars: int, *, processes: int = 2) -> list[Music]:
    """Pieces of `bars` bars that a band begins, of the seeds from 0 on; the condition of each is what it took from the band."""
    todo = [(bars, seed) for seed in range(count)]
    out = []
    for (_, seed), one in zip(todo, in_processes(bridge, todo, processes), strict=True):
        score, theme = kapelle.read_midi(one["midi"]), kapelle.read_midi(one["theme"])
        condition = tuple(metrics.phrases_of(melody_notes(theme), units.n_bars(theme)))
        out.append(Music(f"band {seed}", music_tracks(score), regions_of(score), bars, condition, facts=one))
    return out


def bridge(wish: tuple[int, int]) -> dict[str, Any]:
    """The written bytes of a piece of the bridge, and the theme that its band gave."""
    from kapelle.composing.bridge import Options, opening

    bars, seed = wish
    piece = kapelle.compose(model="bridge", bars=bars, seed=seed)
    given = opening(piece.request, Options(), lambda: False)
    while True:
        try:
            next(given)
        except StopIteration as done:
            return {"midi": piece.to_midi(), "theme": done.value.data, "attempts": piece.report.attempts}


# --- measuring ------------------------------------------------------------------------------------------------------------


def embed() -> metrics.Embed:
    """The shipped encoder of melodies, as metrics take it."""
    from kapelle.composing.embedding import embedder
    from kapelle.data.themes import Fragment

    own = embedder()
    return lambda melodies: own([Fragment(0, melody) for melody in melodies])


def compares(embedding: metrics.Embed) -> dict[str, metrics.Compare]:
    """Both distances by name."""
    return {"embedding": metrics.by_embedding(embedding), "notes": metrics.by_notes}


def figures(music: Music, embedding: metrics.Embed) -> dict[str, float]:
    """The six metrics of one piece or song, the groove on the finer grid and corrected, and how much of it is theme."""
    marked = sum(end - first for first, end in music.regions)
    return {
        **metrics.measure(music.score, music.regions, music.condition, embedding, first_is_condition=music.real),
        "grooving_consistency_48": metrics.grooving_consistency(music.score, steps=metrics.FINE_STEPS),
        "grooving_consistency_corrected": metrics.grooving_consistency(music.score, corrected=True),
        "regions": float(len(music.regions)),
        "share_marked": marked / max(music.n_bars, 1),
        "notes_per_bar": sum(len(track.notes) for track in music.score.tracks) / max(music.n_bars, 1),
    }


def means(rows: Iterable[dict[str, float]]) -> dict[str, float]:
    """The mean of every figure over those that have it; NaN if none has."""
    held = list(rows)
    return {key: _mean([row[key] for row in held]) for key in (held[0] if held else ())}


def deviations(rows: Iterable[dict[str, float]]) -> dict[str, float]:
    """The standard deviation of every figure over those that have it."""
    held = list(rows)
    return {key: float(np.nanstd([row[key] for row in held])) for key in (held[0] if held else ())}


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")


def cropped(music: Music, n_bars: int) -> Music:
    """As many bars of a song as pieces have, from its theme on: else a long song has other gaps and more to compare."""
    first = music.regions[0][0]
    first = max(min(first, music.n_bars - n_bars), 0)
    stop = min(first + n_bars, music.n_bars)
    inside = tuple((a - first, b - first) for a, b in music.regions if first <= a and b <= stop)
    return replace(music, score=edit.crop_bars(music.score, first, stop - first), regions=inside, n_bars=stop - first)


def is_degenerate(music: Music) -> tuple[str, ...]:
    """What is wrong with it."""
    return degeneracy(music.score, music.n_bars).reasons
