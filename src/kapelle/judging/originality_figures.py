"""An index made from shards, with the figures of human music that the model did not learn from: the test part, by excerpts of 16 bars.

Takes the music of a folder of shards; gives the bytes of an index. Excerpts of one piece are not independent of each other, so the number
of pieces is kept beside theirs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from kapelle.judging.originality import Human, Index, Originality, build, lookup, parse, with_human
from kapelle.score import edit, units

if TYPE_CHECKING:
    from symusic import Score

    from kapelle.judging.training_music import Music

EXCERPT_BARS = 16
MOST_EXCERPTS = 4
"""Excerpts of one held-out piece, spread over it."""


def indexed(music: Music, progress: Callable[[int, int], None] = lambda done, total: None) -> bytes:
    """The index of the training part of some music, with the figures of its test part.

    Args:
        music: What `training_music.opened` gives.
        progress: Called with (pieces done, pieces in all).
    """
    total = music.count("train") + music.count("test")
    done: set[tuple[str, str]] = set()

    def told(part: str) -> Iterator[tuple[str, Score]]:
        for name, score in music.pieces(part):
            yield name, score
            done.add((part, name))
            progress(min(len(done), total), total)

    data = build(told("train"), grid=music.grid, source={"shards": music.fingerprint})
    return with_human(data, human_figures(told("test"), parse(data)))


def human_figures(pieces: Iterable[tuple[str, Score]], index: Index, n_bars: int = EXCERPT_BARS) -> Human:
    """The figures of held-out music: up to four excerpts of each piece, spread over it.

    Args:
        pieces: Name and music; stretches of one piece bear one name. What is shorter than an excerpt counts only where nothing is as long.
        index: To look in.
        n_bars: Of an excerpt.
    """
    whole: list[tuple[str, Originality]] = []
    short: list[tuple[str, Originality]] = []
    taken: Counter[str] = Counter()
    for name, score in pieces:
        kept = whole if units.n_bars(score) >= n_bars else short
        for excerpt in excerpts(score, n_bars, MOST_EXCERPTS - taken[name]):
            seen = lookup(excerpt, index)
            if seen.n_notes:
                kept.append((name, seen))
                taken[name] += kept is whole
    told = whole or short
    longest = tuple(sorted(seen.longest_run for _, seen in told))
    shares = tuple(sorted(round(seen.share_copied, 4) for _, seen in told))
    return Human(longest, shares, len({name for name, _ in told}), n_bars)


def excerpts(score: Score, n_bars: int = EXCERPT_BARS, most: int = MOST_EXCERPTS) -> list[Score]:
    """Stretches of `n_bars` bars of a score, at most so many, apart from each other and spread over it."""
    lines = units.bar_starts(score)
    n_cuts = max(1, (len(lines) - 1) // n_bars)
    chosen = range(n_cuts) if n_cuts <= most else [round(i * (n_cuts - 1) / max(most - 1, 1)) for i in range(most)]
    return [edit.clip(score, int(lines[i * n_bars]), int(lines[min((i + 1) * n_bars, len(lines) - 1)])) for i in chosen]
