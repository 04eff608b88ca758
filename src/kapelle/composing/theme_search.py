"""The theme of a piece of anyone's: which track has the melody, which two bars of it come back, and where.

Takes a `symusic.Score` and an embedding of fragments; gives `Found`, which has all that a table, a picture and a file for `develop` need.
How a melody is found is in `score.melody`, how a theme is found in `data.themes`. It composes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from symusic import Score

from kapelle.data import themes
from kapelle.errors import UnknownName, UsageError
from kapelle.score import edit, units
from kapelle.score.instruments import program_name
from kapelle.score.marks import Mark, with_marks
from kapelle.score.melody import TPQ, check_metre, find_melody, melody_notes, two_tracks
from kapelle.tokens.theme import THEME_TRACK

LABEL = "theme"
"""What a theme is marked with in a file."""

LEAST_BARS = 2 * themes.BARS


@dataclass(frozen=True)
class Return:
    """A region of the theme: its bars, the first counted from 0 and the one after the last, and how far it is from the theme, 0 to 2."""

    bar: int
    end: int
    distance: float


@dataclass(frozen=True)
class Found:
    """The melody of a piece and its theme.

    Args:
        score: The piece.
        track: The index of the track that has the melody.
        melody: MELODY_NOTE.
        n_bars: Of the piece.
        theme: None if nothing comes back.
        returns: The theme itself first.
        bars: (F,) the first bars of the fragments that were compared.
        distances: (F, F) between them, 0 to 2.
    """

    score: Score = field(repr=False)
    track: int
    melody: NDArray[Any] = field(repr=False)
    n_bars: int
    theme: themes.Theme | None
    returns: tuple[Return, ...]
    bars: NDArray[np.int64] = field(repr=False)
    distances: NDArray[np.float64] = field(repr=False)

    @property
    def track_name(self) -> str:
        """The name of the track of the melody, or what plays it."""
        track = self.score.tracks[self.track]
        return track.name or program_name(int(track.program))

    def as_dict(self) -> dict[str, Any]:
        """What was found as plain values, ready for JSON; bars from 1, both ends included."""
        rows = [{"first_bar": one.bar + 1, "last_bar": one.end, "distance": round(one.distance, 4)} for one in self.returns]
        return {
            "track": self.track_name,
            "bars": self.n_bars,
            "notes": len(self.melody),
            "theme": rows[0] if rows else None,
            "returns": rows[1:],
            "clusters": self.theme.n_clusters if self.theme else 0,
            "eps": self.theme.eps if self.theme else None,
        }


def search(score: Score, embed: themes.Embed, *, track: str = "", eps: float | None = None) -> Found:
    """The theme of `score`.

    Args:
        score: Any piece in 4/4.
        embed: What makes points of fragments.
        track: The track of the melody, by name or by number from 1; found if left out.
        eps: How far apart two returns of one theme may be, 0 to 2; `themes.EPS` if left out.

    Raises:
        UsageError: There are no notes, the metre is another, or it is too short for anything to come back.
        UnknownName: There is no such track.
        CannotObey: No track is clearly the melody.
    """
    score = score.copy()
    score.tracks = [one for one in score.tracks if one.name.strip().casefold() != THEME_TRACK.casefold()]
    check_metre(score)
    which = _track(score, track) if track else find_melody(score)
    two = two_tracks(score, melody=which, thin=False)  # says what is wrong if there is no melody
    assert which is not None
    melody, n_bars = melody_notes(two), units.n_bars(two)
    if n_bars < LEAST_BARS:
        raise UsageError(
            "a piece of {bars} bars is too short for a theme of {length} bars that comes back",
            bars=n_bars, length=themes.BARS, hint="every bar of it can be a theme: `kapelle develop` takes it as it is",
        )  # fmt: skip
    limit = themes.EPS if eps is None else eps
    theme = themes.find(melody, n_bars, embed, eps=limit)
    compared = [one for one in themes.fragments(melody, n_bars) if len(one.notes) >= themes.Search().min_notes]
    bars = np.array([one.bar for one in compared], np.int64)
    apart = themes.distances(embed(compared)) if compared else np.zeros((0, 0))
    return Found(score, which, melody, n_bars, theme, _returns(theme, bars, apart), bars, apart)


def _returns(theme: themes.Theme | None, bars: NDArray[np.int64], apart: NDArray[np.float64]) -> tuple[Return, ...]:
    if theme is None:
        return ()
    places = [int(np.flatnonzero(bars == bar)[0]) for bar in theme.recurrences]
    return tuple(Return(first, end, float(apart[places[0], place])) for (first, end), place in zip(theme.regions, places, strict=True))


def _track(score: Score, wanted: str) -> int:
    """The index of the track of a name or a number from 1."""
    names = [track.name for track in score.tracks]
    folded = [name.casefold().strip() for name in names]
    if wanted.casefold().strip() in folded:
        return folded.index(wanted.casefold().strip())
    if wanted.strip().isdecimal() and 1 <= int(wanted) <= len(names):
        return int(wanted) - 1
    raise UnknownName("track", wanted, [f"{number} {name}".strip() for number, name in enumerate(names, 1)])


def theme_of(found: Found) -> Score | None:
    """The bars of the theme as the tracks MELODY and PIANO, marked, ready for `kapelle develop`; None if there is none."""
    if found.theme is None:
        return None
    two = two_tracks(found.score, melody=found.track)
    out = edit.crop_bars(two, found.theme.bar, found.theme.bars)
    return with_marks(out, [Mark(0, end_of(found), LABEL)])


def end_of(found: Found) -> int:
    """The final bar line of `theme_of`, in ticks; 0 without a theme."""
    return found.theme.bars * 4 * TPQ if found.theme else 0
