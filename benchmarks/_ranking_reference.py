"""Makes src/kapelle/judging/reference.npz: for every model, where the music that it learned from lies, and how surprising music is to it.

The training part of its shards says where music lies; the validation part, which chose weights but taught nothing, how surprising it is.
What shards hold is music as the model could have written it. Pieces are cut to 16 bars.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from _ranking_measured import BARS, cropped
from rich.console import Console
from rich.progress import Progress

from kapelle.bundles import load
from kapelle.classifiers import midi_features
from kapelle.data import shards as shard_files
from kapelle.data.split import PARTS
from kapelle.errors import KapelleError
from kapelle.judging import likelihood, outliers, reference, training_music
from kapelle.judging.reference import Reference
from kapelle.score import edit, units
from kapelle.workers import Workers

if TYPE_CHECKING:
    from symusic import Score

MOST = 400
"""Pieces of a part, taken evenly."""

EXCERPTS = 4
"""Of a piece, for bits per note."""

PLACE = Path(reference.__file__).with_name(reference.FILE)


def main(options: argparse.Namespace) -> int:
    """Make it."""
    found: dict[str, Reference] = {}
    with Progress(console=Console(stderr=True)) as progress:
        for pair in options.shards:
            names, _, folder = pair.partition("=")
            task = progress.add_task(names)

            def moved(done: int, total: int, task: object = task) -> None:
                progress.update(task, completed=done, total=total)  # type: ignore[arg-type]

            music = _middle(Path(folder), moved)
            for name in names.split(","):
                found[name] = Reference(music, _bits(name, Path(folder), moved))
                print(name, music.groups, music.typical.round(2).tolist(), found[name].bits_per_note, file=sys.stderr)
    place = options.output or PLACE
    reference.write(found, place)
    print(place, place.stat().st_size)
    return 0


def _pieces(folder: Path, part: str, *, whole: bool = False) -> Iterator[tuple[Score, str]]:
    """Scores of a part, at most `MOST` evenly over it, cut to 16 bars, each with its genre; no genre where the shards have none."""
    music = training_music.opened(folder)
    genres = _genres(folder, part)
    wanted = set(np.linspace(0, music.count(part) - 1, min(MOST, music.count(part))).astype(int).tolist())
    for place, (_, score) in enumerate(music.pieces(part)):
        if place in wanted and any(len(track.notes) for track in score.tracks if not track.is_drum):
            yield score if whole else cropped(score), genres[place] if genres else ""


def _genres(folder: Path, part: str) -> list[str]:
    """The genre of every piece of a part of token shards, in the order in which `training_music` gives them; empty for others."""
    try:
        held = shard_files.read(folder)
    except KapelleError:
        return []
    digests = [digest.decode() for digest in held.digests.tolist()]
    first = {digest: place for place, digest in reversed(list(enumerate(digests)))}
    places = sorted(place for place in first.values() if PARTS[int(held.pieces["part"][place])] == part)
    return [held.genres[int(held.pieces["genre"][place])] for place in places]


def _middle(folder: Path, moved: object) -> outliers.Middle:
    rows, labels = [], []
    for score, genre in _pieces(folder, "train"):
        try:
            rows.append(midi_features.features(score))
        except KapelleError:
            continue
        labels.append(genre)
        moved(len(rows), MOST)  # type: ignore[operator]
    return outliers.fit(np.stack(rows), labels, midi_features.NAMES)


def _bits(name: str, folder: Path, moved: object) -> dict[str, tuple[float, float]]:
    """Mean and deviation of bits per note by genre, and over all; nothing for a model that does not foretell."""
    bundle = load.load(name)
    if not likelihood.foretells(bundle):
        return {}
    pieces = [(part, genre) for score, genre in _pieces(folder, "validation", whole=True) for part in _excerpts(score)]
    found: dict[str, list[float]] = {"": []}
    values = Workers(1).map(partial(_bits_of, name), pieces, moved)  # type: ignore[arg-type]
    for (_, genre), value in zip(pieces, values, strict=True):
        if np.isfinite(value):
            for key in {"", genre}:
                found.setdefault(key, []).append(value)
    return {key: (float(np.mean(own)), float(np.std(own))) for key, own in found.items() if len(own) >= outliers.FEWEST}


def _excerpts(score: Score) -> Iterator[Score]:
    """Neighbouring excerpts of 16 bars, some evenly over the piece where there are more."""
    n_bars = max(units.n_bars(score), BARS)
    firsts = np.arange(0, n_bars - BARS + 1, BARS)
    for first in firsts[np.unique(np.linspace(0, len(firsts) - 1, EXCERPTS).astype(int))].tolist():
        excerpt = edit.crop_bars(score, first, BARS)
        if any(len(track.notes) for track in excerpt.tracks if not track.is_drum):
            yield excerpt


def _bits_of(name: str, job: tuple[Score, str]) -> float:
    try:
        return likelihood.likelihood(job[0], load.load(name), job[1]).bits_per_note
    except KapelleError:
        return float("nan")
