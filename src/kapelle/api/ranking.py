"""The best of many: candidates composed and judged, or files judged.

Takes a request whose `count` pieces are the candidates, or paths of MIDI files; gives a `Ranking` and what was chosen. A candidate is what
it would be if it had been composed alone, so the seed of a chosen piece makes it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle import workers
from kapelle.api.requests import bundle, compose_one
from kapelle.composing.request import ComposeRequest
from kapelle.errors import CannotObey, KapelleError, Missing, UnreadableInput, UsageError
from kapelle.judging import panel as judges
from kapelle.judging import rank as ranking
from kapelle.judging import reference as references
from kapelle.judging.choosing import Choice
from kapelle.judging.panel import Asked, Candidate, Measured, Panel
from kapelle.judging.rank import Ranking, Weights
from kapelle.progress import Report, quiet
from kapelle.score.folders import files_in
from kapelle.workers import Workers

if TYPE_CHECKING:
    from kapelle.composing.piece import Piece
    from kapelle.judging.reference import Reference

OF = 32
"""Candidates, if only the number of the best is given."""

NOTHING_TO_CHOOSE = "say how many to take of how many: --best 1 --of 32"


@dataclass(frozen=True)
class Chosen:
    """What was chosen.

    Args:
        pieces: The best first.
        ranking: Of all candidates, named by their seeds.
    """

    pieces: tuple[Piece, ...]
    ranking: Ranking


@dataclass(frozen=True)
class RankedFiles:
    """Files in their order.

    Args:
        ranking: Named by their paths.
        unread: Path and why, of those that are no MIDI files.
        model: The bundle that said how likely they are; empty if none did.
    """

    ranking: Ranking
    unread: tuple[tuple[Path, str], ...]
    model: str


def compose_best(
    wish: ComposeRequest,
    choice: Choice | None = None,
    *,
    weights: Weights | None = None,
    by: Workers | None = None,
    progress: Report = quiet,
    each: Callable[[Piece], object] = lambda piece: None,
) -> Chosen:
    """The best of the `count` pieces of a request.

    Args:
        wish: Its pieces are the candidates.
        choice: How many are taken, and by what; the best one by its score if left out.
        weights: Of the parts of the score; the defaults if left out.
        by: Who composes and measures.
        progress: Called with (candidates done, in all).
        each: Called with every candidate as it is done.

    Raises:
        UsageError: Fewer candidates than pieces to take.
        CannotObey: The pieces are a way from one seed to another, which are no candidates.
    """
    choice = choice or Choice()
    _check(wish, choice)
    wishes = [wish.piece(number) for number in range(wish.count)]
    made: list[Piece] = []
    measured: list[Measured] = []
    held = bundle(wish.model)
    genres = tuple(held.manifest.options.get("genres") or ())
    weights = weights or Weights()
    panel = Panel("" if wish.band else wish.model or held.name, genres, ranking.needed(weights, choice))
    for piece, one in (by or Workers()).map(partial(_composed, panel), wishes, progress):
        made.append(piece)
        measured.append(one)
        each(piece)
    found = ranking.ranked(measured, weights, choice, references.NOTHING if wish.band else references.of_model(held.name))
    return Chosen(tuple(made[row.index] for row in found.chosen), found)


def _check(wish: ComposeRequest, choice: Choice) -> None:
    if choice.best > wish.count:
        raise UsageError("the best {best} of {of} cannot be chosen", best=choice.best, of=wish.count, hint="compose more candidates: --of")
    if wish.options.get("towards") is not None and wish.count > 1:
        raise CannotObey("pieces on the way between two seeds are no candidates", hint="leave --towards or --best out")


def _composed(panel: Panel, wish: ComposeRequest) -> tuple[Piece, Measured]:
    """A candidate and what is measured of it."""
    piece = compose_one(wish, workers.stopped)
    return piece, judges.measure(panel, candidate(piece))


def candidate(piece: Piece) -> Candidate:
    """A composed piece as a candidate: the score as it will be read from its file, and what was asked of it."""
    from kapelle.score.read import read

    wish, facts = piece.request, piece.report.facts
    genre = str(facts.get("genre") or "")
    return Candidate(read(piece.to_midi()), str(wish.seed), asked_of(wish), genre, piece.report.n_bars)


def asked_of(wish: ComposeRequest) -> Asked:
    """What can be checked of what a request asks for; a lead, a prompt or a theme brings its own tempo, metre and length."""
    given = wish.options
    alone = wish.prompt is None and wish.lead is None
    return Asked(
        genre=str(given.get("genre") or ""),
        key=str(given.get("key") or "") if alone and not wish.band else "",
        tempo=float(given["tempo"]) if given.get("tempo") is not None and alone else None,
        metre=str(given.get("metre") or "") if alone else "",
        programs=judges.programs_of(str(given.get("instruments") or "")) if alone and not wish.band else (),
        bars=int(wish.length.amount) if wish.length.unit == "bars" and alone else None,
    )


def choice_of(
    *, best: int = 0, of: int = 0, count: int = 1, by: str = "score", diverse: bool = False, seed: int = 0
) -> tuple[Choice, int] | None:
    """What is to be chosen, and from how many; None if nothing is.

    Args:
        best: Pieces to take; 1 if only `of` is given.
        of: Candidates; `OF` if only `best` is given, or as many as are to be taken.
        count: Pieces that are asked for otherwise, which contradicts choosing.
        by: The way of choosing.
        diverse: The chosen are to differ.
        seed: Of what is random.

    Raises:
        UsageError: It contradicts itself.
    """
    if not best and not of:
        if by != "score" or diverse:
            raise UsageError("there is nothing to choose from", hint=NOTHING_TO_CHOOSE)
        return None
    if count > 1:
        raise UsageError("--count {count} and --best contradict each other", count=count, hint="--best N --of M gives N pieces")
    wanted = best or 1
    candidates = of or max(OF, wanted)
    if wanted > candidates:
        raise UsageError("the best {best} of {of} cannot be chosen", best=wanted, of=candidates, hint="compose more candidates: --of")
    return Choice(wanted, by, diverse, seed), candidates


def best_of(wish: ComposeRequest, weights: Mapping[str, float] | None, by_whom: Workers, **asked: Any) -> Any:
    """What `compose` gives: the chosen piece, or the list of them; `asked` are arguments of `choice_of`."""
    found = choice_of(count=wish.count, seed=wish.seed, **asked)
    if found is None:
        raise UsageError("there is nothing to choose from", hint=NOTHING_TO_CHOOSE)
    choice, of = found
    chosen = compose_best(replace(wish, count=of), choice, weights=given_weights(weights), by=by_whom).pieces
    return list(chosen) if choice.best > 1 else chosen[0]


def given_weights(weights: Mapping[str, float] | str | None) -> Weights | None:
    """Weights as a mapping or as text; None for the defaults."""
    if weights is None or weights == "":
        return None
    return ranking.weights_of(weights if isinstance(weights, str) else ",".join(f"{name}={value}" for name, value in weights.items()))


# --- files ------------------------------------------------------------------------------------------------------------------------


def rank(
    paths: Iterable[str | Path],
    *,
    best: int = 1,
    model: str = "",
    genre: str = "",
    by: str = "score",
    diverse: bool = False,
    weights: Mapping[str, float] | str | None = None,
    reference: str | Path = "",
    seed: int = 0,
    processes: int = 1,
    progress: Report = quiet,
) -> RankedFiles:
    """MIDI files, the best first.

    Args:
        paths: Files and folders.
        best: How many are marked as chosen.
        model: The bundle that says how likely they are; left out, the one that composed them all, as the files tell.
        genre: That they are to have.
        by: One of `kapelle.judging.choosing.WAYS`.
        diverse: The chosen are to differ.
        weights: Part -> weight.
        reference: Folder of real music to compare with; left out, that of the model.
        seed: Of what is random.
        processes: To measure with.
        progress: Called with (files done, in all).

    Raises:
        Missing: There is no such path.
        UsageError: There are no MIDI files, or none to compare with.
        UnreadableInput: Not one of the files can be read.
    """
    choice = Choice(best, by, diverse, seed)
    files = midi_files(paths)
    name = model or _composer_of(files)
    chosen_weights = given_weights(weights) or Weights()
    genres = tuple(bundle(name).manifest.options.get("genres") or ()) if name else ()
    panel = Panel(name, genres, ranking.needed(chosen_weights, choice))
    compared = _reference(reference, name, processes)
    measured: list[Measured] = []
    unread: list[tuple[Path, str]] = []
    for path, found in zip(files, Workers(processes).map(partial(_measured, panel, genre), files, progress), strict=True):
        if isinstance(found, Measured):
            measured.append(found)
        else:
            unread.append((path, found))
    if not measured:
        raise UnreadableInput("not one of {n} files can be read: {why}", n=len(files), why=unread[0][1])
    return RankedFiles(ranking.ranked(measured, chosen_weights, choice, compared), tuple(unread), name)


def midi_files(paths: Iterable[str | Path]) -> list[Path]:
    """The MIDI files that are named or lie in folders that are named, each once, those of a folder by their names.

    Raises:
        Missing: There is no such path.
        UsageError: There are none.
    """
    found: dict[Path, None] = {}
    named = [Path(path) for path in paths]
    for path in named:
        if not path.exists():
            raise Missing("{path} is not there", path=path)
        found |= dict.fromkeys(files_in(path))
    if not found:
        raise UsageError("{path} holds no MIDI files", path=", ".join(map(str, named)) or "nothing", hint="name files that end in .mid")
    return list(found)


def _measured(panel: Panel, genre: str, path: Path) -> Measured | str:
    """What is measured of a file; why it cannot be read, if so."""
    from kapelle.score.read import read

    try:
        score = read(path)
    except UnreadableInput as error:
        return str(error)
    return judges.measure(panel, Candidate(score, str(path), Asked(genre=genre), genre))


def _composer_of(files: Sequence[Path]) -> str:
    """The bundle that composed all of the files, as they tell; empty if they do not, or if it is not installed."""
    from kapelle.composing.piece import provenance_of

    told = set()
    for path in files:
        found = provenance_of(path.read_bytes())
        told.add(found.model if found else "")
        if len(told) > 1:
            return ""
    name = told.pop()
    try:
        return bundle(name).name if name else ""
    except KapelleError:
        return ""


def _reference(folder: str | Path, model: str, processes: int) -> Reference:
    """Real music to compare with: that in a folder, with how likely that of the model is."""
    known = references.of_model(bundle(model).name) if model else references.NOTHING
    if not folder:
        return known
    import numpy as np

    from kapelle.classifiers import midi_features

    rows = [row for row in Workers(processes).map(_features, midi_files([folder])) if row is not None]
    if not rows:
        raise UnreadableInput("not one of the files in {folder} can be read and holds pitched notes", folder=folder)
    return replace(references.of_folder(np.stack(rows), [""] * len(rows), midi_features.NAMES), bits_per_note=known.bits_per_note)


def _features(path: Path) -> Any:
    from kapelle.classifiers import midi_features
    from kapelle.score.read import read

    try:
        score = read(path)
    except UnreadableInput:
        return None
    return midi_features.features(score) if any(len(track.notes) for track in score.tracks if not track.is_drum) else None
