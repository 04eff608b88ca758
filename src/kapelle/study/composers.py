"""Whoever fills the cells of a study, in any process: bundles held in memory, pieces composed, files of music taken as they are.

Takes requests and files, gives pieces. A bundle is known by its folder and its hash, so that what is held is never another one.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kapelle import composing, workers
from kapelle.bundles import load
from kapelle.composing.events import Done
from kapelle.errors import BundleError, CannotObey, Interrupted, UsageError
from kapelle.score import edit, units
from kapelle.score.folders import files_in
from kapelle.score.read import read
from kapelle.score.write import to_bytes
from kapelle.study.cell import Music, Nothing

if TYPE_CHECKING:
    from kapelle.bundles.load import Bundle
    from kapelle.composing.piece import Piece
    from kapelle.composing.request import ComposeRequest

HELD = 16
LONGEST_LABEL = 60


@lru_cache(maxsize=HELD)
def held(path: Path, digest: str) -> Bundle:
    """The bundle of a folder, read once in each process.

    Raises:
        BundleError: It has changed since the study was planned.
    """
    bundle = load.load(path)
    if bundle.hash != digest:
        raise BundleError("{path} has changed since the study began", path=path, hint="begin again when nobody writes to it")
    return bundle


@dataclass(frozen=True)
class Composer:
    """A model that is asked for a piece.

    Args:
        label: What it is called in the study.
        wish: What is asked; its seed is that of the cell.
        path: Of its bundle.
        digest: Of its bundle.
        first_try: The first attempt is taken as it is.
    """

    label: str
    wish: ComposeRequest
    path: Path
    digest: str
    first_try: bool = False

    def piece(self, seed: int, number: int) -> Piece | Music | Nothing:
        """The piece of a seed, which is the seed number `number` of the study."""
        del number
        bundle, wish = held(self.path, self.digest), replace(self.wish, seed=seed, count=1)
        way = composing.way_of(bundle.manifest.codec, wish.model)
        more = {"most_attempts": 1} if self.first_try else {}
        events = way.compose(bundle, wish, composing.options_of(way, wish.options), workers.stopped, **more)
        for event in events:
            if isinstance(event, Done):
                return event.piece
        raise Interrupted("composing ended without a piece")


def composer(wish: ComposeRequest, bundle: Bundle, label: str = "", *, first_try: bool = False) -> Composer:
    """The model of a request.

    Args:
        wish: What is asked of it.
        bundle: Its bundle.
        label: What it is called; the name of the bundle if empty, or of the combination.
        first_try: Take the first attempt as it is.

    Raises:
        CannotObey: First tries cannot be had of it.
    """
    if first_try and "most_attempts" not in inspect.signature(composing.way_of(bundle.manifest.codec, wish.model).compose).parameters:
        raise CannotObey("first tries cannot be had of {name}", name=bundle.name, hint="bands and theme can be studied so")
    name = wish.model if wish.model in composing.COMBINED else bundle.path.name
    return Composer(label or name, wish, bundle.path, bundle.hash, first_try)


@dataclass(frozen=True)
class Library:
    """A folder of music that is there already, such as real music beside the models.

    Args:
        label: What it is called in the study.
        files: In the order in which they are taken.
        digest: Of their names and contents.
        n_bars: Of each, from its beginning; 0: all of it.
    """

    label: str
    files: tuple[Path, ...]
    digest: str
    n_bars: int = 0

    def piece(self, seed: int, number: int) -> Piece | Music | Nothing:
        """The file number `number`, or nothing if there are not so many."""
        del seed
        if number >= len(self.files):
            return Nothing("the folder has no more files")
        score = read(self.files[number])
        if self.n_bars:
            score = edit.crop_bars(score, 0, min(self.n_bars, max(units.n_bars(score), 1)))
        n_bars = max(units.n_bars(score), 1)
        end_ticks = int(units.bars_to_ticks(score, n_bars))
        return Music(score, to_bytes(score, end_ticks=end_ticks), n_bars, end_ticks)


def library(folder: Path, label: str, seed: int, *, n_bars: int = 0, most: int = 1000) -> Library:
    """A folder of MIDI files, those in folders below it too, in an order that is drawn once.

    Args:
        folder: Where they lie.
        label: What it is called in the study.
        seed: Of the order.
        n_bars: Of each, from its beginning; 0: all of it.
        most: Files that are taken.

    Raises:
        UsageError: There are none.
    """
    files = files_in(folder) if folder.is_dir() else []
    if not files:
        raise UsageError("there are no MIDI files in {folder}", folder=folder)
    order = np.random.Generator(np.random.Philox(seed)).permutation(len(files))[:most]
    chosen = tuple(files[place] for place in order.tolist())
    found = hashlib.sha256()
    for path in chosen:
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return Library(label[:LONGEST_LABEL], chosen, found.hexdigest(), n_bars)


def labelled(names: Sequence[str]) -> tuple[str, ...]:
    """Names of bundles without the folders that they are in, where that keeps them apart."""
    short = tuple(load.find(name).name if "/" in name else name for name in names)
    return short if len(set(short)) == len(short) else tuple(f"{place} {name}" for place, name in enumerate(short, 1))
