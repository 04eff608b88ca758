"""The theme of a piece: two bars of its melody that come back more often than any others, found by clustering.

Takes a melody, an array of `MELODY_NOTE`, and an embedding of fragments as a function; gives the theme and where it recurs. A melody is
cut into fragments of two bars, each fragment becomes a point on the unit sphere, DBSCAN gathers points that lie within `eps` of each
other; the cluster that recurs most is the theme, its first member is the theme as it stands, the others are its returns. Also here: what
the encoder reads of a fragment (`features`), and the three changes that it learns to overlook (`shifted_on_scale`, `with_last_lasting`,
`with_one_split`, `with_two_joined`). It knows no network and loads no bundle.

Source: the project page of Shih et al. 2022, "Theme Transformer"; its retrieval code was never released. The three changes, the length of
two bars, DBSCAN and the choice of the largest cluster are theirs; the encoder, the hop, the fewest notes and eps are ours, and how they
were chosen stands in docs/explanation/theme-retrieval.md. DBSCAN: Ester et al. 1996.
Known difference: members of a cluster that overlap count once, since fragments that begin a bar apart share a bar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STEPS_PER_BAR = 16
BARS = 2
"""Of a fragment, and of a theme."""

STEPS = BARS * STEPS_PER_BAR
REACH = 24
"""Semitones from the middle of a fragment, and from note to note, that `features` tells apart."""

MAJOR = (0, 2, 4, 5, 7, 9, 11)
"""Semitones of the degrees of a major scale above its tonic."""

EPS = 0.65
"""How far apart two fragments of one theme may be; the distance between opposite points is 2."""

SIZES = {"pitch": 2 * REACH + 2, "interval": 2 * REACH + 2, "onset": STEPS + 1, "duration": STEPS + 1}
"""Feature -> number of its ids; 0 is padding."""

Notes = NDArray[Any]
"""An array of `MELODY_NOTE`."""


@dataclass(frozen=True)
class Fragment:
    """Some bars of a melody.

    Args:
        bar: The first of them, from 0.
        notes: Those that begin in it, `MELODY_NOTE`, starts counted from its first bar line; the last may ring over its end.
    """

    bar: int
    notes: Notes


Embed = Callable[[Sequence[Fragment]], NDArray[np.float32]]
"""N fragments -> (N, D) vectors of length 1."""


@dataclass(frozen=True)
class Search:
    """How fragments are cut and clustered.

    Args:
        hop: Bars from one fragment to the next.
        min_notes: Fragments with fewer notes are no themes.
        min_samples: Neighbours, itself included, that make a point the core of a cluster.
    """

    hop: int = 1
    min_notes: int = 4
    min_samples: int = 2


@dataclass(frozen=True)
class Theme:
    """A theme and its returns.

    Args:
        bar: Where it first stands, in bars from 0.
        bars: Its length.
        recurrences: First bars of all its regions, `bar` the first of them; ascending, none overlaps another.
        eps: How far apart fragments of one cluster may be.
        n_fragments: Fragments that were looked at.
        n_clusters: Clusters that they made.
        spread: Mean distance of the returns from the theme, 0 to 2.
    """

    bar: int
    bars: int
    recurrences: tuple[int, ...]
    eps: float
    n_fragments: int
    n_clusters: int
    spread: float

    @property
    def regions(self) -> list[tuple[int, int]]:
        """(first bar, end bar) of the theme and its returns."""
        return [(bar, bar + self.bars) for bar in self.recurrences]


def fragments(melody: Notes, n_bars: int, *, bars: int = BARS, hop: int = 1) -> list[Fragment]:
    """All fragments of a melody, those without a note included: one from every `hop`-th bar on that ends within the piece.

    Args:
        melody: (N,) `MELODY_NOTE`, sorted by start.
        n_bars: Bars of the piece.
        bars: Of a fragment.
        hop: From one to the next, in bars.
    """
    starts = melody["start"]
    out = []
    for bar in range(0, n_bars - bars + 1, hop):
        first, stop = np.searchsorted(starts, [bar * STEPS_PER_BAR, (bar + bars) * STEPS_PER_BAR])
        notes = melody[first:stop].copy()
        notes["start"] -= bar * STEPS_PER_BAR
        out.append(Fragment(bar, notes))
    return out


def features(found: Sequence[Fragment]) -> dict[str, NDArray[np.int64]]:
    """What the encoder reads: ids (N, T) by the names of `SIZES`, T the most notes of any fragment, rows filled up with 0.

    ``pitch`` is counted from the mean pitch of the fragment, ``interval`` from the note before (the first has none: 0 semitones), so a
    fragment and its transposition are one; ``onset`` and ``duration`` are in sixteenths. Notes that begin after `STEPS` are left out.
    """
    rows = [fragment.notes[fragment.notes["start"] < STEPS] for fragment in found]
    longest = max([1, *(len(notes) for notes in rows)])
    out = {name: np.zeros((len(rows), longest), np.int64) for name in SIZES}
    for row, notes in enumerate(rows):
        n = len(notes)
        if n:
            pitch = notes["pitch"].astype(np.int64)
            middle = (2 * pitch.sum() + n) // (2 * n)  # rounded up at one half, so that it moves with the notes
            out["pitch"][row, :n] = _id_of(pitch - middle)
            out["interval"][row, :n] = _id_of(np.diff(pitch, prepend=pitch[0]))
            out["onset"][row, :n] = notes["start"] + 1
            out["duration"][row, :n] = np.clip(notes["duration"], 1, STEPS)
    return out


def _id_of(semitones: NDArray[np.int64]) -> NDArray[np.int64]:
    """1 to 2 `REACH` + 1."""
    return np.clip(semitones, -REACH, REACH) + REACH + 1


def find(melody: Notes, n_bars: int, embed: Embed, *, eps: float = EPS, search: Search | None = None) -> Theme | None:
    """The theme of a melody; None if no two of its fragments are alike.

    Args:
        melody: (N,) `MELODY_NOTE`, sorted by start.
        n_bars: Bars of the piece.
        embed: What makes points of fragments.
        eps: How far apart two fragments of one theme may be.
        search: How fragments are cut and clustered.
    """
    search = search or Search()
    found = [one for one in fragments(melody, n_bars, hop=search.hop) if len(one.notes) >= search.min_notes]
    return chosen(found, embed(found), eps, search.min_samples) if len(found) >= 2 else None


def chosen(found: Sequence[Fragment], points: NDArray[np.floating[Any]], eps: float, min_samples: int = 2) -> Theme | None:
    """The theme among fragments; None if no two of them, a theme's length apart, are alike.

    Args:
        found: Fragments, by bar.
        points: (N, D) their points.
        eps: How far apart two fragments of one theme may be.
        min_samples: Neighbours, itself included, that make a point the core of a cluster.
    """
    labels = dbscan(points, eps, min_samples)
    bars = np.array([one.bar for one in found])
    clusters = [apart(bars[labels == label].tolist(), BARS) for label in range(labels.max(initial=-1) + 1)]
    best = max(clusters, key=lambda starts: (len(starts), -starts[0]), default=[])
    if len(best) < 2:
        return None
    places = np.searchsorted(bars, best)
    spread = float(np.linalg.norm(points[places[1:]] - points[places[0]], axis=1).mean())
    return Theme(best[0], BARS, tuple(best), eps, len(found), len(clusters), round(spread, 4))


def apart(starts: Sequence[int], bars: int) -> list[int]:
    """Those of ascending `starts`, the first one first, that begin when the one before is over."""
    out: list[int] = []
    for start in starts:
        if not out or start >= out[-1] + bars:
            out.append(start)
    return out


def distances(points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(N, N) Euclidean distances between points (N, D)."""
    held = np.asarray(points, np.float64)
    return np.asarray(np.linalg.norm(held[:, None] - held[None], axis=2), np.float64)


