"""An evaluation as tables of texts: what the terminal, the Markdown and the page have in common.

Takes an `Evaluation`; gives `Table`s, and Markdown made of them. Figures stand with their 95 % intervals; a dash stands where nothing
could be measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

from kapelle.judging.evaluation import BASELINE, MADE, REAL
from kapelle.metrics.degenerate import RULES
from kapelle.metrics.piece import METRICS

if TYPE_CHECKING:
    from kapelle.judging.evaluation import Evaluation, Row
    from kapelle.metrics.bootstrap import Estimate
    from kapelle.metrics.distance import Compared

DASH = "–"


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Args:
        title: Above it.
        about: A paragraph on how to read it.
        head: Of the columns.
        rows: Their cells.
    """

    title: str
    about: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(found: Evaluation) -> list[Table]:
    """Every table that has something to say, the most telling one first."""
    made = [
        _sets(found),
        _metrics(found),
        _distributions(found),
        _degenerate(found),
        _obedience(found),
        _genres(found),
        _compatible(found),
        _counts(found),
    ]
    return [table for table in made if table.rows]


def _sets(found: Evaluation) -> Table:
    first = found.rows[0].sets
    about = (
        f"{first.n} pieces of each row against {first.against} pieces of real music (half A of the reference). Read every row beside that "
        "of real music, which is half B: a perfect composer would reach it, hardly more. Overlap and KLD are means over the metrics below. "
        f"The other figures are distances on an embedding: {found.embedding}; {found.options.neighbours} neighbours. A two-sample test of "
        "0.5 says that a simple classifier cannot tell the sets apart, 1 that it always can."
    )
    head = ["", "pieces", "overlap", "KLD", "precision", "recall", "density", "coverage", "Fréchet", "two-sample"]
    bits = any(not isnan(row.bits.value) for row in found.rows)
    if bits:
        head.append("bits per note")
    rows = []
    for row in found.rows:
        sets = row.sets
        near = sets.neighbours
        shares = (near.precision, near.recall, near.density, near.coverage, sets.frechet, sets.two_sample)
        cells = [row.name, str(row.n_pieces), number(sets.overlap), number(sets.kld), *map(estimate, shares)]
        rows.append((*cells, estimate(row.bits)) if bits else tuple(cells))
    return Table("Sets", about, tuple(head), tuple(rows))


def _metrics(found: Evaluation) -> Table:
    about = "Means over pieces with 95 % intervals. Nearer to real music is better; larger is not."
    names = [name for name in METRICS if any(not isnan(row.means[name].value) for row in found.rows)]
    rows = [(_label(name), *(estimate(row.means[name]) for row in found.rows)) for name in names]
    return Table("Metrics of pieces", about, ("", *_names(found)), tuple(rows))


def _distributions(found: Evaluation) -> Table:
    about = (
        "How much of a metric's distribution is shared with that of half A, with 95 % intervals: 1 is all of it, 0 nothing. The overlap of "
        "two densities on one grid."
    )
    rows = [
        (_label(name), *(estimate(row.metrics[name].overlap) for row in found.rows))
        for name in METRICS
        if any(not isnan(row.metrics[name].overlap.value) for row in found.rows)
    ]
    return Table("Overlap of distributions", about, ("", *_names(found)), tuple(rows))


def _degenerate(found: Evaluation) -> Table:
    about = "Share of pieces, in percent, that break a rule of degeneracy. Excerpts of real music break some of them, too."
    told = {"any": "any of these", **RULES}
    rows = [(label, *(percent(row.broken[rule]) for row in found.rows)) for rule, label in told.items()]
    return Table("Degenerate pieces", about, ("", *_names(found)), tuple(rows))


def _obedience(found: Evaluation) -> Table:
    about = "Share of pieces, in percent, that have what a recipe beside the file asked for."
    wishes = list(dict.fromkeys(wish for row in found.rows for wish in row.obeyed))
    some = [row for row in found.rows if row.obeyed]
    rows = [(wish, *(percent(row.obeyed[wish]) if wish in row.obeyed else DASH for row in some)) for wish in wishes]
    return Table("Obedience", about, ("", *(row.name for row in some)), tuple(rows))


