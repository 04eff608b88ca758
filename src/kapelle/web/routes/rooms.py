"""Pages of studies and reports of evaluations: files that were written elsewhere, shown as pages of nobody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field
from starlette.responses import FileResponse, RedirectResponse, Response

from kapelle.web import errors, rooms, security
from kapelle.web.app import Here
from kapelle.web.folder import ID
from kapelle.web.routes.answers import below, described
from kapelle.web.schemas import Answer

if TYPE_CHECKING:
    from kapelle.web.settings import Settings

router = APIRouter(tags=["rooms"])


class Study(Answer):
    """A site that can be listened to."""

    model_config = ConfigDict(
        extra="allow", json_schema_extra={"examples": [{"name": "bridge", "title": "Bands and themes", "url": "/studies/bridge/"}]}
    )

    name: str
    title: str = Field(description="of its first page; its name if that has none")
    url: str


@router.get("/api/studies", summary="Studies that can be heard", operation_id="studies", response_model=list[Study], responses=described())
def studies(request: Request, here: Here) -> list[dict[str, Any]]:
    """The sites that the server was given with ``--study``."""
    base = below(request, "/studies")
    return [
        {"name": name, "title": rooms.title_of(folder) or name, "url": f"{base}/{quote(name)}/"} for name, folder in here.settings.studies
    ]


@router.get("/studies/{asked:path}", include_in_schema=False)
@router.head("/studies/{asked:path}", include_in_schema=False)
def study(request: Request, here: Here, asked: str) -> Response:
    """A file of a study's site. Where a token is wanted, the address holds a seal: a page of nobody brings no cookie for its pictures."""
    settings = here.settings
    seal = f"key-{security.proof_of(settings.token, 'studies')[:32]}" if settings.token else ""
    if seal and not asked.startswith(f"{seal}/"):
        return _elsewhere(request, f"{seal}/{asked}")
    name, slash, rest = (asked.removeprefix(f"{seal}/") if seal else asked).partition("/")
    folder = _folder(settings, name)
    if folder is None:
        raise errors.unknown("study", name)
    if not slash:
        return _elsewhere(request, f"{asked}/")
    found = rooms.shown(folder, rest)
    if found is None:
        if rest and not rest.endswith("/") and rooms.shown(folder, f"{rest}/") is not None:
            return _elsewhere(request, f"{asked}/")
        raise errors.unknown("page", rest)
    return FileResponse(found.path, headers=dict(found.headers), media_type=found.media_type)


@router.get("/reports/{id}.html", include_in_schema=False)
@router.head("/reports/{id}.html", include_in_schema=False)
def report(here: Here, id: str) -> Response:
    """The page of an evaluation."""
    path = here.studio.folder.report(id) if ID.fullmatch(id) else None
    if path is None or not path.is_file():
        raise errors.unknown("report", id)
    media_type = rooms.MEDIA_TYPES[".html"]
    return FileResponse(path, headers=rooms.headers_of(path, media_type), media_type=media_type)


def _folder(settings: Settings, name: str) -> Path | None:
    """The folder of the study of a name."""
    return next((folder for known, folder in settings.studies if known == name), None)


def _elsewhere(request: Request, asked: str) -> RedirectResponse:
    """To another address of the same study."""
    return RedirectResponse(below(request, f"/studies/{quote(asked)}"), 307, {"Cache-Control": "no-store"})
