"""Many candidates, the best first: a score from parts, each from 0 to 1 with a reason in words.

Takes candidates, or what a panel measured of them; gives a `Ranking`. The parts:

============  =====================================================================================================================
part          1 means
============  =====================================================================================================================
`genre`       the genre asked for is certain; if none was, some genre is (the thesis' max p -> 1)
`likelihood`  as surprising to the model as real music is: not more, and not less
`typical`     in the middle of real music, by its features
`human`       a classifier is certain that a person wrote it
`obedience`   all that was asked is there: key, tempo, metre, instruments, bars
`novelty`     not nearly the same as another candidate, and nothing of it is in the music that the model learned from
============  =====================================================================================================================

The score is their geometric mean by `Weights`, like that of witnesses who have not spoken with each other: what one of them holds to be
nearly impossible, the others do not make good. A part below `LEAST` counts as that. A part that is not there leaves its weight to the
others, and the ranking tells. A degenerate candidate is out of the running unless all are. The default weights are those that did best
in benchmarks/ranking.py on pieces set aside for choosing them; docs/explanation/ranking.md has what they bring on others.

It measures nothing about the quality of a ranking: the classifier that does is none of those that rank (`panel.BUNDLES`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kapelle.config import check, setting
from kapelle.errors import UsageError
from kapelle.judging import choosing, clusters, outliers
from kapelle.judging.choosing import Choice
from kapelle.judging.panel import Candidate, Measured, Panel, Reason, measure
from kapelle.judging.reference import NOTHING, Reference

__all__ = ["Candidate", "Choice", "Part", "Ranked", "Ranking", "Weights", "needed", "rank", "ranked", "weights_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Weights:
    """How much each part of the score counts; 0: not at all."""

    genre: float = setting(0.25, help="probability of the genre", min=0.0, max=100.0)
    likelihood: float = setting(0.0, help="as surprising as real music", min=0.0, max=100.0)
    typical: float = setting(0.0, help="near the middle of real music", min=0.0, max=100.0)
    human: float = setting(1.0, help="probability that a person wrote it", min=0.0, max=100.0)
    obedience: float = setting(1.0, help="all that was asked is there", min=0.0, max=100.0)
    novelty: float = setting(0.25, help="unlike the other candidates", min=0.0, max=100.0)

    def __post_init__(self) -> None:
        check(self)
        if not any(self.as_dict().values()):
            raise UsageError("all weights are 0", hint="give one part a weight")

    def as_dict(self) -> dict[str, float]:
        """Part -> weight."""
        return {item.name: float(getattr(self, item.name)) for item in fields(self)}


LEAST = 1e-3
"""A part counts as this at least, so that no witness alone can send a candidate to the very end."""

PARTS = tuple(item.name for item in fields(Weights))


def weights_of(text: str) -> Weights:
    """The weights in ``genre=2,human=0``; what is not named keeps its own.

    Raises:
        UsageError: No such part, or no number.
    """
    given: dict[str, float] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = pair.partition("=")
        try:
            given[name.strip()] = float(value)
        except ValueError as error:
            raise UsageError("a weight is written {example}, not {pair!r}", example="genre=2", pair=pair) from error
        if name.strip() not in PARTS:
            raise UsageError("the score has no part {name!r}", name=name.strip(), hint="parts: {parts}", parts=", ".join(PARTS))
    return Weights(**{**Weights().as_dict(), **given})


def needed(weights: Weights, choice: Choice) -> tuple[str, ...]:
    """The parts that somebody has to be asked about, so that candidates can be ordered."""
    also = {"genre": "genre", "human": "human", "outlier": "typical", "cluster": "novelty"}.get(choice.by, "")
    wanted = {name for name, weight in weights.as_dict().items() if weight > 0} | {also} | ({"novelty"} if choice.diverse else set())
    return tuple(name for name in PARTS if name in wanted and name != "obedience")


@dataclass(frozen=True)
class Part:
    """One part of a score.

    Args:
        name: One of `PARTS`.
        value: 0 to 1.
        weight: Its share of the score; the shares of a candidate add up to 1.
        reason: Why, in words.
    """

    name: str
    value: float
    weight: float
    reason: Reason


@dataclass(frozen=True)
class Ranked:
    """A candidate in its place.

    Args:
        name: Of the candidate.
        index: Its place among those given.
        place: From 1, the best.
        chosen: It is taken.
        score: 0 to 1; NaN if there is no part at all.
        value: That by which the candidates were ordered: the score, or what another way of choosing says.
        parts: Of the score.
        degenerate: What is wrong with it; empty if nothing.
        cluster: Among the candidates, from 0; None if none were made.
    """

    name: str
    index: int
    place: int
    chosen: bool
    score: float
    value: float
    parts: tuple[Part, ...]
    degenerate: tuple[str, ...] = ()
    cluster: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Itself for JSON."""
        parts = {part.name: {"value": part.value, "weight": part.weight, "reason": str(part.reason)} for part in self.parts}
        return {
            "name": self.name,
            "place": self.place,
            "chosen": self.chosen,
            "score": self.score,
            "value": self.value,
            "parts": parts,
            "degenerate": list(self.degenerate),
            **({} if self.cluster is None else {"cluster": self.cluster}),
        }


