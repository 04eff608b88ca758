"""What can be found out about a piece or a sound without composing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Path, Query, Request

from kapelle.errors import UnreadableInput
from kapelle.web import looks
from kapelle.web.app import Here
from kapelle.web.routes.answers import SENDING, described
from kapelle.web.schemas import AN_ID, ID, Told

router = APIRouter(prefix="/api", tags=["judging"])

PieceId = Annotated[str, Path(pattern=ID, description="id of a piece", examples=[AN_ID])]
Classifier = Annotated[
    str, Query(pattern=r"^[a-z0-9-]{0,64}$", description="name of a model; what suits if left out", examples=["genre-midi"])
]
ERRORS = described(404, 415, 422, 424, 503, 507)
Route = TypeVar("Route", bound=Callable[..., Any])

SOUND_BODY = {
    "requestBody": {
        "required": True,
        "content": {"audio/wav": {"schema": {"type": "string", "format": "binary"}, "example": "the bytes of a sound"}},
    }
}


def asked(name: str, summary: str) -> Callable[[Route], Route]:
    """Makes a route that tells something about a piece."""
    return router.get(f"/pieces/{{id}}/{name}", summary=summary, operation_id=name, response_model=Told, responses=ERRORS)


async def _midi(here: Here, id: str) -> bytes:
    return await asyncio.to_thread(here.studio.library.midi, id)


@asked("analysis", "What a piece is made of")
async def analysis(
    id: PieceId, here: Here, chords: Annotated[Literal["bar", "beat"], Query(description="a chord for each of these")] = "bar"
) -> Any:
    """Key, chords, ranges, metre, tempo, density."""
    return await here.quick.run(looks.analysis, await _midi(here, id), chords)


@asked("classification", "The genre of a piece")
async def classification(id: PieceId, here: Here, model: Classifier = "") -> Any:
    """Every class with its probability."""
    return await here.quick.run(looks.classification, await _midi(here, id), model)


@asked("originality", "What of a piece is in the training music")
async def originality(id: PieceId, here: Here, model: Classifier = "") -> Any:
    """The longest run of notes that both share, beside figures of human music; null where the model has no index."""
    return await here.quick.run(looks.originality, await _midi(here, id), model)


@asked("themes", "The theme of a piece")
async def themes(id: PieceId, here: Here) -> Any:
    """The two bars of its melody that come back most, and where."""
    return await here.quick.run(looks.themes, await _midi(here, id))


@router.post(
    "/classify/sound",
    summary="The genre of a sound",
    operation_id="classify_sound",
    response_model=Told,
    responses=described(*SENDING, 415, 424, 503),
    openapi_extra=SOUND_BODY,
)
async def classify_sound(request: Request, here: Here, model: Classifier = "") -> Any:
    """Every class with its probability. The body is the sound itself, its Content-Type says what it is: WAV, FLAC, Ogg, Opus or MP3."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    suffix = looks.SOUND_SUFFIXES.get(kind)
    if suffix is None:
        known = ", ".join(sorted(set(looks.SOUND_SUFFIXES.values())))
        raise UnreadableInput("{kind} is no kind of sound that is read", kind=kind[:60] or "?", hint="send one of {known}", known=known)
    data = await request.body()
    return await here.quick.run(looks.sound_classification, data, suffix, model, limit_s=60.0)
