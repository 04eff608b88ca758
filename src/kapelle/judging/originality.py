"""How much of a piece stands in the music that its model learned from: the longest shared run of notes, and the share inside such runs.

Takes a `symusic.Score` and the `Index` of a model's training music; gives an `Originality`, with the same figures of human music that the
model did not learn from beside it: music shares stretches with other music, and only more of it than people's means anything.

A run is a stretch of consecutive notes of a line (see `metrics.fingerprints`: the top of every track and of all, and the bass) that
stands in a line of one piece of the index too, in any key and at any constant speed. It is seen through its fingerprints: the notes from
the first to the last that was found, no two of them further apart than `WINDOW`. So

* every run of 12 notes or more is found; one of 10 or 11 is found or not;
* `longest_run` is a lower bound, `at_most` an upper one, 4 notes higher or less;
* that the fingerprints of a run follow one another in the piece of the index as well is not checked: two runs of one piece that overlap by
  7 notes or more are taken for one, which may make the lower bound a little too high;
* a run that repeats itself counts until it begins to do so: eight bars of one broken chord are one bar of it.

It does not compare harmony, rhythm alone, or sound, and 0 notes shared is no proof of originality in law.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kapelle.errors import Missing
from kapelle.judging.originality_index import FILE_NAME, Human, Index, build, parse, with_human
from kapelle.metrics import fingerprints
from kapelle.metrics.fingerprints import GRAM, GUARANTEED, WINDOW, Line

if TYPE_CHECKING:
    from pathlib import Path

    from symusic import Score

    from kapelle.bundles.load import Bundle
    from kapelle.bundles.manifest import Manifest

__all__ = [
    "FILE_NAME", "SHARED", "Human", "Index", "Originality", "Run", "at", "build", "lookup", "marked", "of", "parse", "with_human",
]  # fmt: skip

SHARED = "also in the training music"
"""Name of the tracks that hold shared notes in what `marked` gives."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Run:
    """A stretch of a line that is also in a piece of the index.

    Args:
        line: "melody" or "bass".
        start_ticks: Onset of its first note.
        end_ticks: Onset of its last note.
        n_notes: Notes from the first to the last fingerprint found; repetitions count.
        piece: Name of a piece that it is in.
    """

    line: str
    start_ticks: int
    end_ticks: int
    n_notes: int
    piece: str


@dataclass(frozen=True)
class Originality:
    """What of a piece is also in the music that its model learned from.

    Args:
        longest_run: Notes of the longest shared run, at least; 0 if none was found.
        at_most: Notes that it can have at most: 11 if none was found.
        share_copied: Share of the notes of its lines that lie inside shared runs of 12 notes or more, 0 to 1; 0 without notes.
        nearest: Name of the piece that the longest run is in; empty if none.
        n_notes: Notes of its lines.
        runs: Shared runs that are inside no other, by onset.
        human: The same figures of held-out human music.
        copied: Track and place in it of every note that lies inside a shared run of 12 notes or more.
    """

    longest_run: int
    at_most: int
    share_copied: float
    nearest: str
    n_notes: int
    runs: tuple[Run, ...]
    human: Human
    copied: frozenset[tuple[int, int]] = field(repr=False, default=frozenset())

    def as_dict(self) -> dict[str, Any]:
        """A table for JSON."""
        runs = [
            {"line": run.line, "start_ticks": run.start_ticks, "end_ticks": run.end_ticks, "notes": run.n_notes, "piece": run.piece}
            for run in self.runs
        ]
        return {
            "longest_run": self.longest_run, "at_most": self.at_most, "share_copied": round(self.share_copied, 4), "nearest": self.nearest,
            "notes": self.n_notes, "runs": runs, "human": self.human.as_dict(),
        }  # fmt: skip


@dataclass(frozen=True)
class _Found:
    """What one line shares: pieces, and first and last fingerprint of each chain of hits."""

    line: Line
    hashes: NDArray[np.uint64]
    piece: Ints
    first: Ints
    last: Ints
    hit: NDArray[np.bool_]


def lookup(score: Score, index: Index) -> Originality:
    """What of `score` is in `index`. Music off the model's grid is looked for as it is, ratios rounded either way, and on the grid.

    Raises:
        BundleError: The index is damaged in a way that only shows now.
    """
    tpq, grid = max(score.tpq, 1), index.grid
    if not any(bool((track.notes.numpy()["time"].astype(np.int64) * grid % tpq).any()) for track in score.tracks if len(track.notes)):
        return _looked_up(score, index)
    plain, snapped = _looked_up(score, index, loose=True), _looked_up(score, index, grid)
    longer = max(plain, snapped, key=lambda one: (one.longest_run, one.share_copied))
    copied = plain.copied | snapped.copied
    return replace(
        longer,
        at_most=max(plain.at_most, snapped.at_most),
        share_copied=min(1.0, len(copied) / max(longer.n_notes, 1)),
        runs=_in_order((*plain.runs, *snapped.runs)),
        copied=copied,
    )