@dataclass(frozen=True)
class Ranking:
    """All candidates, the best first.

    Args:
        rows: In their order.
        choice: What was wanted.
        weights: Of the parts.
        absent: Part -> why no candidate has it.
    """

    rows: tuple[Ranked, ...]
    choice: Choice
    weights: Weights
    absent: Mapping[str, Reason] = field(default_factory=dict)

    @property
    def chosen(self) -> tuple[Ranked, ...]:
        """Those that are taken, the best first."""
        return tuple(row for row in self.rows if row.chosen)

    def as_dict(self) -> dict[str, Any]:
        """Itself for JSON."""
        return {
            "by": self.choice.by,
            "diverse": self.choice.diverse,
            "best": self.choice.best,
            "of": len(self.rows),
            "weights": self.weights.as_dict(),
            "absent": {name: str(why) for name, why in self.absent.items()},
            "degenerate": sum(bool(row.degenerate) for row in self.rows),
            "candidates": [row.as_dict() for row in self.rows],
        }


def rank(
    candidates: Sequence[Candidate],
    weights: Weights | None = None,
    choice: Choice | None = None,
    *,
    panel: Panel | None = None,
    reference: Reference = NOTHING,
) -> Ranking:
    """The candidates, the best first.

    Args:
        candidates: At least one.
        weights: Of the parts; the defaults if left out.
        choice: How many are taken and by what; the best one by its score if left out.
        panel: Who judges.
        reference: Real music to compare with.

    Raises:
        UsageError: There is no candidate.
    """
    return ranked([measure(panel or Panel(), one) for one in candidates], weights, choice, reference)


def ranked(
    measured: Sequence[Measured], weights: Weights | None = None, choice: Choice | None = None, reference: Reference = NOTHING
) -> Ranking:
    """As `rank`, of candidates that have been measured."""
    if not measured:
        raise UsageError("there is nothing to choose from")
    weights, choice = weights or Weights(), choice or Choice()
    table = _Table(measured, reference)
    sound = [not one.degenerate for one in measured]
    known = [table.parts(place) for place in range(len(measured))]
    parts = [_weighed(found, weights) for found in known]
    scores = [_mean(row) for row in parts]
    values, groups = table.values(choice, scores, sound)
    order = choosing.in_order(values, sound)
    if groups is not None:
        order = choosing.one_of_each(order, groups, choice.best)
    rows = tuple(
        Ranked(
            measured[index].name,
            index,
            place,
            place <= choice.best,
            scores[index],
            values[index],
            parts[index],
            measured[index].degenerate,
            None if groups is None else int(groups[index]),
        )
        for place, index in enumerate(order, 1)
    )
    there = {name for found in known for name in found}
    absent = {name: table.why_not(name) for name, weight in weights.as_dict().items() if weight > 0 and name not in there}
    return Ranking(rows, choice, weights, absent)


def _weighed(found: Mapping[str, tuple[float, Reason]], weights: Weights) -> tuple[Part, ...]:
    """The parts of a candidate that count, their weights adding up to 1."""
    given = weights.as_dict()
    total = sum(given[name] for name in found)
    if total <= 0:
        return ()
    return tuple(Part(name, *(found[name][:1]), given[name] / total, found[name][1]) for name in PARTS if name in found and given[name] > 0)


def _mean(parts: Sequence[Part]) -> float:
    """The weighted geometric mean of parts, `LEAST` to 1; NaN if there are none."""
    return math.exp(sum(part.weight * math.log(max(part.value, LEAST)) for part in parts)) if parts else math.nan


