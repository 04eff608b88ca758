"""Does the embedding of the judge order sets of pieces sensibly: Fréchet distances of real music to what was done to it.

    python benchmarks/embedding_distances.py FOLDER [--json FILE]

FOLDER holds real music, such as a test part. Its pieces, cut to 16 bars, are dealt to two halves by a hash of their bytes. Half A is the
reference; its distance to half B is the noise floor, what equally good music gets. Then half B is changed: a tone higher, notes a little
off, bars in another order, each piece's pitches in another order, its onsets at random, all notes at random. Beside it the same with the
features of ``kapelle.classifiers.midi_features``, standardised by the reference. Intervals: 95 %, bootstrap over pieces of both sets.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from genre_recognition import BARS, of_file
from symusic import Score, Track

from kapelle.classifiers import midi_features
from kapelle.classifiers.judge import NAME, GenreJudge
from kapelle.classifiers.opening import opened
from kapelle.metrics.distance import frechet_estimate
from kapelle.score import units
from kapelle.score.edit import note_arrays, note_list, transpose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

STEP = 12
"""Twelfths of a quarter."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--judge", default=NAME, help="bundle of the judge, by name or folder")
    parser.add_argument("--json", type=Path, default=None, help="where to write the result")
    given = parser.parse_args(arguments)
    halves: tuple[list[Score], list[Score]] = ([], [])
    for path in sorted(given.folder.rglob("*.mid")):
        piece = of_file("", "", path)
        if piece is not None:
            halves[hashlib.sha256(path.read_bytes()).digest()[0] % 2].append(piece.score)
    one, other = halves
    judge = opened(given.judge)
    assert isinstance(judge, GenreJudge)
    rows = judge.embed(one), _features(one)
    middle, spread = np.nanmean(rows[1], axis=0), np.maximum(np.nanstd(rows[1], axis=0), 1e-6)
    found = {}
    for name, change in CHANGES.items():
        made = [change(score, np.random.default_rng([number, len(name)])) for number, score in enumerate(other)]
        tables = judge.embed(made), _scaled(_features(made), middle, spread)
        bases = rows[0], _scaled(rows[1], middle, spread)
        found[name] = {kind: _estimate(a, b) for kind, a, b in zip(("judge", "features"), bases, tables, strict=True)}
        print(name, {kind: round(one["value"], 3) for kind, one in found[name].items()}, flush=True)
    report = {"bars": BARS, "sizes": [len(one), len(other)], "distances": found}
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def _features(scores: Sequence[Score]) -> NDArray[np.float64]:
    return np.array([midi_features.features(score) for score in scores], np.float64)


def _scaled(rows: NDArray[np.float64], middle: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standardised by the reference; what could not be measured is its mean."""
    made: NDArray[np.float64] = np.clip(np.where(np.isnan(rows), 0, (rows - middle) / spread), -5, 5)
    return made


def _estimate(a: NDArray[Any], b: NDArray[Any]) -> dict[str, float]:
    found = frechet_estimate(a, b)
    return {"value": found.value, "low": found.low, "high": found.high}


def _with(score: Score, change: Callable[[dict[str, NDArray[Any]]], dict[str, NDArray[Any]]]) -> Score:
    """The pitched notes of a score as one track, changed."""
    out = score.copy()
    columns = [note_arrays(track) for track in score.tracks if not track.is_drum]
    notes = {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
    made = Track("", 0, False)
    made.notes = note_list(change(notes))
    out.tracks = [made]
    return out


def _as_it_is(score: Score, draw: np.random.Generator) -> Score:
    return score


def _higher(score: Score, draw: np.random.Generator) -> Score:
    return transpose(score, 2)


def _wrong_notes(score: Score, draw: np.random.Generator) -> Score:
    """One note of ten a semitone off."""

    def change(notes: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        off = (draw.random(len(notes["pitch"])) < 0.1) * draw.choice([-1, 1], len(notes["pitch"]))
        return {**notes, "pitch": np.clip(notes["pitch"] + off, 0, 127)}

    return _with(score, change)


def _shuffled_bars(score: Score, draw: np.random.Generator) -> Score:
    """The bars of 4/4 in another order; what rings over a bar line ends there."""
    bar = 4 * score.tpq

    def change(notes: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        own = notes["time"] // bar
        new = draw.permutation(int(own.max()) + 1)[own]
        lasts = np.minimum(notes["duration"], (own + 1) * bar - notes["time"])
        return {**notes, "time": notes["time"] + (new - own) * bar, "duration": lasts}

    return _with(score, change)


def _shuffled_pitches(score: Score, draw: np.random.Generator) -> Score:
    return _with(score, lambda notes: {**notes, "pitch": draw.permutation(notes["pitch"])})


def _random_onsets(score: Score, draw: np.random.Generator) -> Score:
    end = max(units.end_ticks(score), STEP)

    def change(notes: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        step = max(1, score.tpq // STEP)
        return {**notes, "time": np.sort(draw.integers(0, end // step, len(notes["time"]))) * step}

    return _with(score, change)


def _random_notes(score: Score, draw: np.random.Generator) -> Score:
    """As many notes, of any pitch of the piano, anywhere."""
    onsets = _random_onsets(score, draw)
    return _with(onsets, lambda notes: {**notes, "pitch": draw.integers(21, 109, len(notes["pitch"]))})


CHANGES = {
    "as it is": _as_it_is,
    "a tone higher": _higher,
    "one note of ten a semitone off": _wrong_notes,
    "bars shuffled": _shuffled_bars,
    "pitches shuffled": _shuffled_pitches,
    "onsets at random": _random_onsets,
    "notes at random": _random_notes,
}


if __name__ == "__main__":
    raise SystemExit(main())
