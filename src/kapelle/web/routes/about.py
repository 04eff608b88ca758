"""The page itself, and what this server is."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

import kapelle
from kapelle.composing.request import MAX_BARS
from kapelle.texts import LANGUAGES
from kapelle.web.app import Here
from kapelle.web.routes.answers import described
from kapelle.web.schemas import About, Health
from kapelle.web.wishes import MAX_PIECES

router = APIRouter(tags=["about"])


@router.get("/", include_in_schema=False)
@router.head("/", include_in_schema=False)
def page(request: Request) -> Response:
    """The studio."""
    from kapelle.web.static_files import FOLDER, StaticFiles

    path = FOLDER / "index.html"
    return StaticFiles().file_response(path, path.stat(), request.scope)


@router.get("/favicon.ico", include_in_schema=False)
def icon(request: Request) -> Response:
    """Browsers ask for it unasked."""
    from kapelle.web.static_files import FOLDER, StaticFiles

    path = FOLDER / "favicon.svg"
    answer = StaticFiles().file_response(path, path.stat(), request.scope)
    answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"  # the page of a study is a page of nobody
    return answer


@router.get("/health", summary="Whether the server answers", operation_id="health", response_model=Health, responses=described())
def health() -> dict[str, bool]:
    """For what watches over servers; it needs no token."""
    return {"ok": True}


@router.get("/api/about", summary="What this server is", operation_id="about", response_model=About, responses=described())
def about(here: Here) -> dict[str, Any]:
    """Version, languages, the formats of files, limits, studies that can be heard."""
    from kapelle.api.downloads import FORMATS
    from kapelle.render.chunks import CHUNK_S

    settings = here.settings
    return {
        "version": kapelle.__version__,
        "chunk_s": CHUNK_S,
        "languages": list(LANGUAGES),
        "formats": [one.as_dict() for one in FORMATS.values()],
        "limits": {
            "upload_bytes": settings.body.midi_bytes, "sound_bytes": settings.body.sound_bytes, "bars": MAX_BARS, "count": MAX_PIECES,
        },
        "studies": [name for name, _ in settings.studies],
        "token": bool(settings.token),
    }  # fmt: skip
