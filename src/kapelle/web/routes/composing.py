"""Asking for music: each request becomes a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Header, Path, Request, Response

from kapelle import api
from kapelle.errors import CannotObey
from kapelle.web import measure, wishes
from kapelle.web.app import Here, Served
from kapelle.web.routes.answers import SENDING, below, described, job_table
from kapelle.web.schemas import ID, Bridge, Compose, Evaluate, Interpolate, Job, Rank, Sent, Vary, Work

router = APIRouter(tags=["composing"])

Route = TypeVar("Route", bound=Callable[..., Any])

Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key", max_length=200, pattern=r"^[\x21-\x7e]*$", description="the same key, the same job: sending again is safe"
    ),
]
PieceId = Annotated[str, Path(pattern=ID, description="id of a piece")]


class Desk:
    """Where what was sent becomes a job, and the answer tells which."""

    def __init__(self, here: Here, request: Request, response: Response, key: Key = "") -> None:
        self.here, self.request, self.response, self.key = here, request, response, key

    def known(self, *ids: str) -> None:
        """Raise NotFound unless the library has all these pieces."""
        for id in ids:
            self.here.studio.library.get(id)

    def queue(self, verb: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Put a job."""
        job = self.here.studio.jobs.put(verb, body, key=self.key, client=measure.client_of(self.request.scope))
        self.response.headers["Location"] = below(self.request, f"/api/jobs/{job.id}")
        return job_table(job, self.request)

    def compose(self, verb: str, wish: Sent, **more: Any) -> dict[str, Any]:
        """Put a job that composes, if it is not known already that it cannot be done."""
        body = {**_sent(wish), **more}
        check(verb, body, self.here)
        return self.queue(verb, body)


ADesk = Annotated[Desk, Depends()]
ERRORS = described(*SENDING, 404, 424, 503, 507)


def asked(path: str, name: str, summary: str) -> Callable[[Route], Route]:
    """Makes a route that answers with a job."""
    return router.post(path, status_code=202, response_model=Job, responses=ERRORS, operation_id=name, summary=summary)


@asked("/api/compose", "compose", "Compose a piece, or many")
def compose(wish: Compose, desk: ADesk) -> dict[str, Any]:
    """The job that composes. With `best` or `of`, the best of many candidates are taken."""
    return desk.compose("compose", wish)


@asked("/api/bridge", "bridge", "Let a band invent a theme, and develop it into a piece")
def bridge(wish: Bridge, desk: ADesk) -> dict[str, Any]:
    """The same as composing with the model `bridge`."""
    return desk.compose("compose", wish, model="bridge")


@asked("/api/extend", "extend", "Go on where a piece or an upload ends")
def extend(wish: Work, desk: ADesk) -> dict[str, Any]:
    """The job that composes what follows."""
    return desk.compose("extend", wish)


@asked("/api/accompany", "accompany", "Play a band around a piece or an upload")
def accompany(wish: Work, desk: ADesk) -> dict[str, Any]:
    """The job that composes the accompaniment."""
    return desk.compose("accompany", wish)


@asked("/api/develop", "develop", "Compose a piece on a theme that is brought")
def develop(wish: Work, desk: ADesk) -> dict[str, Any]:
    """The job that develops the first bars of what is brought."""
    return desk.compose("develop", wish)


@asked("/api/interpolate", "interpolate", "Compose pieces on the way from one seed to another")
def interpolate(wish: Interpolate, desk: ADesk) -> dict[str, Any]:
    """The job that composes them, the first seed's piece first."""
    return desk.compose("interpolate", wish)


@asked("/api/pieces/{id}/again", "again", "Make a piece again")
def again(id: PieceId, desk: ADesk) -> dict[str, Any]:
    """The job that composes the same bytes; its result says whether they are."""
    desk.known(id)
    return desk.queue("again", {"piece": id})


@asked("/api/pieces/{id}/vary", "vary", "Make a piece with another seed, all else kept")
def vary(id: PieceId, desk: ADesk, wish: Vary | None = None) -> dict[str, Any]:
    """The job that composes the variation, whose parent is the piece."""
    desk.known(id)
    return desk.queue("vary", {"piece": id, **_sent(wish)})


@asked("/api/rank", "rank", "Put pieces in order, the best first")
def rank(wish: Rank, desk: ADesk) -> dict[str, Any]:
    """The job that judges; its result holds the figures of each piece."""
    body = _sent(wish)
    desk.known(*body["pieces"])
    api.given_weights(wish.weights)
    return desk.queue("rank", body)


@asked("/api/evaluate", "evaluate", "Measure pieces against others")
def evaluate(wish: Evaluate, desk: ADesk) -> dict[str, Any]:
    """The job that measures; its result has the `report_url` of a page that tells all."""
    body = _sent(wish)
    for id in [*body["made"], *body["reference"]]:
        desk.known(id)
    return desk.queue("evaluate", body)


def _sent(wish: Sent | None) -> dict[str, Any]:
    """What was sent and says something."""
    return wish.model_dump(exclude_unset=True, exclude_none=True) if wish is not None else {}


def check(verb: str, body: Mapping[str, Any], here: Served) -> None:
    """Refuse what cannot be done, as far as that can be known at once.

    Raises:
        UsageError: Something is unknown, out of range or contradicts itself.
        CannotObey: The model has no means to do it.
        NotFound: There is no such piece or upload.
    """
    offer = here.offered.named(wishes.model_of(verb, wishes.name_of(body.get("model"))))
    does = "compose" if verb == "interpolate" else verb
    if does not in offer.verbs:
        able = ", ".join(one.name for one in here.offered.all() if does in one.verbs)
        raise CannotObey("{model} cannot {verb}", model=offer.name, verb=does, hint="these can: {able}", able=able or "-")
    given = dict(body.get("options") or {})
    files = {name: value for name, value in given.items() if isinstance(value, dict)}
    for source in [body.get("source"), *files.values()]:
        if isinstance(source, dict):
            _check_source(source, here)
    if "source" in body and not body["source"]:
        wishes.source_of(body, here.studio.library)
    offer.check(
        {name: value for name, value in given.items() if name not in files}, body.get("sampling"), wishes.length_of(body.get("length"))
    )
    if body.get("band") and not offer.band:
        raise CannotObey("no band plays around {model}", model=offer.name, hint="leave band out, or choose another model")
    if verb != "interpolate":
        api.choice_of(
            best=body.get("best", 0), of=body.get("of", 0), count=body.get("count", 1), by=body.get("by", "score"),
            diverse=body.get("diverse", False),
        )  # fmt: skip


def _check_source(source: Mapping[str, Any], here: Served) -> None:
    if source.get("piece"):
        here.studio.library.get(str(source["piece"]))
    if source.get("upload"):
        here.studio.library.upload_record(str(source["upload"]))
