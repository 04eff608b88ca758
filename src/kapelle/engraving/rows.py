"""Several pieces in one picture, a row each: what changes from one to the next can be seen.

Takes scores of one length in bars; draws them one below the other with `pianoroll`. It does not align pieces of different lengths: they
then follow one another as one long piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from symusic import Score

from kapelle.engraving import pianoroll
from kapelle.score import edit, marks, units


def draw(scores: Sequence[Score], path: Path, labels: Sequence[str], *, title: str = "", theme: str = "light") -> Path:
    """`path`, after drawing the `scores` into it, each with its label; the suffix, .svg or .png, chooses the format.

    Args:
        scores: One or more, in ticks; their markers are left out.
        path: Where to; an existing file is replaced.
        labels: One for each.
        title: Above the picture.
        theme: "light" or "dark".

    Raises:
        UnknownName: The suffix is neither .svg nor .png.
        UsageError: There is no score.
    """
    plain = [marks.with_marks(score, ()) for score in scores]
    row = edit.concat(plain)
    bars = [units.n_bars(score) for score in plain]
    starts = [sum(bars[:i]) for i in range(len(bars) + 1)]
    regions = [marks.mark_bars(row, first, last, label) for first, last, label in zip(starts, starts[1:], labels, strict=False)]
    alike = len(set(bars)) == 1
    look = pianoroll.PictureOptions(title=title, theme=theme, summary=False, bars_per_system=bars[0] if alike else 0)
    return pianoroll.draw(row, path, look, regions)
