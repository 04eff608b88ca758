"""What verbs that compose share for choosing: the flags, the candidates' files, and what is said of the choice.

Takes a request and flags; composes candidates, writes the best and tells why. Every name that a chosen piece may get is checked before the
first note is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kapelle.cli.flags import option
from kapelle.cli.pieces import MIDI, FileFlags, Files, claim, files_of, show, write_piece
from kapelle.composing.request import MAX_COUNT, ComposeRequest
from kapelle.errors import UsageError
from kapelle.judging.choosing import WAYS

if TYPE_CHECKING:
    from kapelle.api.ranking import Chosen
    from kapelle.cli.console import Console
    from kapelle.cli.who import WorkerFlags
    from kapelle.composing.piece import Piece
    from kapelle.judging.choosing import Choice
    from kapelle.judging.rank import Ranked, Ranking


@dataclass(frozen=True, kw_only=True)
class ChoiceFlags:
    """The best of many."""

    best: int | None = option(None, help="compose many and keep so many, the best of them", min=1, max=MAX_COUNT)
    of: int | None = option(None, help="from how many candidates; each has the next seed; 32 with --best", min=1, max=MAX_COUNT)
    by: str = option("score", help="what makes one better than another", choices=WAYS)
    diverse: bool = option(False, help="of those that are kept, each from another cluster of candidates")
    weights: str = option("", help="weights of the score's parts, such as genre=2,human=0", metavar="PART=X,...")
    why: bool = option(False, help="tell the parts of every candidate's score, and the reasons")
    keep_all: Path | None = option(None, help="write all candidates into this folder too", metavar="DIR")


class Asking(Protocol):
    """The arguments of a verb that composes."""

    @property
    def choice(self) -> ChoiceFlags:
        """What is to be chosen."""

    @property
    def files(self) -> FileFlags:
        """What to write."""

    @property
    def output(self) -> Path | None:
        """What ``-o`` says."""

    @property
    def work(self) -> WorkerFlags:
        """Who composes."""


def best_of(asked: Asking, wish: ComposeRequest, stem: str, console: Console) -> list[dict[str, Any]] | None:
    """Compose candidates, write the best, tell; a table of facts for each. None, and nothing done, if no choice is asked for.

    Args:
        asked: The flags.
        wish: The request of one piece; the candidates have its seed and those after it.
        stem: Beginning of names that were not given.
        console: Where to speak.

    Raises:
        UsageError: What is asked contradicts itself, or a file is there already.
    """
    from kapelle import api

    flags = asked.choice
    found = api.choice_of(best=flags.best or 0, of=flags.of or 0, count=wish.count, by=flags.by, diverse=flags.diverse, seed=wish.seed)
    if found is None:
        if flags.why or flags.weights or flags.keep_all:
            raise UsageError("there is nothing to choose from", hint="say how many to take of how many: --best 1 --of 32")
        return None
    choice, of = found
    wish = replace(wish, count=of)
    chosen, places = _compose(asked, wish, choice, stem, console)
    tables = [
        {**write_piece(piece, places[row.index], asked.files), "rank": row.as_dict()}
        for piece, row in zip(chosen.pieces, chosen.ranking.chosen, strict=True)
    ]
    for table in tables:
        for problem in table["problems"]:
            console.warn("{path}: {why}", path=table["file"], why=problem)
    show(tables, console, ranking=chosen.ranking.as_dict())
    if not console.as_json:
        tell(chosen.ranking, console, why=flags.why)
    return tables


def _compose(asked: Asking, wish: ComposeRequest, choice: Choice, stem: str, console: Console) -> tuple[Chosen, list[Files]]:
    """The choice, and the files that each candidate gets if it is chosen."""
    from kapelle import api

    flags, force = asked.choice, asked.files.force
    weights = api.given_weights(flags.weights)
    places = _places(asked, wish, choice, stem)
    kept = [] if flags.keep_all is None else [flags.keep_all / f"{stem}-{wish.seed + number}.mid" for number in range(wish.count)]
    names = {path.absolute() for path in kept}
    twice = next((place.midi for place in places if place.midi.absolute() in names), None)
    if twice is not None:
        raise UsageError("the best and all candidates would both be {path}", path=twice, hint="choose another folder for --keep-all")
    claim(kept, force=force)
    left = iter(kept)

    def keep(piece: Piece) -> None:
        if kept:
            piece.save(next(left), force=force)

    with console.bar("composing candidates") as bar:
        bar(0, wish.count)
        return api.compose_best(wish, choice, weights=weights, by=asked.work.workers, progress=bar, each=keep), places


def _places(asked: Asking, wish: ComposeRequest, choice: Choice, stem: str) -> list[Files]:
    """The files that every candidate gets if it is chosen."""
    output, files = asked.output, asked.files
    if files.resume:
        raise UsageError("--resume and --best contradict each other", hint="what is best is known when all candidates are there")
    if choice.best > 1:
        return files_of(wish, output, files, stem)
    if output is not None and output.suffix.lower() in MIDI and not output.is_dir():
        return files_of(wish.piece(0), output, files, stem) * wish.count
    return [files_of(wish.piece(number), output, files, stem)[0] for number in range(wish.count)]


def tell(ranking: Ranking, console: Console, *, why: bool) -> None:
    """Say how the choice was made: in a line, or with the parts of all candidates."""
    degenerate = sum(bool(row.degenerate) for row in ranking.rows)
    console.note("the best {best} of {of}, by {way}", best=len(ranking.chosen), of=len(ranking.rows), way=ranking.choice.by)
    if degenerate:
        console.note("out of the running, being degenerate: {n}", n=degenerate)
    if ranking.choice.by == "score" or why:
        for part, reason in ranking.absent.items():
            console.note("{part} does not count: {why}", part=console.texts(part), why=_said(reason, console))
    if why:
        explain(ranking, console)


def explain(ranking: Ranking, console: Console) -> None:
    """Print weights, every candidate's parts, and reasons."""
    shown = [part.name for part in max((row.parts for row in ranking.rows), key=len)]
    weights = ranking.weights.as_dict()
    console.line()
    rows = [["", console.texts("weights"), "", *(f"{weights[name]:g}" for name in shown), ""]]
    rows += [_row(row, shown, ranking, console) for row in ranking.rows]
    console.table(["position", "candidate", "points", *shown, "why"], rows, numbers=["position", "points", *shown])
    for row in ranking.chosen:
        console.line()
        console.line(row.name)
        console.facts({part.name: f"{part.value:.2f} x {part.weight:.2f}  {_said(part.reason, console)}" for part in row.parts})


