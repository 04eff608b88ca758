"""Songs, one after the other, to phrase shards and their report.

Takes results of `phrases.song` in a fixed order; equal phrases are kept once, the first one, whatever song it is of
(their last steps may differ). Parts are dealt by
song when all are there, each source in its shares; drum performances are dealt in the same shares, so that no groove of training is
heard in the test; then every song whose source plays to drums from elsewhere gets its performance.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import closing
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle import config
from kapelle.data import grooves, phrase_shards
from kapelle.data.cleaning import read_all
from kapelle.data.ledger import Ledger, in_parts
from kapelle.data.phrase_shards import PHRASE
from kapelle.data.phrases import DRUMS, PhraseReading, Song
from kapelle.data.split import PARTS, assign
from kapelle.errors import UsageError
from kapelle.score.roll import FORMS, TRACKS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from kapelle.data.cleaning import File
    from kapelle.data.grooves import Performance
    from kapelle.data.recipe import BandSource, PhrasePreparation


class PhraseCollector:
    """Gathers songs into the arrays of the phrase shards."""

    def __init__(self, preparation: PhrasePreparation, folder: Path) -> None:
        for source in preparation.data.sources:
            if source.arrange and not source.align:
                raise UsageError(
                    "source {folder!r} is arranged but has no copy with chords", folder=source.folder, hint="name that folder with align"
                )
        self.preparation, self.folder = preparation, folder
        self.form = FORMS[preparation.tokenizer.form]
        self.songs: list[tuple[File, Song]] = []
        self.ledger = Ledger()
        self.dropped, self.lost = Counter[str](), Counter[str]()  # phrases; notes
        self.known: set[bytes] = set()
        self.performances: dict[tuple[str, int], list[Performance]] = {}  # of a source and a part
        self.played: dict[str, str] = {}  # song -> performance

    def collect(self, files: Sequence[File], cache: Path, processes: int, progress: Callable[[int, int], None]) -> None:
        """Find the drums, read all files, tell the progress, and refuse if none is fit."""
        sections = self.preparation
        met = {file.source for file in files}
        for number, source in enumerate(sections.data.sources):
            if source.drums and number in met:
                self._deal_drums(source)
        reading = PhraseReading(sections.tokenizer, sections.preprocessing, sections.data.sources)
        with closing(read_all(files, reading, cache, processes)) as results:
            self.ledger.take_all(results, len(files), self._take, progress)
        self.parts = assign([self._group(file) for file, _ in self.songs], sections.data.validation, sections.data.test)

    def _deal_drums(self, source: BandSource) -> None:
        """Deal the performances that a source plays to, as its songs are dealt."""
        found = grooves.performances(self.folder / source.drums, source.drum_styles, self.form)
        dealt = assign([("", one.name) for one in found], self.preparation.data.validation, self.preparation.data.test)
        for part in range(len(PARTS)):
            self.performances[source.folder, part] = [one for one, its in zip(found, dealt, strict=True) if its == part]

    def _group(self, file: File) -> tuple[str, str]:
        return self.preparation.data.sources[file.source].folder, file.group

    def _take(self, file: File, song: Song) -> str:
        self.dropped.update(song.dropped)
        fresh = self._without_repetitions(song)
        if fresh is None:
            return "the same as another piece"
        self.lost.update(fresh.lost)
        self.songs.append((file, fresh))
        return ""

    def _without_repetitions(self, song: Song) -> Song | None:
        fresh = []
        for cells in song.cells.copy():
            cells[:, -1, -1] = 0  # what comes after the phrase decides whether its last note is cut short to be struck again
            digest = hashlib.sha256(cells.tobytes()).digest()
            fresh.append(digest not in self.known)
            self.known.add(digest)
        self.dropped["the same as another phrase"] += len(fresh) - sum(fresh)
        if not any(fresh):
            return None
        kept = np.array(fresh)
        return replace(song, cells=song.cells[kept], bars=song.bars[kept], resting=song.resting[kept])

    def write(self, out: Path) -> dict[str, Any]:
        """Write the shards, and return what ``shards.json`` says."""
        arrays = self.arrays()
        return phrase_shards.write(out, self.info(arrays), arrays)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of `phrase_shards.ARRAYS`."""
        cells = np.concatenate([song.cells for _, song in self.songs])
        table = np.zeros(len(cells), PHRASE)
        at = 0
        for number, ((file, song), part) in enumerate(zip(self.songs, self.parts, strict=True)):
            rows = slice(at, at + len(song.bars))
            at = rows.stop
            present = song.present
            if self.preparation.data.sources[file.source].drums:
                present |= 1 << DRUMS
                self._drum(cells[rows], file, song, part)
            table["song"][rows], table["bar"][rows], table["part"][rows] = number, song.bars, part
            table["source"][rows], table["present"][rows] = file.source, present
        table["down"], table["up"] = self._ranges(cells)
        return {"cells": cells, "phrases": table}

    def _drum(self, cells: NDArray[np.uint8], file: File, song: Song, part: int) -> None:
        """Put the drums of a song's performance under its phrases, in place."""
        folder = self.preparation.data.sources[file.source].folder
        own = self.performances[folder, part]
        if not own:
            n_all = sum(len(self.performances[folder, part]) for part in range(len(PARTS)))
            raise UsageError(
                "{n} drum performances are too few for songs of training, validation and test", n=n_all, hint="name more drum_styles"
            )
        performance = grooves.performance_for(file.group, song.bpm, own)
        self.played[file.group] = performance.name
        n_bars = self.preparation.tokenizer.bars
        for number, (phrase, resting) in enumerate(zip(cells, song.resting, strict=True)):
            bars = grooves.bars_for(performance, number, n_bars)
            phrase[DRUMS] = 0 if resting else phrase_shards.pack(bars)

    def _ranges(self, cells: NDArray[np.uint8]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        """How far down, 0 or less, and up each phrase may be moved without leaving the range."""
        most, n_pitches = self.preparation.preprocessing.transpose, self.form.n_pitches
        used = np.bitwise_or.reduce(np.delete(cells, DRUMS, axis=1), axis=(1, 2, 3))  # (N, ceil(P / 8))
        rows = np.unpackbits(used, axis=-1, count=n_pitches)
        lowest, highest = rows.argmax(1), n_pitches - 1 - rows[:, ::-1].argmax(1)
        return -np.minimum(most, lowest).astype(np.int8), np.minimum(most, n_pitches - 1 - highest).astype(np.int8)

    def files_under(self, folder: Path) -> list[dict[str, str]]:
        """Every file by its name below `folder`, with the part it went to or why it was left out."""
        return self.ledger.files_under(folder, in_parts(self.parts))

    def info(self, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
        """What `shards.json` says."""
        cells, table = arrays["cells"], arrays["phrases"]
        n, n_tracks, n_bars, n_steps, _ = cells.shape
        sounding = cells.any((2, 3, 4)).mean(0)
        sources = self.preparation.data.sources
        songs = Counter((file.source, part) for (file, _), part in zip(self.songs, self.parts, strict=True))

        def phrases(source: int, part: int) -> int:
            return int(((table["source"] == source) & (table["part"] == part)).sum())

        return {
            "format": 1,
            "tracks": list(TRACKS),
            "form": asdict(self.form),
            "sizes": {"n_tracks": n_tracks, "n_bars": n_bars, "n_steps": n_steps, "n_pitches": self.form.n_pitches},
            "normalised_key": self.preparation.tokenizer.normalise_key,
            "files": self.ledger.seen, "kept": len(self.songs), "phrases": n, "bars": n * n_bars,
            "parts": {
                name: {"songs": self.parts.count(p), "phrases": int((table["part"] == p).sum())} for p, name in enumerate(PARTS)
            },
            "pieces": {source.folder: {name: songs[s, p] for p, name in enumerate(PARTS)} for s, source in enumerate(sources)},
            "sounding": {name: round(float(share), 4) for name, share in zip(TRACKS, sounding, strict=True)},
            "dropped": self.ledger.dropped(),
            "phrases_dropped": dict(sorted(self.dropped.items())),
            "notes_changed": dict(sorted(self.lost.items())),
            "performances": len(set(self.played.values())),
            "sources": [
                {
                    **config.plain(source), "name": source.folder, "files": self.ledger.files[s],
                    "kept": sum(songs[s, p] for p in range(len(PARTS))),
                    "songs": {name: songs[s, p] for p, name in enumerate(PARTS)},
                    "phrases": {name: phrases(s, p) for p, name in enumerate(PARTS)},
                }
                for s, source in enumerate(sources)
            ],
        }  # fmt: skip