def dbscan(points: NDArray[np.floating[Any]], eps: float, min_samples: int) -> NDArray[np.int64]:
    """The number of the cluster of every point, in the order in which their first cores stand; -1: none.

    Args:
        points: (N, D).
        eps: Points not farther apart are neighbours.
        min_samples: Neighbours, itself included, that make a point a core.
    """
    near = distances(points) <= eps
    core = near.sum(1) >= min_samples
    labels = np.full(len(near), -1, np.int64)
    n_clusters = 0
    for first in np.flatnonzero(core):
        if labels[first] >= 0:
            continue
        members = np.zeros(len(near), np.bool_)
        members[first] = True
        while True:  # cores hand on to their neighbours; a point that is no core is reached, but hands on nothing
            reached = members | near[members & core].any(0)
            if (reached == members).all():
                break
            members = reached
        labels[members & (labels < 0)] = n_clusters  # a border point stays with the cluster that reached it first
        n_clusters += 1
    return labels


def shifted_on_scale(notes: Notes, degrees: int, tonic: int) -> Notes:
    """The notes moved by so many degrees of a major scale: the contour stays, intervals become those of the scale.

    A note that is not in the scale is moved with the degree below it and keeps its distance from that. Pitches that would leave 0 to 127
    are moved back by octaves. A minor key has the degrees of its relative major.

    Args:
        notes: `MELODY_NOTE`.
        degrees: Up if positive.
        tonic: Pitch class of the scale's first degree, 0 = C.
    """
    steps = np.array(MAJOR)
    above = notes["pitch"].astype(np.int64) - tonic
    place = np.searchsorted(steps, above % 12, side="right") - 1  # of the degree at or below
    altered = above % 12 - steps[place]
    octave, degree = np.divmod(above // 12 * len(steps) + place + degrees, len(steps))
    pitch = tonic + 12 * octave + steps[degree] + altered
    out = notes.copy()
    out["pitch"] = pitch + 12 * (np.maximum(0, -(pitch // 12)) - np.maximum(0, (pitch - 127 + 11) // 12))
    return out


def with_last_lasting(notes: Notes, duration: int) -> Notes:
    """The notes, the last one so long."""
    out = notes.copy()
    out["duration"][-1:] = duration
    return out


def with_one_split(notes: Notes, place: int) -> Notes:
    """The notes, one of them struck twice, each half as long; as they are if it lasts one step only.

    Args:
        notes: `MELODY_NOTE`.
        place: Which of them, from 0.
    """
    whole = int(notes["duration"][place])
    if whole < 2:
        return notes.copy()
    out = np.insert(notes, place, notes[place])
    out["duration"][place], out["duration"][place + 1] = whole // 2, whole - whole // 2
    out["start"][place + 1] += whole // 2
    return out


def with_two_joined(notes: Notes, place: int) -> Notes:
    """The notes, one of them and the next joined into one; as they are if these two are not of one pitch.

    Args:
        notes: `MELODY_NOTE`.
        place: The earlier of them, from 0.
    """
    if place + 1 >= len(notes) or notes["pitch"][place] != notes["pitch"][place + 1]:
        return notes.copy()
    later = notes[place + 1]
    out = np.delete(notes, place + 1)
    out["duration"][place] = later["start"] + later["duration"] - notes["start"][place]
    return out


@dataclass(frozen=True)
class Changes:
    """How strongly `changed` changes a fragment; the chances are 0 to 1.

    Args:
        degrees: It is moved by up to so many degrees of its scale, up or down; 0: not at all.
        last: Chance that the last note gets another duration.
        split: Chance that a note is split, for every note.
        join: The same of joining two neighbours of one pitch.
    """

    degrees: int = 4
    last: float = 0.8
    split: float = 0.15
    join: float = 0.3


def changed(notes: Notes, tonic: int, draw: np.random.Generator, changes: Changes) -> Notes:
    """A fragment's notes with the three changes, drawn by `draw`: what an encoder is to take for the same.

    Args:
        notes: `MELODY_NOTE`, starts from the fragment's first bar line; at least one.
        tonic: Of the major scale that the song is in.
        draw: Where chance is from.
        changes: How strongly.
    """
    out = notes
    for place in reversed(np.flatnonzero(draw.random(len(notes)) < changes.join)):
        out = with_two_joined(out, int(place))
    for place in reversed(np.flatnonzero(draw.random(len(out)) < changes.split)):
        out = with_one_split(out, int(place))
    if draw.random() < changes.last:
        room = max(1, STEPS - int(out["start"][-1]))
        out = with_last_lasting(out, int(draw.integers(1, room + 1)))
    if changes.degrees:
        out = shifted_on_scale(out, int(draw.integers(-changes.degrees, changes.degrees + 1)), tonic)
    return out
