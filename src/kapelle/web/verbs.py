"""What a worker can do: a function for each verb, from the body of a job to its result.

Each calls one verb of `kapelle.api`, tells what happens while it happens, and puts what comes out into the library. A piece has an id that
belongs to its job and number, so that a job that is begun twice leaves each piece once; what is there already is not made again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kapelle import api, workers
from kapelle.api.naming import file_stem, one_line
from kapelle.composing.events import BarDone, Done, NotesAdded, Progress, Restarted
from kapelle.composing.piece import request_of
from kapelle.errors import CannotObey, Interrupted, UsageError
from kapelle.web.folder import Folder, NotFound, id_of
from kapelle.web.judged import ranking_table, row_table
from kapelle.web.live_sound import LiveSound
from kapelle.web.telling import Teller, message
from kapelle.web.wishes import MAX_CANDIDATES, Body, name_of, options_of, seed_of, source_of, wish_of

if TYPE_CHECKING:
    from kapelle.composing.piece import Piece
    from kapelle.composing.request import ComposeRequest
    from kapelle.judging.choosing import Choice
    from kapelle.web.library import Library
    from kapelle.web.records import Record


@dataclass(frozen=True)
class Context:
    """What a verb works with.

    Args:
        job: Id of the job.
        library: Where pieces are kept.
        folder: Where files are kept.
        teller: Hears what happens.
        told: Ids of the pieces that were told before a worker died.
    """

    job: str
    library: Library
    folder: Folder
    teller: Teller
    told: tuple[str, ...] = ()

    def tell(self, name: str, data: Mapping[str, Any]) -> None:
        """Note an event."""
        self.teller.tell(name, data)

    def cancelled(self) -> bool:
        """Whether to stop."""
        return self.teller.cancelled()

    def check(self) -> None:
        """Go on, or not.

        Raises:
            Interrupted: The job is to end.
        """
        if self.cancelled():
            raise Interrupted("composing was cancelled")


Verb = Callable[[Body, Context], dict[str, Any]]


# --- composing --------------------------------------------------------------------------------------------------------------------


def play(wish: ComposeRequest, number: int, context: Context, share: tuple[float, float] = (0.0, 1.0)) -> Piece:
    """The piece of a request, told and sounding as it comes.

    Args:
        wish: One piece.
        number: Of the piece in the job.
        context: Where it is told.
        share: The part of the job's progress that it is.
    """
    sound = LiveSound(context.folder, context.job, number, context.tell)
    low, high = share
    for event in api.compose_events(wish, context.cancelled):
        if isinstance(event, NotesAdded):
            sound.add(event.notes)
            context.teller.notes(number, event.notes)
        elif isinstance(event, BarDone):
            context.tell(*message(event, number))
            sound.known_to(event.end_s)
        elif isinstance(event, Progress):
            context.teller.progress(low + (high - low) * event.done)
        elif isinstance(event, Restarted):
            sound.restart()
            context.tell(*message(event, number))
        elif isinstance(event, Done):
            sound.finish()
            return event.piece
    raise Interrupted("composing ended without a piece")


def _compose(verb: str, body: Body, context: Context) -> dict[str, Any]:
    """Compose what a body asks for: one, several, or the best of many."""
    wish = wish_of(verb, body, context.library, context.job)
    chosen = api.choice_of(
        best=int(body.get("best") or 0), of=int(body.get("of") or 0), count=wish.count, by=str(body.get("by") or "score"),
        diverse=bool(body.get("diverse")), seed=wish.seed,
    )  # fmt: skip
    if chosen is not None:
        return _best(replace(wish, count=chosen[1]), chosen[0], verb, body, context)
    return _each(wish, verb, body, context)


def _each(wish: ComposeRequest, verb: str, body: Body, context: Context, parent: str = "") -> dict[str, Any]:
    """All pieces of a request, one after the other."""
    reports = []
    for number in range(wish.count):
        ready = _ready(number, context)
        if ready is not None:
            reports.append({"id": ready.id, "seed": ready.seed})
            continue
        piece = play(wish.piece(number), number, context, (number / wish.count, (number + 1) / wish.count))
        record = _keep(piece, number, verb, body, context, parent=parent)
        reports.append(report_of(piece, record))
    return {"reports": reports}


def _ready(number: int, context: Context) -> Record | None:
    """The piece of a number, if the job made it before its worker died."""
    id = id_of(context.job, number)
    try:
        record = context.library.get(id)
    except NotFound:
        return None
    if id not in context.told:
        context.tell("piece", {"number": number, "id": id})
    return record


def _keep(
    piece: Piece, number: int, verb: str, body: Body, context: Context, *, parent: str = "", judge: Mapping[str, Any] | None = None
) -> Record:
    """Put a piece into the library and tell of it."""
    source = body.get("source") or {}
    title = str(body.get("title") or "")
    record = context.library.add(
        piece,
        verb=verb,
        parent=parent or (str(source.get("piece") or "") if isinstance(source, Mapping) else ""),
        title=f"{title} {number + 1}" if title and int(body.get("count") or body.get("best") or 1) > 1 else title,
        tags=body.get("tags") or (),
        judge=judge,
        asked={"max_copied_notes": int(body.get("max_copied_notes") or 0)},
        id=id_of(context.job, number),
    )
    context.tell("piece", {"number": number, "id": record.id})
    return record


def report_of(piece: Piece, record: Record) -> dict[str, Any]:
    """How a piece came about, for JSON."""
    report = piece.report
    return {
        "id": record.id,
        "seed": record.seed,
        "attempts": report.attempts,
        "first_failures": list(report.first_failures),
        "problems": list(report.problems),
        "dropped": report.dropped,
        "closed": report.closed,
        "facts": dict(record.facts),
    }


def _best(wish: ComposeRequest, choice: Choice, verb: str, body: Body, context: Context) -> dict[str, Any]:
    """The best of many candidates; those that are not chosen are not kept."""
    if wish.count > MAX_CANDIDATES:
        raise UsageError("the best are chosen from {limit} candidates at most, not {n}", limit=MAX_CANDIDATES, n=wish.count)
    done = 0

    def each(piece: Piece) -> None:
        nonlocal done
        done += 1
        context.teller.progress(done / wish.count)
        context.check()

    with workers.asking(context.cancelled):
        found = api.compose_best(wish, choice, weights=api.given_weights(body.get("weights")), each=each)
    table = ranking_table(found.ranking)
    by_place = {row.index: row for row in found.ranking.rows}
    ids: dict[str, str] = {}
    reports = []
    for number, (piece, row) in enumerate(zip(found.pieces, found.ranking.chosen, strict=True)):
        record = _keep(piece, number, verb, body, context, judge=row_table(by_place[row.index]))
        ids[row.name] = record.id
        reports.append(report_of(piece, record))
    for candidate in table["candidates"]:
        candidate["piece"] = ids.get(candidate["name"])
    return {"reports": reports, "ranking": table}


def compose(body: Body, context: Context) -> dict[str, Any]:
    """New pieces."""
    return _compose("compose", body, context)


def extend(body: Body, context: Context) -> dict[str, Any]:
    """Pieces that go on from one that is given."""
    return _compose("extend", body, context)


def accompany(body: Body, context: Context) -> dict[str, Any]:
    """A band around a piece that is given."""
    return _compose("accompany", body, context)


def develop(body: Body, context: Context) -> dict[str, Any]:
    """Pieces in which a theme that is given comes back."""
    return _compose("develop", body, context)


def interpolate(body: Body, context: Context) -> dict[str, Any]:
    """Pieces on the way from one seed to another."""
    count = int(body.get("count") or 5)
    if count < 2:
        raise UsageError("a way between two seeds has at least 2 pieces, not {count}", count=count)
    body = {**body, "count": count}
    return _each(wish_of("interpolate", body, context.library, context.job), "interpolate", body, context)


# --- from a piece of the library --------------------------------------------------------------------------------------------------


def again(body: Body, context: Context) -> dict[str, Any]:
    """The same piece once more; `same_bytes` tells whether it is. One that differs is kept as a piece of its own."""
    record = _composed(body, context)
    piece = play(api.remake(context.folder.recipe(record.id)), 0, context)
    same = piece.to_midi() == context.library.midi(record.id)
    if same:
        context.tell("piece", {"number": 0, "id": record.id})
    else:
        record = _keep(piece, 0, "again", {"title": record.title, "tags": record.tags}, context, parent=record.id)
    return {"same_bytes": same, "reports": [report_of(piece, record)]}


def vary(body: Body, context: Context) -> dict[str, Any]:
    """The same wish with another seed, and with the options that are given anew."""
    record = _composed(body, context)
    wish, _ = request_of(context.folder.recipe(record.id))
    given = options_of(wish.model, body.get("options") or {}, context.library)
    checked = api.request(wish.model, options=given).options if given else {}
    options = {name: value for name, value in {**wish.options, **checked}.items() if given.get(name, "") is not None}
    seed = seed_of(body, context.job)
    limit = int(record.request.get("max_copied_notes") or 0)  # the piece has the seed of its try, and no limit any more
    new = replace(wish, seed=seed if seed != wish.seed else seed + 1, options=options, max_copied_notes=limit)
    same = {"title": record.title if record.named else "", "tags": record.tags, "max_copied_notes": limit}
    return _each(new, "vary", same, context, parent=record.id)


def _composed(body: Body, context: Context) -> Record:
    record = context.library.get(str(body.get("piece")))
    if record.source != "composed":
        raise CannotObey("{title} was not composed here", title=record.title, hint="continue it, or play a band around it")
    return record


# --- judging ----------------------------------------------------------------------------------------------------------------------


def rank(body: Body, context: Context) -> dict[str, Any]:
    """Pieces of the library, the best first; each has its place and its reasons in its record."""
    chosen = [context.library.get(str(id)) for id in dict.fromkeys(body.get("pieces") or ())]
    if not chosen:
        raise UsageError("there is nothing to choose from", hint="choose pieces of the library")

    def progress(done: int, total: int) -> None:
        context.teller.progress(done / total)
        context.check()

    found = api.rank(
        [context.folder.midi(record.id) for record in chosen], best=int(body.get("best") or 1), model=name_of(body.get("model")),
        genre=str(body.get("genre") or ""), by=str(body.get("by") or "score"), diverse=bool(body.get("diverse")),
        weights=body.get("weights"), seed=int(body.get("seed") or 0), progress=progress,
    )  # fmt: skip
    ids = {str(context.folder.midi(record.id)): record for record in chosen}
    table = ranking_table(found.ranking)
    for row in table["candidates"]:
        record = ids[row["name"]]
        row |= {"piece": record.id, "name": record.title}
        context.library.change(record.id, judge=row)
    unread = [{"piece": ids[str(path)].id, "name": ids[str(path)].title, "why": why} for path, why in found.unread]
    return {"ranking": table, "model": found.model, "unread": unread}


def evaluate(body: Body, context: Context) -> dict[str, Any]:
    """Pieces beside others, as a page."""
    place = context.folder.job(context.job) / "evaluate"
    folders = {name: _copied(body.get(name) or (), place / name, context) for name in ("made", "reference")}
    report = context.folder.report(context.job)

    def progress(stage: str, done: int, total: int) -> None:
        context.teller.progress(0.95 * done / max(total, 1))
        context.check()

    found = api.evaluate({"made": folders["made"]}, folders["reference"], report, force=True, progress=progress)
    return {"report_url": f"/reports/{context.job}.html", "evaluation": found.as_dict()}


def _copied(ids: Any, folder: Any, context: Context) -> Any:
    """A folder with pieces of the library under their titles, which the report shows."""
    from kapelle.score.write import write_bytes

    for number, id in enumerate(dict.fromkeys(map(str, ids)), 1):
        write_bytes(folder / f"{number:03} {file_stem(context.library.get(id).title)}.mid", context.library.midi(id))
    if not folder.is_dir():
        raise UsageError("there is nothing to evaluate", hint="choose pieces, and others to compare them with")
    return folder


def themes(body: Body, context: Context) -> dict[str, Any]:
    """The theme of a piece, as an upload that can be developed; `theme` is None if nothing comes back."""
    from kapelle.composing import theme_search
    from kapelle.score.write import to_bytes

    data = source_of(body, context.library)
    found = api.themes_file(data, melody_track=str(body.get("track") or ""))
    table = {
        "melody": one_line(found.track_name),
        "n_bars": found.n_bars,
        "returns": [{"bar": one.bar, "end": one.end, "distance": round(float(one.distance), 4)} for one in found.returns],
        "theme": None,
        "upload": None,
    }
    score = theme_search.theme_of(found)
    if score is not None and found.theme is not None:
        upload = context.library.put_upload(to_bytes(score, end_ticks=theme_search.end_of(found)), "theme.mid")
        table |= {"theme": {"bar": found.theme.bar, "bars": found.theme.bars}, "upload": {"id": upload.id, "name": upload.name}}
    return table


VERBS: Mapping[str, Verb] = {
    "compose": compose,
    "extend": extend,
    "accompany": accompany,
    "develop": develop,
    "again": again,
    "vary": vary,
    "rank": rank,
    "evaluate": evaluate,
    "themes": themes,
    "interpolate": interpolate,
}
"""Name of a verb -> what does it."""