class _Table:
    """All candidates side by side: what can only be said of one beside the others, or beside real music."""

    def __init__(self, measured: Sequence[Measured], reference: Reference) -> None:
        self.measured, self.reference = measured, reference
        self.apart = np.full(len(measured), np.nan)  # from the middle of real music
        self.nearest = np.full(len(measured), np.nan)  # to another candidate, in usual distances
        self.places = [place for place, one in enumerate(measured) if one.features is not None]
        self.rows = np.zeros((len(measured), 1))
        if self.places:
            features = np.stack([np.asarray(measured[place].features, np.float64) for place in self.places])
            standard = self._standardised(features)
            self.rows = np.zeros((len(measured), standard.shape[1]))
            self.rows[self.places] = standard
            self._compare(features, standard)

    def _standardised(self, features: Floats) -> Floats:
        middle = self.reference.middle
        if middle is not None:
            return outliers.standardised(features, middle)
        clean = np.nan_to_num(features, nan=0.0)
        scale = clean.std(axis=0)
        out: Floats = (clean - clean.mean(axis=0)) / np.where(scale > 1e-9, scale, 1.0)
        return out

    def _compare(self, features: Floats, standard: Floats) -> None:
        middle = self.reference.middle
        if middle is not None:
            genres = [self.measured[place].genre for place in self.places]
            for genre in set(genres):
                own = [number for number, one in enumerate(genres) if one == genre]
                self.apart[[self.places[number] for number in own]] = outliers.distances(features[own], middle, genre)
        if len(self.places) > 2:
            near = clusters.to_nearest_other(standard)
            usual = float(np.median(near))
            self.nearest[self.places] = near / usual if usual > 0 else 1.0

    def parts(self, place: int) -> dict[str, tuple[float, Reason]]:
        """Part -> value and reason, of one candidate."""
        one = self.measured[place]
        found = {
            "genre": _genre(one),
            "likelihood": self._likelihood(one),
            "typical": self._typical(place),
            "human": _human(one),
            "obedience": _obedience(one),
            "novelty": self._novelty(place),
        }
        return {name: part for name, part in found.items() if part is not None}

    def _likelihood(self, one: Measured) -> tuple[float, Reason] | None:
        usual = self.reference.bits(one.genre)
        if one.bits is None or usual is None:
            return None
        mean, deviation = usual
        values = {"bits": one.bits, "mean": mean, "deviation": deviation}
        reason = Reason("{bits:.1f} bits per note; real music has {mean:.1f} ± {deviation:.1f}", values)
        return math.exp(-0.5 * ((one.bits - mean) / deviation) ** 2), reason

    def _typical(self, place: int) -> tuple[float, Reason] | None:
        apart = float(self.apart[place])
        if math.isnan(apart):
            return None
        reason = Reason("{apart:.2f} times as far from the middle of real music as real music is", {"apart": apart})
        return 1 / (1 + apart**2), reason

    def _novelty(self, place: int) -> tuple[float, Reason] | None:
        near, copied = float(self.nearest[place]), self.measured[place].copied
        if math.isnan(near):
            return None
        if not copied:
            return min(1.0, near), Reason("the nearest other candidate is at {near:.2f} of the usual distance", {"near": near})
        reason = Reason(
            "the nearest other candidate is at {near:.2f} of the usual distance; {copied:.0%} is in the training music too",
            {"near": near, "copied": copied},
        )
        return min(1.0, near) * (1 - copied), reason

    def values(self, choice: Choice, scores: Sequence[float], sound: Sequence[bool]) -> tuple[list[float], NDArray[np.int64] | None]:
        """That by which the candidates are ordered, higher being better; and their clusters, if they are to differ.

        Raises:
            UsageError: What is needed for this way is not there.
        """
        groups = choosing.groups_of(self.rows, choice, sound) if choice.clustered else None
        if choice.by == "random":
            return choosing.at_random(len(self.measured), choice.seed).tolist(), groups
        if choice.by == "cluster" and groups is not None:
            return (-clusters.to_own_centre(self.rows, np.maximum(groups, 0))).tolist(), groups
        if choice.by == "outlier":
            found = (-self.apart).tolist()
        elif choice.by in ("genre", "human"):
            of = _genre if choice.by == "genre" else _human
            found = [math.nan if (part := of(one)) is None else part[0] for one in self.measured]
        else:
            return list(scores), groups
        if all(map(math.isnan, found)):
            why = str(self.why_not({"outlier": "typical"}.get(choice.by, choice.by)))
            raise UsageError("nothing can be chosen by {way}: {why}", way=choice.by, why=why, hint="choose another way")
        return found, groups

    def why_not(self, part: str) -> Reason:
        """Why nothing is known about a part."""
        sounding = [self.measured[place] for place in self.places] or self.measured
        told = next((one.absent[part] for one in sounding if part in one.absent), None)
        if told is not None:
            return told
        asked = next((one.asked.genre for one in self.measured if one.asked.genre), "")
        if part == "genre" and asked:
            return Reason("the classifier does not know the genre {genre}", {"genre": asked})
        if part == "obedience":
            return Reason("nothing was asked")
        if part == "novelty":
            return Reason("there are too few candidates")
        return Reason("there is no real music to compare with")


def _genre(one: Measured) -> tuple[float, Reason] | None:
    if not one.genres:
        return None
    asked = one.asked.genre
    if asked:
        share = one.genres.get(asked)
        return None if share is None else (share, Reason("{genre} with a probability of {share:.0%}", {"genre": asked, "share": share}))
    label = max(one.genres, key=one.genres.__getitem__)
    return one.genres[label], Reason("most probably {genre}: {share:.0%}", {"genre": label, "share": one.genres[label]})


def _human(one: Measured) -> tuple[float, Reason] | None:
    return None if one.human is None else (one.human, Reason("written by a person with a probability of {share:.0%}", {"share": one.human}))


def _obedience(one: Measured) -> tuple[float, Reason] | None:
    if not one.obeyed:
        return None
    broken = [name for name, held in one.obeyed.items() if not held]
    value = 1 - len(broken) / len(one.obeyed)
    if broken:
        return value, Reason("not as asked: {names}", {"names": ", ".join(broken)})
    return value, Reason("as asked: {names}", {"names": ", ".join(one.obeyed)})
