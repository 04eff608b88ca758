"""The library: records of pieces, their notes, sound, score and files."""

from __future__ import annotations

import asyncio
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from kapelle import api
from kapelle.api import downloads, naming, score_pages
from kapelle.api import notes as notes_of
from kapelle.web import errors, looks
from kapelle.web.app import Here
from kapelle.web.routes.answers import SENDING, below, binary, described, kept, sent_once
from kapelle.web.schemas import AN_ID, ID, Change, Found, Keep, Notes, Record, ScorePages

router = APIRouter(prefix="/api/pieces", tags=["pieces"])

PieceId = Annotated[str, Path(pattern=ID, description="id of a piece", examples=[AN_ID])]
CHANGING = described(404, 422, 503, 507)
READING = described(404, 415, 422, 503, 507)
DRAWING = described(404, 415, 422, 424, 503, 507)
LONG_S = 120.0
"""Some formats take long: minutes of sound, a score of many pages."""


@router.get("", summary="Look for pieces", operation_id="pieces", response_model=Found, responses=described(422))
def pieces(
    here: Here,
    search: Annotated[str, Query(max_length=200, description="words in title, tags, model, genre or key", examples=["jazz"])] = "",
    tag: Annotated[list[str] | None, Query(max_length=20, description="tags, all of which it has")] = None,
    favourite: Annotated[bool | None, Query(description="only favourites, or only others")] = None,
    model: Annotated[str, Query(max_length=100, description="only by this model")] = "",
    parent: Annotated[str, Query(max_length=12, description="only variations of this piece")] = "",
    deleted: Annotated[bool, Query(description="look in the trash")] = False,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    order: Annotated[Literal["newest", "oldest", "title", "longest", "shortest", "favourite"], Query()] = "newest",
) -> dict[str, Any]:
    """Records, and how many there are in all."""
    found, total = here.studio.library.search(
        search, tags=tag or (), favourite=favourite, model=model, parent=parent, deleted=deleted, limit=limit, offset=offset, order=order
    )
    return {"pieces": [record.as_dict() for record in found], "total": total}


@router.post(
    "",
    status_code=201,
    summary="Keep an upload",
    operation_id="keep",
    response_model=Record,
    responses=described(*SENDING, 404, 415, 503, 507),
)
def keep(wish: Keep, here: Here, request: Request, response: Response) -> dict[str, Any]:
    """The upload becomes a piece of the library."""
    record = here.studio.library.keep(wish.upload, wish.title, wish.tags)
    response.headers["Location"] = below(request, f"/api/pieces/{record.id}")
    return record.as_dict()


@router.get("/{id}", summary="A piece", operation_id="piece", response_model=Record, responses=described(404, 422))
def piece(id: PieceId, here: Here) -> dict[str, Any]:
    """Its record, from the trash too."""
    return here.studio.library.get(id).as_dict()


@router.patch(
    "/{id}",
    summary="Change title, tags or favourite",
    operation_id="change",
    response_model=Record,
    responses=described(*SENDING, 404, 503, 507),
)
def change(id: PieceId, wish: Change, here: Here) -> dict[str, Any]:
    """The record as it is now."""
    return here.studio.library.change(id, title=wish.title, tags=wish.tags, favourite=wish.favourite).as_dict()


@router.delete("/{id}", summary="Put a piece into the trash", operation_id="delete", response_model=Record, responses=CHANGING)
def delete(id: PieceId, here: Here) -> dict[str, Any]:
    """It can be restored for a week."""
    return here.studio.library.delete(id).as_dict()


@router.post(
    "/{id}/restore",
    summary="Take a piece out of the trash",
    operation_id="restore",
    response_model=Record,
    responses=CHANGING,
)
def restore(id: PieceId, here: Here) -> dict[str, Any]:
    """The record as it is now."""
    return here.studio.library.restore(id).as_dict()


async def _midi(here: Here, id: str) -> bytes:
    return await asyncio.to_thread(here.studio.library.midi, id)