def _genres(found: Evaluation) -> Table:
    about = (
        "Mean probability of each genre by the judge, an independent classifier that never ranks, and in brackets the share of pieces for "
        "which the genre is the likeliest. Its accuracy on real music stands in its card."
    )
    genres = list(dict.fromkeys(genre for row in found.rows for genre in row.genres))
    rows = [(genre, *(_genre(row, genre) for row in found.rows)) for genre in genres]
    return Table("Genres heard", about, ("", *_names(found)), tuple(rows))


def _genre(row: Row, genre: str) -> str:
    if genre not in row.genres:
        return DASH
    return f"{estimate(row.genres[genre])} ({number(100 * row.genre_shares[genre].value)} %)"


def _compatible(found: Evaluation) -> Table:
    about = (
        "MGEval's way: distances of pieces within half A against distances between the row and half A. First corrected, then as MGEval's "
        "published code computes it, whose KLD sees neither where a set lies nor how wide it is; for comparison with published figures."
    )
    some = [row for row in found.rows if row.kind != BASELINE]
    rows = []
    for name in METRICS:
        if all(isnan(row.metrics[name].intra_overlap.value) for row in some):
            continue
        rows.append((_label(name), *(_both(row.metrics[name]) for row in some)))
    head = tuple(f"{row.name}: overlap / KLD; compatible" for row in some)
    return Table("Intra-set and inter-set distances", about, ("", *head), tuple(rows))


def _both(one: Compared) -> str:
    return f"{number(one.intra_overlap.value)} / {number(one.intra_kld.value)}; {number(one.legacy_overlap)} / {number(one.legacy_kld)}"


def _counts(found: Evaluation) -> Table:
    about = f"What became of the files; every piece is cut to {found.options.bars} bars."
    troubles = list(dict.fromkeys(trouble for row in found.rows for trouble in row.troubles))
    rows = [
        (row.name, str(row.n_files), str(row.n_pieces), *(str(row.troubles.get(trouble, 0)) for trouble in troubles)) for row in found.rows
    ]
    return Table("Files", about, ("", "files", "measured", *troubles), tuple(rows))


def markdown(found: Evaluation) -> str:
    """A report for readers of text."""
    return "\n".join(_lines(found))


def _lines(found: Evaluation) -> Iterator[str]:
    yield "# Evaluation"
    yield ""
    yield summary(found)
    for remark in found.remarks:
        yield f"- {remark}"
    for table in tables(found):
        yield from ("", f"## {table.title}", "", table.about, "")
        yield f"| {' | '.join(map(_cell, table.head))} |"
        yield f"|{'---|' * len(table.head)}"
        for row in table.rows:
            yield f"| {' | '.join(map(_cell, row))} |"
    yield from ("", "## Pieces", "", "SHA-256 of every file, first bar of its excerpt; A and B are the halves of the reference.", "")
    yield from (f"- `{line}`" for line in provenance(found))
    yield ""


def summary(found: Evaluation) -> str:
    """One sentence on what was compared, and how."""
    real = next(row for row in found.rows if row.kind == REAL)
    made = ", ".join(f"{row.name} ({row.n_pieces} pieces)" for row in found.rows if row.kind == MADE)
    return f"{made} against {real.n_pieces} pieces of real music; {found.options.bars} bars of each, seed {found.options.seed}."


def provenance(found: Evaluation) -> list[str]:
    """A line for each file that was measured: row, half, hash, first bar, name."""
    return [
        " ".join(filter(None, (piece.row, piece.half, piece.found.digest, f"bar {piece.found.first_bar + 1}", piece.found.name)))
        for piece in found.pieces
        if piece.found.digest and not piece.found.name.startswith("chain ")
    ]


def estimate(one: Estimate) -> str:
    """``0.81 (0.75–0.86)``."""
    if isnan(one.value):
        return DASH
    if isnan(one.low):
        return number(one.value)
    return f"{number(one.value)} ({number(one.low)}–{number(one.high)})"


def percent(one: Estimate) -> str:
    """``12 (8–16)``."""
    if isnan(one.value):
        return DASH
    return f"{100 * one.value:.1f} ({100 * one.low:.1f}–{100 * one.high:.1f})"


def number(value: float) -> str:
    """Three significant digits; two places at most below 10."""
    if isnan(value):
        return DASH
    size = abs(value)
    text = f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 0.1 else f"{value:.3f}"
    return "0" if not float(text) else text


def _label(name: str) -> str:
    metric = METRICS[name]
    return f"{metric.label}, {metric.unit}" if metric.unit else metric.label


def _names(found: Evaluation) -> Sequence[str]:
    return [row.name for row in found.rows]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
