"""The rows of a piece: the one path from a score to what trees of ``midi_features`` are asked, in training and in use.

Takes a score and `Excerpts`; gives float32 (n, F), a row for each excerpt of so many bars. Where the trees were grown on pieces as the
tokens of the language models leave them, the piece is put through these tokens first: its key is moved to C major or A minor, notes go to
the tokens' pitches and lengths, drums go. So a file that a model wrote and a file from elsewhere differ by their music alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kapelle import config
from kapelle.classifiers import midi_features
from kapelle.classifiers.note_grid import grid
from kapelle.errors import UnreadableInput, UsageError
from kapelle.score import edit, keys
from kapelle.tokens import remi

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from symusic import Score

    from kapelle.classifiers.note_grid import Grid

SPEC = remi.RemiSpec(genres=("any",), velocities=1)
"""The grid, pitches and metres of `genre-small`; loudness is not looked at."""


@dataclass(frozen=True)
class Excerpts:
    """What of a piece is measured.

    Args:
        bars: Of an excerpt.
        most: Excerpts, at most, evenly over the piece.
        min_bars: A piece with fewer is refused in training.
        min_notes: Likewise.
        through_tokens: The piece is put through tokens first.
    """

    bars: int = 16
    most: int = 4
    min_bars: int = 8
    min_notes: int = 50
    through_tokens: bool = False


@dataclass(frozen=True)
class MidiMeasure:
    """Rows for a feature table; see `kapelle.data.feature_collect.Measure`."""

    excerpts: Excerpts

    @property
    def names(self) -> tuple[str, ...]:
        """See `Measure`."""
        return midi_features.NAMES

    def settings(self) -> list[Any]:
        """See `Measure`."""
        return [midi_features.EDITION, list(midi_features.NAMES), config.plain(self.excerpts)]

    def rows(self, score: Score, digest: str) -> NDArray[np.float32]:
        """See `Measure`.

        Raises:
            UsageError: Too few notes or bars, or a metre without a token.
        """
        if not any(len(track.notes) for track in score.tracks if not track.is_drum):
            raise UsageError("too few notes")
        try:
            held = held_of(score, self.excerpts)
        except UnreadableInput as error:
            raise UsageError("a metre without a token") from error
        if len(held.start) < self.excerpts.min_notes:
            raise UsageError("too few notes")
        if held.n_bars < self.excerpts.min_bars:
            raise UsageError("too few bars")
        return rows_of(held, self.excerpts)


def held_of(score: Score, excerpts: Excerpts) -> Grid:
    """The notes of a score that are measured.

    Raises:
        UnreadableInput: It has no pitched note; or a metre without a token, where it goes through tokens.
    """
    return grid(through_tokens(score) if excerpts.through_tokens else score)


def rows_of(held: Grid, excerpts: Excerpts) -> NDArray[np.float32]:
    """A row for each excerpt with notes, (n, F), n at least 1."""
    parts = [part for part in held.excerpts(excerpts.bars, excerpts.most) if len(part.start)]
    return np.stack([midi_features.measure(part) for part in parts])


def through_tokens(score: Score) -> Score:
    """The score as tokens leave it, in C major or A minor.

    Raises:
        UnreadableInput: It has no pitched note, or a metre without a token.
    """
    if not any(len(track.notes) for track in score.tracks if not track.is_drum):
        raise UnreadableInput("the piece has no pitched notes", hint="features are of pitched notes; drums alone have no genre here")
    key = keys.estimate_key(score)
    home = 0 if key.mode == "major" else 9
    words = remi.vocabulary(SPEC)
    moved = edit.resolve_overlaps(edit.transpose(score, (home - key.tonic + 5) % 12 - 5))
    return remi.decode(remi.encode(moved, SPEC, words), SPEC, words).score
