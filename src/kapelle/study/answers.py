"""What listeners answered: means with their intervals, how far they agree, which of two they preferred.

Takes CSV files of a listening page and the keys of its tests; gives an `Outcome`. Both listeners and pieces are drawn anew for the
intervals, since another time both would be others; with one listener only the pieces are, and the interval says nothing of other
people. Of an answer that is there twice, the last counts. What cannot be an answer is an error with its file and line: a figure made of
damaged answers would look like any other.

Source: the draws of listeners and pieces are those of Owen 2007, "The pigeonhole bootstrap"; agreement is Krippendorff's alpha.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kapelle.errors import Missing, StorageError, UnreadableInput, UsageError
from kapelle.metrics.bootstrap import LEVEL, Estimate, nothing, times
from kapelle.study.agreement import alpha
from kapelle.study.blind import LEVELS, QUESTIONS

HEAD = ["test", "listener", "kind", "item", "question", "answer"]
MOST_BYTES = 2**24
SAME = "same"


@dataclass(frozen=True)
class Rating:
    """One answer about one piece."""

    listener: str
    group: str
    cell: str
    question: str
    value: int


@dataclass(frozen=True)
class Preference:
    """One answer about two pieces: the groups in the order of the alphabet, and 1 for the first, 0 for the second, a half for neither."""

    listener: str
    groups: tuple[str, str]
    pair: str
    value: float


@dataclass(frozen=True)
class Outcome:
    """What came of a test.

    Args:
        ratings: Group -> question -> mean, 1 to 5, with its interval.
        counts: Group -> ratings that there are of it.
        preferences: (first group, second group, answers, share that preferred the first, a half for those who found no difference).
        agreement: Question -> alpha, ordinal and interval.
        listeners: Their names.
        replaced: Answers that a later one took the place of.
    """

    ratings: dict[str, dict[str, Estimate]]
    counts: dict[str, int]
    preferences: tuple[tuple[str, str, int, Estimate], ...]
    agreement: dict[str, dict[str, float]]
    listeners: tuple[str, ...] = field(default=())
    replaced: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Itself for JSON."""
        return {
            "listeners": list(self.listeners),
            "replaced": self.replaced,
            "ratings": {group: {name: asdict(one) for name, one in found.items()} for group, found in self.ratings.items()},
            "counts": self.counts,
            "preferences": [{"first": a, "second": b, "answers": n, "preferred": asdict(share)} for a, b, n, share in self.preferences],
            "agreement": self.agreement,
        }


def count(paths: Sequence[Path], keys: Sequence[Path], seed: int = 0) -> Outcome:
    """What the answers in some files come to.

    Args:
        paths: CSV files of a listening page.
        keys: Of the tests that they answer.
        seed: Of the draws.

    Raises:
        Missing: A file is not there.
        UnreadableInput: A file holds no answers, or a line of it is none; a key is none.
        UsageError: The answers are of a test whose key is not given, or there are none.
    """
    held = {key["test"]: key for key in map(_key, keys)}
    found: dict[tuple[str, ...], tuple[str, Path, int]] = {}
    replaced = 0
    for path in paths:
        for number, row in _lines(path):
            if row["test"] not in held:
                raise UsageError(
                    "{path} answers the test {test}, whose key is not given", path=path, test=row["test"], hint="--key FILE.json"
                )
            place = tuple(row[name] for name in HEAD[:-1])
            replaced += place in found
            found[place] = (row["answer"], path, number)
    ratings, preferences = [], []
    for (test, listener, kind, item, question), (answer, path, number) in found.items():
        try:
            if kind == "clip":
                ratings.append(_rating(held[test], listener, item, question, answer))
            else:
                preferences.append(_preference(held[test], listener, kind, item, answer))
        except (KeyError, ValueError) as error:
            raise UnreadableInput(
                "line {line} of {path} is no answer: {why}", line=number, path=path, why=error, hint="remove the line, or the file"
            ) from error
    if not found:
        raise UsageError("there are no answers in these files", hint="listeners save them with the button on their page")
    return outcome(ratings, preferences, replaced, seed)


def outcome(ratings: Sequence[Rating], preferences: Sequence[Preference], replaced: int = 0, seed: int = 0) -> Outcome:
    """What some answers come to.

    Args:
        ratings: Of pieces.
        preferences: Of pairs.
        replaced: Answers that are not among them.
        seed: Of the draws.
    """
    groups = list(dict.fromkeys(one.group for one in ratings))
    means = {group: {name: _rated(ratings, group, name, seed) for name in QUESTIONS} for group in groups}
    both = sorted({one.groups for one in preferences})
    preferred = []
    for pair in both:
        mine = [(one.listener, one.pair, one.value) for one in preferences if one.groups == pair]
        preferred.append((*pair, len(mine), _mean(mine, seed)))
    listeners = tuple(sorted({one.listener for one in ratings} | {one.listener for one in preferences}))
    counts = {group: sum(one.group == group for one in ratings) for group in groups}
    agreement = {name: _agreement([one for one in ratings if one.question == name]) for name in QUESTIONS}
    return Outcome(means, counts, tuple(preferred), agreement, listeners, replaced)


