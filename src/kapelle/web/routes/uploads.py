"""Files that are brought. Each is read in a helper before it is stored, and deleted after a day unless it is kept."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from kapelle.api import notes as notes_of
from kapelle.errors import MidiError
from kapelle.web import looks
from kapelle.web.app import Here
from kapelle.web.routes.answers import SENDING, described
from kapelle.web.schemas import AN_ID, ID, Notes, Upload

router = APIRouter(prefix="/api/uploads", tags=["uploads"])

UploadId = Annotated[str, Path(pattern=ID, description="id of an upload", examples=[AN_ID])]

MIDI_BODY = {
    "requestBody": {
        "required": True,
        "content": {"audio/midi": {"schema": {"type": "string", "format": "binary"}, "example": "the bytes of tune.mid"}},
    }
}


@router.post(
    "",
    status_code=201,
    summary="Bring a MIDI file",
    operation_id="upload",
    response_model=Upload,
    responses=described(*SENDING, 415, 503, 507),
    openapi_extra=MIDI_BODY,
)
async def upload(
    request: Request, here: Here, name: Annotated[str, Query(max_length=400, description="what it is called", examples=["tune.mid"])] = ""
) -> dict[str, Any]:
    """What is in it. The body is the file itself."""
    data = await request.body()
    if not data:
        raise MidiError("the file is empty", hint="choose a MIDI file with music in it")
    info = await here.quick.run(looks.midi_info, data)
    held = await asyncio.to_thread(here.studio.library.put_upload, data, name)
    return {"id": held.id, "name": held.name, "info": info, "expires": held.expires}


@router.delete("/{id}", status_code=204, summary="Forget an upload", operation_id="drop_upload", responses=described(404, 422, 503, 507))
def drop(id: UploadId, here: Here) -> Response:
    """It is deleted at once."""
    here.studio.library.upload_record(id)
    here.studio.library.drop_upload(id)
    return Response(status_code=204)


@router.get(
    "/{id}/notes",
    summary="The notes of an upload",
    operation_id="upload_notes",
    response_model=Notes,
    responses=described(404, 415, 422, 503, 507),
)
async def notes(id: UploadId, here: Here) -> Any:
    """In seconds, as a piano roll draws them."""
    data = await asyncio.to_thread(here.studio.library.upload, id)
    return await here.quick.run(notes_of.notes, data)
