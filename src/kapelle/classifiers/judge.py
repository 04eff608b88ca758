"""The genre judge: the genre of a score, and a point for it, by a network that looks at its piano roll.

Takes scores; gives a `Verdict` or a point of each. **It is for evaluation alone.** Nothing that chooses pieces may ask it, so that what it
says of chosen pieces is a stranger's word: it learned from other artists than ``genre-midi`` did, and sees notes where that one sees
summary features.

Windows of 16 bars of four quarters are looked at one after the other, eight at most, taken evenly; probabilities and points are their
means. The same score gives the same bytes, whatever else is asked for. It hears no drums, no loudness, no tempo and no instrument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kapelle.classifiers.verdict import Verdict, verdict
from kapelle.data import roll_windows
from kapelle.data.roll_reading import view
from kapelle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from symusic import Score

    from kapelle.bundles.load import Bundle

NAME = "genre-judge"
"""The bundle that evaluation alone may ask."""

INPUTS = "roll"
"""What the options of such a bundle call its inputs."""

MOST_WINDOWS = 8
FEW_NOTES = 16

NO_NOTES = "no pitched notes: nothing to tell a genre by"
DRUMS_ALONE = "drums alone: the judge hears pitched notes only"
FEW = "{n} notes are few: the judge learned from pieces with {least} and more"


class GenreJudge:
    """The judge of a bundle, opened.

    Args:
        bundle: Of kind classifier, whose inputs are rolls; None for `NAME`.
        threads: Threads of the CPU.

    Raises:
        Missing: The bundle is not installed.
        UsageError: It is another kind of classifier.
        BundleError: It is damaged.
    """

    def __init__(self, bundle: Bundle | None = None, *, threads: int = 1) -> None:
        from kapelle.bundles import load
        from kapelle.bundles.session import Classifier

        self.bundle = bundle if bundle is not None else load.load(load.find(NAME))
        options = self.bundle.manifest.options
        if options.get("inputs") != INPUTS:
            raise UsageError("the bundle {name} does not judge piano rolls", name=self.bundle.name, hint="genre-judge does")
        self.classes: tuple[str, ...] = tuple(options["classes"])
        self._session = Classifier(self.bundle, threads=threads)

    def classify(self, score: Score) -> Verdict:
        """The probability of each class; equal shares, and a warning, where there is nothing to tell by."""
        cells, warnings = _seen(score)
        even = np.full(len(self.classes), 1 / len(self.classes))
        row = self._session.predict(cells).mean(axis=0, dtype=np.float64) if len(cells) else even
        return verdict(self.bundle.name, self.bundle.hash, self.classes, row.tolist(), warnings)

    def classify_many(self, scores: Sequence[Score]) -> list[Verdict]:
        """The verdict of each score, in their order."""
        return [self.classify(score) for score in scores]

    def embed(self, scores: Sequence[Score]) -> NDArray[np.float32]:
        """(N, D) a point for each score, so that pieces alike in genre and order lie near; silence has a point too."""
        silence = np.zeros((1, *roll_windows.SHAPE), np.float32)
        rows = [self._session.embed(cells if len(cells) else silence).mean(axis=0) for cells, _ in map(_seen, scores)]
        return np.stack(rows) if rows else np.zeros((0, self.dimensions), np.float32)

    @property
    def dimensions(self) -> int:
        """Numbers of a point."""
        return int(self.bundle.manifest.options["model"]["d_embed"])


def _seen(score: Score) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """The cells of a score's windows (W, planes, pitches, steps), none without pitched notes; and what speaks against the verdict."""
    seen = view(score)
    if not len(seen.notes):
        drums = any(track.is_drum and len(track.notes) for track in score.tracks)
        return np.zeros((0, *roll_windows.SHAPE), np.float32), (DRUMS_ALONE if drums else NO_NOTES,)
    windows = [roll_windows.cut(seen.notes, start) for start in roll_windows.starts(seen.lines, MOST_WINDOWS)]
    cells = np.stack([roll_windows.cells(notes) for notes in windows]).astype(np.float32)
    few = len(seen.notes) < FEW_NOTES
    return cells, (FEW.format(n=len(seen.notes), least=50),) if few else ()