def _rated(ratings: Sequence[Rating], group: str, question: str, seed: int) -> Estimate:
    return _mean([(one.listener, one.cell, one.value) for one in ratings if (one.group, one.question) == (group, question)], seed)


def _mean(answers: Sequence[tuple[str, str, float]], seed: int) -> Estimate:
    """The mean of answers (listener, piece, value), with both drawn anew where there are several."""
    if not answers:
        return nothing("no answer")
    values = np.array([value for _, _, value in answers], np.float64)
    listeners, pieces = ([answer[0] for answer in answers], [answer[1] for answer in answers])
    drawn = _weights(listeners, seed) * _weights(pieces, seed + 1)  # (draws, answers)
    of = drawn.sum(axis=1)
    means = (drawn @ values)[of > 0] / of[of > 0]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(values.mean()), float(low), float(high))


def _weights(names: Sequence[str], seed: int) -> Any:
    """(draws, answers) how often the listener or piece of each answer is drawn; always once where there is only one."""
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    if len(places) == 1:
        return np.ones((1, len(names)))
    return times(len(places), seed)[:, [places[name] for name in names]]


def _agreement(ratings: Sequence[Rating]) -> dict[str, float]:
    listeners = sorted({one.listener for one in ratings})
    cells = sorted({one.cell for one in ratings})
    table = np.full((len(listeners), len(cells)), np.nan)
    for one in ratings:
        table[listeners.index(one.listener), cells.index(one.cell)] = one.value
    return {level: alpha(table, level) for level in ("ordinal", "interval")}


def _rating(key: Mapping[str, Any], listener: str, item: str, question: str, answer: str) -> Rating:
    clip, value = key["clips"][item], int(answer)
    if question not in QUESTIONS or value not in LEVELS:
        raise ValueError(f"{question} {answer}")
    return Rating(listener, clip["group"], clip["cell"], question, value)


def _preference(key: Mapping[str, Any], listener: str, kind: str, item: str, answer: str) -> Preference:
    pair = key["pairs"][item]
    if kind != "pair" or answer not in (*pair, SAME):
        raise ValueError(f"{kind} {answer}")
    by_group = {key["clips"][clip]["group"]: clip for clip in pair}
    first, second = sorted(by_group)
    value = 0.5 if answer == SAME else float(by_group[first] == answer)
    return Preference(listener, (first, second), "-".join(sorted(key["clips"][clip]["cell"] for clip in pair)), value)


def _key(path: Path) -> dict[str, Any]:
    """The key in a file, its parts checked."""
    try:
        table: dict[str, Any] = json.loads(_bytes(path))
        str(table["test"])
        clips = {str(name): (str(clip["group"]), str(clip["cell"])) for name, clip in table["clips"].items()}
        for first, second in table["pairs"].values():
            if clips[first][0] == clips[second][0]:
                raise ValueError("a pair of one group")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableInput(
            "{path} is no key of a listening test: {why}", path=path, why=error, hint="`kapelle study blind` writes it beside the page"
        ) from error
    return table


def _lines(path: Path) -> Iterable[tuple[int, dict[str, str]]]:
    """The lines of a file of answers, by the names of their columns."""
    try:
        reader = csv.reader(io.StringIO(_bytes(path).decode("utf-8-sig"), newline=""))
        head = next(reader, None)
        if head != HEAD:
            raise UnreadableInput("{path} holds no answers: its first line is not {head}", path=path, head=",".join(HEAD))
        for row in reader:
            if not row:
                continue
            if len(row) != len(HEAD):
                raise UnreadableInput(
                    "line {line} of {path} is no answer: {why}", line=reader.line_num, path=path, why=f"{len(row)} columns",
                    hint="remove the line, or the file",
                )  # fmt: skip
            yield reader.line_num, dict(zip(HEAD, row, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableInput("{path} is no table of answers: {why}", path=path, why=error) from error


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UnreadableInput("{path} has more than {most} bytes", path=path, most=MOST_BYTES)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise Missing("there is no file {path}", path=path) from error
    except OSError as error:
        raise StorageError("cannot read {path}: {why}", path=path, why=error.strerror) from error
