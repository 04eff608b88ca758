"""Jobs: what waits, runs and is done; what happens while it happens; the sound that is there already."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from kapelle.errors import UnknownName
from kapelle.web import errors
from kapelle.web.app import Here
from kapelle.web.jobs import STATES
from kapelle.web.routes.answers import binary, described, error_told, job_table, language, result_told
from kapelle.web.schemas import AN_ID, ID, Job

router = APIRouter(prefix="/api/jobs", tags=["jobs"])

JobId = Annotated[str, Path(pattern=ID, description="id of a job", examples=[AN_ID])]

EVENTS_EXAMPLE = """event: state
data: {"state": "running", "position": 0}
id: 41

event: notes
data: {"number": 0, "notes": [[0.0, 0.24, 60, 80, 0, 0]]}
id: 42

event: done
data: {"pieces": ["k3v7qm2xw5ab"], "result": {}}
id: 57
"""


@router.get("", summary="Jobs, the newest first", operation_id="jobs", response_model=list[Job], responses=described(422))
def jobs(
    here: Here,
    request: Request,
    state: Annotated[str, Query(pattern=r"^[a-z,]{0,60}$", description="only these states, with commas", examples=["queued,running"])] = "",
    limit: Annotated[int, Query(ge=1, le=500, description="so many at most")] = 100,
) -> list[dict[str, Any]]:
    """What this studio was asked to do."""
    wanted = [name for name in state.split(",") if name]
    for name in wanted:
        if name not in STATES:
            raise UnknownName("state", name, STATES)
    return [job_table(job, request) for job in here.studio.jobs.list(wanted, limit)]


@router.get("/{id}", summary="A job", operation_id="job", response_model=Job, responses=described(404, 422))
def job(id: JobId, here: Here, request: Request) -> dict[str, Any]:
    """How far it is; its pieces as they become ready."""
    return job_table(here.studio.jobs.get(id), request)


@router.delete("/{id}", summary="Stop a job", operation_id="cancel", response_model=Job, responses=described(404, 422, 503, 507))
def cancel(id: JobId, here: Here, request: Request) -> dict[str, Any]:
    """At once if it waits, within a moment if it runs; what is done stays done, and pieces that are ready are kept."""
    here.studio.jobs.cancel(id)
    return job_table(here.studio.jobs.get(id), request)


async def _seated(id: JobId, here: Here) -> AsyncIterator[str]:
    """The id of a job that is there, with a seat to listen to it: taken before the answer begins, free when it is through."""
    await asyncio.to_thread(here.studio.jobs.get, id)
    with here.feed.seat(id):
        yield id


@router.get(
    "/{id}/events",
    summary="What happens to a job, as it happens",
    operation_id="events",
    response_class=EventSourceResponse,
    responses=described(404, 422, 503, more={200: {"content": {"text/event-stream": {"example": EVENTS_EXAMPLE}}}}),
)
async def events(
    job: Annotated[str, Depends(_seated)],
    here: Here,
    request: Request,
    after: Annotated[int, Query(ge=0, le=2**62, description="only events with a greater number", examples=[41])] = 0,
    last: Annotated[str, Header(alias="Last-Event-ID", description="the same, as browsers send it")] = "",
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events: state, progress, notes, bar, restarted, sound, piece, and one of done, failed, cancelled, which is the last.

    Their ids are numbers that grow. Whoever lost the line asks again with the last one, and misses nothing.
    """
    tongue = language(request)
    start = max(after, int(last) if last.isascii() and last.isdigit() and len(last) < 19 else 0)
    async for event in here.feed.follow(job, start):
        data: Any = event.data
        if event.name == "failed" and isinstance(data.get("error"), dict):
            data = {**data, "error": error_told(data["error"], tongue)}
        if event.name == "done":
            data = {**data, "result": result_told(data.get("result"), request)}
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        yield ServerSentEvent(raw_data=text, event=event.name, id=str(event.number))


@router.get(
    "/{id}/sound/{number}/{chunk}/{program}.flac",
    summary="Sound of a piece that is being composed",
    operation_id="job_sound",
    response_class=Response,
    responses=described(404, 422, more=binary("audio/flac", "two seconds of one instrument, with what rings on")),
)
def sound(
    id: JobId,
    number: Annotated[int, Path(ge=0, le=100_000, description="of the piece in the job, from 0", examples=[0])],
    chunk: Annotated[int, Path(ge=0, le=100_000, description="from 0", examples=[0])],
    program: Annotated[int, Path(ge=-1, le=127, description="General MIDI program; -1: drums", examples=[0])],
    here: Here,
    request: Request,
) -> Response:
    """The chunk, once the event `sound` told of it; it begins at chunk times `chunk_s` seconds. A chunk that is told of again is another
    one: notes came late, or the piece began anew. It is kept for an hour after the end of the job.
    """
    path = here.studio.folder.sound(id, number, chunk, program)
    try:
        data = path.read_bytes()  # in one go: between a look and the sending it may be deleted
    except OSError:
        raise errors.unknown("sound", f"{number}/{chunk}/{program}") from None
    return Response(data, media_type="audio/flac", headers={"Cache-Control": "private, no-cache"})
