"""Composing without a memory: an application that keeps no job, no library and no file, so that any number of machines can run it.

Takes the same JSON as ``POST /api/compose``; gives a piece as a MIDI file, or its events as they happen and the piece at the end. Who
composes is handed in as a function, so that the application itself only checks, streams and tells errors: `composed` does it in this
process, `kapelle.web.cluster` on the machines of a cluster. When whoever asked goes away, the composing ends too.
It deliberately does not choose among candidates (``best``), render or remember: ``title`` and ``tags`` have no meaning here.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from threading import Event as Flag
from typing import TYPE_CHECKING, Any, cast

from fastapi import FastAPI, Request
from starlette.responses import Response, StreamingResponse

import kapelle
from kapelle import api
from kapelle.composing import events
from kapelle.composing.request import ComposeRequest, from_json
from kapelle.errors import CannotObey, Interrupted, KapelleError, UsageError
from kapelle.web import errors, measure, security
from kapelle.web.faults import error_of, error_table
from kapelle.web.schemas import Compose
from kapelle.web.settings import BodyLimits
from kapelle.web.telling import Message, message
from kapelle.web.wishes import length_of, options_of

if TYPE_CHECKING:
    from kapelle.web.library import Library

Batches = AsyncIterator[Sequence[Message]]

Composer = Callable[[Mapping[str, Any]], Batches]
"""Takes a request (`ComposeRequest.to_json`), gives what `composed` gives. It may raise `kapelle.web.errors.Refused` before that."""

BATCH_S = 0.04
"""So long events are gathered before they are sent."""

FIRST_S = 10.0
"""So long the first event is awaited before the answer begins: until then a refusal has a status of its own."""

PING_S = 15.0
"""After so many seconds of silence a comment is sent, so that no proxy thinks the line dead."""

CHOICE = ("best", "of", "by", "diverse")


def wish_of(body: Mapping[str, Any]) -> ComposeRequest:
    """The checked request in the body of ``POST /api/compose``; its seed is drawn if none is given.

    Raises:
        UsageError, CannotObey: Something is out of range or beyond the model, or choosing is asked for.
        Missing: No such bundle.
    """
    chosen = [name for name in CHOICE if body.get(name) and body.get(name) != "score"]
    if chosen:
        raise CannotObey(
            "here pieces are composed, not chosen: {names}",
            names=", ".join(chosen),
            hint="ask for `count` pieces, and rank them where they go",
        )
    model = api.offer(body.get("model") or "").name
    options = options_of(model, body.get("options") or {}, cast("Library", _NoLibrary()))
    return api.request(
        model, length=length_of(body.get("length")), seed=body.get("seed"), count=body.get("count") or 1,
        sampling=body.get("sampling") or None, options=options, band=body.get("band") or "",
        max_copied_notes=body.get("max_copied_notes") or 0,
    )  # fmt: skip


class _NoLibrary:
    """Where the files of a request cannot be: they come with it, in base64."""

    def midi(self, id: str) -> bytes:
        """Nothing.

        Raises:
            CannotObey: Always.
        """
        raise CannotObey("no pieces are kept here", hint="send the MIDI file itself, as base64")

    upload = midi


def messages(wish: ComposeRequest, cancelled: Callable[[], bool] = lambda: False) -> Iterator[Message]:
    """Everything that happens while the pieces of a request are composed; ``done`` is the last.

    Raises:
        KapelleError: What composing raises.
    """
    began = time.monotonic()
    made = []
    for number in range(wish.count):
        for event in api.compose_events(wish.piece(number), cancelled):
            if isinstance(event, events.Done):
                piece = event.piece.to_json()
                made.append({"number": number, "seed": event.piece.request.seed, "bundle_hash": event.piece.bundle_hash})
                yield "piece", {"number": number, **piece}
            else:
                yield _told(event, number, wish.count, time.monotonic() - began)
        if cancelled():
            raise Interrupted("composing was cancelled")
    yield "done", {"pieces": made, "result": None}


def _told(event: events.Event, number: int, count: int, passed_s: float) -> Message:
    """An event that is not the last, as the studio tells it."""
    if isinstance(event, events.NotesAdded | events.BarDone | events.Restarted):
        return message(event, number)
    assert isinstance(event, events.Progress)
    done = (number + event.done) / count
    return "progress", {"done": round(done, 4), "left_s": round(passed_s * (1 - done) / done, 2) if done else None}


async def composed(request: Mapping[str, Any]) -> AsyncIterator[Sequence[Message]]:
    """The events of a request (`ComposeRequest.to_json`), composed by a thread of this process, which ends when nobody listens any more.

    What goes wrong is told as the last event, ``failed``, with the table of `kapelle.web.faults.error_table`: so it crosses machines.
    """
    stop = Flag()
    told = messages(from_json(request), stop.is_set)
    try:
        while batch := await asyncio.to_thread(_some, told):
            yield batch
    except KapelleError as error:
        yield [("failed", error_table(error))]
    finally:
        stop.set()


def _some(told: Iterator[Message]) -> list[Message]:
    """What happens next, for a moment; nothing if all has happened. Notes that follow each other are told at once."""
    out: list[Message] = []
    until = time.monotonic() + BATCH_S
    for name, data in told:
        if name == "notes" and out and out[-1][0] == name and out[-1][1]["number"] == data["number"]:
            out[-1][1]["notes"].extend(data["notes"])
        else:
            out.append((name, data))
        if time.monotonic() >= until:
            break
    return out


def application(composer: Composer = composed, *, token: str = "", limits: BodyLimits | None = None) -> FastAPI:
    """The application.

    Args:
        composer: Who composes.
        token: Who asks must bring it, as ``Authorization: Bearer``; empty: everybody may ask.
        limits: How much may be sent, and how slowly; those of the studio if left out.
    """
    app = FastAPI(title="Kapelle, stateless", version=kapelle.__version__, docs_url=None, redoc_url=None)
    app.add_middleware(measure.Bodies, limits=limits or BodyLimits(), sounds=(), files=())
    app.add_middleware(security.Token, token=token)
    app.add_middleware(security.Origins)
    app.add_middleware(security.Headers)
    errors.install(app)
    _describe(app)
    _compose(app, composer)
    return app


def _describe(app: FastAPI) -> None:
    @app.get("/health", summary="Whether it runs")
    async def health() -> dict[str, Any]:
        return {"ok": True, "version": kapelle.__version__}

    @app.get("/models", summary="What can be asked of each model")
    def models() -> list[dict[str, Any]]:
        return [offer.as_dict() for offer in api.offers()]

    @app.get("/models/{name}", summary="What can be asked of a model")
    def model(name: str) -> dict[str, Any]:
        return api.offer(name).as_dict()


def _compose(app: FastAPI, composer: Composer) -> None:
    @app.post("/compose", summary="A piece, as a MIDI file", responses={200: {"content": {"audio/midi": {}}}})
    async def compose(body: Compose, request: Request) -> Response:
        wish = await asyncio.to_thread(wish_of, body.model_dump(exclude_none=True))
        if wish.count > 1:
            raise UsageError("one file holds one piece, not {count}", count=wish.count, hint="ask for their events: they hold all pieces")
        piece = await _piece(composer(wish.to_json()), request)
        told = {"Kapelle-Seed": str(wish.seed), "Kapelle-Model": piece["model"], "Kapelle-Bundle": piece["bundle"]}
        return Response(base64.b64decode(piece["midi"]), media_type="audio/midi", headers=told)

    @app.post(
        "/compose/events", summary="Notes as they are composed, then the pieces", responses={200: {"content": {"text/event-stream": {}}}}
    )
    async def compose_events(body: Compose, request: Request) -> StreamingResponse:
        wish = await asyncio.to_thread(wish_of, body.model_dump(exclude_none=True))
        batches = composer(wish.to_json())
        first = asyncio.ensure_future(_next(batches))
        await asyncio.wait({first}, timeout=FIRST_S)
        if first.done():
            first.result()  # a refusal is raised here
        lines = _lines(batches, first, errors.language_of(request.scope))
        return StreamingResponse(lines, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


async def _piece(batches: Batches, request: Request) -> Mapping[str, Any]:
    """The piece among the events."""
    piece: Mapping[str, Any] = {}
    try:
        async for batch in batches:
            for name, data in batch:
                if name == "failed":
                    raise error_of(data)
                if name == "piece":
                    piece = data
            if await request.is_disconnected():
                break
    finally:
        await _close(batches)
    if not piece:
        raise Interrupted("composing ended without a piece")
    return piece


async def _next(batches: Batches) -> Sequence[Message]:
    """What comes next; nothing at the end."""
    async for batch in batches:
        return batch
    return ()


async def _close(batches: Batches) -> None:
    close = getattr(batches, "aclose", None)
    if close is not None:
        await close()


async def _lines(batches: Batches, coming: asyncio.Future[Sequence[Message]], language: str) -> AsyncIterator[str]:
    """Server-sent events, numbered from 1; whoever listens no more ends what they come from."""
    number = 0
    try:
        while True:
            await asyncio.wait({coming}, timeout=PING_S)
            if not coming.done():
                yield ": still at it\n\n"
                continue
            if not coming.result():
                return
            for name, data in coming.result():
                number += 1
                told = {"error": errors.table(error_of(data), language)} if name == "failed" else data
                yield f"id: {number}\nevent: {name}\ndata: {json.dumps(told, separators=(',', ':'))}\n\n"
            coming = asyncio.ensure_future(_next(batches))
    finally:
        coming.cancel()
        await asyncio.wait({coming})
        await _close(batches)
