"""The work on one piece of an evaluation: read it, cut it to length, measure it.

Takes a `Job`; gives a `Found`, plain numbers that cross a process border and go to JSON and back. A file that cannot be read is no error
here: `Found.trouble` says what it is, and why.

**Cutting.** Of a piece with more bars than are asked for, whole neighbouring bars are taken; where they begin is drawn from the seed and
the file's own bytes, so that neither its name nor its neighbours make a difference. A piece may lack up to `SHORT_BARS` bars at its end,
which are then silent: a silent ending is a fault to be counted, not a reason to leave the piece out. What is shorter is left out and
named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle.errors import BundleError, KapelleError, Missing, UnreadableInput
from kapelle.judging import asked, baselines
from kapelle.metrics import degenerate, piece
from kapelle.score import limits, units
from kapelle.score.edit import crop_bars
from kapelle.score.read import read_with_report

if TYPE_CHECKING:
    from symusic import Score

SHORT_BARS = 2

UNREADABLE, SHORT, SILENT = "unreadable", "short", "silent"
"""What may be the trouble with a piece."""

JUDGE, FEATURES = "judge", "features"
"""Embeddings."""

JUDGE_BUNDLE = "genre-judge"


@dataclass(frozen=True)
class How:
    """What is done with every piece.

    Args:
        bars: To which it is cut.
        seed: Of the excerpts.
        embedding: `JUDGE` or `FEATURES`.
        genres: Ask the judge for probabilities of genres.
        model: Bundle that says how many bits a note costs; nobody if empty.
    """

    bars: int = 16
    seed: int = 0
    embedding: str = FEATURES
    genres: bool = False
    model: str = ""


@dataclass(frozen=True)
class Job:
    """One piece to measure.

    Args:
        name: What the report calls it.
        source: A file, or the bytes of one.
        how: What is done with it.
        shuffled: Put its bars into another order first.
    """

    name: str
    source: Path | bytes
    how: How
    shuffled: bool = False


@dataclass(frozen=True)
class Found:
    """What became of one piece.

    Args:
        name: Of the piece.
        digest: SHA-256 of the file; empty if there was nothing to read.
        trouble: `UNREADABLE`, `SHORT`, `SILENT`, or empty: all is well.
        why: In words.
        first_bar: Where the excerpt begins, from 0.
        n_bars: Of the whole piece.
        values: Metrics by name; NaN where there was nothing to measure.
        broken: Rules of `kapelle.metrics.degenerate` that the excerpt breaks.
        obeyed: What a recipe beside the file asked for -> whether the file has it.
        vector: Of the embedding; empty if there are no notes.
        genres: Probability of each genre, by the judge.
        bits: Under the language model.
        notes: That these bits are for.
        warnings: What else there is to say.
    """

    name: str
    digest: str = ""
    trouble: str = ""
    why: str = ""
    first_bar: int = 0
    n_bars: int = 0
    values: Mapping[str, float] = field(default_factory=dict)
    broken: tuple[str, ...] = ()
    obeyed: Mapping[str, bool] = field(default_factory=dict)
    vector: tuple[float, ...] = ()
    genres: Mapping[str, float] = field(default_factory=dict)
    bits: float = 0.0
    notes: int = 0
    warnings: tuple[str, ...] = ()


def measure(job: Job) -> Found:
    """What there is to say of one piece."""
    try:
        data = job.source if isinstance(job.source, bytes) else _bytes(job.source)
        score, _ = read_with_report(data)  # and not `read`: what is lost of a damaged file is told in the report
    except KapelleError as error:
        return Found(job.name, trouble=UNREADABLE, why=str(error))
    digest = hashlib.sha256(data).hexdigest()
    found = Found(job.name, digest, n_bars=units.n_bars(score))
    if isinstance(job.source, Path):
        found = replace(found, **asked.of_file(score, job.source))
    if not any(len(track.notes) for track in score.tracks):
        return replace(found, trouble=SILENT, why="no notes", broken=("empty",))
    if found.n_bars < job.how.bars - SHORT_BARS:
        return replace(found, trouble=SHORT, why=f"{found.n_bars} of {job.how.bars} bars")
    first = first_bar(digest, found.n_bars, job.how)
    return _measured(replace(found, first_bar=first), cut(score, first, job), job.how)


def first_bar(digest: str, n_bars: int, how: How) -> int:
    """Where the excerpt of a piece begins, drawn from the seed and its own bytes."""
    room = n_bars - how.bars
    if room <= 0:
        return 0
    return int(np.random.Generator(np.random.Philox([how.seed, int(digest[:16], 16)])).integers(room + 1))


def cut(score: Score, first: int, job: Job) -> Score:
    """The excerpt of `score` that begins with bar `first`, its bars in another order if the job says so."""
    excerpt = crop_bars(score, first, job.how.bars)
    if not job.shuffled:
        return excerpt
    return baselines.shuffled_bars(excerpt, job.how.bars, job.how.seed)


def _bytes(path: Path) -> bytes:
    """The bytes of a file; reading looks at its size before it opens it."""
    try:
        if path.is_file() and path.stat().st_size <= limits.DEFAULT.bytes:
            return path.read_bytes()
    except OSError as error:
        raise UnreadableInput("{path} cannot be read: {why}", path=path, why=error.strerror or str(error)) from error
    read_with_report(path)  # says what is wrong with it
    return b""


def _measured(found: Found, score: Score, how: How) -> Found:
    """`found` with all figures of an excerpt."""
    broken = degenerate.degeneracy(score, how.bars)
    named = tuple(rule for rule, is_broken in vars(broken).items() if is_broken)
    if not any(len(track.notes) for track in score.tracks if not track.is_drum):
        return replace(found, trouble=SILENT, why="no pitched notes in the excerpt", broken=named)
    found = replace(found, values=piece.measure(score, how.bars), broken=named, vector=_vector(score, how))
    if how.genres:
        told = _judge().classify(score).probabilities
        found = replace(found, genres={name: float(share) for name, share in told.items()})
    return _with_bits(found, score, how) if how.model else found


def _vector(score: Score, how: How) -> tuple[float, ...]:
    if how.embedding == JUDGE:
        row = _judge().embed([score])[0]
    else:
        from kapelle.classifiers import midi_features

        row = midi_features.features(score)
    return tuple(float(number) for number in row)


def _with_bits(found: Found, score: Score, how: How) -> Found:
    from kapelle.judging import likelihood

    try:
        told = likelihood.likelihood(score, _bundle(how.model))
    except UnreadableInput as error:
        return replace(found, warnings=(*found.warnings, str(error)))
    return replace(found, bits=told.bits, notes=told.notes)


@lru_cache(maxsize=1)
def _judge() -> Any:
    """The judge, kept open in this process."""
    from kapelle.classifiers.opening import opened

    return opened(JUDGE_BUNDLE)


@lru_cache(maxsize=1)
def _bundle(name: str) -> Any:
    from kapelle.bundles import load

    return load.load(name)


def judge_hash() -> str:
    """The hash of the judge's bundle; empty if it is not installed, or not to be used with this version."""
    from kapelle.bundles import load

    try:
        return load.load(JUDGE_BUNDLE).hash
    except (Missing, BundleError):
        return ""