def points(row: Ranked) -> str:
    """The score of a candidate in a cell; a dash where nothing of it could be judged."""
    return "-" if math.isnan(row.score) else f"{row.score:.3f}"


def _row(row: Ranked, shown: list[str], ranking: Ranking, console: Console) -> list[str]:
    values = {part.name: f"{part.value:.2f}" for part in row.parts}
    mark = "*" if row.chosen else ""
    return [f"{row.place}{mark}", row.name, points(row), *(values.get(part, "") for part in shown), _because(row, ranking, console)]


def _because(row: Ranked, ranking: Ranking, console: Console) -> str:
    """The one thing that most tells a candidate from the rest: what it won by, or what it lost by against the best one."""
    if row.degenerate:
        return ", ".join(console.texts(reason) for reason in row.degenerate)
    if not row.parts:
        return ""
    others = [one for one in ranking.rows if one.chosen != row.chosen and not one.degenerate] or list(ranking.rows)
    mean: dict[str, float] = {}
    for one in others if row.chosen else ranking.chosen:
        for part in one.parts:
            mean[part.name] = mean.get(part.name, 0.0) + part.value / len(others if row.chosen else ranking.chosen)
    sign = 1 if row.chosen else -1
    part = max(row.parts, key=lambda one: sign * one.weight * (one.value - mean.get(one.name, 0.0)))
    gap = part.weight * (part.value - mean.get(part.name, 0.0))
    return f"{console.texts(part.name)} {gap:+.3f}: {_said(part.reason, console)}"


def _said(reason: Any, console: Console) -> str:
    return console.texts(reason.template, **reason.values)
