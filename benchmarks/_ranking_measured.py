"""What ranking.py measures of every candidate and of every real piece, once: kept in a file, so that methods can be compared in seconds."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kapelle.bundles import load
from kapelle.classifiers import midi_features
from kapelle.errors import KapelleError
from kapelle.judging import panel as judges
from kapelle.judging.panel import Asked, Candidate, Panel
from kapelle.metrics import piece
from kapelle.score import edit, units
from kapelle.score.read import read
from kapelle.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from symusic import Score

GENRES = ("pop", "jazz", "edm", "classical")
BARS = 16


@dataclass(frozen=True)
class Set:
    """Pieces side by side; every array has a row for each."""

    names: NDArray[np.str_]
    genre: NDArray[np.str_]
    number: NDArray[np.int64]  # the seed of a candidate; 0 for real music
    features: NDArray[np.float32]
    metrics: NDArray[np.float64]
    by_genre: NDArray[np.float64]  # (P, genres) of the classifier that ranks, among GENRES
    human: NDArray[np.float64]
    bits: NDArray[np.float64]
    sound: NDArray[np.bool_]
    judged: NDArray[np.float64]  # (P, classes) of the stranger
    points: NDArray[np.float32]  # (P, D) likewise

    def of(self, chosen: NDArray[Any]) -> Set:
        """The pieces at these places."""
        return Set(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def cropped(score: Score) -> Score:
    """The first 16 bars from the first note on."""
    onsets = [int(track.notes.numpy()["time"].min()) for track in score.tracks if len(track.notes) and not track.is_drum]
    return edit.crop_bars(score, int(units.ticks_to_bars(score, min(onsets, default=0))), BARS)


Job = tuple[str, str, bool]
"""A path, its genre, and whether it is real."""


def _score(job: Job) -> Score | None:
    """The music of a job; None if it cannot be used."""
    try:
        score = read(Path(job[0]))
        score = cropped(score) if job[2] else score
    except KapelleError:
        return None
    return score if any(len(track.notes) for track in score.tracks if not track.is_drum) else None


def _asked(job: Job, *parts: str) -> judges.Measured | None:
    score = _score(job)
    if score is None:
        return None
    return judges.measure(Panel("genre-small", GENRES, parts), Candidate(score, job[0], Asked(genre=job[1]), job[1], BARS))


def features_of(job: Job) -> list[float]:
    """Features, then whether it is sound."""
    one = _asked(job, "typical")
    return [] if one is None or one.features is None else [*one.features.tolist(), float(not one.degenerate)]


def metrics_of(job: Job) -> list[float]:
    """Metrics of a piece."""
    score = _score(job)
    return [] if score is None else list(piece.measure(score, BARS).values())


def likelihood_of(job: Job) -> list[float]:
    """Bits per note."""
    one = _asked(job, "likelihood")
    return [] if one is None else [np.nan if one.bits is None else one.bits]


def genre_of(job: Job) -> list[float]:
    """Probabilities among `GENRES`, by the classifier that ranks."""
    one = _asked(job, "genre")
    return [] if one is None else [(one.genres or {}).get(name, np.nan) for name in GENRES]


def human_of(job: Job) -> list[float]:
    """Probability that a person wrote it."""
    one = _asked(job, "human")
    return [] if one is None else [np.nan if one.human is None else one.human]


def judge_of(job: Job) -> list[float]:
    """The stranger's probabilities, then its point."""
    score = _score(job)
    if score is None:
        return []
    return [*judge().classify(score).probabilities.values(), *judge().embed([score])[0].tolist()]


@functools.cache
def judge() -> Any:
    """The stranger."""
    from kapelle.classifiers.judge import GenreJudge

    return GenreJudge()


def _graph(name: str) -> str:
    """What tells the weights of a bundle from others; cards and indexes may change."""
    held = load.load(name).manifest
    return ",".join(held.files[graph].sha256 for graph in held.graphs.values())


ASPECTS = {
    "features": (features_of, lambda: ",".join(midi_features.NAMES)),
    "metrics": (metrics_of, lambda: ",".join(piece.METRICS)),
    "likelihood": (likelihood_of, lambda: _graph("genre-small")),
    "genre": (genre_of, lambda: _graph(judges.GENRE)),
    "human": (human_of, lambda: _graph(judges.HUMAN)),
    "judge": (judge_of, lambda: _graph("genre-judge")),
}
"""What is measured, by whom, and what must not have changed since."""


def collected(jobs: list[Job], name: str, keep: Path, processes: int, progress: Callable[[str, int, int], None]) -> Set:
    """All pieces of a set; what was measured before comes from the folder `keep`."""
    rows = {aspect: _aspect(jobs, aspect, keep / f"{name}-{aspect}.npz", processes, progress) for aspect in ASPECTS}
    held = [job for job in jobs if all(len(found[Path(job[0]).name]) for found in rows.values())]
    names = [Path(job[0]).name for job in held]
    table = {aspect: np.array([rows[aspect][one] for one in names], np.float64) for aspect in ASPECTS}
    n_classes = len(judge().classes)
    return Set(
        np.array(names),
        np.array([job[1] for job in held]),
        np.array([0 if job[2] else int(Path(job[0]).stem.rpartition("-")[2]) for job in held]),
        table["features"][:, :-1].astype(np.float32),
        table["metrics"],
        table["genre"],
        table["human"][:, 0],
        table["likelihood"][:, 0],
        table["features"][:, -1] > 0,
        table["judge"][:, :n_classes],
        table["judge"][:, n_classes:].astype(np.float32),
    )


def _aspect(jobs: list[Job], aspect: str, path: Path, processes: int, progress: Callable[[str, int, int], None]) -> dict[str, list[float]]:
    """File name -> what was measured; written to `path` every two hundred pieces."""
    measure, tag = ASPECTS[aspect]
    rows = _kept(path, tag())
    missing = [job for job in jobs if Path(job[0]).name not in rows]
    found = Workers(processes).map(measure, missing, lambda done, total: progress(aspect, done, total))
    for number, (job, row) in enumerate(zip(missing, found, strict=True), 1):
        rows[Path(job[0]).name] = row
        if number % 200 == 0 or number == len(missing):
            write(rows, path, tag())
    return rows


def _kept(path: Path, tag: str) -> dict[str, list[float]]:
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as held:
        if str(held["tag"]) != tag:
            return {}
        names, rows, there = held["names"].tolist(), held["rows"].tolist(), held["there"].tolist()
    return {name: row if known else [] for name, row, known in zip(names, rows, there, strict=True)}


def write(rows: dict[str, list[float]], path: Path, tag: str) -> None:
    """Keep rows; those of pieces that cannot be used are empty."""
    width = max(map(len, rows.values()), default=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    table = np.array([row or [np.nan] * width for row in rows.values()], np.float64)
    np.savez(path, tag=np.array(tag), names=np.array(list(rows)), rows=table, there=np.array([bool(row) for row in rows.values()]))