@router.get("/{id}/notes", summary="The notes of a piece", operation_id="notes", response_model=Notes, responses=READING)
async def notes(id: PieceId, here: Here) -> Any:
    """In seconds, as a piano roll draws them."""
    return await here.quick.run(notes_of.notes, await _midi(here, id))


@router.get(
    "/{id}/sound/{chunk}/{track}.flac",
    summary="Two seconds of a track",
    operation_id="sound",
    response_class=Response,
    responses=described(404, 415, 422, 503, 507, more=binary("audio/flac", "the notes that begin in the chunk, with what rings on")),
)
async def sound(
    id: PieceId,
    chunk: Annotated[int, Path(ge=0, le=100_000, description="from 0; it begins at chunk times `chunk_s` seconds", examples=[0])],
    track: Annotated[int, Path(ge=0, le=10_000, description="index of the track, as in the notes", examples=[0])],
    here: Here,
    request: Request,
) -> Response:
    """The sound of the notes that begin there. All chunks of all tracks, each at its time, add up to the piece."""
    tag = f"{id}-{chunk}-{track}"
    known = kept(request, tag, "audio/flac")
    if known is not None:
        return known
    data = await here.quick.run(api.piece_chunk, await _midi(here, id), track, chunk, gone=request.is_disconnected)
    made = kept(request, tag, "audio/flac", data)
    assert made is not None
    return made


@router.get(
    "/{id}/file/{format}",
    summary="A piece in any format",
    operation_id="file",
    response_class=Response,
    responses=described(404, 415, 422, 424, 503, 507, more=binary("audio/midi", "the file, under a name made of the title")),
)
async def file(
    id: PieceId,
    format: Annotated[str, Path(max_length=20, pattern=r"^[a-z0-9.]+$", description="a format of /api/about", examples=["mid"])],
    here: Here,
) -> Response:
    """mid wav flac mp3 ogg opus stems.zip musicxml mxl pdf svg score.zip png recipe.json"""
    if format not in downloads.FORMATS:
        raise errors.unknown("format", format)
    record = await asyncio.to_thread(here.studio.library.get, id)
    recipe = await asyncio.to_thread(here.studio.library.recipe, id) if format == "recipe.json" else None
    data, kind, suffix = await here.quick.run(
        looks.download, await _midi(here, id), format, record.title, recipe or None, here.passing, limit_s=LONG_S
    )
    name = naming.file_name(record.title, suffix)
    headers = {"Content-Disposition": naming.content_disposition(name), "Cache-Control": "no-store"}
    return sent_once(data, kind, headers) if isinstance(data, FilePath) else Response(data, media_type=kind, headers=headers)


@router.get(
    "/{id}/score",
    summary="The score of a piece",
    operation_id="score",
    response_model=ScorePages,
    responses=DRAWING,
)
async def score(id: PieceId, here: Here) -> dict[str, Any]:
    """How many pages it has, and where each bar begins."""
    found = await _score(id, here)
    return {name: value for name, value in found.items() if name != "svgs"}


@router.get(
    "/{id}/score/{page}.svg",
    summary="A page of the score",
    operation_id="score_page",
    response_class=Response,
    responses=described(404, 415, 422, 424, 503, 507, more=binary("image/svg+xml", "the page, without scripts and styles")),
)
async def score_page(
    id: PieceId, page: Annotated[int, Path(ge=1, le=10_000, description="from 1", examples=[1])], here: Here, request: Request
) -> Response:
    """Bar i of the seconds in the score is the group with `data-bar` i."""
    found = await _score(id, here)
    if page > found["pages"]:
        raise errors.unknown("page", str(page))
    return Response(found["svgs"][page - 1], media_type="image/svg+xml")


async def _score(id: str, here: Here) -> dict[str, Any]:
    """The pages of a piece, drawn once for all of them."""
    record = await asyncio.to_thread(here.studio.library.get, id)
    key = f"{id}/{record.title}"
    found = here.scores.get(key)
    if found is None:
        made: dict[str, Any] = await here.quick.run(score_pages.score_pages, await _midi(here, id), record.title, limit_s=60.0)
        found = here.scores.put(key, made, sum(map(len, made["svgs"])))
    return found