def _looked_up(score: Score, index: Index, grid: int = 0, *, loose: bool = False) -> Originality:
    notes = fingerprints.notes_of(score, grid)
    found = [_found(line, index, loose=loose) for line in fingerprints.lines(notes)]
    in_lines, inside = np.zeros(len(notes.start), np.bool_), np.zeros(len(notes.start), np.bool_)
    longest = [most for one in found if (most := _longest(one)) is not None]
    best = max(longest, key=lambda one: one.rank, default=None)
    at_most = min(GUARANTEED - 1, max((len(one.line.places) for one in found), default=0))
    for one in found:
        in_lines[one.line.places] = True
        inside[one.line.places[_covered(one)]] = True
    ticks = max(score.tpq, 1) / grid if grid else 1.0
    return Originality(
        longest_run=best.least if best else 0,
        at_most=max([at_most, *(one.most for one in longest)]),
        share_copied=float(inside.sum() / max(in_lines.sum(), 1)),
        nearest=index.names[best.piece] if best else "",
        n_notes=int(in_lines.sum()),
        runs=_in_order(_runs(found, index, ticks)),
        human=index.human,
        copied=frozenset(zip(notes.track[inside].tolist(), notes.place[inside].tolist(), strict=True)),
    )


def _found(line: Line, index: Index, *, loose: bool) -> _Found:
    """The chains of one line: hits of one piece no two of which are further apart than `WINDOW`."""
    hashes = fingerprints.fingerprints(line)
    place, piece = index.find(hashes)
    if loose:
        others, places = fingerprints.rounded_fingerprints(line)
        row, further = index.find(others)
        both = np.unique(np.concatenate([piece * len(hashes) + place, further * len(hashes) + places[row]])) if len(hashes) else place
        place, piece = both % max(len(hashes), 1), both // max(len(hashes), 1)
    new = np.append(True, (piece[1:] != piece[:-1]) | (place[1:] - place[:-1] > WINDOW))[: len(place)]
    starts = np.flatnonzero(new)
    ends = np.append(starts[1:] - 1, len(place) - 1)[: len(starts)]
    hit = np.zeros(len(hashes), np.bool_)
    hit[place] = True
    return _Found(line, hashes, piece[starts], place[starts], place[ends], hit)


def _covered(found: _Found) -> NDArray[np.bool_]:
    """(L,) which notes of the line lie inside shared runs of `GUARANTEED` notes or more."""
    steps = np.zeros(len(found.line.places) + 1, np.int64)
    long = found.last - found.first + GRAM >= GUARANTEED
    np.add.at(steps, found.first[long], 1)
    np.add.at(steps, found.last[long] + GRAM, -1)
    return np.cumsum(steps)[:-1] > 0


@dataclass(frozen=True)
class _Longest:
    """The longest run of a line: its notes at least, those of any run at most, its notes with repetitions, and the piece that it is in."""

    least: int
    most: int
    raw: int
    piece: int

    @property
    def rank(self) -> tuple[int, int, int]:
        """What makes it longer than another; of equal ones the first piece counts."""
        return self.least, self.raw, -self.piece


def _longest(found: _Found) -> _Longest | None:
    """The longest run of a line; None if nothing of it was found."""
    if not len(found.piece):
        return None
    earlier = _same_before(found.hashes)
    raw = found.last - found.first + GRAM
    best, at_most = _Longest(0, 0, 0, 0), 0
    known: dict[tuple[int, int], tuple[int, int]] = {}
    for chain in np.lexsort((found.piece, -raw)).tolist():
        length, piece = int(raw[chain]), int(found.piece[chain])
        if length + 2 * (WINDOW - 1) < max(at_most, best.least):
            break
        span = int(found.first[chain]), int(found.last[chain])
        if span not in known:
            known[span] = _without_repeating(earlier, *span), _without_repeating(earlier, *_widened(found, *span))
        least, most = (count + GRAM - 1 for count in known[span])
        at_most = max(at_most, most)
        best = max(best, _Longest(least, most, length, piece), key=lambda one: one.rank)
    return replace(best, most=at_most)


def _same_before(hashes: NDArray[np.uint64]) -> Ints:
    """(Q,) the place where each fingerprint stood last; -1 where it is new."""
    order = np.argsort(hashes, kind="stable")
    out = np.full(len(hashes), -1, np.int64)
    same = hashes[order][1:] == hashes[order][:-1]
    out[order[1:][same]] = order[:-1][same]
    return out


