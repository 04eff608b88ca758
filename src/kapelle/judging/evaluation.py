"""What an evaluation found: rows, remarks and the files that they are about, as frozen tables that go to JSON.

It measures nothing and draws nothing: `evaluate` fills it, `report` shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from kapelle.config import setting
from kapelle.judging.excerpts import FEATURES, JUDGE, Found
from kapelle.metrics.bootstrap import Estimate
from kapelle.metrics.distance import Compared
from kapelle.metrics.neighbours import Neighbours

if TYPE_CHECKING:
    from symusic import Score

MADE, REAL, BASELINE = "made", "real", "baseline"
"""Kinds of rows."""

FEW = 50
"""Distances of sets of fewer pieces are rough."""


@dataclass(frozen=True)
class Options:
    """How to evaluate."""

    bars: int = setting(
        16, help="length in bars to which every piece is cut", ru="Длина в тактах, до которой обрезается каждая пьеса", min=4, max=512
    )
    seed: int = setting(
        0, help="seed of the excerpts, of the split and of the draws", ru="Зерно отрывков, разбиения и выборок", min=0, max=2**31 - 1
    )
    pieces: int = setting(
        0, help="use at most so many pieces of each set; 0 for all", ru="Не больше пьес из каждого набора; 0 - все", min=0
    )
    embedding: str = setting(
        "",
        help="what distances of sets are measured on; the judge where its bundle is installed, else features",
        ru="По чему измеряются расстояния между наборами; судья, если его модель установлена, иначе признаки",
        choices=("", JUDGE, FEATURES),
    )
    neighbours: int = setting(
        5, help="nearest neighbours that make the region of a set", ru="Ближайших соседей в области набора", min=1, max=100
    )
    model: str = setting(
        "", help="language model that says how many bits a note costs", ru="Языковая модель, которая скажет, сколько бит стоит нота"
    )
    samples: int = setting(3, help="pieces of each row that are drawn", ru="Сколько пьес каждой строки нарисовать", min=0, max=24)


@dataclass(frozen=True)
class Remark:
    """Something to know about the evaluation: a template and its values, so that it can be said in another language."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.template.format(**self.values)


@dataclass(frozen=True)
class SetFigures:
    """A set of pieces against one half of the reference.

    Args:
        n: Pieces of the set that were compared, the same number in all rows.
        against: Pieces of the half.
        overlap: Mean over metrics of the overlap; NaN if none could be compared.
        kld: Likewise, nats.
        neighbours: Precision, recall, density and coverage.
        frechet: Distance on the embedding.
        two_sample: Accuracy of telling the sets apart; 0.5 is ideal.
    """

    n: int
    against: int
    overlap: float
    kld: float
    neighbours: Neighbours
    frechet: Estimate
    two_sample: Estimate


@dataclass(frozen=True)
class Row:
    """A set of pieces in the table.

    Args:
        name: What the table calls it.
        kind: `MADE`, `REAL` or `BASELINE`.
        n_files: Files, or pieces of a baseline.
        n_pieces: Those that were measured.
        troubles: Kind of trouble -> how many.
        means: Metric -> its mean over pieces.
        broken: Rule of degeneracy -> share of pieces; ``any`` among them.
        obeyed: What recipes asked for -> share that has it.
        genres: Genre -> mean probability by the judge.
        genre_shares: Genre -> share of pieces for which it is the likeliest.
        bits: Bits per note under the language model.
        sets: Against one half of the reference.
        metrics: Metric -> its distribution against that of the half.
    """

    name: str
    kind: str
    n_files: int
    n_pieces: int
    troubles: Mapping[str, int]
    means: Mapping[str, Estimate]
    broken: Mapping[str, Estimate]
    obeyed: Mapping[str, Estimate]
    genres: Mapping[str, Estimate]
    genre_shares: Mapping[str, Estimate]
    bits: Estimate
    sets: SetFigures
    metrics: Mapping[str, Compared]


@dataclass(frozen=True)
class Piece:
    """A piece of the evaluation.

    Args:
        row: Name of its row.
        half: Of a reference piece, "A" or "B"; rows are compared with A.
        found: What became of it.
    """

    row: str
    half: str
    found: Found


@dataclass(frozen=True)
class Sample:
    """A piece to draw."""

    row: str
    name: str
    score: Score


@dataclass(frozen=True)
class Evaluation:
    """All that was found.

    Args:
        options: How; the embedding as it was settled.
        embedding: What it is, with the hash of its bundle if it has one.
        rows: Sets that were made, real music, baselines.
        pieces: Every file, baselines too.
        remarks: What to know about it.
        samples: Pieces to draw; not part of the JSON.
        judge: The judge's genres were asked for.
    """

    options: Options
    embedding: str
    rows: tuple[Row, ...]
    pieces: tuple[Piece, ...]
    remarks: tuple[Remark, ...] = ()
    samples: tuple[Sample, ...] = field(default=(), compare=False, repr=False)
    judge: str = ""

    def row(self, name: str) -> Row:
        """The row of a name."""
        return next(row for row in self.rows if row.name == name)

    def values(self, row: str, metric: str) -> list[float]:
        """A metric of every piece of a row that has a value."""
        found = (piece.found.values.get(metric, float("nan")) for piece in self.pieces if piece.row == row)
        return [value for value in found if isfinite(value)]

    def as_dict(self) -> dict[str, Any]:
        """A table for JSON; what could not be measured is null."""
        return {
            "options": asdict(self.options),
            "embedding": self.embedding,
            "judge": self.judge,
            "remarks": [str(remark) for remark in self.remarks],
            "rows": [_plain(row) for row in self.rows],
            "pieces": [_piece(piece) for piece in self.pieces],
        }


def _piece(piece: Piece) -> dict[str, Any]:
    found = {name: _plain(value) for name, value in vars(piece.found).items() if name != "vector" and value not in ("", (), {})}
    return {"row": piece.row, **({"half": piece.half} if piece.half else {}), **found}


def _plain(value: Any) -> Any:
    """Tables of numbers for JSON, which knows no NaN."""
    if is_dataclass(value) and not isinstance(value, type):
        out = {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
        return {name: item for name, item in out.items() if name != "reason" or item}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value