def _without_repeating(earlier: Ints, first: int, last: int) -> int:
    """Fingerprints of the longest part of a span in which none comes twice."""
    begin = np.maximum(np.maximum.accumulate(earlier[first : last + 1]) + 1, first)
    return int((np.arange(first, last + 1) - begin + 1).max())


def _widened(found: _Found, first: int, last: int) -> tuple[int, int]:
    """The longest span that the run could have: beyond it, a window would have kept a fingerprint that was not hit."""
    low, high = first, last
    while low > max(first - WINDOW + 1, 0) and _kept_is_hit(found, low - 1, last):
        low -= 1
    while high < min(last + WINDOW - 1, len(found.hashes) - 1) and _kept_is_hit(found, high - WINDOW + 2, high + 1, first=low):
        high += 1
    return low, high


def _kept_is_hit(found: _Found, begin: int, end: int, *, first: int = 0) -> bool:
    """Whether the fingerprint that winnowing keeps of the window at `begin` was found, if that window lies inside `first` to `end`."""
    if begin < first or begin + WINDOW - 1 > end:
        return True
    window = found.hashes[begin : begin + WINDOW]
    kept = begin + WINDOW - 1 - int(window[::-1].argmin())
    return bool(found.hit[kept])


def _runs(found: Iterable[_Found], index: Index, ticks: float) -> list[Run]:
    """The runs of all lines that are inside no other of their line."""
    out = []
    for one in found:
        reach = -1
        for chain in np.lexsort((one.piece, -one.last, one.first)).tolist():
            first, last = int(one.first[chain]), int(one.last[chain])
            if last > reach:
                reach = last
                start, end = (round(float(one.line.start[place]) * ticks) for place in (first, last + GRAM - 1))
                out.append(Run(one.line.kind, start, end, last - first + GRAM, index.names[int(one.piece[chain])]))
    return out


def _in_order(runs: Iterable[Run]) -> tuple[Run, ...]:
    return tuple(sorted(dict.fromkeys(runs), key=lambda run: (run.start_ticks, -run.end_ticks, run.line, run.piece)))


def of(bundle: Bundle) -> Index | None:
    """The index of a bundle that is loaded, or of the one beside it that its option ``originality`` names; None if there is none.

    Raises:
        BundleError: It is damaged.
    """
    data = bundle.contents.get(FILE_NAME)
    if data is None:
        data = _sibling(bundle.path, bundle.manifest)
    return parse(data) if data is not None else None


def at(path: str | Path) -> Index | None:
    """The index of the bundle `path` (a folder, or a name), as `of` gives it; the bundle's other files are not read.

    Raises:
        Missing: There is no such bundle.
        BundleError: The index is damaged.
    """
    from kapelle.bundles import load

    folder = load.find(path)
    manifest = load.manifest_of(folder)
    data = load.file_of(folder, FILE_NAME) if FILE_NAME in manifest.files else _sibling(folder, manifest)
    return parse(data) if data is not None else None


def _sibling(folder: Path, manifest: Manifest) -> bytes | None:
    """The index of the bundle that learned from the same music, if the one that is installed is the one meant."""
    from kapelle.bundles import load
    from kapelle.bundles.manifest import FILE_NAME as BUNDLE_FILE

    named = manifest.options.get("originality")
    if not isinstance(named, dict) or not isinstance(named.get("bundle"), str):
        return None
    beside = folder.parent / named["bundle"]
    try:
        data = load.file_of(beside if (beside / BUNDLE_FILE).is_file() else named["bundle"], FILE_NAME)
    except Missing:
        return None
    return data if hashlib.sha256(data).hexdigest() == named.get("sha256") else None


def marked(score: Score, found: Originality) -> Score:
    """`score` with its shared notes in tracks of their own, named `SHARED`; drums stay as they are.

    Args:
        score: What `found` was looked up for.
        found: What `lookup` gave.
    """
    from kapelle.score.instruments import program_name

    out = score.copy()
    tracks = []
    for number, track in enumerate(score.tracks):
        copied = sorted(place for one, place in found.copied if one == number)
        inside = np.zeros(len(track.notes), np.bool_)
        inside[copied] = True
        for name, kept in ((track.name or program_name(track.program), ~inside), (SHARED, inside)):
            part = track.copy()
            part.name = track.name if track.is_drum else name
            part.notes = [note for note, keep in zip(track.notes, kept.tolist(), strict=True) if keep]
            if len(part.notes):
                tracks.append(part)
    out.tracks = tracks
    return out
